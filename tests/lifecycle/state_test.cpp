// SPDX-License-Identifier: MIT
/// The two tables are complete, unambiguous, and say what the contract says.

#include "vm/state.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace blockhost;

namespace {

constexpr RecordSeen records[] = {RecordSeen::none, RecordSeen::active, RecordSeen::suspended,
                                  RecordSeen::destroyed};
constexpr DomainSeen domains[] = {DomainSeen::none, DomainSeen::running, DomainSeen::paused, DomainSeen::off,
                                  DomainSeen::foreign};
constexpr VmState states[] = {VmState::absent,
                              VmState::creating,
                              VmState::active,
                              VmState::paused,
                              VmState::stopped,
                              VmState::suspended,
                              VmState::destroying,
                              VmState::destroyed,
                              VmState::orphaned,
                              VmState::lost,
                              VmState::foreign,
                              VmState::running_while_suspended,
                              VmState::running_while_destroyed};
constexpr Verb verbs[] = {
    Verb::create,        Verb::destroy,       Verb::start,           Verb::stop,   Verb::kill,
    Verb::suspend,       Verb::resume,        Verb::configure,       Verb::backup, Verb::snapshot_take,
    Verb::snapshot_undo, Verb::snapshot_keep, Verb::restore_in_place};

} // namespace

TEST_CASE("every pair of record and domain has exactly one state") {
    std::set<std::pair<RecordSeen, DomainSeen>> pairs;
    for (const StateRow& row : state_table()) CHECK(pairs.insert({row.record, row.domain}).second);
    for (const RecordSeen record : records)
        for (const DomainSeen domain : domains) CHECK(pairs.count({record, domain}) == 1);
    CHECK(pairs.size() == std::size(records) * std::size(domains));
}

TEST_CASE("every state and verb have exactly one verdict") {
    std::set<std::pair<VmState, Verb>> pairs;
    for (const Verdict& row : verdict_table()) CHECK(pairs.insert({row.state, row.verb}).second);
    for (const VmState state : states)
        for (const Verb verb : verbs) CHECK(pairs.count({state, verb}) == 1);
    CHECK(pairs.size() == std::size(states) * std::size(verbs));
}

TEST_CASE("an open create or destroy decides the state whatever else is seen") {
    for (const RecordSeen record : records)
        for (const DomainSeen domain : domains) {
            CHECK(classify(record, domain, EntrySeen::create) == VmState::creating);
            CHECK(classify(record, domain, EntrySeen::destroy) == VmState::destroying);
            CHECK(classify(record, domain, EntrySeen::other) == classify(record, domain, EntrySeen::none));
        }
}

TEST_CASE("no verb runs anything on a foreign domain") {
    for (const Verb verb : verbs) {
        const Verdict& verdict = verdict_of(VmState::foreign, verb);
        CHECK(verdict.kind == Verdict::Kind::refuse);
        CHECK(verdict.code == Code::foreign);
    }
}

TEST_CASE("a domain seen as foreign is foreign whatever the record says") {
    for (const RecordSeen record : records)
        CHECK(classify(record, DomainSeen::foreign, EntrySeen::none) == VmState::foreign);
}

TEST_CASE("every refusal says what is wrong and what to do") {
    for (const Verdict& verdict : verdict_table()) {
        if (verdict.kind != Verdict::Kind::refuse) continue;
        INFO(to_string(verdict.state) << " " << to_string(verdict.verb));
        CHECK(verdict.message.find("{name}") != std::string_view::npos);
        CHECK(!verdict.hint.empty());
    }
}

TEST_CASE("every run names a plan and nothing else does") {
    for (const Verdict& verdict : verdict_table())
        CHECK((verdict.kind == Verdict::Kind::run) == !verdict.plan.empty());
}

TEST_CASE("only an absent or destroyed VM can be created") {
    for (const VmState state : states) {
        const bool free = state == VmState::absent || state == VmState::destroyed;
        CHECK((verdict_of(state, Verb::create).kind == Verdict::Kind::run) == free);
    }
}

TEST_CASE("a suspended VM is not started") {
    for (const VmState state : {VmState::suspended, VmState::running_while_suspended}) {
        CHECK(verdict_of(state, Verb::start).kind == Verdict::Kind::refuse);
        CHECK(verdict_of(state, Verb::start).message.find("unpaid") != std::string_view::npos);
    }
}

TEST_CASE("destroying and killing what is gone is success") {
    CHECK(verdict_of(VmState::absent, Verb::destroy).kind == Verdict::Kind::nothing);
    CHECK(verdict_of(VmState::destroyed, Verb::destroy).kind == Verdict::Kind::nothing);
    CHECK(verdict_of(VmState::absent, Verb::kill).kind == Verdict::Kind::nothing);
    CHECK(verdict_of(VmState::stopped, Verb::kill).kind == Verdict::Kind::nothing);
}

TEST_CASE("only what is suspended is resumed, and only what has a live record is suspended") {
    for (const VmState state : states) {
        const bool suspended = state == VmState::suspended || state == VmState::running_while_suspended;
        CHECK((verdict_of(state, Verb::resume).kind == Verdict::Kind::run) == suspended);
    }
    for (const VmState state : {VmState::absent, VmState::destroyed, VmState::orphaned,
                                VmState::running_while_destroyed, VmState::creating, VmState::destroying})
        CHECK(verdict_of(state, Verb::suspend).kind == Verdict::Kind::refuse);
    CHECK(verdict_of(VmState::running_while_suspended, Verb::suspend).kind == Verdict::Kind::run);
}
