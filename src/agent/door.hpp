// SPDX-License-Identifier: MIT
#pragma once
/// The gate, as the agent's operations meet it.

#include "authority/gate.hpp"
#include "execution/runner.hpp"

namespace blockhost::agent {

/// Reads one guest; nothing when there is none. Throws when it cannot be read. One call at a time.
using Look = std::function<std::optional<platform::Guest>(const platform::GuestId&)>;

/// Why an operation is not wanted any more, whatever the gate would say of it; nothing: it is. May throw what
/// looks throw. One call at a time, and none while Look is called.
using Reconsider = std::function<std::optional<Error>(const execution::Operation&)>;

/// Asks the gate, unless it is not wanted any more. An operation that it permitted before this process is
/// permitted again. One whose signed document is refused waits for another one, and says why: nobody ends
/// what waits by signing it wrongly. Throws where the gate could not decide. `gate` outlives it.
execution::Door door_to(authority::Gate& gate, Look look, Reconsider reconsider = {});

/// Puts the ends of operations on the gate's record.
execution::Runner::Record record_of(authority::Gate& gate);

/// What the journal knows of the thing that an operation's action would lose, for GateParts.
authority::Provenance provenance_in(execution::Journal& journal, const execution::Id& id,
                                    const platform::Target& target, const platform::Action& action);

/// Ends the operations for which the gate waits no longer: their time is over, or their guest is another one.
/// What still waits. Call it now and then, in one thread.
std::vector<authority::Pending> end_what_waits_no_longer(authority::Gate& gate, execution::Journal& journal,
                                                         const Look& look);

} // namespace blockhost::agent
