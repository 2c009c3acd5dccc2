// SPDX-License-Identifier: MIT
#include "agent/service/metrics_page.hpp"

#include "backup/last_drill.hpp"
#include "backup/ledger.hpp"
#include "backup/settings.hpp"
#include "base/text/exposition.hpp"
#include "base/text/json.hpp"

#include <boost/json/array.hpp>
#include <fmt/format.h>
#include <map>

namespace blockhost::agent {

namespace {

namespace bj = boost::json;
using text::Exposition;

std::optional<double> number(const bj::object& from, std::string_view key, double unit = 1) {
    const auto* value = json::member(from, key);
    if (value == nullptr || !value->is_number()) return std::nullopt;
    return value->to_number<double>() * unit;
}

std::optional<double> instant(const std::optional<Instant>& at) {
    if (!at) return std::nullopt;
    return std::chrono::duration<double>(at->time_since_epoch()).count();
}

const bj::array& list(const bj::object& from, std::string_view key) {
    static const bj::array none;
    const auto* value = json::member(from, key);
    return value != nullptr && value->is_array() ? value->get_array() : none;
}

/// Of a list; nothing where there is none.
std::optional<double> count(const bj::object& from, std::string_view key) {
    const auto* value = json::member(from, key);
    if (value == nullptr || !value->is_array()) return std::nullopt;
    return static_cast<double>(value->get_array().size());
}

void of_host(Exposition& page, const bj::object& report) {
    constexpr double mib = 1024.0 * 1024.0;
    const bj::object& facts = json::object_in(report, "facts");
    if (!report.contains("agent")) return; // the host cannot be seen
    page.family("blockhost_agent_info", "gauge", "The agent: its version, and what it sees to.");
    page.sample(1, {{"version", json::string_or(json::object_in(report, "agent"), "version", "")},
                    {"host", json::string_or(report, "host", "")},
                    {"platform", json::string_or(facts, "platform", "")}});
    page.one("blockhost_host_uptime_seconds", "gauge", "How long the host has been up.",
             number(facts, "uptime_s"));
    page.one("blockhost_host_cpus", "gauge", "Processors of the host.", number(facts, "cpus"));
    page.one("blockhost_host_load1", "gauge", "Load of the host over a minute.", number(facts, "load"));
    page.one("blockhost_host_memory_bytes", "gauge", "Memory of the host.", number(facts, "memory_mib", mib));
    page.one("blockhost_host_memory_free_bytes", "gauge", "Memory of the host that nobody uses.",
             number(facts, "memory_free_mib", mib));
    page.one("blockhost_host_certificate_expiry_seconds", "gauge",
             "When the node's certificate ends, in Unix time.", number(facts, "certificate_expiry"));
}

void of_guests(Exposition& page, const bj::object& report) {
    if (!report.contains("guests")) return; // they could not be seen
    std::map<std::string, int> by_power;
    page.family("blockhost_guest_up", "gauge", "1: the guest runs; 0: it does not, or is not known.");
    for (const bj::value& each : list(report, "guests")) {
        const std::string power = json::string_or(each, "power", "");
        ++by_power[power];
        page.sample(power == "running" ? 1 : 0, {{"guest", json::string_or(each, "id", "")},
                                                 {"name", json::string_or(each, "name", "")},
                                                 {"kind", json::string_or(each, "kind", "")}});
    }
    page.family("blockhost_guests", "gauge", "Guests, by their power state.");
    for (const auto& [power, count] : by_power) page.sample(count, {{"power", power}});
    page.one("blockhost_guests_in_doubt", "gauge", "1: there may be more guests than are seen.",
             json::string_or(report, "doubt", "").empty() ? 0 : 1);
}

void of_wishes(Exposition& page, const bj::object& report) {
    const bj::object& desired = json::object_in(report, "desired");
    page.one("blockhost_desired_generation", "gauge", "The generation of the desired state that is followed.",
             number(desired, "generation"));
    const auto* converged = json::member(desired, "converged");
    if (converged != nullptr && converged->is_bool())
        page.one("blockhost_desired_converged", "gauge", "1: the host is as it is wanted.",
                 converged->get_bool() ? 1 : 0);
    page.one("blockhost_desired_left", "gauge", "What is left to be done, or cannot be.",
             count(desired, "left"));
    page.one("blockhost_operations_open", "gauge", "Operations that have not ended.",
             count(report, "operations"));
    page.one("blockhost_signatures_pending", "gauge", "Operations that wait for a signature.",
             count(report, "pending"));
}

void of_loop(Exposition& page, const bj::object& report, const LoopFigures& loop) {
    page.family("blockhost_trouble", "gauge", "What keeps the agent from its work now, as the label says.");
    for (const bj::value& each : list(report, "troubles"))
        page.sample(1, {{"what", json::string_or(each, "what", "")}});
    page.one("blockhost_hub_last_exchange_seconds", "gauge", "When the hub answered last, in Unix time.",
             instant(loop.exchange));
    page.one("blockhost_last_look_seconds", "gauge", "When the agent saw all of its host last, in Unix time.",
             instant(loop.look));
    page.one("blockhost_events_dropped_total", "counter", "Events that were dropped since the host began.",
             loop.dropped_events);
    page.one("blockhost_blocked", "gauge", "1: the hub blocks this host.", loop.is_blocked ? 1 : 0);
}

void of_backups(Exposition& page, const std::vector<BackupFigures>& backups) {
    if (backups.empty()) return;
    page.family("blockhost_backup_last_seconds", "gauge",
                "When the guest's last whole backup began, in Unix time.");
    for (const BackupFigures& each : backups)
        if (each.last) page.sample(*instant(each.last), {{"guest", each.guest}});
    page.family("blockhost_drill_last_seconds", "gauge", "When the guest's last drill ended, in Unix time.");
    for (const BackupFigures& each : backups)
        if (each.drill) page.sample(*instant(each.drill), {{"guest", each.guest}});
    page.family("blockhost_drill_passed", "gauge", "1: the guest's last drill passed.");
    for (const BackupFigures& each : backups)
        if (each.drill) page.sample(each.drill_passed ? 1 : 0, {{"guest", each.guest}});
}

} // namespace

std::vector<BackupFigures> backup_figures(const Paths& paths) {
    std::vector<BackupFigures> all;
    const auto settings = backup::read_settings(paths);
    auto ledger = settings ? backup::Ledger::existing(paths, settings->repository_id) : std::nullopt;
    if (!ledger) return all;
    for (const auto& [vm, began] : ledger->all_last_good()) {
        BackupFigures figures{.guest = vm.str(), .last = began, .drill = {}};
        if (const auto drill = backup::read_last_drill(paths, vm)) {
            figures.drill = drill->at;
            figures.drill_passed = drill->passed;
        }
        all.push_back(std::move(figures));
    }
    return all;
}

std::string metrics_page(const bj::object& report, const LoopFigures& loop,
                         const std::vector<BackupFigures>& backups) {
    Exposition page;
    of_host(page, report);
    of_guests(page, report);
    of_wishes(page, report);
    of_loop(page, report, loop);
    of_backups(page, backups);
    return page.take();
}

} // namespace blockhost::agent
