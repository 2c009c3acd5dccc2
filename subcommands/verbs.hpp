#pragma once
/// What the verbs share: their rows' makers, the world they open, the VM name they are given.

#include "cli/command.hpp"
#include "cli/printer.hpp"
#include "lifecycle/world.hpp"

namespace blockhost::subcommands {

cli::Row create_row();
cli::Row destroy_row();
cli::Row start_row();
cli::Row stop_row();
cli::Row kill_row();
cli::Row status_row();
cli::Row list_row();
cli::Row metrics_row();
cli::Row throttle_row();
cli::Row guest_exec_row();
cli::Row update_gecos_row();
cli::Row gc_row();
cli::Row resume_row();
cli::Row extend_row();
cli::Row boot_row();
cli::Row recover_row();
cli::Row build_template_row();
cli::Row templates_row();
cli::Row setup_row();
cli::Row mint_nft_row();
cli::Row detect_row();
cli::Row version_row();
cli::Row help_row();
cli::Row dump_row();
cli::Row root_action_row();
cli::Row vms_row();

/// The operand that names an existing VM; completion offers those that fit.
cli::Operand vm_operand(cli::Operand::Fits fits = cli::Operand::Fits::live);
/// What the rows of start, stop and kill share: a contract verb that changes one existing VM.
cli::Row power_row(std::string_view verb, std::string_view contract_name);
/// That operand's value. Throws Error{invalid}.
VmName vm_name(const cli::Call& call);

/// How many VMs a verb works on at a time, and what was asked for.
cli::Option jobs_option();
unsigned jobs(const cli::Call& call);

/// The NAME of a verb that takes one or --all, exactly one of the two; nothing for --all. Throws Error{usage}
/// with `hint`.
std::optional<VmName> name_or_all(const cli::Call& call, std::string_view verb, std::string_view hint);

/// The VM database, for verbs that need nothing else of the world.
Registry registry_of(const cli::Call& call);
/// Its records; those that cannot be read are left out, with one warning.
std::vector<VmRecord> readable_records(const cli::Call& call);
std::vector<VmRecord> readable_records(const cli::Call& call, const Registry& registry);

/// Throws Error{denied} for anybody else; `what` begins the sentence.
void require_root(std::string_view what);

/// The world the call works in.
World open_world(const cli::Call& call, Intent intent);
/// Refuses a domain of that name that is not provably ours: its guest is somebody else's. An absent one
/// passes.
void require_ours(const cli::Call& call, Observer& hypervisor, const VmName& name);
/// A hypervisor to look at, without configuration.
std::unique_ptr<Hypervisor> open_observer(const cli::Call& call);
/// A hypervisor to speak to guests' agents through, without configuration; within 10 s.
std::unique_ptr<Hypervisor> open_for_agent(const cli::Call& call);

} // namespace blockhost::subcommands
