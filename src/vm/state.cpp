// SPDX-License-Identifier: MIT
/// The two tables of the state machine, and its diagram.

#include "vm/state.hpp"

#include <array>
#include <fmt/format.h>

namespace blockhost {

namespace {

constexpr std::array<StateRow, 20> states{{
    {RecordSeen::none, DomainSeen::none, VmState::absent},
    {RecordSeen::none, DomainSeen::running, VmState::orphaned},
    {RecordSeen::none, DomainSeen::paused, VmState::orphaned},
    {RecordSeen::none, DomainSeen::off, VmState::orphaned},
    {RecordSeen::none, DomainSeen::foreign, VmState::foreign},
    {RecordSeen::active, DomainSeen::none, VmState::lost},
    {RecordSeen::active, DomainSeen::running, VmState::active},
    {RecordSeen::active, DomainSeen::paused, VmState::paused},
    {RecordSeen::active, DomainSeen::off, VmState::stopped},
    {RecordSeen::active, DomainSeen::foreign, VmState::foreign},
    {RecordSeen::suspended, DomainSeen::none, VmState::lost},
    {RecordSeen::suspended, DomainSeen::running, VmState::running_while_suspended},
    {RecordSeen::suspended, DomainSeen::paused, VmState::running_while_suspended},
    {RecordSeen::suspended, DomainSeen::off, VmState::suspended},
    {RecordSeen::suspended, DomainSeen::foreign, VmState::foreign},
    {RecordSeen::destroyed, DomainSeen::none, VmState::destroyed},
    {RecordSeen::destroyed, DomainSeen::running, VmState::running_while_destroyed},
    {RecordSeen::destroyed, DomainSeen::paused, VmState::running_while_destroyed},
    {RecordSeen::destroyed, DomainSeen::off, VmState::orphaned},
    {RecordSeen::destroyed, DomainSeen::foreign, VmState::foreign},
}};

using Kind = Verdict::Kind;

constexpr std::string_view exists = "VM already exists in database: {name} (status: {status})";
constexpr std::string_view other_name = "choose another name, or destroy it first";
constexpr std::string_view no_such = "there is no VM named {name}";
constexpr std::string_view see_list = "'blockhost-libvirt list' shows the names";
constexpr std::string_view not_ours = "{name} is taken by {stranger}; it is left untouched";
constexpr std::string_view rename_it = "choose another name, or rename that domain with virsh domrename";
constexpr std::string_view was_destroyed = "{name} was destroyed";
constexpr std::string_view not_suspended = "{name} is not suspended (status: {status})";
constexpr std::string_view extend_it = "'blockhost-libvirt extend {name} --days N' gives it more time";
constexpr std::string_view start_it = "'blockhost-libvirt start {name}' lets it run";
constexpr std::string_view unrecorded = "{name} is a domain of ours without a live record in the VM database";
constexpr std::string_view undo_first = "'blockhost-libvirt recover {name}' finishes what was interrupted";
constexpr std::string_view destroy_it = "'blockhost-libvirt destroy {name}' removes it with its disk";
constexpr std::string_view unpaid = "{name} is suspended since {since}, unpaid";
constexpr std::string_view resume_it = "resume it (extend first)";
constexpr std::string_view half_made = "{name} is half made: its create is at work or was interrupted";
constexpr std::string_view half_gone = "{name} is being destroyed";
constexpr std::string_view domain_lost = "the domain of {name} is gone from libvirt";
constexpr std::string_view ask_libvirt = "look at 'virsh list --all'; destroy it if it is not coming back";

constexpr Verdict refuse(VmState state, Verb verb, Code code, std::string_view message,
                         std::string_view hint) {
    return {state, verb, Kind::refuse, "", code, message, hint};
}
constexpr Verdict run(VmState state, Verb verb, std::string_view plan) {
    return {state, verb, Kind::run, plan, Code::internal, "", ""};
}
constexpr Verdict nothing(VmState state, Verb verb) {
    return {state, verb, Kind::nothing, "", Code::internal, "", ""};
}

using S = VmState;
using V = Verb;

constexpr std::array<Verdict, 169> verdicts{{
    run(S::absent, V::create, "create"),
    run(S::destroyed, V::create, "create"),
    refuse(S::creating, V::create, Code::busy, half_made, undo_first),
    refuse(S::active, V::create, Code::exists, exists, other_name),
    refuse(S::paused, V::create, Code::exists, exists, other_name),
    refuse(S::stopped, V::create, Code::exists, exists, other_name),
    refuse(S::suspended, V::create, Code::exists, exists, other_name),
    refuse(S::lost, V::create, Code::exists, exists, other_name),
    refuse(S::running_while_suspended, V::create, Code::exists, exists, other_name),
    refuse(S::destroying, V::create, Code::busy, half_gone, undo_first),
    refuse(S::orphaned, V::create, Code::exists, unrecorded, destroy_it),
    refuse(S::running_while_destroyed, V::create, Code::exists, unrecorded, destroy_it),
    refuse(S::foreign, V::create, Code::foreign, not_ours, rename_it),

    nothing(S::absent, V::destroy),
    nothing(S::destroyed, V::destroy),
    refuse(S::creating, V::destroy, Code::busy, half_made, undo_first),
    run(S::active, V::destroy, "destroy"),
    run(S::paused, V::destroy, "destroy"),
    run(S::stopped, V::destroy, "destroy"),
    run(S::suspended, V::destroy, "destroy"),
    run(S::lost, V::destroy, "destroy"),
    run(S::running_while_suspended, V::destroy, "destroy"),
    refuse(S::destroying, V::destroy, Code::busy, half_gone, undo_first),
    run(S::orphaned, V::destroy, "destroy"),
    run(S::running_while_destroyed, V::destroy, "destroy"),
    refuse(S::foreign, V::destroy, Code::foreign, not_ours, rename_it),

    refuse(S::absent, V::start, Code::not_found, no_such, see_list),
    refuse(S::destroyed, V::start, Code::not_found, was_destroyed, see_list),
    refuse(S::creating, V::start, Code::busy, half_made, undo_first),
    run(S::active, V::start, "start"),
    run(S::paused, V::start, "start"),
    run(S::stopped, V::start, "start"),
    refuse(S::suspended, V::start, Code::wrong_state, unpaid, resume_it),
    refuse(S::lost, V::start, Code::not_found, domain_lost, ask_libvirt),
    refuse(S::running_while_suspended, V::start, Code::wrong_state, unpaid, resume_it),
    refuse(S::destroying, V::start, Code::busy, half_gone, undo_first),
    refuse(S::orphaned, V::start, Code::not_found, unrecorded, destroy_it),
    refuse(S::running_while_destroyed, V::start, Code::not_found, unrecorded, destroy_it),
    refuse(S::foreign, V::start, Code::foreign, not_ours, rename_it),

    refuse(S::absent, V::stop, Code::not_found, no_such, see_list),
    refuse(S::destroyed, V::stop, Code::not_found, was_destroyed, see_list),
    refuse(S::creating, V::stop, Code::busy, half_made, undo_first),
    run(S::active, V::stop, "stop"),
    run(S::paused, V::stop, "stop"),
    nothing(S::stopped, V::stop),
    nothing(S::suspended, V::stop),
    refuse(S::lost, V::stop, Code::not_found, domain_lost, ask_libvirt),
    run(S::running_while_suspended, V::stop, "stop"),
    refuse(S::destroying, V::stop, Code::busy, half_gone, undo_first),
    run(S::orphaned, V::stop, "stop"),
    run(S::running_while_destroyed, V::stop, "stop"),
    refuse(S::foreign, V::stop, Code::foreign, not_ours, rename_it),

    nothing(S::absent, V::kill),
    nothing(S::destroyed, V::kill),
    refuse(S::creating, V::kill, Code::busy, half_made, undo_first),
    run(S::active, V::kill, "kill"),
    run(S::paused, V::kill, "kill"),
    nothing(S::stopped, V::kill),
    nothing(S::suspended, V::kill),
    nothing(S::lost, V::kill),
    run(S::running_while_suspended, V::kill, "kill"),
    refuse(S::destroying, V::kill, Code::busy, half_gone, undo_first),
    run(S::orphaned, V::kill, "kill"),
    run(S::running_while_destroyed, V::kill, "kill"),
    refuse(S::foreign, V::kill, Code::foreign, not_ours, rename_it),

    refuse(S::absent, V::suspend, Code::not_found, no_such, see_list),
    refuse(S::destroyed, V::suspend, Code::not_found, was_destroyed, see_list),
    refuse(S::creating, V::suspend, Code::busy, half_made, undo_first),
    run(S::active, V::suspend, "suspend"),
    run(S::paused, V::suspend, "suspend"),
    run(S::stopped, V::suspend, "suspend"),
    nothing(S::suspended, V::suspend),
    run(S::lost, V::suspend, "suspend"),
    run(S::running_while_suspended, V::suspend, "suspend"),
    refuse(S::destroying, V::suspend, Code::busy, half_gone, undo_first),
    refuse(S::orphaned, V::suspend, Code::not_found, unrecorded, destroy_it),
    refuse(S::running_while_destroyed, V::suspend, Code::not_found, unrecorded, destroy_it),
    refuse(S::foreign, V::suspend, Code::foreign, not_ours, rename_it),

    refuse(S::absent, V::resume, Code::not_found, "VM not found: {name}", see_list),
    refuse(S::destroyed, V::resume, Code::wrong_state, not_suspended, see_list),
    refuse(S::creating, V::resume, Code::busy, half_made, undo_first),
    refuse(S::active, V::resume, Code::wrong_state, not_suspended, extend_it),
    refuse(S::paused, V::resume, Code::wrong_state, not_suspended, start_it),
    refuse(S::stopped, V::resume, Code::wrong_state, not_suspended, start_it),
    run(S::suspended, V::resume, "resume"),
    refuse(S::lost, V::resume, Code::not_found, domain_lost, ask_libvirt),
    run(S::running_while_suspended, V::resume, "resume"),
    refuse(S::destroying, V::resume, Code::busy, half_gone, undo_first),
    refuse(S::orphaned, V::resume, Code::not_found, unrecorded, destroy_it),
    refuse(S::running_while_destroyed, V::resume, Code::not_found, unrecorded, destroy_it),
    refuse(S::foreign, V::resume, Code::foreign, not_ours, rename_it),

    refuse(S::absent, V::configure, Code::not_found, no_such, see_list),
    refuse(S::destroyed, V::configure, Code::not_found, was_destroyed, see_list),
    refuse(S::creating, V::configure, Code::busy, half_made, undo_first),
    run(S::active, V::configure, "configure"),
    run(S::paused, V::configure, "configure"),
    run(S::stopped, V::configure, "configure"),
    run(S::suspended, V::configure, "configure"),
    refuse(S::lost, V::configure, Code::not_found, domain_lost, ask_libvirt),
    run(S::running_while_suspended, V::configure, "configure"),
    refuse(S::destroying, V::configure, Code::busy, half_gone, undo_first),
    refuse(S::orphaned, V::configure, Code::not_found, unrecorded, destroy_it),
    refuse(S::running_while_destroyed, V::configure, Code::not_found, unrecorded, destroy_it),
    refuse(S::foreign, V::configure, Code::foreign, not_ours, rename_it),
    refuse(S::absent, V::backup, Code::not_found, no_such, see_list),
    refuse(S::destroyed, V::backup, Code::not_found, was_destroyed, see_list),
    refuse(S::creating, V::backup, Code::busy, half_made, undo_first),
    run(S::active, V::backup, "backup"),
    run(S::paused, V::backup, "backup"),
    run(S::stopped, V::backup, "backup"),
    run(S::suspended, V::backup, "backup"),
    refuse(S::lost, V::backup, Code::not_found, domain_lost, ask_libvirt),
    run(S::running_while_suspended, V::backup, "backup"),
    refuse(S::destroying, V::backup, Code::busy, half_gone, undo_first),
    refuse(S::orphaned, V::backup, Code::not_found, unrecorded, destroy_it),
    refuse(S::running_while_destroyed, V::backup, Code::not_found, unrecorded, destroy_it),
    refuse(S::foreign, V::backup, Code::foreign, not_ours, rename_it),

    refuse(S::absent, V::snapshot_take, Code::not_found, no_such, see_list),
    refuse(S::destroyed, V::snapshot_take, Code::not_found, was_destroyed, see_list),
    refuse(S::creating, V::snapshot_take, Code::busy, half_made, undo_first),
    run(S::active, V::snapshot_take, "snapshot-take"),
    run(S::paused, V::snapshot_take, "snapshot-take"),
    run(S::stopped, V::snapshot_take, "snapshot-take"),
    run(S::suspended, V::snapshot_take, "snapshot-take"),
    refuse(S::lost, V::snapshot_take, Code::not_found, domain_lost, ask_libvirt),
    refuse(S::running_while_suspended, V::snapshot_take, Code::wrong_state, unpaid, resume_it),
    refuse(S::destroying, V::snapshot_take, Code::busy, half_gone, undo_first),
    refuse(S::orphaned, V::snapshot_take, Code::not_found, unrecorded, destroy_it),
    refuse(S::running_while_destroyed, V::snapshot_take, Code::not_found, unrecorded, destroy_it),
    refuse(S::foreign, V::snapshot_take, Code::foreign, not_ours, rename_it),

    refuse(S::absent, V::snapshot_undo, Code::not_found, no_such, see_list),
    refuse(S::destroyed, V::snapshot_undo, Code::not_found, was_destroyed, see_list),
    refuse(S::creating, V::snapshot_undo, Code::busy, half_made, undo_first),
    run(S::active, V::snapshot_undo, "snapshot-undo"),
    run(S::paused, V::snapshot_undo, "snapshot-undo"),
    run(S::stopped, V::snapshot_undo, "snapshot-undo"),
    run(S::suspended, V::snapshot_undo, "snapshot-undo"),
    refuse(S::lost, V::snapshot_undo, Code::not_found, domain_lost, ask_libvirt),
    run(S::running_while_suspended, V::snapshot_undo, "snapshot-undo"),
    refuse(S::destroying, V::snapshot_undo, Code::busy, half_gone, undo_first),
    refuse(S::orphaned, V::snapshot_undo, Code::not_found, unrecorded, destroy_it),
    refuse(S::running_while_destroyed, V::snapshot_undo, Code::not_found, unrecorded, destroy_it),
    refuse(S::foreign, V::snapshot_undo, Code::foreign, not_ours, rename_it),

    refuse(S::absent, V::snapshot_keep, Code::not_found, no_such, see_list),
    refuse(S::destroyed, V::snapshot_keep, Code::not_found, was_destroyed, see_list),
    refuse(S::creating, V::snapshot_keep, Code::busy, half_made, undo_first),
    run(S::active, V::snapshot_keep, "snapshot-keep"),
    run(S::paused, V::snapshot_keep, "snapshot-keep"),
    run(S::stopped, V::snapshot_keep, "snapshot-keep"),
    run(S::suspended, V::snapshot_keep, "snapshot-keep"),
    refuse(S::lost, V::snapshot_keep, Code::not_found, domain_lost, ask_libvirt),
    run(S::running_while_suspended, V::snapshot_keep, "snapshot-keep"),
    refuse(S::destroying, V::snapshot_keep, Code::busy, half_gone, undo_first),
    refuse(S::orphaned, V::snapshot_keep, Code::not_found, unrecorded, destroy_it),
    refuse(S::running_while_destroyed, V::snapshot_keep, Code::not_found, unrecorded, destroy_it),
    refuse(S::foreign, V::snapshot_keep, Code::foreign, not_ours, rename_it),

    refuse(S::absent, V::restore_in_place, Code::not_found, no_such, see_list),
    refuse(S::destroyed, V::restore_in_place, Code::not_found, was_destroyed, see_list),
    refuse(S::creating, V::restore_in_place, Code::busy, half_made, undo_first),
    run(S::active, V::restore_in_place, "restore-in-place"),
    run(S::paused, V::restore_in_place, "restore-in-place"),
    run(S::stopped, V::restore_in_place, "restore-in-place"),
    run(S::suspended, V::restore_in_place, "restore-in-place"),
    refuse(S::lost, V::restore_in_place, Code::not_found, domain_lost, ask_libvirt),
    run(S::running_while_suspended, V::restore_in_place, "restore-in-place"),
    refuse(S::destroying, V::restore_in_place, Code::busy, half_gone, undo_first),
    refuse(S::orphaned, V::restore_in_place, Code::not_found, unrecorded, destroy_it),
    refuse(S::running_while_destroyed, V::restore_in_place, Code::not_found, unrecorded, destroy_it),
    refuse(S::foreign, V::restore_in_place, Code::foreign, not_ours, rename_it),
}};

} // namespace

std::span<const StateRow> state_table() {
    return states;
}
std::span<const Verdict> verdict_table() {
    return verdicts;
}

VmState classify(RecordSeen record, DomainSeen domain, EntrySeen entry) {
    if (entry == EntrySeen::create) return VmState::creating;
    if (entry == EntrySeen::destroy) return VmState::destroying;
    for (const StateRow& row : states)
        if (row.record == record && row.domain == domain) return row.state;
    throw Error(Code::internal, "the state table has no row for what was observed");
}

const Verdict& verdict_of(VmState state, Verb verb) {
    for (const Verdict& row : verdicts)
        if (row.state == state && row.verb == verb) return row;
    throw Error(Code::internal, "the verdict table has no row for this state and verb");
}

std::string_view to_string(VmState state) {
    switch (state) {
    case VmState::absent:
        return "absent";
    case VmState::creating:
        return "creating";
    case VmState::active:
        return "active";
    case VmState::paused:
        return "paused";
    case VmState::stopped:
        return "stopped";
    case VmState::suspended:
        return "suspended";
    case VmState::destroying:
        return "destroying";
    case VmState::destroyed:
        return "destroyed";
    case VmState::orphaned:
        return "orphaned";
    case VmState::lost:
        return "lost";
    case VmState::foreign:
        return "foreign";
    case VmState::running_while_suspended:
        return "running-while-suspended";
    case VmState::running_while_destroyed:
        return "running-while-destroyed";
    }
    return "?";
}

std::string_view to_string(Verb verb) {
    switch (verb) {
    case Verb::create:
        return "create";
    case Verb::destroy:
        return "destroy";
    case Verb::start:
        return "start";
    case Verb::stop:
        return "stop";
    case Verb::kill:
        return "kill";
    case Verb::suspend:
        return "suspend";
    case Verb::resume:
        return "resume";
    case Verb::configure:
        return "configure";
    case Verb::backup:
        return "backup";
    case Verb::snapshot_take:
        return "snapshot-take";
    case Verb::snapshot_undo:
        return "snapshot-undo";
    case Verb::restore_in_place:
        return "restore-in-place";
    case Verb::snapshot_keep:
        return "snapshot-keep";
    }
    return "?";
}

std::string_view to_string(RecordSeen record) {
    switch (record) {
    case RecordSeen::none:
        return "none";
    case RecordSeen::active:
        return "active";
    case RecordSeen::suspended:
        return "suspended";
    case RecordSeen::destroyed:
        return "destroyed";
    }
    return "?";
}

std::string_view to_string(DomainSeen domain) {
    switch (domain) {
    case DomainSeen::none:
        return "none";
    case DomainSeen::running:
        return "running";
    case DomainSeen::paused:
        return "paused";
    case DomainSeen::off:
        return "off";
    case DomainSeen::foreign:
        return "foreign";
    }
    return "?";
}

namespace {

/// Where a plan leads, for the diagram: while it runs, and afterwards.
struct Transition {
    Verb verb;
    std::string_view during, after;
};
constexpr std::array<Transition, 13> transitions{{
    {Verb::create, "creating", "active"},
    {Verb::destroy, "destroying", "destroyed"},
    {Verb::start, "", "active"},
    {Verb::stop, "", "stopped"},
    {Verb::kill, "", "stopped"},
    {Verb::suspend, "", "suspended"},
    {Verb::resume, "", "active"},
    {Verb::configure, "", ""},
    {Verb::backup, "", ""},
    {Verb::snapshot_take, "", ""},
    {Verb::snapshot_undo, "", ""},
    {Verb::snapshot_keep, "", ""},
    {Verb::restore_in_place, "", ""},
}};

std::string node(std::string_view state) {
    std::string id(state);
    for (char& c : id)
        if (c == '-') c = '_';
    return id;
}

/// Where a run of `verb` leads from `state`. A stop or kill leaves a VM that was not active suspended or
/// orphaned.
std::string_view end_of(VmState state, Verb verb) {
    const Transition& transition = transitions[static_cast<std::size_t>(verb)];
    if (!transition.during.empty()) return transition.during;
    if (transition.after.empty()) return to_string(state); // it stays what it is
    if (transition.after != "stopped") return transition.after;
    if (state == VmState::running_while_suspended) return "suspended";
    if (state == VmState::orphaned || state == VmState::running_while_destroyed) return "orphaned";
    return transition.after;
}

std::string diagram() {
    std::string out = "```mermaid\nstateDiagram-v2\n";
    for (const Verdict& v : verdicts) {
        if (v.kind != Kind::run) continue;
        const std::string_view to = end_of(v.state, v.verb);
        if (to != to_string(v.state))
            out += fmt::format("    {} --> {} : {}\n", node(to_string(v.state)), node(to), to_string(v.verb));
    }
    out += "    creating --> active : done\n    creating --> absent : rolled back\n";
    out += "    destroying --> destroyed : done, or rolled forward\n```\n";
    return out;
}

} // namespace

std::string state_machine_markdown() {
    std::string out = diagram();
    out += "\n| record | domain | state |\n|---|---|---|\n";
    for (const StateRow& row : states)
        out += fmt::format("| {} | {} | {} |\n", to_string(row.record), to_string(row.domain),
                           to_string(row.state));
    out += "\n| state | verb | what happens |\n|---|---|---|\n";
    for (const Verdict& v : verdicts) {
        std::string what = v.kind == Kind::run ? fmt::format("runs `{}`", v.plan)
                           : v.kind == Kind::nothing
                               ? std::string("nothing to do")
                               : fmt::format("refused ({}): {}", row_of(v.code).name, v.message);
        out += fmt::format("| {} | {} | {} |\n", to_string(v.state), to_string(v.verb), what);
    }
    return out;
}

} // namespace blockhost
