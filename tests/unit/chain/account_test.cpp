// SPDX-License-Identifier: MIT
// Nonces, money and gaps of an account.
#include "chain/account.hpp"

#include "base/error.hpp"
#include "tests/unit/chain/fake_chain.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::chain;

namespace {

constexpr auto any_nonce = std::numeric_limits<std::uint64_t>::max();

struct World {
    TemporaryFolder folder;
    Ledger ledger{folder.path / "mints"};
    FakeChain chain;
    Node node = chain.node();

    void open(char recipient, std::uint64_t nonce) { ledger.write(test_entry(recipient, nonce)); }
    void close(char recipient, std::uint64_t nonce) {
        open(recipient, nonce);
        const MintEntry entry = test_entry(recipient, nonce);
        ledger.close(entry, MintedToken{entry.hash, 7, 5});
    }
    void mine(char recipient, std::uint64_t nonce, std::uint64_t block) {
        chain.mined.push_back({block, test_entry(recipient, nonce).hash});
        chain.head = std::max(chain.head, block);
    }
    Account account() { return Account(node, &ledger, 31337, test_address('9')); }
};

} // namespace

TEST_CASE("the first nonce is the node's where nothing is signed") {
    FakeChain chain;
    chain.mined = {{1, keccak256("a")}, {1, keccak256("b")}};
    chain.head = 1;
    Node node = chain.node();
    CHECK(Account(node, nullptr, 31337, test_address('9')).free_nonce() == 2);
    CHECK(chain.asked == std::vector<std::string>{"eth_getTransactionCount"});
}

TEST_CASE("a nonce that we have signed is never chosen again, whatever the node says") {
    World world;
    SECTION("of open entries, the first gap is taken") {
        world.open('2', 0);
        world.open('3', 1);
        world.open('4', 3);
        CHECK(world.account().free_nonce() == 2);
    }
    SECTION("of closed ones, none below: all those are used") {
        world.close('2', 4);
        CHECK(world.account().free_nonce() == 5);
        world.open('2', 5);
        CHECK(world.account().free_nonce() == 6);
    }
    SECTION("of another chain's or account's, any") {
        world.open('2', 0);
        CHECK(Account(world.node, &world.ledger, 1, test_address('9')).free_nonce() == 0);
        CHECK(Account(world.node, &world.ledger, 31337, test_address('8')).free_nonce() == 0);
    }
}

TEST_CASE("what is signed and not mined keeps its money") {
    World world;
    world.close('2', 0);
    world.open('3', 1);
    world.open('4', 2);
    CHECK(world.account().reserved() == 3000);
    world.mine('2', 0, 1);
    world.mine('3', 1, 1);
    CHECK(world.account().reserved() == 1000);
}

TEST_CASE("gaps are filled by rising nonce: with what was closed, and with what the dead have left") {
    World world;
    world.open('4', 3);
    world.close('2', 1);
    world.open('3', 2);
    world.open('5', 4);
    world.mine('1', 0, 1);
    const auto sent = [&] {
        std::vector<std::uint8_t> nonces;
        for (const Bytes& raw : world.chain.sent) nonces.push_back(raw.back());
        world.chain.sent.clear();
        return nonces;
    };
    const MintIdentity own = test_entry('5', 4).identity;
    world.account().fill_gaps(any_nonce, own);
    CHECK(sent() == std::vector<std::uint8_t>{1, 2, 3});
    world.account().fill_gaps(3, own);
    CHECK(sent() == std::vector<std::uint8_t>{1, 2});
    world.chain.waiting = {test_entry('3', 2).hash};
    world.account().fill_gaps(any_nonce, own);
    CHECK(sent() == std::vector<std::uint8_t>{1, 3});
    {
        const auto held = world.ledger.try_identity(test_entry('4', 3).identity.name());
        const auto own_closed = world.ledger.try_identity(test_entry('2', 1).identity.name());
        world.account().fill_gaps(any_nonce, own);
        CHECK(sent() == std::vector<std::uint8_t>{1});
    }
    world.mine('2', 1, 2);
    world.account().fill_gaps(any_nonce, own);
    CHECK(sent() == std::vector<std::uint8_t>{3});
}

TEST_CASE("what cannot be sent is named, with its file and the way out") {
    World world;
    world.open('2', 0);
    world.chain.instead["eth_sendRawTransaction"] = [](const boost::json::array&) {
        return FakeChain::error("exceeds block gas limit");
    };
    const MintEntry entry = test_entry('2', 0);
    CHECK_THROWS_WITH(world.account().fill_gaps(any_nonce, test_entry('3', 0).identity),
                      Catch::Contains("is in the way (transaction " + hex(entry.hash) + ", nonce 0)") &&
                          Catch::Contains("exceeds block gas limit") &&
                          Catch::Contains("remove " + world.ledger.open_path(entry.identity.name())));
}

TEST_CASE("closed entries are forgotten once their nonce is deep") {
    World world;
    const auto kept = [&] { return world.ledger.signed_by(31337, test_address('9')).size(); };
    world.close('2', 0);
    world.open('3', 1);
    world.mine('2', 0, 5);
    world.mine('3', 1, 5);
    for (std::uint64_t head : {5u, 11u, 16u}) {
        world.chain.head = head;
        world.account().forget_settled();
        CHECK(kept() == 2);
    }
    world.chain.head = 17;
    SECTION("not where the node does not tell") {
        world.chain.instead["eth_getTransactionCount"] = [&](const boost::json::array& asked) {
            return asked.at(1) == "latest" ? world.chain.count("latest") : FakeChain::error("no old state");
        };
        world.account().forget_settled();
        CHECK(kept() == 2);
    }
    SECTION("and no open one is") {
        world.account().forget_settled();
        CHECK(kept() == 1);
        CHECK(world.ledger.open_entry(test_entry('3', 1).identity.name()));
    }
}
