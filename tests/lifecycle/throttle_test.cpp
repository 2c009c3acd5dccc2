// SPDX-License-Identifier: MIT
// Limits in a simulated world: what is remembered of them, and how they end.

#include "limits/throttle.hpp"

#include "hypervisor/xml/claim.hpp"
#include "hypervisor/xml/metadata.hpp"
#include "tests/unit/defined_by_others.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

using namespace blockhost;
using namespace std::chrono_literals;

namespace {

/// The quota of a definition that speaks of none: -1 would be a figure of ours that nobody wrote.
constexpr std::int64_t not_written = 0;

struct Listener : Silence {
    void warn(std::string_view text) override { warnings.emplace_back(text); }
    std::vector<std::string> warnings;
};

/// A world with one running VM of ours, "vm-1".
struct Stage {
    Stage() {
        const auto etc = folder.path / "root/etc/blockhost";
        std::filesystem::create_directories(etc);
        std::ofstream(etc / "db.yaml")
            << "bridge: br0\nip_pool: {network: 10.9.9.0/24, start: 10, end: 12, gateway: 10.9.9.1}\n";
        Paths real;
        real.root = folder.path / "root";
        real.etc = etc;
        world = std::make_unique<World>(mock_paths(real, folder.path), Reality::simulated, Intent::change,
                                        listener);
        define(Uuid::random().str());
    }

    void define(const std::string& uuid) {
        DomainMark mark;
        mark.instance = world->instance.str();
        mark.operation = "op";
        mark.name = "vm-1";
        mark.uuid = uuid;
        define_as_others(world->paths.world,
                         "<domain type='qemu'><name>vm-1</name><uuid>" + uuid + "</uuid><metadata>" +
                             render_mark(mark) +
                             "</metadata><memory unit='MiB'>32</memory><devices><interface "
                             "type='bridge'><mac address='52:54:00:00:00:01'/></interface></devices>"
                             "</domain>");
        world->hypervisor().start("vm-1");
    }

    limits::ThrottleEnd quota(std::int64_t percent, std::optional<std::chrono::seconds> span = {},
                              bool persist = false) {
        limits::ThrottleRequest request;
        request.values[limits::Limit::cpu_quota] = percent;
        request.span = span;
        request.persist = persist;
        return limits::throttle(*world, name, request);
    }

    std::int64_t quota_of(TuningOf which = TuningOf::running) {
        return world->hypervisor().tuning("vm-1", which).cpu_quota.value_or(0);
    }

    /// Moves every end that is remembered, as time does.
    void pass(std::chrono::milliseconds span) {
        change([&](LateMoment& until) {
            until.since_boot -= span;
            until.wall -= span;
        });
    }
    template<class Change>
    void change(Change each) {
        auto file = limits::LimitFile::take(world->journal.place(), name, Deadline::in(1s));
        REQUIRE(file);
        auto notes = file->read();
        for (auto& [key, part] : notes.parts)
            if (part.until) each(*part.until);
        file->write(notes);
    }
    bool remembered() const { return limits::LimitFile::peek(world->journal.place(), name).has_value(); }

    TemporaryFolder folder;
    Listener listener;
    std::unique_ptr<World> world;
    VmName name{"vm-1"};
};

} // namespace

TEST_CASE("a limit for a while ends when its time is over, and not before") {
    Stage stage;
    CHECK(stage.quota(50, 1h).lines == std::vector<std::string>{"CPU quota set to 50%"});
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == 50000);
    stage.pass(59min);
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == 50000);
    stage.pass(1min);
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == -1);
    CHECK_FALSE(stage.remembered());
    CHECK(stage.listener.warnings.empty());
}

TEST_CASE("a second limit for a while keeps what was before the first, and has the new end") {
    Stage stage;
    stage.quota(80);
    stage.quota(50, 1h);
    stage.quota(30, 2h);
    stage.pass(90min);
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == 30000);
    stage.pass(30min);
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == 80000);
}

TEST_CASE("a plain limit makes an end forgotten, a reset makes all forgotten") {
    Stage stage;
    stage.quota(50, 1h);
    stage.quota(40);
    CHECK_FALSE(stage.remembered());
    stage.quota(50, 1h);
    limits::ThrottleRequest reset;
    reset.reset = true;
    limits::throttle(*stage.world, stage.name, reset);
    CHECK(stage.quota_of() == -1);
    CHECK_FALSE(stage.remembered());
}

TEST_CASE("a definition's end stays when only what runs is limited anew, and goes when the definition is") {
    Stage stage;
    stage.quota(50, 1h, true);
    stage.quota(40);
    stage.pass(1h);
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == 40000);
    CHECK(stage.quota_of(TuningOf::definition) == not_written);

    stage.quota(50, 1h, true);
    stage.quota(45, {}, true);
    stage.pass(1h);
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == 45000);
    CHECK(stage.quota_of(TuningOf::definition) == 45000);
}

TEST_CASE("a limit that could not be set leaves the end of the one before it") {
    Stage stage;
    stage.quota(50, 1h);
    std::ofstream(stage.world->paths.world / "behaviour.json") << "{\"tune_refuses\": \"cpu\"}";
    CHECK(stage.quota(30, 5h).errors.size() == 1);
    std::ofstream(stage.world->paths.world / "behaviour.json") << "{}";
    CHECK(stage.quota_of() == 50000);
    stage.pass(1h);
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == -1);
}

TEST_CASE("what somebody else set meanwhile stays") {
    Stage stage;
    stage.quota(50, 1h);
    Tuning theirs;
    theirs.cpu_quota = 77000;
    stage.world->hypervisor().tune("vm-1", Subsystem::cpu, theirs, TuningOf::running);
    stage.pass(1h);
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == 77000);
    CHECK_FALSE(stage.remembered());
}

TEST_CASE("a restart ends a running limit; a persisted one is taken back from both sides") {
    Stage stage;
    stage.quota(50, 1h);
    stage.world->hypervisor().power_off("vm-1");
    stage.world->hypervisor().start("vm-1");
    CHECK(stage.quota_of() == -1);
    stage.pass(1h);
    CHECK(limits::take_back_due_limits(*stage.world, 10s).lines.empty());
    CHECK_FALSE(stage.remembered());

    stage.quota(50, 1h, true);
    stage.world->hypervisor().power_off("vm-1");
    stage.world->hypervisor().start("vm-1");
    CHECK(stage.quota_of() == 50000);
    stage.pass(1h);
    CHECK(limits::take_back_due_limits(*stage.world, 10s).lines ==
          std::vector<std::string>{"vm-1: Definition: CPU quota removed (unlimited)",
                                   "vm-1: CPU quota removed (unlimited)"});
    CHECK(stage.quota_of() == -1);
    CHECK(stage.quota_of(TuningOf::definition) == not_written);
    CHECK_FALSE(stage.remembered());
}

TEST_CASE("a limit in the definition ends while the VM is off") {
    Stage stage;
    stage.world->hypervisor().power_off("vm-1");
    CHECK(stage.quota(50, 1h, true).lines == std::vector<std::string>{"Definition: CPU quota set to 50%"});
    stage.pass(1h);
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of(TuningOf::definition) == not_written);
}

TEST_CASE("jumps of the wall clock neither end a limit early nor keep it") {
    Stage stage;
    stage.quota(50, 1h);
    stage.change([](LateMoment& until) { until.wall -= 1000 * 24h; }); // the clock jumped forward
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == 50000);
    stage.change([](LateMoment& until) { until.wall += 5000 * 24h; }); // and far back
    stage.change([](LateMoment& until) { until.since_boot -= 1h; });
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == -1);
}

TEST_CASE("in the next boot an end in a wrong far future comes after the whole span at the latest") {
    Stage stage;
    stage.quota(50, 1h, true);
    stage.change([](LateMoment& until) {
        until.boot = "an earlier boot";
        until.wall += 5000 * 24h;
    });
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == 50000);
    stage.change([](LateMoment& until) {
        CHECK(until.boot == moment_now().boot);
        CHECK(until.since_boot <= moment_now().since_boot + 1h);
        until.since_boot -= 1h;
    });
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == -1);
}

TEST_CASE("in the next boot an end that the wall clock has passed is over") {
    Stage stage;
    stage.quota(50, 1h, true);
    stage.change([](LateMoment& until) {
        until.boot = "an earlier boot";
        until.wall -= 1h;
    });
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of(TuningOf::definition) == not_written);
}

TEST_CASE("a new VM of the same name has nothing to do with what is remembered of the old one") {
    Stage stage;
    stage.quota(50, 1h);
    stage.world->hypervisor().power_off("vm-1");
    stage.world->hypervisor().undefine("vm-1");
    stage.define(Uuid::random().str());
    stage.quota(50);
    stage.quota(50, 1h);
    limits::ThrottleRequest reset;
    reset.reset = true;
    limits::throttle(*stage.world, stage.name, reset);
    stage.quota(50, 1h);
    stage.world->hypervisor().power_off("vm-1");
    stage.world->hypervisor().undefine("vm-1");
    stage.define(Uuid::random().str());
    Tuning same;
    same.cpu_quota = 50000;
    stage.world->hypervisor().tune("vm-1", Subsystem::cpu, same, TuningOf::running);
    stage.pass(1h);
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == 50000);
    CHECK_FALSE(stage.remembered());
}

TEST_CASE("what cannot be read is a warning, and keeps no other limit from its end") {
    Stage stage;
    stage.quota(50, 1h);
    stage.pass(1h);
    for (const char* text :
         {"{", "[]", "{\"parts\":1}", "{\"parts\":[{\"limit\":\"x\"}]}",
          "{\"parts\":[{\"limit\":\"cpu_quota\",\"of\":\"running\",\"before\":[1,2,3],\"ours\":[],\"until\":{"
          "\"wall\":\"2026-01-01\",\"boot\":\"x\",\"since_boot_ms\":1,\"span_ms\":9000000000000000000}}]}",
          "{\"parts\":[{\"limit\":\"cpu_quota\",\"of\":\"running\",\"before\":[1,2],\"ours\":[]}]}", ""}) {
        std::ofstream(stage.world->journal.place().string("a-bad-one.limits")) << text;
        stage.listener.warnings.clear();
        limits::end_due_limits(*stage.world);
        CAPTURE(text);
        REQUIRE(stage.listener.warnings.size() == 1);
        CHECK_THAT(stage.listener.warnings[0], Catch::Contains("a-bad-one"));
    }
    CHECK(stage.quota_of() == -1);
}

TEST_CASE("a limit that cannot be taken back is a warning and is tried again") {
    Stage stage;
    stage.quota(50, 1h);
    stage.pass(1h);
    std::ofstream(stage.world->paths.world / "behaviour.json") << "{\"tune_refuses\": \"cpu\"}";
    limits::end_due_limits(*stage.world);
    CHECK(stage.listener.warnings.size() == 1);
    CHECK(stage.remembered());
    std::ofstream(stage.world->paths.world / "behaviour.json") << "{\"down\": true}";
    limits::end_due_limits(*stage.world);
    CHECK(stage.listener.warnings.size() == 2);
    std::ofstream(stage.world->paths.world / "behaviour.json") << "{}";
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == -1);
    CHECK(stage.listener.warnings.size() == 2);
}

TEST_CASE("two throttles of one VM wait for each other, and one in passing does not") {
    Stage stage;
    stage.quota(50, 1h);
    stage.pass(1h);
    {
        const auto held = limits::LimitFile::take(stage.world->journal.place(), stage.name, Deadline::in(1s));
        REQUIRE(held);
        CHECK_FALSE(limits::LimitFile::take(stage.world->journal.place(), stage.name, Deadline::in(50ms)));
        limits::end_due_limits(*stage.world);
        CHECK(stage.quota_of() == 50000);
    }
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == -1);
}

TEST_CASE("what is remembered of a VM that is gone is forgotten") {
    Stage stage;
    stage.quota(50, 1h);
    CHECK(stage.remembered());
    limits::forget_limits(*stage.world, stage.name);
    CHECK_FALSE(stage.remembered());
    limits::forget_limits(*stage.world, stage.name);
    CHECK(std::filesystem::is_empty(stage.world->journal.place().string()));
}

TEST_CASE("a limit that a dead process was about to set, and which came late, ends on time") {
    Stage stage;
    stage.quota(80);
    {
        auto file = limits::LimitFile::take(stage.world->journal.place(), stage.name, Deadline::in(1s));
        limits::LimitNotes notes{stage.world->hypervisor().find("vm-1")->uuid, {}};
        notes.parts[{TuningOf::running, limits::Limit::cpu_quota}] = {
            {80000, 100000}, {{50000, 100000}}, after(moment_now(), 1h)};
        file->write(notes);
    }
    Tuning late;
    late.cpu_quota = 50000;
    stage.world->hypervisor().tune("vm-1", Subsystem::cpu, late, TuningOf::running);
    stage.pass(1h);
    limits::end_due_limits(*stage.world);
    CHECK(stage.quota_of() == 80000);
}
