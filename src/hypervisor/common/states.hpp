// SPDX-License-Identifier: MIT
#pragma once
/// What libvirt's numbers mean to us, in one place for both ways of speaking to it: its library (the module
/// in libvirt/) and its protocol (rpc/). Plain functions without state; the module keeps a copy of its own.

#include "hypervisor/module_interface.hpp"

#include <string>
#include <string_view>

namespace blockhost::libvirt {

/// virErrorNumber, as far as we tell them apart. libvirt only ever appends; the module asserts that its
/// headers agree.
namespace number {
inline constexpr int no_support = 3, invalid_argument = 8, operation_failed = 9, domain_exists = 28;
inline constexpr int operation_denied = 29, system_error = 38, rpc = 39, no_domain = 42, auth_failed = 45;
inline constexpr int no_storage_pool = 49, no_storage_volume = 50, operation_invalid = 55, no_filter = 62;
inline constexpr int operation_timeout = 68, auth_cancelled = 79, no_metadata = 80, agent_unresponsive = 86;
inline constexpr int access_denied = 88, volume_exists = 90, auth_unavailable = 94, agent_unsynced = 97;
} // namespace number

/// The groups of figures that DomainStats wants, and the wish not to wait for a busy monitor.
inline constexpr unsigned state_group = 1, figure_groups = 1 | 2 | 4 | 8 | 16 | 32;
inline constexpr unsigned stats_nowait = 1u << 29;

inline constexpr const char* look_hint = "look at `systemctl status libvirtd` and `journalctl -u libvirtd`";

bool is_refusal(int libvirt_code);
/// Whether a question about a domain was refused because there is nothing to tell: no such domain (any more),
/// nothing of that kind in it, or in any of that driver's. Every other refusal leaves the question open.
bool means_none(int libvirt_code);
Code code_of(int libvirt_code);

/// What a virDomainState is to us, and libvirt's reason for it as `virsh domstate --reason` words it.
PowerState power_state(int state);
std::string reason_words(int state, int reason);
Power power_of(int state, int reason);

/// A disk of a domain that could not be read or written: its target, and a virDomainDiskErrorCode.
struct DiskError {
    std::string disk;
    int error = 0;
};
/// As Observer::disk_trouble says it.
std::string disk_words(const std::vector<DiskError>& errors);

Failure failure_of(Code code, std::string message, std::string hint = {});
/// libvirt refused to do something: "libvirt cannot <doing>: <its words>".
Failure refused(int libvirt_code, const std::string& doing, const std::string& words);
/// The connection ended before libvirt had said anything.
Failure connection_ended(const std::string& doing, const std::string& words);
/// The connection's daemon was asked and did not answer.
Failure unanswered(const std::string& uri, const std::string& words);
/// No connection was made; `shut`: the socket may not be opened.
Failure not_opened(const std::string& uri, int libvirt_code, bool shut, const std::string& words);
Failure no_such_domain(const std::string& name);
/// An agent command of domain `name` failed: `why` as refused() or connection_ended() told it.
Failure agent_failure(Failure why, int libvirt_code, const std::string& name, const std::string& words);
/// "ask the guest agent of <name>", and other doings that both ways share.
std::string asking_agent(const std::string& name);

/// libvirt's words, without the newline that those of programs it ran end in.
std::string trimmed(std::string words);

/// How long a look may take, and what an agent's command may take beyond its own limit: libvirt greets the
/// agent before it passes a command on, each with a time limit of its own.
inline constexpr std::chrono::seconds look_span(10), agent_extra(10);

/// Up to here looking names up one by one is cheaper than listing every domain of the host.
inline constexpr std::size_t few_names = 4;

/// Of libvirt's own greeting of an agent, in seconds, whatever a command's limit; a shorter limit shortens
/// it.
inline constexpr int usual_greeting = 5;
/// virDomainAgentResponseTimeoutValues: wait without end, libvirt's default.
inline constexpr int greeting_by_default = -2;

/// One domain's typed parameters in a bulk answer.
class Fields {
  public:
    virtual ~Fields() = default;
    /// A whole number, negative ones as zero; nothing when there is no such field, or it is no number.
    virtual std::optional<std::uint64_t> find(std::string_view name) const = 0;
};
/// The figures of the domain that `name`, `uuid` and `id` (-1: off) tell. `running_s` is read off this host's
/// /proc.
DomainStats figures_of(std::string name, std::string uuid, int id, const Fields& fields);

} // namespace blockhost::libvirt
