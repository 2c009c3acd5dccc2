// SPDX-License-Identifier: MIT
#pragma once
/// Brings a domain from any power state to running, puts its power state into words, and keeps a running
/// domain from being lost when it goes off.

#include "base/interrupt.hpp"
#include "vm/observation.hpp"

namespace blockhost::operations {

/// How closely a domain is watched.
enum class Look {
    once,  ///< one look: other VMs wait for their turn
    twice, ///< for a while: a started domain may fail at once, and a running one may be shutting down
};

/// Brings the domain of `seen`, which must be this instance's, to running. Waits up to `patience` for a
/// domain that is shutting down or that libvirt is working on (Error{busy} when that does not end), lets a
/// paused or sleeping one run on, starts a crashed one anew, and guards it (guards.hpp). Returns once the
/// domain is seen running: `ran_already` when nothing had to be done. Throws libvirt's reason when it does
/// not run: Error{wrong_state} when it is paused again, or off at once.
enum class Brought { up, ran_already };
Brought bring_up(World& world, const Observation& seen, Look look, std::chrono::milliseconds patience,
                 const Interruption& interruption);

/// "web-001 is paused: I/O error (no space left for vda)".
std::string power_sentence(Observer& hypervisor, const std::string& name, const Power& power);
/// libvirt's reason, with what is known of an I/O error; empty when libvirt gives none.
std::string reason_of(Observer& hypervisor, const std::string& name, const Power& power,
                      std::chrono::milliseconds limit);

/// Called before a run of this instance's domain ends. A domain that runs without a definition (somebody
/// undefined it) would be lost: it is defined again, with the mark. Throws when that fails, before anything
/// has ended.
void keep_definition(World& world, const Observation& seen);

} // namespace blockhost::operations
