// SPDX-License-Identifier: MIT
// Rounds of healing on the simulated platform: what is started, what is left, what is remembered.
#include "agent/carry_out.hpp"
#include "agent/heal.hpp"
#include "base/text/json.hpp"
#include "platform/simulated/simulated.hpp"
#include "tests/unit/execution/support.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fstream>

using namespace blockhost;
using namespace blockhost::agent;
using namespace blockhost::execution::test;
using namespace blockhost::platform;
using namespace std::chrono_literals;
using execution::State;
using Manner = Healer::Manner;
using Stand = Tended::Stand;

namespace {

namespace bj = boost::json;

const Instant morning = *parse_instant("2026-11-29T06:00:00Z");

/// A host with a guest "web" that an accepted desired state wants to run.
struct HealingHost {
    TemporaryFolder folder{quick_place()};
    Paths paths;
    std::optional<Engine> engine;
    std::optional<Healer> healer;
    std::int64_t generation = 0;

    HealingHost() {
        std::filesystem::create_directory(folder.path / "state");
        paths.state = StateFolder(folder.path / "state");
        guest({{"power", "running"}});
        open();
        want(WantedPower::running);
    }
    /// As a process that is started anew.
    void open() {
        healer.reset();
        engine.reset();
        engine.emplace(paths, authority::AuthoritySettings{},
                       [this] { return std::make_unique<Simulated>(folder.path / "world"); });
        healer.emplace(*engine, paths,
                       execution::HealingRules{.off_for = 10s, .between = 30s, .most_starts = 2});
    }
    void guest(bj::object members) const {
        bj::object all{{"incarnation", "made:0"}, {"config", bj::object{{"name", "web"}}}};
        for (const auto& member : members) all[member.key()] = member.value();
        write("platform.json", {{"guests", bj::object{{"web", std::move(all)}}}});
    }
    void crash() const { guest({{"power", "stopped"}, {"crashed", true}}); }
    void write(const char* name, const bj::object& what) const {
        std::filesystem::create_directories(folder.path / "world");
        std::ofstream(folder.path / "world" / name) << json::python_line(what);
    }
    void want(WantedPower power) {
        Desired desired;
        desired.generation = ++generation;
        desired.digest = std::to_string(generation);
        WantedGuest web;
        web.id = "web";
        web.power = power;
        desired.guests.push_back(web);
        engine->accepted().accept(desired);
    }
    Tended round(std::chrono::seconds at, Manner manner = Manner::act) {
        const auto all = healer->round({}, manner, morning + at);
        REQUIRE(all.size() == 1);
        return all.front();
    }
    State carried_out(const execution::Id& id) {
        return carry_out(*engine, {id}, [] { return false; }, {}).front().state;
    }
    bool runs() const { return Simulated(folder.path / "world").guest("web")->power == Power::running; }
    std::size_t operations() { return engine->journal().latest(10).size(); }
};

} // namespace

TEST_CASE("what crashed is started once, by an operation of healing's") {
    HealingHost host;
    CHECK(host.round(0s).stand == Stand::runs);
    host.crash();
    CHECK(host.round(60s).stand == Stand::waits);
    const Tended start = host.round(70s);
    CHECK(start.stand == Stand::starts);
    CHECK(start.why == "it crashed; it should run, and is off: start 1 of 2");
    CHECK(host.engine->journal().find(start.operation)->source.kind == execution::Source::Kind::healing);
    CHECK(host.round(71s).why == "an operation on it is under way");
    CHECK(host.carried_out(start.operation) == State::done);
    CHECK(host.runs());
    CHECK(host.round(80s).stand == Stand::runs);
    CHECK(host.operations() == 1);
}

TEST_CASE("a crash loop is remembered across processes, and reported once") {
    HealingHost host;
    std::chrono::seconds at{0};
    for (int start = 0; start < 2; ++start, at += 100s) {
        host.crash();
        host.round(at);
        CHECK(host.carried_out(host.round(at + 90s).operation) == State::done);
        host.open();
    }
    host.crash();
    const Tended given_up = host.round(at);
    CHECK(given_up.stand == Stand::given_up);
    CHECK(given_up.is_news);
    host.open();
    CHECK(host.round(at + 91s).stand == Stand::given_up);
    CHECK_FALSE(host.round(at + 92s).is_news);
    CHECK(host.operations() == 2);
    // Somebody started it, and it stays up for long: it is healed again.
    host.guest({{"power", "running"}});
    host.round(1000s);
    host.round(2000s);
    host.crash();
    host.round(2100s);
    CHECK(host.round(2110s).stand == Stand::starts);
}

TEST_CASE("a look changes nothing, and remembers nothing") {
    HealingHost host;
    host.crash();
    CHECK(host.round(0s, Manner::look).stand == Stand::waits);
    CHECK(host.round(60s, Manner::look).stand == Stand::waits);
    CHECK(host.operations() == 0);
    host.round(60s);
    CHECK(host.round(70s, Manner::look).stand == Stand::starts);
    CHECK(host.operations() == 0);
    CHECK(host.round(70s).stand == Stand::starts);
}

TEST_CASE("nobody's wish is overruled") {
    HealingHost host;
    host.round(0s);
    const auto left = [&] {
        host.round(100s);
        const Tended told = host.round(200s);
        CHECK(told.stand == Stand::left);
        CHECK(host.operations() == 0);
        return told.why;
    };
    SECTION("it was switched off") {
        host.guest({{"power", "stopped"}});
        CHECK(left() == "it was switched off");
    }
    SECTION("the desired state wants it off") {
        host.want(WantedPower::stopped);
        host.crash();
        CHECK(left() == "the desired state wants it stopped");
    }
    SECTION("it is locked") {
        host.guest({{"power", "stopped"}, {"crashed", true}, {"lock", "backup"}});
        CHECK(left() == "it is locked: backup");
    }
    SECTION("it is paused") {
        host.guest({{"power", "paused"}});
        CHECK(left() == "it is paused");
    }
}

TEST_CASE("a platform that cannot be read is no platform without guests") {
    HealingHost host;
    host.round(0s);
    host.crash();
    host.write("faults.json", {{"unreadable", bj::array{"web"}}});
    CHECK(host.round(100s).stand == Stand::unknown);
    CHECK(host.round(200s).is_wanted);
    CHECK(host.operations() == 0);
    host.write("faults.json", {{"down", true}});
    CHECK_THROWS_AS(host.round(300s), Error);
    host.write("faults.json", {});
    CHECK(host.round(400s).stand == Stand::waits);
}

TEST_CASE("what this program itself stopped stays off, whatever it looks like") {
    HealingHost host;
    host.round(0s);
    const auto stop = host.engine->journal()
                          .submit({.source = {execution::Source::Kind::hub, "job"},
                                   .target = {"web", "made:0"},
                                   .action = Stop{}})
                          .operation.id;
    CHECK(host.carried_out(stop) == State::done);
    host.crash();
    CHECK(host.round(100s).why == "an operation switched it off");
}

TEST_CASE("a guest that waits for the signature of its destroy is not started under it") {
    HealingHost host;
    host.round(0s);
    const auto submit = [&](Action action) {
        const auto id = host.engine->journal()
                            .submit({.source = {execution::Source::Kind::hub, "job"},
                                     .target = {"web", "made:0"},
                                     .action = std::move(action)})
                            .operation.id;
        host.carried_out(id);
    };
    host.crash();
    SECTION("a destroy") {
        submit(Destroy{});
        host.round(100s);
        CHECK(host.round(200s).why == "an operation on it is under way");
    }
    SECTION("anything else that waits keeps nobody off") {
        submit(RollBack{"before"});
        host.round(100s);
        CHECK(host.round(200s).stand == Stand::starts);
    }
}

TEST_CASE("a start that waited is judged anew right before it begins") {
    HealingHost host;
    host.round(0s);
    host.crash();
    host.round(100s);
    const auto start = host.round(200s).operation;
    SECTION("it was switched off meanwhile") {
        host.guest({{"power", "stopped"}});
    }
    SECTION("it is not wanted on any more") {
        host.want(WantedPower::stopped);
    }
    SECTION("it is another one") {
        host.guest({{"power", "stopped"}, {"crashed", true}, {"incarnation", "made:1"}});
    }
    CHECK(host.carried_out(start) == State::rejected);
    CHECK_FALSE(host.runs());
}

TEST_CASE("who is stopped begins nothing more, and cancels what it asked for") {
    HealingHost host;
    host.crash();
    host.round(0s);
    const auto start = host.round(100s).operation;
    const auto all = carry_out(*host.engine, {start}, [] { return true; }, {});
    CHECK(all.front().state == State::cancelled);
    CHECK_FALSE(host.runs());
}

TEST_CASE("what another process carries out is waited for") {
    HealingHost host;
    host.crash();
    host.round(0s);
    const auto start = host.round(100s).operation;
    std::optional<execution::Ownership> other(execution::Ownership::take(database_folder(host.paths)));
    std::vector<State> told;
    int looks = 0;
    const auto all = carry_out(
        *host.engine, {start},
        [&] {
            if (++looks == 2) other.reset(); // it ended, and left the rest
            return false;
        },
        [&](const execution::Operation& operation) { told.push_back(operation.state); });
    CHECK(all.front().state == State::done);
    REQUIRE_FALSE(told.empty());
    CHECK(told.back() == State::done);
}

TEST_CASE("a guest that is no more is forgotten, unless nobody can tell") {
    HealingHost host;
    host.round(0s);
    host.write("platform.json", {{"guests", bj::object{}}});
    execution::Episodes episodes(open_database(host.paths));
    host.write("faults.json", {{"hidden", true}});
    CHECK(host.healer->round({}, Manner::act, morning).empty());
    CHECK(episodes.guests() == std::vector<GuestId>{"web"});
    host.write("faults.json", {});
    CHECK(host.healer->round({}, Manner::act, morning).empty());
    CHECK(episodes.guests().empty());
}

TEST_CASE("every database that is opened notes the time, and a clock that went back is said") {
    HealingHost host;
    std::vector<std::string> told;
    const auto open = [&] {
        const Engine engine(
            host.paths, {}, [&] { return std::make_unique<Simulated>(host.folder.path / "world"); },
            Engine::Times{.doubtful_clock = [&](const Error& doubt) { told.push_back(doubt.message()); }});
    };
    open();
    CHECK(told.empty());
    auto database = open_database(host.paths);
    CHECK(database.integer("SELECT number FROM authority_fact WHERE name = 'clock'").value_or(0) > 0);
    CHECK_FALSE(note_time(database, now() - 1min));
    CHECK(note_time(database, now() - 1h)->code() == Code::clock);
    CHECK_FALSE(note_time(database, now() + 24h));
    open();
    REQUIRE(told.size() == 1);
    CHECK(told.front().find(", and has said ") != std::string::npos);
    host.engine->start_over("root");
    open();
    CHECK(told.size() == 1);
}
