// SPDX-License-Identifier: MIT
#pragma once
/// Finishes what a dead process left, in the direction of its operation.

#include "operations/operation.hpp"

#include <string>
#include <vector>

namespace blockhost::operations {

/// Until when a call that was in flight at its owner's death may still take effect. This is at least two
/// seconds from now, since libvirt may have been at it for long, and at most the world's late window,
/// whatever the clock did since. It is over already for an entry of an earlier boot of the host, whose
/// libvirt ended with it.
Deadline late_end(const World& world, const EntryView& left);

/// Waits until then when a step was in flight: what comes next must not be overwritten by a late call.
void await_late_calls(const World& world, const EntryView& left);

/// The error for an entry that names an operation of another instance.
Error foreign_entry(const World& world, const EntryView& left);

/// Finishes what the dead owner of `entry` left, if anything; afterwards the entry is clean.
void recover_left(World& world, JournalEntry& entry);

/// How long verbs wait for another verb that works on the VM.
inline constexpr std::chrono::seconds usual_patience{20};

/// Takes the entry of `name` for an operation. Waits up to `patience` for a live holder, or asks it to give
/// up and waits up to 45 s; then recovers what a dead holder left.
JournalEntry take_entry(World& world, const VmName& name, Journal::Manner manner,
                        const Interruption& interruption, std::chrono::seconds patience = usual_patience);

/// One open entry, and what recover does or would do with it.
struct Recovery {
    VmName name;
    std::string verb = {};
    std::string since = {};
    std::string_view direction = {}; ///< its operation's direction, or why it was left alone, in words
    bool owner_alive = false;        ///< its process is at work: it was left alone
    std::string in_flight = {};      ///< the step that was begun and not finished; may be empty
    std::string failure = {};        ///< why it could not be finished; empty: it was (or would be)
};

/// Handles every open entry, or only that of `name`. `Mode::look` changes nothing.
enum class Mode { look, act };
std::vector<Recovery> recover(World& world, const std::optional<VmName>& name, Mode mode);

} // namespace blockhost::operations
