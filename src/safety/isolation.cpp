// SPDX-License-Identifier: MIT
/// See isolation.hpp.

#include "safety/isolation.hpp"

#include "base/root_agent.hpp"
#include "base/text/json.hpp"
#include "hypervisor/xml/interface.hpp"
#include "safety/outside_text.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::safety {

namespace {

/// Nothing when its MAC or IPv4 address is not known.
std::optional<host::Placement> placement_of(const World& world, const Observation& seen) {
    const auto mac = seen.facts.macs.empty() ? std::nullopt : Mac::try_parse(seen.facts.macs.front());
    if (!mac || !seen.record || !seen.record->ip) return std::nullopt;
    const std::string bridge = seen.facts.bridge.empty() ? world.config.bridge : seen.facts.bridge;
    return host::Placement{bridge, *mac, *seen.record->ip, seen.record->ipv6};
}

constexpr FilterKind filter_kinds[] = {FilterKind::ipv4, FilterKind::ipv4_and_ipv6};

std::string name_of(const World& world, FilterKind kind) {
    return filter_name(kind, world.paths.is_default_root, world.instance);
}

/// Nothing when there is no address to pin the VM to.
std::optional<InterfaceFilter> filter_for(const World& world, const Observation& seen) {
    const auto placement = placement_of(world, seen);
    if (!placement || !placement->ip) return std::nullopt;
    const auto kind = placement->ipv6 ? FilterKind::ipv4_and_ipv6 : FilterKind::ipv4;
    return InterfaceFilter{name_of(world, kind), placement->mac, *placement->ip, placement->ipv6};
}

void make_filters_in(World& world, const std::string& xml) {
    for (const FilterKind kind : filter_kinds)
        if (const std::string name = name_of(world, kind); xml.find("'" + name + "'") != std::string::npos ||
                                                           xml.find('"' + name + '"') != std::string::npos)
            world.hypervisor().ensure_filter({kind, name});
}

/// The definition that the VM runs with; nothing when it is off, or gone.
std::optional<std::string> running_definition(World& world, const VmName& name) {
    auto view = world.hypervisor().find(name.str());
    if (!view || !is_alive(view->state)) return std::nullopt;
    const auto others = world.hypervisor().other_definitions(name.str());
    return others.empty() ? view->xml : others.front();
}

std::optional<std::string> definition_of(World& world, const VmName& name, TuningOf which) {
    if (which == TuningOf::running) return running_definition(world, name);
    auto view = world.hypervisor().find(name.str());
    return view && view->persistent ? std::optional(view->xml) : std::nullopt;
}

/// Returns why it failed. A lost connection is thrown, since it ends the operation; no other failure keeps a
/// VM off.
std::optional<std::string> set_interface(World& world, const VmName& name, const std::string& interface,
                                         TuningOf which) {
    try {
        make_filters_in(world, interface);
        world.hypervisor().set_interface(name.str(), interface, which);
        return std::nullopt;
    } catch (const Error& error) {
        if (is_lost_connection(error)) throw;
        return error.what();
    }
}

void warn(World& world, const std::vector<std::string>& problems) {
    for (const std::string& problem : problems) world.progress.warn(problem);
}

} // namespace

void place_routes(World& world, const Observation& seen) {
    if (const auto placement = placement_of(world, seen))
        warn(world, world.network->place(seen.name, *placement));
}

std::vector<std::string> guard_interfaces(World& world, const Observation& seen, TuningOf which) {
    std::vector<std::string> problems;
    const std::string bridge = seen.facts.bridge;
    const auto xml = definition_of(world, seen.name, which);
    if (!xml || bridge.empty()) return problems;
    const char* where = which == TuningOf::running ? "while it runs" : "when it starts";
    bool all_done = true;
    for (const std::string& interface : interfaces_to_guard(*xml, bridge, filter_for(world, seen)))
        if (const auto why = set_interface(world, seen.name, interface, which)) {
            problems.push_back(
                fmt::format("{} goes without its network filter {}: {}", seen.name.str(), where, *why));
            all_done = false;
        }
    if (all_done) return problems;
    for (const std::string& interface : interfaces_to_guard(*xml, bridge, std::nullopt))
        if (const auto why = set_interface(world, seen.name, interface, which))
            problems.push_back(fmt::format("the port of {} on {} is not isolated {}: {}", seen.name.str(),
                                           bridge, where, *why));
    return problems;
}

void plug_in(World& world, const VmName& name, const Mac& mac) {
    for (const TuningOf which : {TuningOf::running, TuningOf::definition})
        world.hypervisor().set_interface(
            name.str(), interface_with_link_up(definition_of(world, name, which).value_or(""), mac), which);
}

void guard_definition(World& world, const Observation& seen) {
    if (!seen.domain || seen.proof == Proof::none) return;
    warn(world, guard_interfaces(world, seen, TuningOf::definition));
    if (seen.mark) make_filters_in(world, seen.domain->xml);
}

namespace {

/// A running VM, to be compared with the guards that it should have.
struct Running {
    host::Placement placement;
    host::Port port;
    std::string xml;                        ///< the definition that it runs with
    std::vector<std::string> unspoken = {}; ///< guards that its interface, by that definition, was never
                                            ///< given
};

std::optional<Running> running_of(World& world, const Observation& seen) {
    const auto placement = placement_of(world, seen);
    auto xml = placement && seen.domain && seen.proof != Proof::none
                   ? definition_of(world, seen.name, TuningOf::running)
                   : std::nullopt;
    if (!xml) return std::nullopt;
    Running running{*placement, {}, std::move(*xml)};
    if (const auto interface = running_interface(running.xml, placement->mac))
        running.port = {interface->tap, interface->isolated, !interface->filter.empty()};
    if (!interfaces_to_guard(running.xml, placement->bridge, filter_for(world, seen)).empty())
        running.unspoken.push_back("it runs without an isolated port and its network filter");
    return running;
}

std::vector<std::string> clauses(const Running& running, const std::vector<host::Gap>& gaps) {
    std::vector<std::string> all = running.unspoken;
    for (const host::Gap gap : gaps) all.push_back(host::words_of(gap, running.placement, running.port));
    return all;
}

/// Mends one gap; adds the reason where that fails.
void mend(World& world, const Observation& seen, const Running& running, host::Gap gap,
          std::vector<std::string>& reasons) {
    const auto note = [&](const std::vector<std::string>& failures) {
        reasons.insert(reasons.end(), failures.begin(), failures.end());
    };
    switch (gap) {
    case host::Gap::bridge_gone:
    case host::Gap::bridge_down:
    case host::Gap::tap_gone:
        return; // the host's administrator mends it: the look afterwards tells of it
    case host::Gap::tap_elsewhere:
    case host::Gap::not_isolated:
        note(world.network->mend_port(running.placement, running.port));
        return;
    case host::Gap::lets_frames_pass_by:
        note(world.network->guard_port(seen.name, running.placement));
        return;
    case host::Gap::neighbour:
    case host::Gap::route:
        note(world.network->place(seen.name, running.placement));
        return;
    case host::Gap::not_filtered:
        try {
            world.hypervisor().bind_filter(seen.name.str(),
                                           filter_binding(running.xml, running.placement.mac));
        } catch (const Error& error) {
            if (is_lost_connection(error)) throw;
            reasons.emplace_back(error.what());
        }
    }
}

/// Looks twice: a tap that is connected again may lack isolation and mask, and its bridge the entries.
void mend_kernel(World& world, const Observation& seen, const Running& running,
                 std::vector<std::string>& reasons) {
    constexpr int rounds = 2;
    for (int round = 0; round < rounds && reasons.empty(); ++round)
        for (const host::Gap gap :
             world.network->gaps(world.network->look(), running.placement, running.port))
            mend(world, seen, running, gap, reasons);
}

Mending mend_here(World& world, const Observation& seen) {
    Mending end;
    const auto before = running_of(world, seen);
    if (!before) return end;
    const auto missing =
        clauses(*before, world.network->gaps(world.network->look(), before->placement, before->port));
    std::vector<std::string> reasons = guard_interfaces(world, seen, TuningOf::running);
    // A guard that this host cannot set must not keep the VM from starting the next time.
    if (reasons.empty()) reasons = guard_interfaces(world, seen, TuningOf::definition);
    auto now = running_of(world, seen);
    if (now) mend_kernel(world, seen, *now, reasons);
    now = running_of(world, seen);
    std::vector<std::string> left;
    if (now) left = clauses(*now, world.network->gaps(world.network->look(), now->placement, now->port));
    for (const std::string& clause : missing)
        if (std::ranges::find(left, clause) == left.end()) end.mended.push_back(clause);
    for (const std::string& clause : left)
        end.problems.push_back(fmt::format("{}: {}{}", seen.name.str(), clause,
                                           reasons.empty() ? "" : " (" + reasons.front() + ")"));
    if (left.empty()) end.problems = std::move(reasons);
    return end;
}

constexpr auto agent_span = std::chrono::seconds(30); // it carries out one action at a time, other callers'
                                                      // too

/// Nothing when there is no root agent, or it was not restarted since a version that has this step came.
std::optional<Mending> mend_through_agent(const World& world, const VmName& name) {
    try {
        const auto reply = call_root_agent(
            world.paths.root_agent_socket(), "vm-step",
            {{"name", name.str()}, {"operation", ""}, {"step", "guard"}, {"with", boost::json::object{}}},
            agent_span);
        return Mending{json::strings_in(reply, "mended"), json::strings_in(reply, "problems")};
    } catch (const Error&) {
        return std::nullopt;
    }
}

} // namespace

std::vector<std::string> missing_guards(World& world, const Observation& seen,
                                        const host::NetworkLook& look) {
    const auto running = running_of(world, seen);
    if (!running) return {};
    return clauses(*running, world.network->gaps(look, running->placement, running->port));
}

Mending mend_guards(World& world, const Observation& seen) {
    if (world.reality == Reality::real && geteuid() != 0)
        if (auto done = mend_through_agent(world, seen.name)) return *std::move(done);
    if (world.reality != Reality::real || geteuid() != 0) return mend_here(world, seen);
    const Observation believed = root::believed(world, seen);
    if (seen.record && !believed.record)
        return {{},
                {seen.name.str() +
                 ": it is not guarded, since the addresses in its record are none that a VM of "
                 "this host may have"}};
    return mend_here(world, believed);
}

void guard_running(World& world, const Observation& seen) {
    warn(world, mend_guards(world, seen).problems);
}

} // namespace blockhost::safety
