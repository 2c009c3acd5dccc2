// SPDX-License-Identifier: MIT
#pragma once
/// Sets limits of a VM, takes them back, and shows them.
///
/// Never takes the VM's journal entry: hooks of other operations set limits while those hold it. A lock of
/// its own (limit_file.hpp) keeps two throttles of one VM apart.

#include "limits/limit_file.hpp"
#include "vm/context.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace blockhost::limits {

struct ThrottleRequest {
    std::map<Limit, std::int64_t> values; ///< in the options' units, within their bounds
    bool reset = false;                   ///< `values` and `span` are ignored then
    bool persist = false;                 ///< changes the definition as well
    std::optional<std::chrono::seconds> span;
};

/// What was set, line by line, and what was not.
struct ThrottleEnd {
    std::vector<std::string> lines;
    std::vector<std::string> errors;
};

/// Applies the limits of each subsystem, and goes on when one fails; a line stands for what libvirt showed
/// afterwards. What the running VM did not get is not written into its definition, where it might keep the VM
/// from starting. Throws, with nothing changed, Error{invalid} when there is nothing to do, Error{not_found},
/// Error{foreign}, Error{wrong_state} when the VM does not run (unless it is off and `persist` is set),
/// Error{busy} when another throttle holds the VM for 20 s.
///
/// reset returns to the limits that the VM had at its creation: what its definition says, less what `persist`
/// wrote into it. An operator's own limits in the definition stay.
ThrottleEnd throttle(World& world, const VmName& name, const ThrottleRequest& request);

/// The current limits of one VM. Throws as throttle, but not for a VM that is off.
struct LimitsShown {
    std::optional<Settings> running; ///< nothing: it doesn't run
    Settings definition;             ///< empty: it has none
    std::map<std::pair<TuningOf, Limit>, Instant> until;
};
LimitsShown show_limits(World& world, const VmName& name);

/// Takes back every limit whose time is over, VM by VM. A limit that cannot be taken back stays remembered,
/// and does not stop the others. Begins with no further VM after `patience`. VMs whose limits another process
/// is setting are left for the next time.
ThrottleEnd take_back_due_limits(World& world, std::chrono::seconds patience);
/// The same for other verbs in passing: looks at one folder and, when nothing is due, at nothing else. Never
/// throws; a failure is a warning.
void end_due_limits(World& world) noexcept;

/// Forgets the remembered limits of a VM that is gone; cheap when there are none. Throws Error{io};
/// Error{busy} as throttle.
void forget_limits(World& world, const VmName& name);

} // namespace blockhost::limits
