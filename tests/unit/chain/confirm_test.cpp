// SPDX-License-Identifier: MIT
// Following a transaction: what is believed of a node, and how often it must say so.
#include "chain/confirm.hpp"

#include "tests/unit/chain/fake_chain.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::chain;
using How = Confirmation::Outcome::How;

namespace {

const MintEntry ours = test_entry('2', 1);
const Hash others = keccak256("somebody else's");

struct Ears : Progress {
    void say(std::string_view) override {}
    std::vector<std::string> warnings;
    void stage(std::string_view) override {}
    void detail(std::string_view) override {}
    void warn(std::string_view text) override { warnings.emplace_back(text); }
};

/// Nonce 0 was used in block 3, nonce 1 in block `at` by `by`.
FakeChain chain_of(std::uint64_t head, std::uint64_t at, const Hash& by) {
    FakeChain chain;
    chain.head = head;
    chain.mined = {{3, keccak256("an earlier one")}, {at, by}};
    return chain;
}

struct Chase {
    FakeChain& chain;
    Ears ears = {};
    std::chrono::milliseconds patience{1500};
    std::uint64_t confirmations = 1;

    Confirmation::Outcome run() {
        Node node = chain.node();
        const Patience patient{confirmations, Deadline::in(patience)};
        const Interruption interruption;
        return Confirmation(node, ours, "/mints/it.open", patient, ears, interruption).run();
    }
    Error failure() {
        try {
            run();
        } catch (const Error& error) {
            return error;
        }
        FAIL("it came to an end");
        throw;
    }
    long count(std::string_view method) const {
        return std::count(chain.asked.begin(), chain.asked.end(), method);
    }
};

} // namespace

TEST_CASE("a mint that is mined has succeeded at the first look") {
    FakeChain chain = chain_of(30, 30, ours.hash);
    Chase chase{chain};
    const auto outcome = chase.run();
    CHECK(outcome.how == How::succeeded);
    CHECK(outcome.receipt.block == 30);
    CHECK(outcome.depth == 1);
    CHECK(chase.count("eth_getTransactionReceipt") == 1);
}

TEST_CASE("a mint is displaced when the block that used its nonce lacks it, as three looks have it") {
    for (std::uint64_t at : {4u, 7u, 17u, 18u}) {
        CAPTURE(at);
        FakeChain chain = chain_of(30, at, others);
        Chase chase{chain};
        CHECK(chase.run().how == How::displaced);
        CHECK(chase.count("eth_getTransactionReceipt") == 3);
        CHECK(chain.sent.empty());
    }
}

TEST_CASE("a nonce that was used in a block that may be taken back displaces nothing") {
    FakeChain chain = chain_of(30, 19, others);
    const Error error = Chase{chain}.failure();
    CHECK(error.code() == Code::no_answer);
    CHECK_THAT(error.message(), Catch::EndsWith("its nonce is used, not long enough ago to be sure by what"));
}

TEST_CASE("a mint that its node has no index of is not displaced by itself") {
    FakeChain chain = chain_of(30, 7, ours.hash);
    chain.knows_hashes = false;
    Chase chase{chain};
    const Error error = chase.failure();
    CHECK_THAT(error.message(), Catch::Contains("it is in block 7, and the node gives no receipt of it"));
    CHECK_THAT(error.hint(), Catch::Contains("name another one"));
    CHECK(chain.sent.empty());
}

TEST_CASE("a node that does not tell who used the nonce proves nothing, and the way out is told") {
    FakeChain chain = chain_of(30, 7, others);
    std::string reason;
    SECTION("it has no old state") {
        reason = "missing trie node";
        chain.instead["eth_getTransactionCount"] = [&](const boost::json::array& asked) {
            const auto at = parse_quantity(asked.at(1).as_string());
            return at && *at < 10 ? FakeChain::error(reason)
                                  : chain.count(std::string(asked.at(1).as_string()));
        };
    }
    SECTION("it answers as of now whatever it is asked") {
        reason = "it does not have that block as a whole";
        chain.instead["eth_getTransactionCount"] = [&](const boost::json::array&) {
            return chain.count("latest");
        };
        chain.instead["eth_getBlockByNumber"] = [&](const boost::json::array&) {
            return FakeChain::result(R"({"number":"0x0","hash":")" + hex(others) +
                                     R"(","gasLimit":"0x0","transactions":[]})");
        };
    }
    SECTION("it has no such block") {
        reason = "it does not have that block as a whole";
        chain.instead["eth_getBlockByNumber"] = [](const boost::json::array&) {
            return FakeChain::result("null");
        };
    }
    const Error error = Chase{chain}.failure();
    CHECK(error.code() == Code::no_answer);
    CHECK_THAT(error.message(), Catch::Contains("does not tell by which transaction: " + reason));
    CHECK_THAT(error.hint(), Catch::Contains("block explorer") && Catch::Contains("remove /mints/it.open"));
}

TEST_CASE("a node that tells of its latest block alone gets again what it has forgotten") {
    FakeChain chain;
    chain.head = 30;
    chain.mined = {{3, keccak256("an earlier one")}};
    chain.instead["eth_getTransactionCount"] = [&](const boost::json::array& asked) {
        return asked.at(1) == "latest" ? chain.count("latest") : FakeChain::error("no old state");
    };
    CHECK(Chase{chain}.failure().code() == Code::no_answer);
    REQUIRE_FALSE(chain.sent.empty());
    CHECK(chain.sent[0] == ours.raw);
}

TEST_CASE("looks that do not agree are no proof: a receipt in between begins the count anew") {
    FakeChain chain = chain_of(30, 7, others);
    int looks = 0;
    chain.instead["eth_getTransactionReceipt"] = [&](const boost::json::array& asked) {
        if (++looks % 3 != 0) return FakeChain::result("null");
        return FakeChain::result(R"({"transactionHash":")" + std::string(asked.at(0).as_string()) +
                                 R"(","status":"0x1","blockNumber":"0x1e","blockHash":")" +
                                 hex(FakeChain::hash_of_block(30)) + R"(","logs":[]})");
    };
    Chase chase{chain};
    chase.confirmations = 2;
    chase.patience = std::chrono::milliseconds(5000);
    CHECK(chase.failure().code() == Code::no_answer);
    CHECK(looks >= 6);
}

TEST_CASE("a failed look in between begins the count anew") {
    FakeChain chain = chain_of(30, 7, others);
    int looks = 0;
    chain.instead["eth_getTransactionReceipt"] = [&](const boost::json::array&) {
        return ++looks % 3 == 0 ? FakeChain::error("busy") : FakeChain::result("null");
    };
    Chase chase{chain};
    chase.patience = std::chrono::milliseconds(5000);
    CHECK(chase.failure().code() == Code::no_answer);
    CHECK(looks >= 6);
}

TEST_CASE("depth counts in the chain's own block alone") {
    FakeChain chain = chain_of(30, 7, ours.hash);
    bool is_reverted = false;
    SECTION("a success in a block that was taken back") {}
    SECTION("a revert there") {
        is_reverted = true;
    }
    chain.reverts = is_reverted;
    chain.instead["eth_getBlockByNumber"] = [&](const boost::json::array& asked) {
        std::string text = chain.block(std::string(asked.at(0).as_string()));
        const std::string own = hex(FakeChain::hash_of_block(7));
        if (const auto at = text.find(own); at != text.npos) text.replace(at, own.size(), hex(others));
        return text;
    };
    Chase chase{chain};
    CHECK(chase.failure().code() == Code::no_answer);
    REQUIRE_FALSE(chase.ears.warnings.empty());
    CHECK_THAT(chase.ears.warnings[0], Catch::Contains("has taken back block 7"));
}

TEST_CASE("a revert is believed when three looks have it") {
    FakeChain chain = chain_of(30, 7, ours.hash);
    chain.reverts = true;
    Chase chase{chain};
    const auto outcome = chase.run();
    CHECK(outcome.how == How::reverted);
    CHECK(outcome.depth == 24);
    CHECK(chase.count("eth_getTransactionReceipt") == 3);
}

TEST_CASE("a receipt that one look alone calls a revert") {
    FakeChain chain = chain_of(30, 7, ours.hash);
    int looks = 0;
    chain.instead["eth_getTransactionReceipt"] = [&](const boost::json::array& asked) {
        chain.reverts = ++looks < 3;
        return chain.receipt(std::string(asked.at(0).as_string()));
    };
    CHECK(Chase{chain}.run().how == How::succeeded);
}

TEST_CASE("who refuses to take it again is waited out: it may be on its way") {
    FakeChain chain = chain_of(30, 100, ours.hash);
    int refusals = 0;
    chain.instead["eth_sendRawTransaction"] = [&](const boost::json::array&) {
        if (++refusals == 2) chain.head = 100;
        return FakeChain::error("I dislike it");
    };
    Chase chase{chain};
    CHECK(chase.run().how == How::succeeded);
    CHECK(refusals == 2);
    REQUIRE(chase.ears.warnings.size() == 1);
    CHECK_THAT(chase.ears.warnings[0], Catch::Contains("I dislike it; asking again"));
}

TEST_CASE("a refusal that lasts is what the deadline tells, with its own advice") {
    FakeChain chain = chain_of(30, 100, ours.hash);
    chain.instead["eth_sendRawTransaction"] = [](const boost::json::array&) {
        return FakeChain::error("replacement transaction underpriced");
    };
    const Error error = Chase{chain}.failure();
    CHECK(error.code() == Code::no_answer);
    CHECK_THAT(error.message(), Catch::Contains("is not confirmed: another transaction of"));
    CHECK_THAT(error.hint(), Catch::Contains("call again once that one is mined"));
}

TEST_CASE("what the node knows all the same was not refused") {
    FakeChain chain;
    chain.waiting = {ours.hash};
    chain.instead["eth_sendRawTransaction"] = [](const boost::json::array&) {
        return FakeChain::error("I dislike it");
    };
    Node node = chain.node();
    CHECK_NOTHROW(send(node, ours));
    chain.waiting.clear();
    CHECK_THROWS_AS(send(node, ours), Obstacle);
}
