#pragma once
/// Finishing what a dead process left, in the direction of its operation.

#include "lifecycle/world.hpp"

#include <string>
#include <vector>

namespace blockhost {

/// Until when a call that was in flight at its owner's death may still take effect; never less than two
/// seconds from now, since libvirt may have been at it for long.
Instant late_end(const World& world, const EntryView& left);

/// The refusal of an entry that names an operation of another instance.
Error foreign_entry(const World& world, const EntryView& left);

/// Finishes what the dead owner of `entry` left, if anything; afterwards the entry is clean.
void recover_left(World& world, JournalEntry& entry);

/// How long verbs wait for another that works on the VM.
inline constexpr std::chrono::seconds usual_patience{20};

/// Takes the entry of `name` for an operation: waits up to `patience` for a live holder (or asks it to give
/// up, and waits up to 45 s), then recovers what a dead one left.
JournalEntry take_entry(World& world, const VmName& name, Journal::Manner manner,
                        const Interruption& interruption, std::chrono::seconds patience = usual_patience);

/// One open entry, and what recover does or would do with it.
struct Recovery {
    VmName name;
    std::string verb;
    std::string since;
    enum class Direction { roll_back, roll_forward, abandon, owner_alive, unreadable } direction;
    std::string in_flight; ///< the step that was begun and not finished; may be empty
    std::string failure;   ///< why it could not be finished; empty: it was (or would be)
};
std::string_view to_string(Recovery::Direction direction);

/// Every open entry, or only that of `name`. `Mode::look` changes nothing.
enum class Mode { look, act };
std::vector<Recovery> recover(World& world, const std::optional<VmName>& name, Mode mode);

} // namespace blockhost
