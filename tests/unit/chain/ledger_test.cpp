// The journal of mints: what it keeps, what it refuses, who may work on what.
#include "chain/ledger.hpp"

#include "base/error.hpp"
#include "chain/keccak.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <chrono>
#include <fstream>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::chain;

namespace {

Address address(char digit) {
    return *Address::of_node("0x" + std::string(40, digit));
}

MintEntry entry(char recipient, std::uint64_t nonce) {
    MintEntry made{.identity = {31337, address('1'), address(recipient), Bytes{0x01, 0x02}},
                   .account = address('9'),
                   .nonce = nonce,
                   .most = U256(1) << 100,
                   .hash = {},
                   .raw = Bytes{0x02, static_cast<std::uint8_t>(nonce)},
                   .signed_at = *parse_instant("2030-01-02T03:04:05.678901+00:00")};
    made.hash = keccak256(made.raw);
    return made;
}

MintEnd minted(const MintEntry& of) {
    return {MintEnd::How::minted, of.hash, 7, 5};
}

Deadline soon() {
    return Deadline::in(std::chrono::milliseconds(100));
}

} // namespace

TEST_CASE("an entry comes back as it was written") {
    const MintEntry made = entry('2', 3);
    const MintEntry read = mint_entry(to_text(made), "it");
    CHECK(read.identity == made.identity);
    CHECK(read.account == made.account);
    CHECK(read.nonce == 3);
    CHECK(read.most == made.most);
    CHECK(read.hash == made.hash);
    CHECK(read.raw == made.raw);
    CHECK(read.signed_at == made.signed_at);
    const MintEnd end = mint_end(to_text(minted(made)), "it");
    CHECK(end.how == MintEnd::How::minted);
    CHECK(end.token == 7);
    CHECK(end.block == 5);
}

TEST_CASE("whatever differs makes another identity") {
    const MintIdentity one = entry('2', 3).identity;
    CHECK(one.name().size() == 64);
    CHECK(one.name() == entry('2', 4).identity.name());
    for (auto change :
         {+[](MintIdentity& it) { it.chain_id = 1; }, +[](MintIdentity& it) { it.contract = Address(); },
          +[](MintIdentity& it) { it.recipient = Address(); }, +[](MintIdentity& it) { it.data = {}; }}) {
        MintIdentity other = one;
        change(other);
        CHECK(other.name() != one.name());
    }
}

TEST_CASE("a file that says something else is refused, not overwritten") {
    const std::string good = to_text(entry('2', 3));
    const auto without = [&](const std::string& what, const std::string& with) {
        return std::string(good).replace(good.find(what), what.size(), with);
    };
    for (const std::string& text :
         {std::string(), std::string("{}"), good.substr(0, good.size() / 2), without("nonce", "once"),
          without("0x0203", "0x0204"), without("0x3\"", "3\""), without("2030-01-02", "2030-13-02")})
        CHECK_THROWS_WITH(mint_entry(text, "it"), Catch::Contains("before removing it"));
    for (const char* text : {"", "{}", R"({"end": "well"})"})
        CHECK_THROWS_WITH(mint_end(text, "it"), Catch::Contains("before removing it"));
}

TEST_CASE("an entry is open until it is closed") {
    TemporaryFolder folder;
    const Ledger ledger(folder.path / "mints");
    const MintEntry made = entry('2', 3);
    const std::string name = made.identity.name();
    CHECK_FALSE(ledger.open_entry(name));
    ledger.write(made);
    CHECK(ledger.open_entry(name)->hash == made.hash);
    CHECK_FALSE(ledger.last_end(name));
    ledger.close(name, minted(made));
    CHECK_FALSE(ledger.open_entry(name));
    CHECK(ledger.last_end(name)->token == 7);
    ledger.write(made); // as if the closing process had died before it removed the entry
    CHECK(ledger.open_entry(name)->hash == made.hash);
}

TEST_CASE("the open entries of an account, by nonce") {
    TemporaryFolder folder;
    const Ledger ledger(folder.path / "mints");
    for (auto [recipient, nonce] : {std::pair('2', 9), std::pair('3', 7), std::pair('4', 8)})
        ledger.write(entry(recipient, static_cast<std::uint64_t>(nonce)));
    MintEntry other = entry('5', 1);
    other.account = address('8');
    ledger.write(other);
    ledger.close(entry('4', 8).identity.name(), minted(entry('4', 8)));
    const auto open = ledger.open_of(31337, address('9'));
    REQUIRE(open.size() == 2);
    CHECK(open[0].nonce == 7);
    CHECK(open[1].nonce == 9);
    CHECK(ledger.open_of(1, address('9')).empty());
}

TEST_CASE("a file of another identity's name is refused") {
    TemporaryFolder folder;
    const Ledger ledger(folder.path / "mints");
    const std::string name = entry('3', 3).identity.name();
    std::ofstream(folder.path / "mints" / (name + ".open")) << to_text(entry('2', 3));
    CHECK_THROWS_AS(ledger.open_entry(name), Error);
}

TEST_CASE("who works on an identity holds it, and says so") {
    TemporaryFolder folder;
    const Ledger ledger(folder.path / "mints");
    const std::string name = entry('2', 3).identity.name();
    int checks = 0;
    {
        const LedgerLock held = ledger.take_identity(name, soon(), [] {});
        CHECK_FALSE(ledger.try_identity(name));
        CHECK(ledger.try_identity(entry('3', 3).identity.name()));
        CHECK_THROWS_WITH(ledger.take_identity(name, soon(), [&] { ++checks; }),
                          Catch::StartsWith("this very mint is busy: another mint-nft is at it since ") &&
                              Catch::Contains("(process " + std::to_string(getpid()) + ")"));
        CHECK(checks > 0);
    }
    CHECK(ledger.try_identity(name));
    CHECK(std::filesystem::is_empty(folder.path / "mints"));
}

TEST_CASE("an account is held by one at a time") {
    TemporaryFolder folder;
    const Ledger ledger(folder.path / "mints");
    const LedgerLock held = ledger.take_account(1, address('9'), soon(), [] {});
    CHECK_THROWS_WITH(ledger.take_account(1, address('9'), soon(), [] {}),
                      Catch::Contains("the account 0x9999"));
    CHECK_NOTHROW(ledger.take_account(2, address('9'), soon(), [] {}));
    CHECK_NOTHROW(ledger.take_account(1, address('8'), soon(), [] {}));
}

TEST_CASE("what a killed writer left behind goes with the next who works there") {
    TemporaryFolder folder;
    const Ledger ledger(folder.path / "mints");
    const std::string name = entry('2', 3).identity.name();
    std::ofstream(folder.path / "mints" / ("." + name + ".open.0123456789ab")) << "torn";
    CHECK(ledger.open_of(31337, address('9')).empty());
    CHECK_NOTHROW(ledger.take_identity(name, soon(), [] {}));
    CHECK(std::filesystem::is_empty(folder.path / "mints"));
}
