// SPDX-License-Identifier: MIT
// From counters, samples and a guest's word to the figures that consumers read.
#include "metrics/compute.hpp"

#include "../unit/temporary_folder.hpp"
#include "base/files/files.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace blockhost;

namespace {

constexpr std::uint64_t wall = 1'800'000'000;
const metrics::SampleMoment noon{"boot-1", 5000};

DomainStats running() {
    DomainStats s;
    s.name = "web-1";
    s.uuid = "u-1";
    s.id = 3;
    s.state = PowerState::running;
    s.running_s = 900;
    s.cpus = 2;
    s.cpu_time_ns = 100'000'000'000;
    s.memory_max_kib = 2048 * 1024;
    s.rss_kib = 700 * 1024;
    s.disk_capacity_bytes = 20ull << 30;
    s.read_requests = 1000;
    s.write_requests = 2000;
    s.read_bytes = 10'000'000;
    s.write_bytes = 20'000'000;
    s.received_bytes = 5000;
    s.sent_bytes = 6000;
    return s;
}

metrics::Sample sample_at(double seconds) {
    const auto stats = running();
    return {{"boot-1", seconds}, stats.uuid, stats.id, metrics::Counters::of(stats), {}, {}, 0, {}};
}

const metrics::GuestWord silent{};

metrics::SampleMoment after(double seconds) {
    return {"boot-1", noon.seconds + seconds};
}

/// A file called NAME in a metrics folder.
struct Samples {
    TemporaryFolder folder;
    VmName name{"web-1"};
    std::filesystem::path path() const { return folder.path / "metrics"; }
    std::filesystem::path file() const { return path() / "web-1.json"; }
    void write(const std::string& text) const {
        std::filesystem::create_directories(path());
        files::replace(file(), text, {});
    }
};

} // namespace

TEST_CASE("rates are growth a second of the monotonic clock") {
    auto now = running();
    now.cpu_time_ns += 1'500'000'000;
    now.write_requests += 10;
    now.write_bytes += 40960;
    now.received_bytes += 7;
    const auto rates = metrics::rates_since(sample_at(5000), now, after(2));
    CHECK(rates.cpus == Approx(0.75));
    CHECK(rates.writes == Approx(5));
    CHECK(rates.write_bytes == Approx(20480));
    CHECK(rates.reads == 0);
    const auto m = metrics::metrics_of(now, rates, silent, wall);
    CHECK(m.cpu_percent == 75.0);
    CHECK(m.disk_write_iops == 5);
    CHECK(m.net_rx_bytes_sec == 4);
}

TEST_CASE("without a sample of this run of the domain since this boot there are no rates") {
    auto now = running();
    now.cpu_time_ns += 1'000'000'000;
    std::optional<metrics::Sample> before = sample_at(5000);
    REQUIRE(metrics::rates_since(before, now, after(2)).cpus == Approx(0.5));
    SECTION("none at all") {
        before.reset();
    }
    SECTION("another boot") {
        before->at.boot_id = "boot-0";
    }
    SECTION("another domain of that name") {
        before->uuid = "u-0";
    }
    SECTION("another run") {
        before->id = 2;
    }
    SECTION("a sample from later on") {
        before->at.seconds = 6000;
    }
    const bool none = metrics::rates_since(before, now, after(2)) == metrics::Rates{};
    CHECK(none);
}

TEST_CASE("a counter that went backwards gives zero, and the others their rates") {
    auto now = running();
    now.write_bytes = 5;
    now.read_bytes += 100;
    const auto rates = metrics::rates_since(sample_at(5000), now, after(1));
    CHECK(rates.write_bytes == 0);
    CHECK(rates.read_bytes == Approx(100));
}

TEST_CASE("a call within half a second repeats the rates and leaves the sample where it was") {
    auto before = sample_at(5000);
    before.rates.cpus = 0.5;
    auto now = running();
    now.cpu_time_ns += 400'000'000;
    CHECK(metrics::rates_since(before, now, after(0.4)).cpus == 0.5);
    CHECK_FALSE(metrics::next_sample(now, before, {}, after(0.4)));
    const auto kept = metrics::next_sample(
        now, before, {.answers = true, .slow = {1, 2, 3}, .looked = true, .left_open = {}}, after(0.4));
    REQUIRE(kept);
    CHECK(kept->at.seconds == 5000);
    CHECK(kept->counters == before.counters);
    CHECK(kept->slow_at == Approx(5000.4));
    CHECK(metrics::next_sample(now, before, {}, after(0.6))->at.seconds == Approx(5000.6));
}

TEST_CASE("CPU use is at most what the virtual CPUs can use, to one decimal") {
    metrics::Rates rates;
    rates.cpus = GENERATE(2.01, 1e300, 2.0);
    CHECK(metrics::metrics_of(running(), rates, silent, wall).cpu_percent == 200.0);
    rates.cpus = 0.12345;
    CHECK(metrics::metrics_of(running(), rates, silent, wall).cpu_percent == 12.3);
}

TEST_CASE("rates beyond all sense stay integers") {
    metrics::Rates rates;
    rates.reads = rates.sent_bytes = 1e300;
    const auto m = metrics::metrics_of(running(), rates, silent, wall);
    CHECK(m.disk_read_iops == 1ll << 53);
    CHECK(m.net_tx_bytes_sec == 1ll << 53);
}

TEST_CASE("memory in use is what the guest says") {
    auto s = running();
    s.memory_available_kib = 2000 * 1024;
    s.memory_unused_kib = 500 * 1024;
    s.memory_told_s = wall - 5;
    CHECK(metrics::metrics_of(s, {}, silent, wall).memory_used_mb == 1500);
    s.memory_usable_kib = 1200 * 1024;
    CHECK(metrics::metrics_of(s, {}, silent, wall).memory_used_mb == 800);
    CHECK(metrics::metrics_of(s, {}, silent, wall).memory_total_mb == 2048);
}

TEST_CASE("memory in use is the process's where the guest says nothing, nonsense, or said it long ago") {
    auto s = running();
    s.memory_available_kib = 2000 * 1024;
    s.memory_usable_kib = 1200 * 1024;
    s.memory_told_s = wall - 5;
    SECTION("nothing") {
        s.memory_available_kib.reset();
    }
    SECTION("zero") {
        s.memory_available_kib = 0;
    }
    SECTION("more left than there is") {
        s.memory_usable_kib = 3000 * 1024;
    }
    SECTION("more than the VM has") {
        s.memory_available_kib = 3000 * 1024;
    }
    SECTION("all of 64 bits") {
        s.memory_available_kib = ~0ull;
    }
    SECTION("long ago") {
        s.memory_told_s = wall - 600;
    }
    CHECK(metrics::metrics_of(s, {}, silent, wall).memory_used_mb == 700);
    s.rss_kib = 5000 * 1024; // an emulator's own memory comes on top
    CHECK(metrics::metrics_of(s, {}, silent, wall).memory_used_mb == 2048);
    s.rss_kib.reset();
    CHECK(metrics::metrics_of(s, {}, silent, wall).memory_used_mb == 2048);
}

TEST_CASE("a VM that is off is all zero, and what only a guest knows is unknown") {
    auto s = running();
    s.state = GENERATE(PowerState::off, PowerState::crashed, PowerState::unknown);
    metrics::Metrics expected;
    expected.state = s.state == PowerState::unknown ? "unknown" : "stopped";
    metrics::Rates rates;
    rates.cpus = 1;
    CHECK(metrics::metrics_of(s, rates, {true, {1, 2, 3}}, wall) == expected);
    CHECK_FALSE(metrics::depth_for(s, {}, noon));
}

TEST_CASE("a paused VM has its sizes, no rates, and its agent is not asked") {
    auto s = running();
    s.state = PowerState::paused;
    metrics::Rates rates;
    rates.cpus = 1;
    const auto m = metrics::metrics_of(s, rates, silent, wall);
    CHECK(m.state == "paused");
    CHECK(m.cpu_percent == 0.0);
    CHECK(m.memory_used_mb == 700);
    CHECK(m.uptime_seconds == 900);
    CHECK(m.disk_used_mb == -1);
    CHECK_FALSE(metrics::depth_for(s, {}, noon));
    auto before = sample_at(4990);
    before.slow = guest::SlowVitals{1, 2, 3};
    CHECK_FALSE(metrics::next_sample(s, before, {}, noon)->slow); // its clock stands meanwhile
}

TEST_CASE("slow values are asked for once a minute, and uptime goes on in between") {
    auto before = sample_at(4990);
    CHECK(metrics::depth_for(running(), {}, noon) == guest::Depth::all);
    CHECK(metrics::depth_for(running(), before, noon) == guest::Depth::all);
    before.slow = guest::SlowVitals{3ll << 30, 4, 700};
    before.slow_at = 4960;
    CHECK(metrics::depth_for(running(), before, noon) == guest::Depth::ping);
    const auto word = metrics::word_of(running(), before,
                                       {.answers = true, .slow = {}, .looked = false, .left_open = {}}, noon);
    const auto m = metrics::metrics_of(running(), {}, word, wall);
    CHECK(m.uptime_seconds == 740);
    CHECK(m.net_connections == 4);
    CHECK(m.disk_used_mb == 3072);
    CHECK(metrics::next_sample(running(), before, {}, noon)->slow_at == 4960);
    CHECK(metrics::depth_for(running(), before, after(21)) == guest::Depth::all);
    before.id = 1;
    CHECK(metrics::depth_for(running(), before, noon) == guest::Depth::all);
    before.id = 3;
    before.slow_at = 5001; // from later on
    CHECK(metrics::depth_for(running(), before, noon) == guest::Depth::all);
}

TEST_CASE("a silent guest is called that; its uptime is known from before, else from its QEMU") {
    auto before = sample_at(4990);
    before.slow = guest::SlowVitals{3ll << 30, 4, 700};
    before.slow_at = 4900;
    auto m = metrics::metrics_of(running(), {}, metrics::word_of(running(), before, {}, noon), wall);
    CHECK_FALSE(m.guest_agent_responsive);
    CHECK(m.disk_used_mb == -1);
    CHECK(m.net_connections == -1);
    CHECK(m.uptime_seconds == 800);
    CHECK(metrics::metrics_of(running(), {}, silent, wall).uptime_seconds == 900);
    auto unseen = running();
    unseen.running_s.reset();
    CHECK(metrics::metrics_of(unseen, {}, silent, wall).uptime_seconds == -1);
}

TEST_CASE("a guest that answers half in time is shown with what it told before, for ten minutes") {
    auto before = sample_at(4990);
    before.slow = guest::SlowVitals{3ll << 30, 4, 700};
    before.slow_at = 4900;
    const guest::Vitals half{.answers = true, .slow = {{}, {}, 802}, .looked = false, .left_open = 1000};
    const auto word = metrics::word_of(running(), before, half, noon);
    CHECK(word.slow == guest::SlowVitals{3ll << 30, 4, 802});
    const auto next = metrics::next_sample(running(), before, half, noon);
    CHECK(next->left_open == 1000);
    CHECK(next->slow == before.slow);
    before.slow_at = 4000;
    CHECK_FALSE(metrics::word_of(running(), before, half, noon).slow.connections);
}

TEST_CASE("a domain whose QEMU hangs has its state and sizes, and its sample waits") {
    auto s = running();
    s.complete = false;
    s.rss_kib.reset();
    s.disk_capacity_bytes = s.read_bytes = s.write_bytes = 0;
    const auto m = metrics::metrics_of(s, {}, silent, wall);
    CHECK(m.state == "running");
    CHECK(m.memory_used_mb == 0);
    CHECK(m.cpu_count == 2);
    CHECK_FALSE(metrics::depth_for(s, {}, noon));
    CHECK_FALSE(metrics::next_sample(s, sample_at(4990), {}, noon));
}

TEST_CASE("a sample is read as it was written") {
    Samples samples;
    auto written = sample_at(4990.25);
    written.counters.cpu_time_ns = ~0ull;
    written.rates = {0.5, 1, 2, 3, 4, 5, 6.25};
    written.slow = guest::SlowVitals{1, {}, 700};
    written.slow_at = 4960.5;
    written.left_open = 1003;
    metrics::write_sample(samples.path(), samples.name, written);
    const auto read = metrics::read_sample(samples.path(), samples.name);
    REQUIRE(read);
    CHECK(read->at.boot_id == "boot-1");
    CHECK(read->at.seconds == 4990.25);
    CHECK(read->counters == written.counters);
    CHECK(read->rates == written.rates);
    CHECK(read->slow == written.slow);
    CHECK(read->slow_at == 4960.5);
    CHECK(read->left_open == 1003);
    CHECK(metrics::is_same_run(*read, running(), noon));
}

TEST_CASE("a sample that makes no sense is none") {
    Samples samples;
    CHECK_FALSE(metrics::read_sample(samples.path(), samples.name));
    samples.write(GENERATE(as<std::string>{}, "", "{", "[]", "null", "{}", "\xff\xfe", R"({"boottime": 1})",
                           R"({"boottime": 1e400})", std::string(100'000, ' '), std::string(60'000, '[')));
    CHECK_FALSE(metrics::read_sample(samples.path(), samples.name));
}

TEST_CASE("a sample with members beyond all sense gives no figure beyond all sense") {
    Samples samples;
    samples.write(
        R"({"cpu_time_ns":0,"blk_rd_reqs":0,"blk_wr_reqs":0,"blk_rd_bytes":0,"blk_wr_bytes":0,"net_rx":0,
        "net_tx":0,"boot_id":"boot-1","boottime":4999.9,"uuid":"u-1","id":3,
        "rates":{"cpus":-5,"reads":1e308,"writes":"x"},"left_open":"y",
        "slow":{"boottime":4999,"uptime_seconds":9223372036854775807,"net_connections":-4,"disk_used_bytes":1e9}})");
    const auto read = metrics::read_sample(samples.path(), samples.name);
    REQUIRE(read);
    CHECK(read->slow == guest::SlowVitals{});
    CHECK_FALSE(read->left_open);
    const auto rates = metrics::rates_since(read, running(), noon);
    const auto m = metrics::metrics_of(running(), rates, metrics::word_of(running(), read, {}, noon), wall);
    CHECK(m.cpu_percent == 0);
    CHECK(m.disk_read_iops == 1ll << 53);
    CHECK(m.uptime_seconds == 900);
}

TEST_CASE("a link or a folder in a sample's place is no sample, and is not followed") {
    Samples samples;
    std::filesystem::create_directories(samples.path());
    const auto elsewhere = samples.folder.path / "elsewhere.json";
    metrics::write_sample(samples.path(), VmName("other"), sample_at(1));
    std::filesystem::rename(samples.path() / "other.json", elsewhere);
    std::filesystem::create_symlink(elsewhere, samples.file());
    CHECK_FALSE(metrics::read_sample(samples.path(), samples.name));
    metrics::write_sample(samples.path(), samples.name, sample_at(2));
    CHECK(metrics::read_sample(samples.path(), samples.name)->at.seconds == 2);
    CHECK(std::filesystem::is_regular_file(std::filesystem::symlink_status(samples.file())));
}

TEST_CASE("the clock of samples goes on within this boot") {
    const auto first = metrics::SampleMoment::now(), second = metrics::SampleMoment::now();
    CHECK(first.boot_id.size() == 36);
    CHECK(first.boot_id == second.boot_id);
    CHECK(first.seconds <= second.seconds);
}
