// SPDX-License-Identifier: MIT
#pragma once
/// Restoring a guest whose platform keeps its backups: always to a new guest, which may then take the place
/// of the one that is there. Each step is an operation of its own: gate, journal, record.

#include "agent/backups/guest_backups.hpp"

namespace blockhost::agent {

/// How the steps of one call are told, and when they end.
struct StepTalk {
    std::function<void(std::string_view)> stage;
    std::function<void()> check; ///< as Engine::finish has it
    std::string requester;       ///< for the record
};

struct RestoreWish {
    platform::StoredBackup backup;
    std::string id;   ///< of the new guest; empty: the platform gives one
    std::string name; ///< its name; empty: the backup's
};

/// A guest that was made of a backup.
struct RestoredGuest {
    platform::Guest guest; ///< it is off, and does not start by itself
    execution::Id operation;
    std::vector<std::string> warnings;
};

/// Makes a new guest. The backup's configuration is read first; the new guest is looked at afterwards, and
/// taken back where it is not what the backup says. Throws Error{wrong_state} for a backup that its place
/// found damaged, {exists} when that id is taken; what the operation ended with.
RestoredGuest restore_guest(Engine& engine, const RestoreWish& wish, const StepTalk& talk);

struct SwapWish {
    platform::StoredBackup backup;
    enum class Then { as_before, stay_off } then = Then::as_before; ///< whether the new one is started
    bool destroy_old = false;
};
/// A guest that took the place of another one.
struct SwappedGuest {
    RestoredGuest made;
    platform::GuestId old;
    bool runs = false;
    /// The destroy of the old one; nothing: it is kept, off, with the tag replaced_tag.
    std::optional<execution::Operation> destroyed;
};
inline constexpr std::string_view replaced_tag = "blockhost-replaced";

/// Restores the backup to a new guest with the network of the one whose backup it is, switches that one off,
/// keeps it from starting by itself, and lets the new one start as it did. What fails half-way is put back:
/// the old guest is as it was, the new one is taken back. With `destroy_old` the old one's destroy is asked
/// for in the end, through the gate. Throws Error{not_found} when that guest is not there, {wrong_state} when
/// it is locked or a template.
SwappedGuest swap_guest(Engine& engine, const SwapWish& wish, const StepTalk& talk);

/// One action as an operation, to its end. Throws what it ended with. `may_wait`: one that waits for a
/// signature is returned as it is; otherwise it is cancelled, and Error{denied} thrown.
enum class MayWait { no, yes };
execution::Operation carry_out_step(Engine& engine, const execution::Request& request,
                                    const std::function<void()>& check, MayWait may_wait = MayWait::no);

/// Removes what a create made, as long as nothing else was done to it than what followed it
/// (execution::Request::after). Why it stays, as a clause; empty: it is gone.
std::string take_back(Engine& engine, const execution::Id& made_by, const std::function<void()>& check);

} // namespace blockhost::agent
