// SPDX-License-Identifier: MIT
// The borders of every name we take from outside.
#include "base/error.hpp"
#include "model/names.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace blockhost;

namespace {

// The patterns that engines in the field declare.
const std::string evm = "^0x[0-9a-fA-F]{40}$";
const std::string cardano = "^(addr1[a-z0-9]{53,}|addr_test1[a-z0-9]{53,}|[0-9a-fA-F]{56})$";
const std::string ergo = "^(9|3)[1-9A-HJ-NP-Za-km-z]{50,}$";
const std::string opnet = "^(0x[0-9a-fA-F]{64}|(bc|tb|bcrt|op|opt|opr)1[a-z0-9]{8,87})$";

std::string repeat(char c, std::size_t n) {
    return std::string(n, c);
}

bool wallet(const std::string& text, const std::string& pattern = "") {
    try {
        return Wallet(text, pattern).str() == text;
    } catch (const Error& e) {
        CHECK(e.code() == Code::invalid);
        return false;
    }
}

bool username(const std::string& text) {
    try {
        return Username(text).str() == text;
    } catch (const Error& e) {
        CHECK(e.code() == Code::invalid);
        return false;
    }
}

} // namespace

TEST_CASE("a VM name is 1 to 64 of its letters, the first a letter or digit") {
    for (const std::string& good : {std::string("a"), std::string("0"), std::string("blockhost-001"),
                                    std::string("A.b_c-9"), std::string("a.."), repeat('x', 64)}) {
        CAPTURE(good);
        REQUIRE(VmName::try_parse(good));
        CHECK(VmName(good).str() == good);
    }
    for (const std::string& bad :
         {std::string(), repeat('x', 65), std::string("blockhost-001\n"), std::string(".."), std::string("."),
          std::string(".hidden"), std::string("-a"), std::string("_a"), std::string("a/b"),
          std::string("../a"), std::string("a b"), std::string("é"), std::string("a\0b", 3),
          std::string("a\0", 2), std::string("a;b"), std::string("a$b")}) {
        CAPTURE(bad);
        CHECK_FALSE(VmName::try_parse(bad));
        CHECK_THROWS_AS(VmName(bad), Error);
    }
}

TEST_CASE("a refused VM name is quoted made printable and cut, with the rule as the hint") {
    try {
        VmName(std::string("bad\n\x1b[31m") + repeat('x', 1000));
        FAIL("accepted");
    } catch (const Error& e) {
        CHECK(e.code() == Code::invalid);
        CHECK(e.message().starts_with("Invalid VM name: bad\\x0a\\x1b[31mxxx"));
        CHECK(e.message().size() < 120);
        CHECK_FALSE(e.hint().empty());
    }
}

TEST_CASE("a username is what a guest's useradd takes") {
    for (const std::string& good :
         {std::string("admin"), std::string("_"), std::string("a"), std::string("a-b_9"), repeat('a', 32)})
        CHECK(username(good));
    for (const std::string& bad :
         {std::string(), std::string("9a"), std::string("-a"), std::string("Admin"), std::string("a.b"),
          std::string("a b"), std::string("a\n"), std::string("a:b"), repeat('a', 33)}) {
        CAPTURE(bad);
        CHECK_FALSE(username(bad));
    }
}

TEST_CASE("a wallet is plain letters whatever the engine's pattern allows") {
    CHECK(wallet("a"));
    CHECK(wallet(repeat('a', 200)));
    for (const std::string& pattern : {std::string(), std::string(".*")}) {
        for (const std::string& bad :
             {std::string(), repeat('a', 201), repeat('a', 100'000), std::string("a b"), std::string("a,b"),
              std::string("a:b"), std::string("a'b"), std::string("a\n"), std::string("é"),
              std::string("a\0", 2), std::string("a.b")}) {
            CAPTURE(pattern, bad.substr(0, 20));
            CHECK_FALSE(wallet(bad, pattern));
        }
    }
}

TEST_CASE("the patterns of the engines in the field are applied") {
    CHECK(wallet("0x" + repeat('a', 40), evm));
    CHECK(wallet("0x" + repeat('F', 40), evm));
    CHECK_FALSE(wallet("0x" + repeat('a', 39), evm));
    CHECK_FALSE(wallet("0x" + repeat('a', 41), evm));
    CHECK_FALSE(wallet("0x" + repeat('g', 40), evm));
    CHECK_FALSE(wallet("x0x" + repeat('a', 40), evm));

    CHECK(wallet("addr1" + repeat('q', 53), cardano));
    CHECK(wallet("addr1" + repeat('q', 98), cardano));
    CHECK(wallet("addr_test1" + repeat('q', 53), cardano));
    CHECK(wallet(repeat('0', 56), cardano));
    CHECK_FALSE(wallet("addr1" + repeat('q', 52), cardano));
    CHECK_FALSE(wallet(repeat('0', 57), cardano));
    CHECK_FALSE(wallet("addr1" + repeat('Q', 53), cardano));

    CHECK(wallet("9" + repeat('f', 50), ergo));
    CHECK(wallet("3" + repeat('W', 199), ergo));
    CHECK_FALSE(wallet("9" + repeat('f', 49), ergo));
    CHECK_FALSE(wallet("9" + repeat('f', 50) + "0", ergo));
    CHECK_FALSE(wallet("8" + repeat('f', 50), ergo));

    CHECK(wallet("0x" + repeat('a', 64), opnet));
    CHECK(wallet("bc1" + repeat('q', 8), opnet));
    CHECK(wallet("bcrt1" + repeat('q', 87), opnet));
    CHECK(wallet("opt1" + repeat('p', 20), opnet));
    CHECK_FALSE(wallet("bc1" + repeat('q', 7), opnet));
    CHECK_FALSE(wallet("bcrt1" + repeat('q', 88), opnet));
    CHECK_FALSE(wallet("0x" + repeat('a', 40), opnet));
}

TEST_CASE("a pattern is anchored at the start only, as Python's re.match") {
    CHECK(wallet("0xabc", "0x"));
    CHECK_FALSE(wallet("z0xabc", "0x"));
    CHECK_FALSE(wallet("z0xabc", "abc"));
    CHECK(wallet("abcdef", "abc|x"));
    CHECK(wallet("abc", "abc$"));
    CHECK_FALSE(wallet("abcd", "abc$"));
}

TEST_CASE("a pattern that does not compile lets no wallet through, and is a mistake of the engine's") {
    for (const char* broken : {"(", "[a-", "a{2,1}", "(?P<x)a", "*"}) {
        CAPTURE(broken);
        try {
            Wallet("anything", broken);
            FAIL("it was taken");
        } catch (const Error& e) {
            CHECK(e.code() == Code::config);
        }
    }
}

TEST_CASE("a pattern that is too complex is a mistake of the engine's, not of the wallet") {
    try {
        Wallet("abc", std::string(60'000, '('));
        FAIL("it was applied");
    } catch (const Error& error) {
        CHECK(error.code() == Code::config);
        CHECK(error.message().find("too complex") != std::string::npos);
        CHECK(!error.hint().empty());
    }
}

TEST_CASE("the hint of a refused wallet shows the engine's pattern") {
    try {
        Wallet("0x12", evm);
        FAIL("accepted");
    } catch (const Error& e) {
        CHECK(e.message() == "Invalid wallet address: 0x12");
        CHECK(e.hint().find(evm) != std::string::npos);
    }
}

TEST_CASE("a wallet of our own metadata needs no pattern but stays plain") {
    CHECK(Wallet::trusted("0x12")->str() == "0x12");
    CHECK_FALSE(Wallet::trusted(""));
    CHECK_FALSE(Wallet::trusted("a\nb"));
    CHECK_FALSE(Wallet::trusted(repeat('a', 201)));
}

TEST_CASE("random UUIDs are of version 4 and differ, and UUIDs are kept in lower case") {
    std::set<std::string> seen;
    for (int i = 0; i < 50; ++i) {
        std::string uuid = Uuid::random().str();
        CAPTURE(uuid);
        CHECK(uuid.size() == 36);
        CHECK(uuid[14] == '4');
        CHECK(std::string("89ab").find(uuid[19]) != std::string::npos);
        CHECK(Uuid::try_parse(uuid)->str() == uuid);
        CHECK(seen.insert(uuid).second);
    }
    CHECK(Uuid::try_parse("C7A5FDBD-EDAF-9455-926A-D65C16DB1809")->str() ==
          "c7a5fdbd-edaf-9455-926a-d65c16db1809");
    for (const char* bad : {"", "c7a5fdbdedaf9455926ad65c16db1809", "c7a5fdbd-edaf-9455-926a-d65c16db180",
                            "c7a5fdbd-edaf-9455-926a-d65c16db1809 ", "c7a5fdbd-edaf-9455-926ad-65c16db1809",
                            "g7a5fdbd-edaf-9455-926a-d65c16db1809"})
        CHECK_FALSE(Uuid::try_parse(bad));
}

TEST_CASE("an instance id is 32 lower-case hex digits") {
    InstanceId id = InstanceId::random();
    CHECK(InstanceId::try_parse(id.str()) == id);
    CHECK(id.tag() == id.str().substr(0, 8));
    CHECK(InstanceId::random() != id);
    CHECK_FALSE(InstanceId::try_parse(repeat('a', 31)));
    CHECK_FALSE(InstanceId::try_parse(repeat('a', 33)));
    CHECK_FALSE(InstanceId::try_parse(repeat('A', 32)));
    CHECK_FALSE(InstanceId::try_parse(repeat('a', 31) + "\n"));
}

TEST_CASE("an operation id tells whose it is") {
    InstanceId ours = *InstanceId::try_parse("0123456789abcdef0123456789abcdef"),
               other = *InstanceId::try_parse("1123456789abcdef0123456789abcdef");
    OperationId op = OperationId::make(ours);
    CHECK(op.str().size() == 16);
    CHECK(op.of(ours));
    CHECK_FALSE(op.of(other));
    CHECK(OperationId::make(ours) != op);
    CHECK(OperationId::try_parse(op.str()) == op);
    CHECK_FALSE(OperationId::try_parse("01234567"));
    CHECK_FALSE(OperationId::try_parse("0123456789ABCDEF"));
}

TEST_CASE("a volume's name gives back its operation, for its own VM only") {
    VmName name("a"), dotted("a.b");
    OperationId op = *OperationId::try_parse("0123456789abcdef");
    CHECK(volume_name(name, op) == "a.0123456789abcdef.qcow2");
    CHECK(operation_of_volume(name, "a.0123456789abcdef.qcow2") == op);
    CHECK(operation_of_volume(dotted, volume_name(dotted, op)) == op);
    CHECK_FALSE(operation_of_volume(name, volume_name(dotted, op)));
    for (const char* other : {"a.qcow2", "a..qcow2", "a.0123456789abcdef", "a.0123456789abcde.qcow2",
                              "b.0123456789abcdef.qcow2", "a.0123456789abcdef.qcow2.bak",
                              "a.0123456789abcdef-qcow2", "a.0123456789abcdef.qcow2\n", "", "a.", ".qcow2"}) {
        CAPTURE(other);
        CHECK_FALSE(operation_of_volume(name, other));
    }
}
