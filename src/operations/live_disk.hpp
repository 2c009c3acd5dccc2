// SPDX-License-Identifier: MIT
#pragma once
/// The disk of a VM that runs or is paused, frozen for a backup: the guest's file systems are held still for
/// a moment, in which libvirt begins to keep what the guest overwrites from then on. Everything that is made
/// for it carries the operation's id, so that recovery finds it.

#include "backup/manifest.hpp"
#include "hypervisor/xml/backup.hpp"
#include "vm/observation.hpp"

#include <chrono>
#include <functional>
#include <optional>

namespace blockhost::operations {

/// The checkpoint that an operation's backup makes. Checkpoints of other names are somebody else's.
std::string checkpoint_of(const OperationId& operation);

/// Ends the job that one of this program's backups began, if there is one.
void end_backup_job(World& world, const VmName& name);

class LiveDisk {
  public:
    /// `target`: the disk's name in the domain. It must be alive.
    LiveDisk(World& world, VmName name, OperationId operation, std::string target);

    /// Looks whether a backup can begin, and for how much room the scratch file has to find: what the guest
    /// overwrites while the disk is read is kept there first. Makes the folder of the socket. `last` is the
    /// checkpoint that the last backup left; one that libvirt forgot is made known again. Throws Error{busy}
    /// while another program backs the VM up; Error{no_room}; Error{wrong_state} when a fault holds the
    /// guest.
    void reserve(const std::filesystem::path& disk, const CheckpointView& last);
    /// Holds the guest's file systems still. Where that cannot be done a warning says so.
    void freeze();
    /// Freezes the disk. A record of writes that cannot be used is left out, with a warning.
    void begin();
    /// Lets the guest write again; a guest that was not held still is left alone.
    void thaw();

    const FrozenExport& frozen() const { return export_; }
    /// The new checkpoint, as libvirt describes it.
    CheckpointView checkpoint() const;
    backup::Consistency consistency() const;
    /// For how long the guest was held still; nothing when it was not.
    std::optional<std::chrono::milliseconds> held() const { return held_; }

    /// Looks, at most once a second, whether the guest is in danger of being paused for want of room. Throws
    /// Error{no_room} then, and Error{wrong_state} when the guest went off or its backup was ended by
    /// somebody.
    void watch();

    /// Ends the job of this operation, or of one before it, and removes what it needed. May be repeated.
    void end();
    /// Deletes every checkpoint of ours but `kept`. What cannot be deleted is left for the next backup, with
    /// a warning.
    void delete_checkpoints_but(const std::string& kept);
    /// Undoes all of it: the guest writes again and runs on, the job is ended, the new checkpoint deleted.
    /// May be repeated, also by another process, and when nothing of it was done.
    void undo();
    /// Whether that, having failed, may have left the guest held still or paused.
    bool may_hold_guest() const { return may_be_frozen_ || may_be_paused_; }
    /// From here on this stands for the operation of a process that died, as far as its entry says that it
    /// came.
    void take_over(const EntryView& left);
    /// Undoes it also where the last call is still carried out, until `late`.
    void undo_late(const Deadline& late);

  private:
    std::string ask_agent(const std::string& command, std::chrono::seconds span);
    bool is_alive_now();
    void look_for_trouble();
    void end_job();
    void remove_scratch();
    void thaw_whatever();
    void thaw_at_last();
    void warn_of_frozen(const Error& error);
    void let_run();
    void delete_checkpoint(const std::string& checkpoint);
    void delete_own_checkpoint();
    std::filesystem::path socket_folder() const;
    std::string scratch_name() const;

    World& world_;
    VmName name_;
    OperationId operation_;
    std::string target_;
    std::string since_ = {}; ///< the checkpoint whose record is used; empty: none
    FrozenExport export_ = {};
    /// What was done; and whether undoing it is still due. It is done again for calls that come late.
    bool begun_ = false, asked_to_freeze_ = false, may_be_paused_ = false, may_be_frozen_ = false;
    bool is_still_ = false, was_still_ = false;
    std::chrono::steady_clock::time_point still_since_ = {};
    std::optional<std::chrono::milliseconds> held_ = {};
    std::uint64_t reserved_ = 0; ///< bytes
    std::chrono::steady_clock::time_point watched_ = {};
};

} // namespace blockhost::operations
