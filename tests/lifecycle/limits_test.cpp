// What a limit in the command line's words becomes in libvirt, and what it is called in the answer.

#include "lifecycle/limits.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using Subsystem = Hypervisor::Subsystem;

namespace {

constexpr CpuWeights v1{2, 1024}, v2{1, 100};

/// As libvirt shows a running domain that nobody limited.
Tuning untouched() {
    Tuning tuning;
    tuning.cpu_shares = 1024;
    tuning.cpu_period = 100000;
    tuning.cpu_quota = -1;
    tuning.inbound = tuning.outbound = Tuning::Bandwidth{};
    tuning.iops = Tuning::Iops{};
    return tuning;
}

Settings asked(std::initializer_list<std::pair<Limit, std::int64_t>> values) {
    Settings wanted;
    for (const auto& [limit, value] : values) wanted[limit] = setting_for(limit, value, v1);
    return wanted;
}

} // namespace

TEST_CASE("kilobits become whole kilobytes, rounded up, with the average as peak and a small burst") {
    struct Row {
        std::int64_t kbps, average, burst;
    };
    for (const Row& row :
         {Row{1, 1, 64}, Row{7, 1, 64}, Row{8, 1, 64}, Row{9, 2, 64}, Row{100, 13, 64}, Row{1000, 125, 64},
          Row{8000, 1000, 100}, Row{8001, 1001, 100}, Row{34359738360, 4294967295, 429496729}}) {
        CAPTURE(row.kbps);
        for (const Limit limit : {Limit::bandwidth_in, Limit::bandwidth_out})
            CHECK(setting_for(limit, row.kbps, v1) == Setting{row.average, row.average, row.burst});
    }
    CHECK(setting_for(Limit::bandwidth_in, 0, v1) == Setting{});
}

TEST_CASE("a quota is a share of a period of 100 ms for each virtual CPU") {
    CHECK(setting_for(Limit::cpu_quota, 50, v1) == Setting{50000, 100000});
    CHECK(setting_for(Limit::cpu_quota, 1, v1) == Setting{1000, 100000});
    CHECK(setting_for(Limit::cpu_quota, 100, v1) == Setting{100000, 100000});
    CHECK(no_limit(Limit::cpu_quota, v1) == Setting{-1, 100000});
}

TEST_CASE("a weight is what was asked for, but not less than the host can") {
    CHECK(setting_for(Limit::cpu_shares, 1, v1) == Setting{2});
    CHECK(setting_for(Limit::cpu_shares, 1, v2) == Setting{1});
    CHECK(setting_for(Limit::cpu_shares, 10000, v1) == Setting{10000});
    CHECK(no_limit(Limit::cpu_shares, v1) == Setting{1024});
    CHECK(no_limit(Limit::cpu_shares, v2) == Setting{100});
}

TEST_CASE("what a definition leaves unsaid is the host's usual weight, and no limit") {
    Tuning unsaid;
    unsaid.cpu_shares = 0;
    unsaid.cpu_period = 0;
    unsaid.cpu_quota = 0;
    CHECK(settings_of(unsaid, v2) == Settings{{Limit::cpu_shares, {100}}, {Limit::cpu_quota, {-1, 100000}}});
    CHECK(settings_of(unsaid, v1).at(Limit::cpu_shares) == Setting{1024});
    CHECK(settings_of(Tuning{}, v1).empty());
    CHECK(settings_of(untouched(), v1).size() == limit_table().size());
}

TEST_CASE("a plan has one call for each subsystem that must change, and none for the others") {
    const Settings current = settings_of(untouched(), v1);
    CHECK(plan({}, current).empty());
    CHECK(plan(current, current).empty());

    auto changes = plan(asked({{Limit::cpu_quota, 50}}), current);
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].subsystem == Subsystem::cpu);
    Tuning quota;
    quota.cpu_quota = 50000;
    quota.cpu_period = 100000;
    CHECK(changes[0].tuning == quota);

    changes =
        plan(asked({{Limit::cpu_shares, 5}, {Limit::bandwidth_out, 80}, {Limit::iops_read, 9}}), current);
    REQUIRE(changes.size() == 3);
    CHECK(changes[1].tuning.outbound == Tuning::Bandwidth{10, 10, 64});
    CHECK_FALSE(changes[1].tuning.inbound);
    CHECK(changes[2].tuning.iops == Tuning::Iops{9, 0});
}

TEST_CASE("one IOPS limit carries the other as it is") {
    Tuning tuning = untouched();
    tuning.iops = Tuning::Iops{100, 200};
    const Settings current = settings_of(tuning, v1);
    CHECK(plan(asked({{Limit::iops_read, 9}}), current).at(0).tuning.iops == Tuning::Iops{9, 200});
    CHECK(plan(asked({{Limit::iops_write, 0}}), current).at(0).tuning.iops == Tuning::Iops{100, 0});
    CHECK(plan(asked({{Limit::iops_read, 100}, {Limit::iops_write, 7}}), current).at(0).tuning.iops ==
          Tuning::Iops{100, 7});
    CHECK(plan(asked({{Limit::iops_read, 100}}), current).empty());
}

TEST_CASE("each change has its line") {
    const auto line = [](Limit limit, std::int64_t value) {
        return change_line(limit, setting_for(limit, value, v2), value);
    };
    CHECK(line(Limit::cpu_shares, 512) == "CPU shares set to 512");
    CHECK(line(Limit::cpu_quota, 33) == "CPU quota set to 33%");
    CHECK(line(Limit::bandwidth_in, 100) == "Bandwidth inbound set to 100 kbps");
    CHECK(line(Limit::bandwidth_out, 1) == "Bandwidth outbound set to 1 kbps");
    CHECK(line(Limit::bandwidth_in, 0) == "Bandwidth inbound limit removed (unlimited)");
    CHECK(line(Limit::bandwidth_out, 0) == "Bandwidth outbound limit removed (unlimited)");
    CHECK(line(Limit::iops_read, 500) == "IOPS read set to 500");
    CHECK(line(Limit::iops_write, 0) == "IOPS write limit removed (unlimited)");
    CHECK(change_line(Limit::cpu_quota, {-1, 100000}) == "CPU quota removed (unlimited)");
    CHECK(change_line(Limit::cpu_quota, {12500, 50000}) == "CPU quota set to 25%");
    CHECK(change_line(Limit::cpu_quota, {12500, 100000}) == "CPU quota set to 12.5%");
    CHECK(change_line(Limit::cpu_shares, setting_for(Limit::cpu_shares, 1, v1), 1) == "CPU shares set to 2");
    CHECK(change_line(Limit::bandwidth_in, {125, 250, 125}) == "Bandwidth inbound set to 1000 kbps");
}
