// SPDX-License-Identifier: MIT
/// See metrics_text.hpp.

#include "subcommands/metrics_text.hpp"

#include "base/text/exposition.hpp"
#include "base/text/json.hpp"

#include <fmt/format.h>
#include <optional>

namespace blockhost::subcommands {

namespace {

constexpr double bytes_per_mb = 1024 * 1024;

bool runs(const metrics::Reading& reading) {
    return reading.metrics.state == "running";
}
bool has_domain_figures(const metrics::Reading& reading) {
    return runs(reading) || reading.metrics.state == "paused";
}

using Value = std::optional<std::string>;
using Of = Value (*)(const metrics::Reading&);

Value flag(bool on) {
    return on ? "1" : "0";
}
/// A figure that only a domain with a QEMU process has.
Value live(const metrics::Reading& reading, double value) {
    return has_domain_figures(reading) ? Value(text::Exposition::number(value)) : std::nullopt;
}
/// A figure of which -1 says that it is not known.
Value known(std::int64_t value, double unit = 1) {
    return value < 0 ? std::nullopt : Value(text::Exposition::number(static_cast<double>(value) * unit));
}
/// A counter of the hypervisor's. One from QEMU is missing while QEMU is busy.
enum class From { kernel, qemu };
Value counter(const metrics::Reading& reading, std::uint64_t DomainStats::*member, From from) {
    if (!reading.stats || !has_domain_figures(reading)) return std::nullopt;
    if (from == From::qemu && !reading.stats->complete) return std::nullopt;
    return std::to_string((*reading.stats).*member);
}

struct Family {
    const char *name, *type, *help;
    Of of;
};

constexpr Family families[] = {
    {"up", "gauge", "Whether the VM runs and its figures could be read.",
     [](const metrics::Reading& r) { return flag(runs(r) && r.stats && r.stats->complete); }},
    {"guest_agent_up", "gauge", "Whether the guest agent answered in time.",
     [](const metrics::Reading& r) { return flag(r.metrics.guest_agent_responsive); }},
    {"cpu_seconds_total", "counter", "CPU time used by the VM.",
     [](const metrics::Reading& r) -> Value {
         if (!r.stats || !has_domain_figures(r)) return std::nullopt;
         return fmt::format("{}.{:09}", r.stats->cpu_time_ns / 1'000'000'000,
                            r.stats->cpu_time_ns % 1'000'000'000);
     }},
    {"cpu_usage_ratio", "gauge", "CPU time used of what the virtual CPUs could use, since the last look.",
     [](const metrics::Reading& r) {
         const auto cpus = static_cast<double>(std::max<std::int64_t>(1, r.metrics.cpu_count));
         return live(r, r.metrics.cpu_percent / (100 * cpus));
     }},
    {"cpus", "gauge", "Virtual CPUs.",
     [](const metrics::Reading& r) { return live(r, static_cast<double>(r.metrics.cpu_count)); }},
    {"memory_used_bytes", "gauge", "Memory in use, as the guest tells, else of its process.",
     [](const metrics::Reading& r) -> Value {
         if (r.stats && !r.stats->complete) return std::nullopt;
         return live(r, static_cast<double>(r.metrics.memory_used_mb) * bytes_per_mb);
     }},
    {"memory_size_bytes", "gauge", "Memory the VM may have.",
     [](const metrics::Reading& r) {
         return live(r, static_cast<double>(r.metrics.memory_total_mb) * bytes_per_mb);
     }},
    {"disk_used_bytes", "gauge", "Bytes used on the guest's root filesystem.",
     [](const metrics::Reading& r) { return known(r.metrics.disk_used_mb, bytes_per_mb); }},
    {"disk_size_bytes", "gauge", "Size of the VM's disk.",
     [](const metrics::Reading& r) -> Value {
         if (!r.stats || !r.stats->complete) return std::nullopt;
         return live(r, static_cast<double>(r.stats->disk_capacity_bytes));
     }},
    {"disk_reads_total", "counter", "Read requests of the VM's disks.",
     [](const metrics::Reading& r) { return counter(r, &DomainStats::read_requests, From::qemu); }},
    {"disk_writes_total", "counter", "Write requests of the VM's disks.",
     [](const metrics::Reading& r) { return counter(r, &DomainStats::write_requests, From::qemu); }},
    {"disk_read_bytes_total", "counter", "Bytes read from the VM's disks.",
     [](const metrics::Reading& r) { return counter(r, &DomainStats::read_bytes, From::qemu); }},
    {"disk_written_bytes_total", "counter", "Bytes written to the VM's disks.",
     [](const metrics::Reading& r) { return counter(r, &DomainStats::write_bytes, From::qemu); }},
    {"network_receive_bytes_total", "counter", "Bytes the guest received.",
     [](const metrics::Reading& r) { return counter(r, &DomainStats::received_bytes, From::kernel); }},
    {"network_transmit_bytes_total", "counter", "Bytes the guest sent.",
     [](const metrics::Reading& r) { return counter(r, &DomainStats::sent_bytes, From::kernel); }},
    {"network_connections", "gauge", "Established TCP connections of the guest.",
     [](const metrics::Reading& r) { return known(r.metrics.net_connections); }},
    {"uptime_seconds", "gauge", "How long the guest has been up.",
     [](const metrics::Reading& r) -> Value {
         return has_domain_figures(r) ? known(r.metrics.uptime_seconds) : std::nullopt;
     }},
};

} // namespace

boost::json::object metrics_object(const metrics::Metrics& m) {
    return {{"cpu_percent", m.cpu_percent},
            {"cpu_count", m.cpu_count},
            {"memory_used_mb", m.memory_used_mb},
            {"memory_total_mb", m.memory_total_mb},
            {"disk_used_mb", m.disk_used_mb},
            {"disk_total_mb", m.disk_total_mb},
            {"disk_read_iops", m.disk_read_iops},
            {"disk_write_iops", m.disk_write_iops},
            {"disk_read_bytes_sec", m.disk_read_bytes_sec},
            {"disk_write_bytes_sec", m.disk_write_bytes_sec},
            {"net_rx_bytes_sec", m.net_rx_bytes_sec},
            {"net_tx_bytes_sec", m.net_tx_bytes_sec},
            {"net_connections", m.net_connections},
            {"guest_agent_responsive", m.guest_agent_responsive},
            {"uptime_seconds", m.uptime_seconds},
            {"state", m.state},
            {"state_reason", m.state_reason}};
}

boost::json::object named_object(const metrics::Reading& reading) {
    boost::json::object object{{"name", reading.name.str()}};
    for (const auto& member : metrics_object(reading.metrics)) object[member.key()] = member.value();
    return object;
}

std::string prometheus_text(std::span<const metrics::Reading> readings) {
    text::Exposition page;
    for (const Family& family : families) {
        page.family(std::string("blockhost_vm_") + family.name, family.type, family.help);
        for (const metrics::Reading& reading : readings)
            if (const Value value = family.of(reading)) page.sample(*value, {{"name", reading.name.str()}});
    }
    page.family("blockhost_vm_state", "gauge", "The VM's state, as the label says.");
    for (const metrics::Reading& reading : readings)
        page.sample("1", {{"name", reading.name.str()}, {"state", std::string(reading.metrics.state)}});
    page.family("blockhost_vm_state_reason", "gauge", "Why it is in that state, as libvirt says.");
    for (const metrics::Reading& reading : readings)
        if (!reading.metrics.state_reason.empty())
            page.sample("1", {{"name", reading.name.str()}, {"reason", reading.metrics.state_reason}});
    return page.take();
}

} // namespace blockhost::subcommands
