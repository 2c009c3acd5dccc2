// SPDX-License-Identifier: MIT
/// See sample.hpp.

#include "metrics/sample.hpp"

#include "base/boot_clock.hpp"
#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/json.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <chrono>
#include <cmath>

namespace blockhost::metrics {

namespace {

namespace bj = boost::json;

constexpr std::size_t largest_sample = 64 * 1024;
constexpr double shortest_span_s = 0.5;
/// The largest integer that a double holds exactly; sums of such numbers stay within 64 bits.
constexpr std::int64_t largest_count = 1ll << 53;

std::string file_name(const VmName& name) {
    return name.str() + ".json";
}

/// One counter's growth per second; a counter that went backwards began anew.
double growth(std::uint64_t before, std::uint64_t now, double seconds) {
    return now > before ? static_cast<double>(now - before) / seconds : 0;
}

/// A member as a number of at least zero; nothing for anything else.
std::optional<double> number_in(const bj::object& object, std::string_view key) {
    const bj::value* value = object.if_contains(key);
    if (!value || !value->is_number()) return std::nullopt;
    const double number = value->to_number<double>();
    if (!std::isfinite(number) || number < 0) return std::nullopt;
    return number;
}

std::optional<std::int64_t> count_in(const bj::object& object, std::string_view key) {
    const auto count = json::integer_in(object, key);
    return count && *count >= 0 && *count <= largest_count ? count : std::nullopt;
}

/// Each counter and its key, for both reading and writing.
constexpr struct {
    const char* key;
    std::uint64_t Counters::*counter;
} counter_keys[] = {
    {"cpu_time_ns", &Counters::cpu_time_ns},    {"blk_rd_reqs", &Counters::read_requests},
    {"blk_wr_reqs", &Counters::write_requests}, {"blk_rd_bytes", &Counters::read_bytes},
    {"blk_wr_bytes", &Counters::write_bytes},   {"net_rx", &Counters::received_bytes},
    {"net_tx", &Counters::sent_bytes},
};

constexpr struct {
    const char* key;
    double Rates::*rate;
} rate_keys[] = {
    {"cpus", &Rates::cpus},
    {"reads", &Rates::reads},
    {"writes", &Rates::writes},
    {"read_bytes", &Rates::read_bytes},
    {"write_bytes", &Rates::write_bytes},
    {"received_bytes", &Rates::received_bytes},
    {"sent_bytes", &Rates::sent_bytes},
};

constexpr struct {
    const char* key;
    std::optional<std::int64_t> guest::SlowVitals::*value;
} slow_keys[] = {
    {"disk_used_bytes", &guest::SlowVitals::disk_used_bytes},
    {"net_connections", &guest::SlowVitals::connections},
    {"uptime_seconds", &guest::SlowVitals::uptime_s},
};

void read_slow(const bj::object& object, Sample& sample) {
    const bj::object& slow = json::object_in(object, "slow");
    const auto at = number_in(slow, "boottime");
    if (!at) return;
    sample.slow_at = *at;
    sample.slow.emplace();
    for (const auto& [key, value] : slow_keys) (*sample.slow).*value = count_in(slow, key);
}

std::optional<Sample> parse(const std::string& text) {
    boost::system::error_code malformed;
    const bj::value document = bj::parse(text, malformed);
    if (malformed || !document.is_object()) return std::nullopt;
    const bj::object& object = document.get_object();
    const auto at = number_in(object, "boottime");
    if (!at) return std::nullopt;
    Sample sample;
    sample.at = {json::string_or(object, "boot_id", ""), *at};
    sample.uuid = json::string_or(object, "uuid", "");
    sample.id = static_cast<int>(std::min<std::int64_t>(count_in(object, "id").value_or(0), 1 << 30));
    for (const auto& [key, counter] : counter_keys) {
        const auto value = json::count_in(object, key);
        if (!value) return std::nullopt; // a file that lacks a counter is no sample
        sample.counters.*counter = *value;
    }
    const bj::object& rates = json::object_in(object, "rates");
    for (const auto& [key, rate] : rate_keys) sample.rates.*rate = number_in(rates, key).value_or(0);
    read_slow(object, sample);
    sample.left_open = count_in(object, "left_open");
    return sample;
}

double wall_clock_s() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

bj::object document_of(const Sample& sample) {
    bj::object object{{"timestamp", wall_clock_s()}};
    for (const auto& [key, counter] : counter_keys) object[key] = sample.counters.*counter;
    object["boot_id"] = sample.at.boot_id;
    object["boottime"] = sample.at.seconds;
    object["uuid"] = sample.uuid;
    object["id"] = sample.id;
    bj::object rates;
    for (const auto& [key, rate] : rate_keys) rates[key] = sample.rates.*rate;
    object["rates"] = std::move(rates);
    if (sample.slow) {
        bj::object slow{{"boottime", sample.slow_at}};
        for (const auto& [key, value] : slow_keys)
            if (const auto& known = (*sample.slow).*value) slow[key] = *known;
        object["slow"] = std::move(slow);
    }
    if (sample.left_open) object["left_open"] = *sample.left_open;
    return object;
}

} // namespace

SampleMoment SampleMoment::now() {
    const Moment moment = moment_now();
    if (moment.boot.empty()) throw Error(Code::io, "the kernel does not tell its boot id");
    return {moment.boot, std::chrono::duration<double>(moment.since_boot).count()};
}

Counters Counters::of(const DomainStats& s) {
    return {s.cpu_time_ns, s.read_requests,  s.write_requests, s.read_bytes,
            s.write_bytes, s.received_bytes, s.sent_bytes};
}

bool is_same_run(const Sample& before, const DomainStats& stats, const SampleMoment& now) {
    return before.at.boot_id == now.boot_id && before.at.seconds <= now.seconds &&
           before.uuid == stats.uuid && before.id == stats.id;
}

bool is_too_soon(const Sample& before, const SampleMoment& now) {
    return now.seconds - before.at.seconds <= shortest_span_s;
}

Rates rates_since(const std::optional<Sample>& before, const DomainStats& stats, const SampleMoment& now) {
    if (!before || !is_same_run(*before, stats, now)) return {};
    if (is_too_soon(*before, now)) return before->rates;
    const double span = now.seconds - before->at.seconds;
    const Counters& then = before->counters;
    constexpr double nanoseconds = 1e9;
    return {growth(then.cpu_time_ns, stats.cpu_time_ns, span) / nanoseconds,
            growth(then.read_requests, stats.read_requests, span),
            growth(then.write_requests, stats.write_requests, span),
            growth(then.read_bytes, stats.read_bytes, span),
            growth(then.write_bytes, stats.write_bytes, span),
            growth(then.received_bytes, stats.received_bytes, span),
            growth(then.sent_bytes, stats.sent_bytes, span)};
}

std::optional<Sample> read_sample(const StatePlace& place, const VmName& name) {
    try {
        const auto opened = place.open();
        const auto text = opened ? opened->read(file_name(name), largest_sample) : std::nullopt;
        return text ? parse(*text) : std::nullopt;
    } catch (const Error&) {
        return std::nullopt; // a sample that cannot be read counts as none
    }
}

void write_sample(const StatePlace& place, const VmName& name, const Sample& sample) {
    constexpr mode_t folder_mode = 0750, file_mode = 0640;
    place.make(folder_mode)
        .replace_unsynced(file_name(name), json::python_line(document_of(sample)) + "\n",
                          {.mode = file_mode, .uid = {}, .gid = {}});
}

} // namespace blockhost::metrics
