// SPDX-License-Identifier: MIT
// Used nonces: durable, kept until past their window, and a clock that only goes forward.
#include "authority/nonces.hpp"

#include "tests/unit/authority/database.hpp"
#include "tests/unit/authority/keys.hpp"

using namespace blockhost;
using namespace blockhost::authority;
using namespace std::chrono_literals;

namespace {

const Instant start = *parse_instant("2030-01-01T00:00:00Z");

void use(store::Database& database, const std::string& nonce, Instant not_after, Instant at) {
    Nonces nonces(database);
    store::Transaction all(database);
    nonces.use(nonce, "op", not_after, at);
    all.commit();
}

} // namespace

TEST_CASE("a nonce is used once, also by another process") {
    AgentFolder agent;
    {
        store::Database database = agent.database();
        use(database, "n1", start + 1h, start);
        CHECK(refusal([&] { use(database, "n1", start + 1h, start); }).first == Code::denied);
    }
    store::Database database = agent.database();
    CHECK(refusal([&] { use(database, "n1", start + 1h, start); }).first == Code::denied);
    CHECK_NOTHROW(use(database, "n2", start + 1h, start));
}

TEST_CASE("a nonce whose transaction is not committed is not used") {
    AgentFolder agent;
    store::Database database = agent.database();
    {
        store::Transaction all(database);
        Nonces(database).use("n1", "op", start + 1h, start);
    }
    CHECK_NOTHROW(use(database, "n1", start + 1h, start));
}

TEST_CASE("a nonce is kept beyond its window, and forgotten then; how many there were is not") {
    AgentFolder agent;
    store::Database database = agent.database();
    use(database, "n1", start + 1h, start);
    use(database, "n2", start + 100h, start + 24h);
    const auto kept = [&] { return database.integer("SELECT count(*) FROM nonce"); };
    CHECK(kept() == 2);
    use(database, "n3", start + 100h, start + 26h);
    CHECK(kept() == 2);
}

TEST_CASE("a clock that went back by more than two minutes is noticed") {
    AgentFolder agent;
    store::Database database = agent.database();
    Nonces nonces(database);
    CHECK_NOTHROW(nonces.require_forward(start));
    nonces.note_clock(start);
    nonces.note_clock(start - 24h); // it only grows
    CHECK_NOTHROW(nonces.require_forward(start - 2min));
    CHECK(refusal([&] { nonces.require_forward(start - 2min - 1s); }).first == Code::clock);
}

TEST_CASE("starting over makes every earlier envelope void") {
    AgentFolder agent;
    store::Database database = agent.database();
    Nonces nonces(database);
    nonces.note_clock(start + 1000h);
    nonces.note_audit_line(70);
    nonces.note_audit_line(7);
    CHECK(nonces.audit_line() == 70);
    nonces.start_over(start, 5, 3, 7);
    CHECK(nonces.given_up_line() == 7);
    CHECK(nonces.announced() == 5);
    CHECK(nonces.announce() == 6);
    CHECK(nonces.audit_line() == 3);
    CHECK_NOTHROW(nonces.require_forward(start));
    CHECK(refusal([&] { nonces.require_after_start(start - 1s); }).first == Code::denied);
    CHECK_NOTHROW(nonces.require_after_start(start));
}
