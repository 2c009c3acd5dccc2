#pragma once
/// Setting limits of a VM, taking them back, and showing them.
///
/// Never takes the VM's journal entry: other operations' hooks set limits while those hold it. A lock of its
/// own (limit_file.hpp) keeps two throttles of one VM apart.

#include "lifecycle/limit_file.hpp"
#include "lifecycle/world.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace blockhost {

struct ThrottleRequest {
    std::map<Limit, std::int64_t> values; ///< in the options' units, within their bounds
    bool reset = false;                   ///< values are ignored then, and `span` too
    bool persist = false;                 ///< the definition as well
    std::optional<std::chrono::seconds> span;
};

/// What became true, line by line, and what did not.
struct ThrottleEnd {
    std::vector<std::string> lines;
    std::vector<std::string> errors;
};

/// Applies each subsystem's limits, going on when one fails; a line stands for what libvirt showed
/// afterwards. What the running VM did not get is not written into its definition either, which might keep it
/// from starting. Throws, with nothing changed, Error{invalid} when there is nothing to do, Error{not_found},
/// Error{foreign}, Error{wrong_state} when it doesn't run (and, when it is off, nothing is to be persisted),
/// Error{busy} when another throttle holds the VM for 20 s.
///
/// reset returns to what the VM had at its creation: what its definition says, less what `persist` wrote into
/// it. So limits of an operator's own in the definition stay.
ThrottleEnd throttle(World& world, const VmName& name, const ThrottleRequest& request);

/// Current limits of one VM. Throws as throttle, but for a VM that is off.
struct LimitsShown {
    std::optional<Settings> running; ///< nothing: it doesn't run
    Settings definition;             ///< empty: it has none
    std::map<std::pair<TuningOf, Limit>, Instant> until;
};
LimitsShown show_limits(World& world, const VmName& name);

/// Takes back every limit whose time is over, VM by VM. One that cannot be taken back stays remembered, and
/// does not keep the others. Begins with no further VM after `patience`. VMs whose limits somebody is just
/// setting are left for the next time.
ThrottleEnd take_back_due_limits(World& world, std::chrono::seconds patience);
/// The same for verbs in passing: looks at one folder and, when nothing is due, at nothing else. Never
/// throws; what went wrong is a warning.
void end_due_limits(World& world) noexcept;

/// Forgets what is remembered of a VM that is gone; cheap when there is nothing. Throws Error{io};
/// Error{busy} as throttle.
void forget_limits(World& world, const VmName& name);

} // namespace blockhost
