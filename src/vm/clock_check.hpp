// SPDX-License-Identifier: MIT
#pragma once
/// A wrong clock destroys paid VMs: these checks keep gc and create from believing one.

#include "vm/context.hpp"

#include <optional>
#include <string>

namespace blockhost {

/// Why this host's clock cannot be trusted to tell who has paid.
struct ClockDoubt {
    enum class Kind {
        behind,         ///< it is earlier than something that was written here
        long_pause,     ///< gc has not run for more than 35 days, by this clock
        unsynchronised, ///< nothing speaks against it, but nothing keeps it right
    };
    Kind kind;
    std::string what;
    bool synchronised; ///< as the kernel says
};
/// Nothing when no check fails. Now must not be earlier than the newest time in the database, the last gc, or
/// the writing of database, journal, instance id or template. The last gc must be at most 35 days ago. The
/// kernel must say that its clock is synchronised.
std::optional<ClockDoubt> clock_doubt(const World& world);

/// Whether the caller vouches for a doubtful clock.
enum class ClockTrust { judged, forced };

/// Called before a VM is made that expires by this clock. Throws Error{clock} when the clock is not
/// synchronised and earlier than what was written here: the VM would be suspended as soon as the clock is
/// right. Any other doubt is a warning: a paying customer is not turned away for a clock that is probably
/// right.
void check_clock_for_sale(const World& world, ClockTrust trust);
/// For an expiry that is counted from now: warns of any doubt.
void warn_of_clock(const World& world);

/// Notes in `<state>/gc.json` that gc ran at `when`. Throws Error{io}.
void remember_gc_run(const World& world, Instant when);

} // namespace blockhost
