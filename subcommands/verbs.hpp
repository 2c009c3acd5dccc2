// SPDX-License-Identifier: MIT
#pragma once
/// What the verbs share: the world they open, the VM name they are given.

#include "cli/command.hpp"
#include "cli/printer.hpp"
#include "vm/context.hpp"

namespace blockhost::subcommands {

/// The operand that names an existing VM; completion offers those that fit.
cli::Operand vm_operand(cli::Operand::Fits fits = cli::Operand::Fits::live);
/// What the rows of start, stop and kill share: a contract verb that changes one existing VM.
cli::Row power_row(std::string_view verb, std::string_view contract_name);
/// The value of that operand. Throws Error{invalid}.
VmName vm_name(const cli::Call& call);

/// The option that says how many VMs a verb works on at a time, and its value.
cli::Option jobs_option();
unsigned jobs(const cli::Call& call);

/// The NAME of a verb that takes either NAME or --all; nothing for --all. Throws Error{usage} with `hint` for
/// both or none.
std::optional<VmName> name_or_all(const cli::Call& call, std::string_view verb, std::string_view hint);

/// The value of --for: how long a change of a disk can be undone. Throws Error{invalid}.
std::chrono::seconds undo_span(const cli::Call& call);
cli::Option undo_span_option(std::string_view help);

/// The VM database, for verbs that need nothing else of the world.
Registry registry_of(const cli::Call& call);
/// The readable records of the VM database; one warning says how many are left out.
std::vector<VmRecord> readable_records(const cli::Call& call);
std::vector<VmRecord> readable_records(const cli::Call& call, const Registry& registry);

/// Throws Error{denied} for anybody but root; `what` begins the sentence.
void require_root(std::string_view what);

/// The world that the call works in.
World open_world(const cli::Call& call, Intent intent);
/// The same for verbs that the admin panel gives up after a minute: all their waits together last 40 s at
/// most, so that they answer within 45.
World open_world_of_panel(const cli::Call& call);
/// Throws Error{foreign} for a domain of that name that is not provably this instance's: its guest is
/// somebody else's. An absent domain passes.
void require_ours(const cli::Call& call, Observer& hypervisor, const VmName& name);
/// A hypervisor to look at; it needs no configuration.
std::unique_ptr<Hypervisor> open_observer(const cli::Call& call);
/// A hypervisor through which guest agents are reached, opened within 10 s; it needs no configuration.
std::unique_ptr<Hypervisor> open_for_agent(const cli::Call& call);

} // namespace blockhost::subcommands
