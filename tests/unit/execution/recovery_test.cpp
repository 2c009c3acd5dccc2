// SPDX-License-Identifier: MIT
// A process killed at every point of every action, on the simulated platform, and the one that comes after
// it.
#include "base/fault.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "platform/action_json.hpp"
#include "platform/simulated/simulated.hpp"
#include "tests/unit/base/scratch.hpp"
#include "tests/unit/execution/support.hpp"

#include <csignal>
#include <fstream>

using namespace blockhost;
using namespace blockhost::execution;
using namespace blockhost::execution::test;
using namespace blockhost::platform;

namespace {

namespace bj = boost::json;

constexpr const char* world_at_first = R"({"guests": {"web": {"power": "POWER", "incarnation": "made:0",
    "config": {"name": "web", "cpus": 1, "memory_mib": 512, "disk_mib": 1024},
    "snapshots": {"before": {"config": {"name": "web", "cpus": 7}, "description": ""}}},
    "box": {"kind": "container", "power": "stopped", "incarnation": "made:0", "config": {"name": "box"}}},
  "backups": {"local:web/1": {"guest": "web", "config": {"name": "web"}, "notes": "", "is_protected": false}}})";

struct Case {
    ActionKind kind;
    Target target;
    Action action;
    std::string power = "stopped"; ///< before it
};

/// In the order of kinds.
std::vector<Case> one_of_each() {
    GuestConfig config;
    config.name = "new";
    SetConfig change; // its digest is told later
    change.cpus = 2;
    const Target usb = storage_target("usb-1", "1A2B-3C4D");
    return {{ActionKind::start, web(), Start{}},
            {ActionKind::stop, web(), Stop{std::chrono::seconds(0), true}, "running"},
            {ActionKind::resume, web(), Resume{}, "paused"},
            {ActionKind::set_config, web(), change},
            {ActionKind::grow, web(), Grow{2048}},
            {ActionKind::create, {"new", ""}, Create{"", config}},
            {ActionKind::snapshot, web(), TakeSnapshot{"now", ""}},
            {ActionKind::rollback, web(), RollBack{"before"}},
            {ActionKind::delete_snapshot, web(), DeleteSnapshot{"before"}},
            {ActionKind::backup, web(), Backup{"local", "notes", false}},
            {ActionKind::restore, {"new", ""}, Restore{"local:web/1"}},
            {ActionKind::delete_backup, web(), DeleteBackup{"local:web/1"}},
            {ActionKind::destroy, web(), Destroy{}},
            {ActionKind::set_features, {"box", "made:0"}, SetFeatures{{"nesting"}}},
            {ActionKind::mount, usb, Mount{"/mnt/usb"}},
            {ActionKind::unmount, usb, Unmount{"/mnt/usb"}}};
}

Case some(ActionKind kind) {
    return one_of_each().at(static_cast<std::size_t>(kind));
}

/// A simulated platform and a journal, in a folder.
struct Stage {
    TemporaryFolder folder{quick_place()};
    Case acted;

    explicit Stage(Case what, const std::string& faults = "{}") : acted(std::move(what)) {
        std::string world = world_at_first;
        world.replace(world.find("POWER"), 5, acted.power);
        test_file("platform.json") << world;
        test_file("faults.json") << faults;
        if (auto* change = std::get_if<SetConfig>(&acted.action))
            change->digest = Simulated(place()).guest("web").value().digest;
        Journal made(open_database(folder.path)); // its tables
    }

    std::filesystem::path place() const { return folder.path / "world"; }
    std::ofstream test_file(const char* name) const {
        std::filesystem::create_directories(place());
        return std::ofstream(place() / name);
    }

    Request request() const {
        Request asked = wish(acted.action, acted.target);
        asked.key = "job-7";
        return asked;
    }

    /// Delivers the job, and works until nothing is left to do.
    void work() const {
        Journal journal(open_database(folder.path));
        journal.submit(request());
        recover(journal);
    }
    void recover(Journal& journal) const {
        Simulated platform(place());
        Executor executor(journal, permit, impatient());
        for (const Operation& open : journal.open())
            for (int turns = 0; executor.turn(platform, open.id, no_wishes()) != Turn::ended; ++turns)
                if (turns == 20) throw Error(Code::internal, "it never ends");
    }

    /// What the platform carried out: each action, with whether it went well.
    std::vector<bool> carried_out() const {
        const auto text = files::read(place() / "platform.json");
        const bj::value world = json::parse(text.value(), "world");
        std::vector<bool> all;
        for (const auto& [note, action] : json::object_in(world, "actions"))
            all.push_back(action.get_object().contains("error") == false);
        return all;
    }

    /// Nothing was done twice, and what the journal says is what happened.
    State judge() const {
        Journal journal(open_database(folder.path));
        recover(journal);
        REQUIRE(journal.open().empty());
        const auto all = journal.latest(10);
        const auto done = carried_out();
        REQUIRE(all.size() <= 1);
        REQUIRE(done.size() <= 1);
        if (all.empty()) {
            REQUIRE(done.empty());
            return State::queued;
        }
        INFO(to_string(all.front().state));
        REQUIRE((all.front().state == State::done || all.front().state == State::unknown));
        REQUIRE((all.front().state == State::done) == (done == std::vector<bool>{true}));
        return all.front().state;
    }
};

bool was_killed(int status) {
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

int work_in_child(const Stage& stage, const std::string& fault) {
    return blockhost::test::in_child([&] {
        fault::arm(fault);
        stage.work();
        return 0;
    });
}

constexpr int most_points = 400;

/// How many points are passed where nothing fails.
std::int64_t points_of(const Case& acted) {
    const Stage stage(acted);
    const std::filesystem::path count = stage.folder.path / "count";
    REQUIRE(blockhost::test::ended_with(blockhost::test::in_child(
                                            [&] {
                                                fault::arm("count@" + count.native());
                                                stage.work();
                                                return 0;
                                            },
                                            blockhost::test::ChildEnd::exit_quickly),
                                        0));
    return text::parse_int(text::trim(files::read(count).value())).value();
}

} // namespace

TEST_CASE(
    "a process killed at any point of any action: it is done once or not at all, and the journal knows") {
    for (const Case& acted : one_of_each()) {
        INFO(to_string(acted.kind));
        int point = 1, done = 0, unknown = 0, never = 0;
        for (; point < most_points; ++point) {
            INFO("killed at point " << point);
            const Stage stage(acted);
            const int status = work_in_child(stage, "kill@" + std::to_string(point));
            if (!was_killed(status)) {
                REQUIRE(blockhost::test::ended_with(status, 0));
                break;
            }
            const State state = stage.judge();
            ++(state == State::done ? done : state == State::unknown ? unknown : never);
            stage.work(); // the hub delivers the job once more
            const State again = stage.judge();
            REQUIRE(again == (state == State::queued ? State::done : state));
        }
        REQUIRE(point < most_points);
        CHECK(done > 0);
        CHECK(unknown > 0);
        CHECK(never > 0);
    }
}

TEST_CASE("a process killed while it looks for a lost answer leaves that to the next one") {
    for (const auto& [faults, end] :
         {std::pair(R"({"lose_before": 1})", State::unknown), {R"({"lose_after": 1})", State::done}})
        for (const Case& acted : one_of_each()) {
            INFO(to_string(acted.kind) << " with " << faults);
            bool over = false;
            for (int point = 1; !over; ++point) {
                INFO("killed at point " << point);
                REQUIRE(point < most_points);
                const Stage stage(acted, faults);
                over = !was_killed(work_in_child(stage, "kill@" + std::to_string(point)));
                const State state = stage.judge();
                if (over) CHECK(state == end);
            }
        }
}

TEST_CASE("a process killed while it recovers is recovered, too") {
    const Case acted = some(ActionKind::create);
    bool over = false;
    for (int first = 1; !over; ++first) {
        bool recovered = false;
        for (int second = 1; !over && !recovered; ++second) {
            INFO("killed at point " << first << ", then at point " << second);
            REQUIRE(first + second < most_points);
            const Stage stage(acted);
            over = !was_killed(work_in_child(stage, "kill@" + std::to_string(first)));
            recovered = !was_killed(work_in_child(stage, "kill@" + std::to_string(second)));
            stage.judge();
        }
    }
}

TEST_CASE("a failure at any point is one of the operation, or none") {
    for (const Case& acted : one_of_each()) {
        const std::int64_t points = points_of(acted);
        REQUIRE(points >= 10);
        for (const char* how : {"fail@", "hang@"})
            for (std::int64_t point = 1; point <= points; ++point) {
                INFO(to_string(acted.kind) << ", " << how << point);
                const Stage stage(acted);
                work_in_child(stage, how + std::to_string(point));
                Journal journal(open_database(stage.folder.path));
                stage.recover(journal);
                const auto all = journal.latest(10);
                const auto done = stage.carried_out();
                REQUIRE(done.size() <= 1);
                REQUIRE(all.size() == (done.empty() ? std::min<std::size_t>(all.size(), 1) : 1));
                if (!all.empty())
                    REQUIRE((all.front().state == State::done) == (done == std::vector<bool>{true}));
            }
    }
}

TEST_CASE("the simulated platform keeps each action with what it was begun on, or what it made") {
    for (const ActionKind kind : action_kinds()) {
        CAPTURE(to_string(kind));
        const Stage stage(some(kind));
        stage.work();
        const bj::value world = json::parse(files::read(stage.place() / "platform.json").value(), "world");
        const bj::object& actions = json::object_in(world, "actions");
        REQUIRE(actions.size() == 1);
        const bj::object& kept = actions.begin()->value().as_object();
        CHECK(kept.at("action") == bj::value(to_json(stage.acted.action)));
        const bool of_storage = !filesystem_of(stage.acted.target).empty();
        std::string made = of_storage ? "" : stage.acted.target.incarnation;
        if (makes_guest(stage.acted.action)) made = Simulated(stage.place()).guest("new").value().incarnation;
        CHECK(json::string_or(kept, "incarnation", "") == made);
    }
}

TEST_CASE("a guest that the simulated platform makes has sizes, said or not") {
    const Stage stage(some(ActionKind::create));
    stage.work();
    const GuestConfig config = Simulated(stage.place()).guest("new").value().config.value();
    CHECK(config.cpus == 1);
    CHECK(config.memory_mib == 512);
    CHECK(config.disk_mib == 2048);
}
