// SPDX-License-Identifier: MIT
// What a permit is for, and that it is used once.
#include "platform/platform.hpp"
#include "tests/unit/platform/different_actions.hpp"
#include "tests/unit/platform/permit_for_tests.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::platform;

namespace {

/// Tells what it was made to begin.
class Told final : public Platform {
  public:
    std::vector<Action> begun;
    std::optional<Error> refused; ///< instead of a begin
    bool is_handed_on = true;     ///< the handle, before that

    Host host() override { return {}; }
    std::vector<Lack> preflight() override { return {}; }
    Guests guests() override { return {}; }
    std::optional<Guest> guest(const GuestId&) override { return std::nullopt; }
    Note note(const Target&, const Action&) override { return "note"; }
    Trace trace(const Target&, const Action&, const Note&) override { return {}; }
    ActionState look(const Handle&) override { return {}; }
    void interrupt(const Handle&) override {}

  private:
    void begin_permitted(const Permit& permit, const Note&,
                         const std::function<void(const Handle&)>& accepted) override {
        if (refused && !is_handed_on) throw Error(*refused);
        begun.push_back(permit.action());
        accepted("handle");
        if (refused) throw Error(*refused);
    }
};

const Target web{"web", "made:0"};
constexpr std::int64_t gib = 1024;
const auto ignored = [](const Handle&) {};

} // namespace

TEST_CASE("a permit is for one action with all of its parameters, and for no other") {
    const auto actions = all_different();
    std::set<ActionKind> kinds;
    for (std::size_t one = 0; one < actions.size(); ++one) {
        kinds.insert(kind_of(actions[one]));
        const Permit permit = PermitForTests::make(web, actions[one]);
        for (std::size_t other = 0; other < actions.size(); ++other) {
            INFO(to_string(kind_of(actions[one]))
                 << one << " for " << to_string(kind_of(actions[other])) << other);
            CHECK(permit.is_for(web, actions[other]) == (one == other));
        }
    }
    CHECK(kinds.size() == action_kinds().size());
}

TEST_CASE("a permit is for one incarnation of one guest") {
    const Permit permit = PermitForTests::make(web, Destroy{});
    CHECK(permit.is_for(web, Destroy{}));
    CHECK_FALSE(permit.is_for({"web", "made:1"}, Destroy{}));
    CHECK_FALSE(permit.is_for({"web", ""}, Destroy{}));
    CHECK_FALSE(permit.is_for({"db", "made:0"}, Destroy{}));
}

TEST_CASE("what is begun is what was permitted, once") {
    Told platform;
    Permit permit = PermitForTests::make(web, Grow{10 * gib});
    platform.begin(permit, "note", ignored);
    CHECK(platform.begun == std::vector<Action>{Grow{10 * gib}});
    CHECK(permit.is_spent());
    CHECK_THROWS_WITH(platform.begin(permit, "note", ignored),
                      Catch::Contains("a permit serves one action, and this one was used"));
    CHECK(platform.begun.size() == 1);
}

TEST_CASE("a permit that was given away is none any more") {
    Told platform;
    Permit given = PermitForTests::make(web, Start{});
    Permit kept = std::move(given);
    CHECK_THROWS_WITH(platform.begin(given, "note", ignored), Catch::Contains("this one was used"));
    Permit other = PermitForTests::make(web, Destroy{});
    other = std::move(kept);
    CHECK_THROWS_WITH(platform.begin(kept, "note", ignored), Catch::Contains("this one was used"));
    platform.begin(other, "note", ignored);
    CHECK(platform.begun == std::vector<Action>{Start{}});
}

TEST_CASE("a begin that certainly began nothing leaves the permit, and any other spends it") {
    for (const Code code : {Code::busy, Code::hypervisor_down, Code::exists, Code::wrong_state}) {
        Told platform;
        platform.refused = Error(code, "words"), platform.is_handed_on = false;
        Permit permit = PermitForTests::make(web, Start{});
        CHECK_THROWS_AS(platform.begin(permit, "note", ignored), Error);
        CHECK_FALSE(permit.is_spent());
        platform.refused.reset();
        platform.begin(permit, "note", ignored);
        CHECK(platform.begun.size() == 1);
    }
    for (const Code code : {Code::no_answer, Code::interrupted, Code::internal}) {
        Told platform;
        platform.refused = Error(code, "words"), platform.is_handed_on = false;
        Permit permit = PermitForTests::make(web, Start{});
        CHECK_THROWS_AS(platform.begin(permit, "note", ignored), Error);
        CHECK(permit.is_spent());
    }
    Told platform; // it was accepted, whatever was thrown then
    platform.refused = Error(Code::busy, "the disk is full");
    Permit permit = PermitForTests::make(web, Start{});
    CHECK_THROWS_AS(platform.begin(permit, "note", ignored), Error);
    CHECK(permit.is_spent());
}
