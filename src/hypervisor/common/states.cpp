// SPDX-License-Identifier: MIT
/// See states.hpp.

#include "hypervisor/common/states.hpp"

#include "hypervisor/common/process_age.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace blockhost::libvirt {
namespace {

constexpr const char* access_hint = "run it as root or as a member of group libvirt";
/// What libvirt says of every silent agent, and callers look for.
constexpr std::string_view silent = "Guest agent is not responding: ";
/// More disks or interfaces than this no domain has; a count from elsewhere must not keep us busy.
constexpr std::uint64_t most_devices = 1024;

/// virDomainState.
enum State { running = 1, blocked, paused, shutting_down, off, crashed, asleep };
constexpr int crashed_panicked = 1; ///< virDomainCrashedReason

/// Nobody answered, or not yet: another conversation with that agent is under way.
bool is_silence(int libvirt_code) {
    return libvirt_code == number::agent_unresponsive || libvirt_code == number::agent_unsynced ||
           libvirt_code == number::operation_timeout;
}

/// The daemon reads 10 MiB of a reply, and passes 4 MiB on.
bool is_too_large(std::string_view words) {
    return words.find("No complete agent response found") != words.npos ||
           words.find("Unable to encode message payload") != words.npos;
}

/// From the process whose number the QEMU driver leaves in /run/libvirt/qemu/NAME.pid, for all to read.
std::optional<std::int64_t> seconds_running(const std::string& name) {
    const std::string pid = first_line("/run/libvirt/qemu/" + name + ".pid");
    if (pid.empty() || pid.find_first_not_of("0123456789") != pid.npos) return std::nullopt;
    const auto age = age_of("/proc/" + pid);
    if (!age || *age < 0) return std::nullopt;
    return static_cast<std::int64_t>(*age);
}

std::uint64_t get(const Fields& fields, std::string_view name) {
    return fields.find(name).value_or(0);
}

/// The sum of each of `whats` over all devices: "<group>.<n>.<what>".
template<std::size_t count>
std::array<std::uint64_t, count> sums(const Fields& fields, const std::string& group,
                                      const std::array<std::string_view, count>& whats) {
    std::array<std::uint64_t, count> totals{};
    const auto devices = std::min(get(fields, group + ".count"), most_devices);
    for (std::uint64_t n = 0; n < devices; ++n) {
        const std::string device = group + "." + std::to_string(n) + ".";
        for (std::size_t i = 0; i < count; ++i) totals[i] += get(fields, device + std::string(whats[i]));
    }
    return totals;
}

} // namespace

bool is_refusal(int code) {
    return code == number::auth_failed || code == number::auth_cancelled ||
           code == number::auth_unavailable || code == number::operation_denied ||
           code == number::access_denied;
}

bool means_none(int code) {
    return code == number::no_domain || code == number::no_metadata || code == number::no_support;
}

Code code_of(int code) {
    switch (code) {
    case number::no_domain:
    case number::no_storage_pool:
    case number::no_storage_volume:
    case number::no_filter:
        return Code::not_found;
    case number::domain_exists:
    case number::volume_exists:
        return Code::exists;
    case number::operation_invalid:
        return Code::wrong_state;
    case number::operation_timeout:
        return Code::busy; // another job holds the domain
    case number::agent_unresponsive:
    case number::agent_unsynced:
        return Code::guest;
    default:
        return is_refusal(code) ? Code::denied : Code::hypervisor;
    }
}

PowerState power_state(int state) {
    switch (state) {
    case running:
    case blocked:
        return PowerState::running;
    case paused:
    case asleep:
        return PowerState::paused;
    case shutting_down:
        return PowerState::stopping;
    case off:
        return PowerState::off;
    case crashed:
        return PowerState::crashed;
    default:
        return PowerState::unknown;
    }
}

std::string reason_words(int state, int number) {
    static constexpr const char* of_running[] = {"",
                                                 "booted",
                                                 "migrated",
                                                 "restored",
                                                 "from snapshot",
                                                 "unpaused",
                                                 "migration canceled",
                                                 "save canceled",
                                                 "event wakeup",
                                                 "crashed",
                                                 "post-copy",
                                                 "post-copy failed"};
    static constexpr const char* of_paused[] = {
        "",          "user",        "migrating",     "saving",           "dumping",
        "I/O error", "watchdog",    "from snapshot", "shutting down",    "creating snapshot",
        "crashed",   "starting up", "post-copy",     "post-copy failed", "api error"};
    static constexpr const char* of_off[] = {"",      "shutdown", "destroyed",     "crashed", "migrated",
                                             "saved", "failed",   "from snapshot", "daemon"};
    auto pick = [number](const auto& words) {
        return number >= 0 && static_cast<std::size_t>(number) < std::size(words) ? words[number] : "";
    };
    switch (state) {
    case running:
        return pick(of_running);
    case paused:
        return pick(of_paused);
    case off:
        return pick(of_off);
    case crashed:
        return number == crashed_panicked ? "panicked" : "";
    case asleep:
        return std::string(reason::asleep);
    default:
        return "";
    }
}

Power power_of(int state, int reason) {
    return {power_state(state), reason_words(state, reason)};
}

std::string disk_words(const std::vector<DiskError>& errors) {
    constexpr int no_error = 0, no_space = 2; // virDomainDiskErrorCode
    std::string words;
    for (const DiskError& each : errors) {
        if (each.error == no_error) continue;
        words += words.empty() ? "" : ", ";
        words += (each.error == no_space ? "no space left for " : "reading or writing fails on ") + each.disk;
    }
    return words;
}

Failure failure_of(Code code, std::string message, std::string hint) {
    return {true, code, std::move(message), std::move(hint)};
}

Failure refused(int libvirt_code, const std::string& doing, const std::string& words) {
    const Code code = code_of(libvirt_code);
    return failure_of(code, "libvirt cannot " + doing + ": " + words,
                      code == Code::denied ? access_hint : "");
}

Failure connection_ended(const std::string& doing, const std::string& words) {
    return failure_of(Code::no_answer,
                      "the connection to libvirt ended while it should " + doing + ": " + words, look_hint);
}

Failure unanswered(const std::string& uri, const std::string& words) {
    return failure_of(Code::no_answer, "libvirt at " + uri + " does not answer: " + words, look_hint);
}

Failure not_opened(const std::string& uri, int libvirt_code, bool shut, const std::string& words) {
    if (shut || is_refusal(libvirt_code))
        return failure_of(Code::denied, "libvirt at " + uri + " refuses us: " + words, access_hint);
    return failure_of(Code::hypervisor_down, "libvirt cannot be reached at " + uri + ": " + words,
                      "start it with `systemctl start libvirtd`");
}

Failure no_such_domain(const std::string& name) {
    return failure_of(Code::not_found, "libvirt has no domain " + name);
}

std::string asking_agent(const std::string& name) {
    return "ask the guest agent of " + name;
}

Failure agent_failure(Failure why, int libvirt_code, const std::string& name, const std::string& words) {
    switch (why.code) {
    case Code::wrong_state:
    case Code::not_found:
    case Code::no_answer:
    case Code::denied:
        return why;
    default:
        why.code = Code::guest;
    }
    if (is_too_large(words))
        why.message =
            "the guest agent of " + name + " sent a reply larger than libvirt takes (" + words + ")";
    else if (is_silence(libvirt_code) && !words.starts_with(silent))
        why.message = "libvirt cannot " + asking_agent(name) + ": " + std::string(silent) + words;
    return why;
}

std::string trimmed(std::string words) {
    words.resize(words.find_last_not_of('\n') + 1);
    return words;
}

DomainStats figures_of(std::string name, std::string uuid, int id, const Fields& fields) {
    DomainStats s;
    s.name = std::move(name);
    s.uuid = std::move(uuid);
    s.id = id;
    const auto power =
        power_of(static_cast<int>(get(fields, "state.state")), static_cast<int>(get(fields, "state.reason")));
    s.state = power.state;
    s.reason = power.reason;
    if (s.id >= 0) s.running_s = seconds_running(s.name);
    s.cpu_time_ns = get(fields, "cpu.time");
    s.memory_max_kib = get(fields, "balloon.maximum");
    s.memory_unused_kib = fields.find("balloon.unused");
    s.memory_available_kib = fields.find("balloon.available");
    s.memory_usable_kib = fields.find("balloon.usable");
    s.memory_told_s = fields.find("balloon.last-update");
    s.rss_kib = fields.find("balloon.rss");
    const auto cpus = fields.find("vcpu.current");
    s.cpus = std::max(static_cast<unsigned>(cpus ? *cpus : get(fields, "vcpu.maximum")), 1u);
    const auto net = sums<2>(fields, "net", {"rx.bytes", "tx.bytes"});
    s.received_bytes = net[0];
    s.sent_bytes = net[1];
    s.disk_capacity_bytes = get(fields, "block.0.capacity");
    const auto block = sums<4>(fields, "block", {"rd.reqs", "rd.bytes", "wr.reqs", "wr.bytes"});
    s.read_requests = block[0];
    s.read_bytes = block[1];
    s.write_requests = block[2];
    s.write_bytes = block[3];
    // What QEMU is asked for is missing when its monitor was busy: of a running domain's memory then its
    // process's size, which every complete answer has.
    s.complete = s.state == PowerState::off || s.rss_kib || !fields.find("block.count");
    return s;
}

} // namespace blockhost::libvirt
