// SPDX-License-Identifier: MIT
// The journal of mints: what it keeps, what it refuses, who may work on what.
#include "chain/ledger.hpp"

#include "base/error.hpp"
#include "chain/evm/keccak.hpp"
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

MintedToken minted(const MintEntry& of) {
    return {of.hash, 7, 5};
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
    const MintedToken token = minted_token(to_text(minted(made)), "it");
    CHECK(token.hash == made.hash);
    CHECK(token.token == 7);
    CHECK(token.block == 5);
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
          without("0x0203", "0x0204"), without("0x3\"", "3\""), without("0x3\"", "0xffffffffffffffff\""),
          without("2030-01-02", "2030-13-02")})
        CHECK_THROWS_WITH(mint_entry(text, "it"), Catch::Contains("before removing it"));
    for (const char* text : {"", "{}", R"({"token_id": "0x1"})"})
        CHECK_THROWS_WITH(minted_token(text, "it"), Catch::Contains("before removing it"));
}

TEST_CASE("an entry is open until it is closed") {
    TemporaryFolder folder;
    const Ledger ledger(folder.path / "mints");
    const MintEntry made = entry('2', 3);
    const std::string name = made.identity.name();
    CHECK_FALSE(ledger.open_entry(name));
    ledger.write(made);
    CHECK(ledger.open_entry(name)->hash == made.hash);
    CHECK_FALSE(ledger.last_token(name));
    ledger.close(made, minted(made));
    CHECK_FALSE(ledger.open_entry(name));
    CHECK(ledger.last_token(name)->token == 7);
}

TEST_CASE("what made no token leaves the last one the last") {
    TemporaryFolder folder;
    const Ledger ledger(folder.path / "mints");
    const MintEntry first = entry('2', 3), second = entry('2', 4);
    const std::string name = first.identity.name();
    ledger.write(first);
    ledger.close(first, minted(first));
    ledger.write(second);
    ledger.close(second, {});
    CHECK_FALSE(ledger.open_entry(name));
    CHECK(ledger.last_token(name)->hash == first.hash);
}

TEST_CASE("what is closed is kept until it is forgotten") {
    TemporaryFolder folder;
    const Ledger ledger(folder.path / "mints");
    const MintEntry first = entry('2', 3), second = entry('2', 4);
    for (const MintEntry& each : {first, second}) {
        ledger.write(each);
        ledger.close(each, minted(each));
    }
    const auto kept = ledger.signed_by(31337, address('9'));
    REQUIRE(kept.size() == 2);
    CHECK(kept[0].state == KeptMint::State::closed);
    CHECK(kept[0].entry.raw == first.raw);
    CHECK(std::filesystem::exists(kept[0].path));
    ledger.write(first); // somebody has put it back
    CHECK(ledger.signed_by(31337, address('9')).size() == 2);
    ledger.close(first, minted(first));
    ledger.forget(first);
    REQUIRE(ledger.signed_by(31337, address('9')).size() == 1);
    CHECK(ledger.signed_by(31337, address('9'))[0].entry.hash == second.hash);
}

TEST_CASE("what an account has signed, by nonce") {
    TemporaryFolder folder;
    const Ledger ledger(folder.path / "mints");
    for (auto [recipient, nonce] : {std::pair('2', 9), std::pair('3', 7), std::pair('4', 8)})
        ledger.write(entry(recipient, static_cast<std::uint64_t>(nonce)));
    MintEntry other = entry('5', 1);
    other.account = address('8');
    ledger.write(other);
    ledger.close(entry('4', 8), minted(entry('4', 8)));
    const auto kept = ledger.signed_by(31337, address('9'));
    REQUIRE(kept.size() == 3);
    for (std::size_t at = 0; at < kept.size(); ++at) {
        CHECK(kept[at].entry.nonce == 7 + at);
        CHECK((kept[at].state == KeptMint::State::closed) == (at == 1));
    }
    CHECK(kept[0].path == ledger.open_path(entry('3', 7).identity.name()));
    CHECK(ledger.signed_by(1, address('9')).empty());
}

TEST_CASE("a file of another identity's name is refused") {
    TemporaryFolder folder;
    const Ledger ledger(folder.path / "mints");
    const std::string name = entry('3', 3).identity.name();
    std::ofstream(folder.path / "mints" / (name + ".open")) << to_text(entry('2', 3));
    CHECK_THROWS_AS(ledger.open_entry(name), Error);
}

TEST_CASE("a lock that cannot be kept is no endless try") {
    TemporaryFolder folder;
    const Ledger ledger(folder.path / "mints");
    std::filesystem::remove_all(folder.path / "mints");
    CHECK_THROWS_WITH(ledger.try_identity(entry('2', 3).identity.name()),
                      Catch::Contains("it vanishes as soon as it is made"));
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
    CHECK(ledger.signed_by(31337, address('9')).empty());
    CHECK_NOTHROW(ledger.take_identity(name, soon(), [] {}));
    CHECK(std::filesystem::is_empty(folder.path / "mints"));
}
