// SPDX-License-Identifier: MIT
// What a service that looks again and again does not ask for each time.
#include "agent/service/restraint.hpp"
#include "platform/simulated/simulated.hpp"
#include "tests/unit/execution/support.hpp"

#include <fstream>

using namespace blockhost;
using namespace blockhost::agent;
using namespace blockhost::execution;
using namespace blockhost::execution::test;
using namespace std::chrono_literals;
using platform::Power;

namespace {

/// A host that follows a desired state with one guest, "web".
struct Followed {
    TemporaryFolder folder{quick_place()};
    Paths paths;
    std::optional<Engine> engine;
    Desired desired;
    Observed observed;

    Followed() {
        std::filesystem::create_directory(folder.path / "state");
        std::filesystem::create_directory(folder.path / "world");
        std::ofstream(folder.path / "world/platform.json") << R"({"guests": {}})";
        paths.state = StateFolder(folder.path / "state");
        engine.emplace(paths, authority::AuthoritySettings{},
                       [this] { return std::make_unique<platform::Simulated>(folder.path / "world"); });
        desired.generation = 3;
        WantedGuest web;
        web.id = "web";
        web.power = WantedPower::running;
        desired.guests.push_back(web);
        seen(Power::stopped);
    }
    void seen(Power power) {
        platform::Guest guest;
        guest.id = "web";
        guest.incarnation = "made:0";
        guest.power = power;
        observed.guests["web"] = guest;
    }
    static PlannedAction planned(platform::Action action) {
        PlannedAction planned;
        planned.target = {"web", "made:0"};
        planned.action = std::move(action);
        return planned;
    }
    /// What is left of a plan of that one action, and what is said.
    std::pair<std::size_t, std::string> restrained(platform::Action action, Instant at = now()) {
        Plan plan;
        plan.generation = desired.generation;
        plan.actions.push_back(planned(std::move(action)));
        const auto left = restrain(plan, desired, observed, *engine, at);
        return {plan.actions.size(), left.empty() ? "" : left[0].what};
    }
    void ended(platform::Action action, const End& end, std::int64_t generation = 3) {
        const Id id = engine->journal()
                          .submit({.source = {execution::Source::Kind::desired, source_name(generation)},
                                   .target = {"web", "made:0"},
                                   .action = std::move(action)})
                          .operation.id;
        if (end.state == State::done || end.state == State::unknown) { // nothing else becomes that
            engine->journal().noted(id, "note");
            engine->journal().begun(id, "handle");
        }
        engine->journal().ended(id, end);
    }
    static End failure(Code code) { return {.state = State::failed, .error = Error(code, "it broke")}; }
};

bool is_kept(const std::pair<std::size_t, std::string>& restrained) {
    return restrained.first == 1 && restrained.second.empty();
}

} // namespace

TEST_CASE("a guest that was never seen to run is started, and one that was is left to healing") {
    Followed host;
    CHECK(is_kept(host.restrained(platform::Start{})));
    host.seen(Power::running);
    host.restrained(platform::Stop{});
    host.seen(Power::stopped);
    CHECK(
        host.restrained(platform::Start{}) ==
        std::pair<std::size_t, std::string>(0, "start: it ran, and is off: healing starts it if it crashed"));
    CHECK(is_kept(host.restrained(platform::Stop{})));
    host.desired.generation = 4;
    CHECK(is_kept(host.restrained(platform::Start{})));
}

TEST_CASE("a guest that could not be read was not seen to run") {
    Followed host;
    host.seen(Power::running);
    host.observed.guests["web"].unreadable = "it is silent";
    host.restrained(platform::Stop{});
    host.seen(Power::stopped);
    CHECK(is_kept(host.restrained(platform::Start{})));
}

TEST_CASE("what failed waits a minute, and longer with each failure") {
    Followed host;
    host.ended(platform::Stop{}, Followed::failure(Code::hypervisor));
    CHECK(host.restrained(platform::Stop{}).second.starts_with("stop: it failed, and is tried again at 20"));
    CHECK(is_kept(host.restrained(platform::Stop{}, now() + 61s)));
    CHECK(is_kept(host.restrained(platform::Start{})));            // another action
    CHECK(is_kept(host.restrained(platform::Stop{}, now() - 1h))); // a clock that went back holds nobody up
    host.ended(platform::Stop{}, Followed::failure(Code::guest));
    CHECK_FALSE(is_kept(host.restrained(platform::Stop{}, now() + 61s)));
    CHECK(is_kept(host.restrained(platform::Stop{}, now() + 121s)));
    host.ended(platform::Stop{}, {.state = State::done});
    CHECK(is_kept(host.restrained(platform::Stop{})));
}

TEST_CASE("what says nothing about the guest is no failure, and neither is another generation's") {
    Followed host;
    host.ended(platform::Stop{}, Followed::failure(Code::interrupted));
    host.ended(platform::Stop{}, Followed::failure(Code::busy));
    host.ended(platform::Stop{}, {.state = State::unknown});
    host.ended(platform::Stop{}, Followed::failure(Code::hypervisor), 2);
    CHECK(is_kept(host.restrained(platform::Stop{})));
}

TEST_CASE("what was rejected stays so in its generation") {
    Followed host;
    host.ended(platform::Destroy{},
               {.state = State::rejected, .error = Error(Code::denied, "alice said no")});
    CHECK(host.restrained(platform::Destroy{}, now() + 24h) ==
          std::pair<std::size_t, std::string>(0, "destroy: not asked for again: alice said no"));
    host.desired.generation = 4;
    CHECK(is_kept(host.restrained(platform::Destroy{})));
}
