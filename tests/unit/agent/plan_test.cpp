// SPDX-License-Identifier: MIT
// Plans: each difference is an action with its reason and verdict; nothing follows from what is not known.
#include "agent/dump.hpp"

#include "base/text/json.hpp"
#include "tests/unit/agent/fake_platform.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::agent;
using platform::ActionKind;
using platform::FakePlatform;
using platform::Kind;
using platform::Power;
using Verdict = PlannedAction::Verdict;

namespace {

/// A host with one guest, "web": 2 CPUs, 2048 MiB, 20 GiB, running.
struct Bench {
    FakePlatform platform;
    platform::Guest& web = platform.add("web");
    std::string refused_kind, doubt;
    int asked = 0;

    Plan plan(const std::string& guest, const std::string& id = "web") {
        const Desired desired = parse_desired(
            R"({"version": 1, "host": "host-a", "generation": 3, "guests": {")" + id + "\": " + guest + "}}",
            "d.json");
        return plan(desired);
    }
    Plan plan(const Desired& desired) {
        platform.doubt = doubt;
        const Observed observed = observe(platform, platform.host(), desired);
        return make_plan(desired, observed,
                         [&](const platform::Action& action, Kind) -> std::optional<Error> {
                             ++asked;
                             if (to_string(kind_of(action)) == refused_kind)
                                 return Error(Code::invalid, "it is not built", "wait");
                             return std::nullopt;
                         });
    }
};

/// "stop benign, destroy needs-signature".
std::string words(const Plan& plan) {
    std::string all;
    for (const PlannedAction& each : plan.actions) {
        all += (all.empty() ? "" : ", ") + std::string(each.action ? name_of(each) : "none") + " ";
        all += to_string(each.verdict);
    }
    return all;
}

using Changes = std::vector<Change>;

} // namespace

TEST_CASE("a guest that is as it is wanted has no plan") {
    Bench bench;
    bench.web.config->tags = {"a", "b"};
    bench.web.config->description = "one";
    const Plan plan = bench.plan(R"({"power": "running", "cpus": 2, "memory_mib": 2048, "disk_gib": 20,
        "name": "web", "tags": ["B", "a"], "description": "one\n\n", "start_on_boot": false, "protected": false})");
    CHECK(plan.is_converged());
    CHECK(words(plan).empty());
    CHECK(plan.host == "host-a");
    CHECK(plan.generation == 3);
    CHECK(bench.plan("{}").is_converged());
}

TEST_CASE("each field that differs is a change of one action, planned from that incarnation and digest") {
    Bench bench;
    const Plan plan = bench.plan(R"({"cpus": 4, "memory_mib": 4096, "name": "www", "tags": ["x"],
        "description": "two", "start_on_boot": true, "protected": true})");
    REQUIRE(words(plan) == "set-config benign");
    const PlannedAction& planned = plan.actions.front();
    CHECK(planned.changes == Changes{{"name", "web", "www"},
                                     {"cpus", "2", "4"},
                                     {"memory_mib", "2048", "4096"},
                                     {"description", "", "two"},
                                     {"tags", "", "x"},
                                     {"start_on_boot", "false", "true"},
                                     {"protected", "false", "true"}});
    CHECK(planned.target == platform::Target{"web", "made:web"});
    CHECK(planned.digest == "digest:web");
    CHECK(planned.reason == "its configuration is another");
    const auto& set = std::get<platform::SetConfig>(*planned.action);
    CHECK(set.digest == "digest:web");
    CHECK(set.cpus == 4);
    CHECK(set.memory_mib == 4096);
    CHECK(set.tags == std::set<std::string>{"x"});
    CHECK(set.is_protected == true);
    CHECK_FALSE(plan.is_converged());
}

TEST_CASE("fields that are as they are wanted are not sent along") {
    Bench bench;
    const Plan plan = bench.plan(R"({"cpus": 2, "memory_mib": 4096})");
    const auto& set = std::get<platform::SetConfig>(*plan.actions.front().action);
    CHECK_FALSE(set.cpus);
    CHECK_FALSE(set.name);
    CHECK_FALSE(set.tags);
}

TEST_CASE("power is changed from where it is to where it is wanted") {
    const auto from = [](Power power, const char* wanted, const char* lock = "") {
        Bench bench;
        bench.web.power = power;
        bench.web.lock = lock;
        return words(bench.plan(std::string(R"({"power": ")") + wanted + "\"}"));
    };
    CHECK(from(Power::running, "running").empty());
    CHECK(from(Power::stopped, "running") == "start benign");
    CHECK(from(Power::paused, "running") == "resume benign");
    CHECK(from(Power::suspended, "running") == "resume benign");
    CHECK(from(Power::stopped, "running", "suspended") == "resume benign");
    CHECK(from(Power::running, "stopped") == "stop benign");
    CHECK(from(Power::paused, "stopped") == "stop benign");
    CHECK(from(Power::stopped, "stopped").empty());
    CHECK(from(Power::suspended, "stopped").empty());
}

TEST_CASE("a guest is configured while it is off, and started behind that") {
    Bench bench;
    CHECK(words(bench.plan(R"({"power": "stopped", "cpus": 4, "disk_gib": 30})")) ==
          "stop benign, set-config benign, grow benign");
    bench.web.power = Power::stopped;
    CHECK(words(bench.plan(R"({"power": "running", "cpus": 4, "disk_gib": 30})")) ==
          "set-config benign, grow benign, start benign");
}

TEST_CASE("a disk grows and never shrinks") {
    Bench bench;
    const Plan larger = bench.plan(R"({"disk_mib": 20481})");
    REQUIRE(words(larger) == "grow benign");
    CHECK(std::get<platform::Grow>(*larger.actions.front().action).disk_mib == 20481);
    const Plan smaller = bench.plan(R"({"disk_gib": 19})");
    REQUIRE(words(smaller) == "none impossible");
    CHECK(smaller.actions.front().why.starts_with("a disk only grows"));
    CHECK(smaller.actions.front().changes == Changes{{"disk_mib", "20480", "19456"}});
    bench.web.config->disk_mib.reset();
    const Plan untold = bench.plan(R"({"disk_gib": 19, "cpus": 4})");
    CHECK(words(untold) == "set-config benign");
    CHECK(untold.unknown == std::vector<Remark>{{"web", "the size of its disk is not told"}});
}

TEST_CASE("who is to be gone is destroyed by a signature alone, which stops it, too") {
    Bench bench;
    const Plan plan = bench.plan(R"({"power": "absent"})");
    REQUIRE(words(plan) == "destroy needs-signature");
    CHECK(plan.actions[0].reason == "it is to be gone, and is forced off first");
    CHECK(plan.actions[0].why == "it loses the guest and its disks");
    CHECK(plan.actions[0].target.incarnation == "made:web");
    bench.web.power = Power::stopped;
    CHECK(words(bench.plan(R"({"power": "absent"})")) == "destroy needs-signature");
    bench.web.config->is_protected = true;
    const Plan kept = bench.plan(R"({"power": "absent"})");
    REQUIRE(words(kept) == "none impossible");
    CHECK(kept.actions.front().why.starts_with("it is protected"));
    CHECK(bench.plan(R"({"power": "absent"})", "nobody").is_converged());
}

TEST_CASE("who is not named is left alone") {
    Bench bench;
    bench.platform.add("other", Power::stopped);
    CHECK(bench.plan("{}").is_converged());
    CHECK(bench.plan(R"({"power": "absent"})", "nobody").is_converged());
}

TEST_CASE("who cannot be read has no plan, and that is told") {
    for (const char* wish : {R"({"power": "running", "cpus": 9})", R"({"power": "absent"})", "{}"}) {
        Bench bench;
        bench.platform.errors.emplace("web", Error(Code::hypervisor, "it is broken"));
        const Plan plan = bench.plan(wish);
        CHECK(plan.actions.empty());
        CHECK(plan.unknown == std::vector<Remark>{{"web", "it cannot be read: it is broken"}});
        CHECK_FALSE(plan.is_converged());
    }
    Bench bench;
    bench.web.power = Power::unknown;
    const Plan plan = bench.plan(R"({"power": "running", "cpus": 9})");
    CHECK(plan.actions.empty());
    CHECK(plan.unknown == std::vector<Remark>{{"web", "its power state is not known"}});
    CHECK(words(bench.plan(R"({"cpus": 9})")) == "set-config benign");
}

TEST_CASE("a configuration that was not read whole is compared with nothing") {
    Bench bench;
    bench.web.is_partial = true;
    const Plan plan = bench.plan(R"({"cpus": 9})");
    CHECK(plan.actions.empty());
    CHECK(plan.unknown == std::vector<Remark>{{"web", "its configuration was not read"}});
}

TEST_CASE("nothing is concluded from an absence that is in doubt") {
    Bench bench;
    bench.doubt = "the token may not see all";
    for (const char* wish : {R"({"source": {"template": "current"}})", R"({"power": "absent"})"}) {
        const Plan plan = bench.plan(wish, "new");
        CHECK(plan.actions.empty());
        CHECK(plan.unknown ==
              std::vector<Remark>{
                  {"new", "it is not seen, and may be there all the same: the token may not see all"}});
        CHECK(plan.doubt == "the token may not see all");
    }
    CHECK(words(bench.plan(R"({"cpus": 9})")) == "set-config benign");
}

TEST_CASE("a guest that is not there is made of its source") {
    Bench bench;
    const Plan plan =
        bench.plan(R"({"power": "running", "cpus": 4, "memory_mib": 512, "disk_gib": 30, "name": "www",
        "tags": ["a"], "description": "x", "start_on_boot": true, "owner_wallet": "0xabc", "source": {"template": "current"}})",
                   "new");
    REQUIRE(words(plan) == "create benign");
    const PlannedAction& planned = plan.actions.front();
    CHECK(planned.target == platform::Target{"new", ""});
    CHECK(planned.digest.empty());
    const auto& create = std::get<platform::Create>(*planned.action);
    CHECK(create.source.empty());
    CHECK(create.config.name == "www");
    CHECK(create.config.cpus == 4);
    CHECK(create.config.disk_mib == 30 * 1024);
    CHECK(create.config.tags == std::set<std::string>{"a"});
    CHECK(create.config.start_on_boot);
    CHECK(create.config.details.at("owner_wallet") == "0xabc");
    const Plan of_backup =
        bench.plan(R"({"kind": "container", "source": {"backup": "local:backup/x"}})", "new");
    CHECK(std::get<platform::Create>(*of_backup.actions.front().action).source == "local:backup/x");
    CHECK(of_backup.actions.front().kind == Kind::container);
}

TEST_CASE("a guest of which nobody knows what it is made of cannot be made") {
    Bench bench;
    const Plan plan = bench.plan(R"({"power": "running"})", "new");
    REQUIRE(words(plan) == "none impossible");
    CHECK(plan.actions.front().why.find("give it a source") != std::string::npos);
}

TEST_CASE("what a platform refuses to give a new guest waits until it is there") {
    Bench bench;
    const Desired desired =
        parse_desired(R"({"version": 1, "host": "host-a", "generation": 1, "guests": {"new":
        {"disk_gib": 30, "owner_wallet": "0xabc", "source": {"backup": "b"}}}})",
                      "d.json");
    const auto plan_where = [&](bool takes_disk, bool takes_owner) {
        return make_plan(desired, Observed{},
                         [=](const platform::Action& action, Kind) -> std::optional<Error> {
                             const auto& config = std::get<platform::Create>(action).config;
                             if (config.disk_mib && !takes_disk)
                                 return Error(Code::invalid, "a disk has its source's size");
                             if (!config.details.empty() && !takes_owner)
                                 return Error(Code::invalid, "no owner");
                             return std::nullopt;
                         });
    };
    const auto create_in = [](const Plan& plan) {
        return std::get<platform::Create>(*plan.actions.front().action);
    };
    CHECK(create_in(plan_where(true, true)).config.disk_mib == 30 * 1024);
    CHECK_FALSE(create_in(plan_where(false, true)).config.disk_mib);
    CHECK(create_in(plan_where(false, true)).config.details.contains("owner_wallet"));
    CHECK(create_in(plan_where(true, false)).config.disk_mib);
    CHECK(create_in(plan_where(true, false)).config.details.empty());
    const Plan bare = plan_where(false, false);
    CHECK(words(bare) == "create benign");
    CHECK(bare.notes.size() == 2);
}

TEST_CASE("what the platform cannot do is told beforehand") {
    Bench bench;
    for (const auto& [kind, wish] :
         {std::pair("set-config", R"({"cpus": 9})"), std::pair("grow", R"({"disk_gib": 30})")}) {
        bench.refused_kind = kind;
        const Plan plan = bench.plan(wish);
        CHECK(words(plan) == std::string(kind) + " impossible");
        CHECK(plan.actions.front().why == "it is not built: wait");
    }
    bench.refused_kind = "destroy";
    CHECK(words(bench.plan(R"({"power": "absent"})")) == "destroy impossible");
    bench.refused_kind = "create";
    const Plan plan = bench.plan(R"({"source": {"template": "current"}})", "new");
    CHECK(words(plan) == "create impossible");
}

TEST_CASE("no guest becomes one of the other kind") {
    Bench bench;
    bench.web.kind = Kind::container;
    const Plan plan = bench.plan(R"({"kind": "vm", "cpus": 9, "power": "stopped"})");
    REQUIRE(words(plan) == "none impossible");
    CHECK(plan.actions.front().changes == Changes{{"kind", "container", "vm"}});
    CHECK(bench.plan(R"({"kind": "container"})").is_converged());
}

TEST_CASE("a lock is told, and hinders no plan") {
    Bench bench;
    bench.web.lock = "backup";
    const Plan plan = bench.plan(R"({"cpus": 9})");
    REQUIRE(words(plan) == "set-config benign");
    CHECK(plan.actions.front().lock == "backup");
}

TEST_CASE("an owner is compared where the platform tells it, and never changed") {
    Bench bench;
    CHECK(bench.plan(R"({"owner_wallet": "0xabc"})").notes ==
          std::vector<Remark>{{"web", "the platform does not tell its owner_wallet"}});
    bench.web.config->details["owner_wallet"] = "0xabc";
    CHECK(bench.plan(R"({"owner_wallet": "0xabc"})").is_converged());
    CHECK(words(bench.plan(R"({"owner_wallet": "0xdef"})")) == "none impossible");
}

TEST_CASE("the coming configuration is compared, and what waits for the next start is a note") {
    Bench bench;
    bench.web.running = bench.web.config;
    bench.web.running->memory_mib = 1024;
    const Plan plan = bench.plan(R"({"memory_mib": 2048})");
    CHECK(plan.is_converged());
    CHECK(plan.notes == std::vector<Remark>{{"web", "memory_mib is 1024 now and 2048 at its next start"}});
    bench.web.running = bench.web.config;
    bench.web.running->details["net0"] = "x";
    CHECK(bench.plan("{}").notes == std::vector<Remark>{{"web", "a change of it waits for its next start"}});
}

TEST_CASE("wishes that nothing compares are told, and are no difference") {
    Bench bench;
    const Plan plan = bench.plan(R"({"limits": {"cpu_percent": 50}, "expires_at": "2027-01-01"})");
    CHECK(plan.is_converged());
    CHECK(plan.notes.size() == 2);
}

TEST_CASE("a plan of 500 guests asks five times as often as one of 100, and no more") {
    const auto asked_for = [](int guests) {
        Bench bench;
        std::string text = R"({"version": 1, "host": "host-a", "generation": 1, "guests": {)";
        for (int i = 0; i < guests; ++i) {
            const std::string id = "vm-" + std::to_string(i);
            bench.platform.add(id);
            text += std::string(i > 0 ? "," : "") + "\"" + id +
                    R"(": {"cpus": 4, "disk_gib": 30, "power": "stopped"})";
        }
        const Plan plan = bench.plan(parse_desired(text + "}}", "d.json"));
        CHECK(plan.actions.size() == static_cast<std::size_t>(3 * guests));
        CHECK(bench.platform.lists == 1);
        CHECK(bench.platform.looks == guests);
        return bench.asked;
    };
    CHECK(asked_for(500) == 5 * asked_for(100));
}

TEST_CASE("a plan as JSON has each action with all that was decided of it") {
    Bench bench;
    const auto told = as_json(bench.plan(R"({"power": "absent"})"));
    CHECK(
        json::python_line(told) ==
        R"({"host": "host-a", "generation": 3, "converged": false, "actions": [{"guest": "web", "kind": "vm", )"
        R"("incarnation": "made:web", "action": "destroy", )"
        R"("changes": [{"field": "power", "from": "running", "to": "absent"}], )"
        R"("reason": "it is to be gone, and is forced off first", )"
        R"("verdict": "needs-signature", "why": "it loses the guest and its disks", "digest": "digest:web", "lock": ""}], )"
        R"("unknown": [], "notes": [], "doubt": "", "desired_digest": ")" +
            std::string(told.at("desired_digest").as_string()) + "\"}");
}

TEST_CASE("storage that is wanted and not mounted is mounted, and nobody takes storage away by a document") {
    const auto planned = [](std::optional<bool> is_mounted, const std::string& unreadable = "") {
        Bench bench;
        const Desired desired = parse_desired(
            R"({"version": 1, "host": "host-a", "generation": 3, "storage": {"usb-1": {"kind": "usb",
                "uuid": "1A2B-3C4D", "mount": "/mnt/backup-1", "roles": ["backup"]}}})",
            "d.json");
        bench.platform.mounted = is_mounted;
        if (!unreadable.empty()) bench.platform.unseen_storage = Error(Code::wrong_state, unreadable);
        return bench.plan(desired);
    };
    const Plan plan = planned(false);
    REQUIRE(words(plan) == "mount benign");
    CHECK(plan.actions[0].target == platform::Target{"storage:usb-1", "filesystem:1A2B-3C4D"});
    CHECK(*plan.actions[0].action == platform::Action(platform::Mount{"/mnt/backup-1"}));
    CHECK(json::python_line(as_json(plan))
              .find(R"("kind": "storage", "incarnation": "filesystem:1A2B-3C4D")") != std::string::npos);
    CHECK(planned(true).is_converged());
    CHECK(planned(std::nullopt).is_converged());
    CHECK(planned(std::nullopt).notes ==
          std::vector<Remark>{{"storage:usb-1", "it is not compared: the platform mounts no storage"}});
    const Plan unseen = planned(std::nullopt, "this machine is another one");
    CHECK_FALSE(unseen.is_converged());
    CHECK(unseen.unknown ==
          std::vector<Remark>{{"storage:usb-1", "whether it is mounted cannot be seen: this "
                                                "machine is another one"}});
    Bench bench;
    bench.platform.mounted = true;
    CHECK(bench.plan("{}").is_converged());
}
