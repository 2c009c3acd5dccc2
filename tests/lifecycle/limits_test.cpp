// SPDX-License-Identifier: MIT
// What a limit in the command line's words becomes in libvirt, and what it is called in the answer.

#include "limits/limits.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;

namespace {

constexpr limits::CpuWeights v1{2, 1024}, v2{1, 100};

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

limits::Settings asked(std::initializer_list<std::pair<limits::Limit, std::int64_t>> values) {
    limits::Settings wanted;
    for (const auto& [limit, value] : values) wanted[limit] = limits::setting_for(limit, value, v1);
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
        for (const limits::Limit limit : {limits::Limit::bandwidth_in, limits::Limit::bandwidth_out})
            CHECK(limits::setting_for(limit, row.kbps, v1) ==
                  limits::Setting{row.average, row.average, row.burst});
    }
    CHECK(limits::setting_for(limits::Limit::bandwidth_in, 0, v1) == limits::Setting{});
}

TEST_CASE("a quota is a share of a period of 100 ms for each virtual CPU") {
    CHECK(limits::setting_for(limits::Limit::cpu_quota, 50, v1) == limits::Setting{50000, 100000});
    CHECK(limits::setting_for(limits::Limit::cpu_quota, 1, v1) == limits::Setting{1000, 100000});
    CHECK(limits::setting_for(limits::Limit::cpu_quota, 100, v1) == limits::Setting{100000, 100000});
    CHECK(limits::no_limit(limits::Limit::cpu_quota, v1) == limits::Setting{-1, 100000});
}

TEST_CASE("a weight is what was asked for, but not less than the host can") {
    CHECK(limits::setting_for(limits::Limit::cpu_shares, 1, v1) == limits::Setting{2});
    CHECK(limits::setting_for(limits::Limit::cpu_shares, 1, v2) == limits::Setting{1});
    CHECK(limits::setting_for(limits::Limit::cpu_shares, 10000, v1) == limits::Setting{10000});
    CHECK(limits::no_limit(limits::Limit::cpu_shares, v1) == limits::Setting{1024});
    CHECK(limits::no_limit(limits::Limit::cpu_shares, v2) == limits::Setting{100});
}

TEST_CASE("what a definition leaves unsaid is the host's usual weight, and no limit") {
    Tuning unsaid;
    unsaid.cpu_shares = 0;
    unsaid.cpu_period = 0;
    unsaid.cpu_quota = 0;
    CHECK(limits::settings_of(unsaid, v2) ==
          limits::Settings{{limits::Limit::cpu_shares, {100}}, {limits::Limit::cpu_quota, {}}});
    CHECK(limits::settings_of(unsaid, v1).at(limits::Limit::cpu_shares) == limits::Setting{1024});
    CHECK(limits::settings_of(Tuning{}, v1).empty());
    CHECK(limits::settings_of(untouched(), v1).size() == limits::limit_table().size());
}

TEST_CASE("a plan has one call for each subsystem that must change, and none for the others") {
    const limits::Settings current = limits::settings_of(untouched(), v1);
    CHECK(limits::plan({}, current).empty());
    CHECK(limits::plan(current, current).empty());

    auto changes = limits::plan(asked({{limits::Limit::cpu_quota, 50}}), current);
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].subsystem == Subsystem::cpu);
    Tuning quota;
    quota.cpu_quota = 50000;
    quota.cpu_period = 100000;
    CHECK(changes[0].tuning == quota);

    changes = limits::plan(asked({{limits::Limit::cpu_shares, 5},
                                  {limits::Limit::bandwidth_out, 80},
                                  {limits::Limit::iops_read, 9}}),
                           current);
    REQUIRE(changes.size() == 3);
    CHECK(changes[1].tuning.outbound == Tuning::Bandwidth{10, 10, 64});
    CHECK_FALSE(changes[1].tuning.inbound);
    CHECK(changes[2].tuning.iops == Tuning::Iops{9, 0});
}

TEST_CASE("one IOPS limit carries the other as it is") {
    Tuning tuning = untouched();
    tuning.iops = Tuning::Iops{100, 200};
    const limits::Settings current = limits::settings_of(tuning, v1);
    CHECK(limits::plan(asked({{limits::Limit::iops_read, 9}}), current).at(0).tuning.iops ==
          Tuning::Iops{9, 200});
    CHECK(limits::plan(asked({{limits::Limit::iops_write, 0}}), current).at(0).tuning.iops ==
          Tuning::Iops{100, 0});
    CHECK(limits::plan(asked({{limits::Limit::iops_read, 100}, {limits::Limit::iops_write, 7}}), current)
              .at(0)
              .tuning.iops == Tuning::Iops{100, 7});
    CHECK(limits::plan(asked({{limits::Limit::iops_read, 100}}), current).empty());
}

TEST_CASE("each change has its line") {
    const auto line = [](limits::Limit limit, std::int64_t value) {
        return limits::change_line(limit, limits::setting_for(limit, value, v2), value);
    };
    CHECK(line(limits::Limit::cpu_shares, 512) == "CPU shares set to 512");
    CHECK(line(limits::Limit::cpu_quota, 33) == "CPU quota set to 33%");
    CHECK(line(limits::Limit::bandwidth_in, 100) == "Bandwidth inbound set to 100 kbps");
    CHECK(line(limits::Limit::bandwidth_out, 1) == "Bandwidth outbound set to 1 kbps");
    CHECK(line(limits::Limit::bandwidth_in, 0) == "Bandwidth inbound limit removed (unlimited)");
    CHECK(line(limits::Limit::bandwidth_out, 0) == "Bandwidth outbound limit removed (unlimited)");
    CHECK(line(limits::Limit::iops_read, 500) == "IOPS read set to 500");
    CHECK(line(limits::Limit::iops_write, 0) == "IOPS write limit removed (unlimited)");
    CHECK(limits::change_line(limits::Limit::cpu_quota, {-1, 100000}) == "CPU quota removed (unlimited)");
    CHECK(limits::change_line(limits::Limit::cpu_quota, {12500, 50000}) == "CPU quota set to 25%");
    CHECK(limits::change_line(limits::Limit::cpu_quota, {12500, 100000}) == "CPU quota set to 12.5%");
    CHECK(limits::change_line(limits::Limit::cpu_shares,
                              limits::setting_for(limits::Limit::cpu_shares, 1, v1),
                              1) == "CPU shares set to 2");
    CHECK(limits::change_line(limits::Limit::bandwidth_in, {125, 250, 125}) ==
          "Bandwidth inbound set to 1000 kbps");
}
