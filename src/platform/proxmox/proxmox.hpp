// SPDX-License-Identifier: MIT
#pragma once
/// A node of Proxmox VE as a platform.

#include "platform/platform.hpp"
#include "platform/proxmox/backups/keeper.hpp"
#include "platform/proxmox/node.hpp"
#include "platform/proxmox/privileged/fence.hpp"

namespace blockhost::platform::proxmox {

/// What is asked of a node besides its guests.
struct Settings {
    Access access;
    std::string node;           ///< its name in the cluster
    std::string backup_storage; ///< where backups go unless another one is named; empty: none is configured
    std::string disk_storage;   ///< where restored guests' disks go
    /// How long a change waits for whoever works on its guest, before it is refused as busy or locked.
    std::chrono::milliseconds lock_patience{60'000};
    privileged::LocalNode local = {}; ///< for what only root on the node can do
};

/// A task's UPID, behind it a blank and the guest's id; or "done" and the id where the node carries a call
/// out at once.
Handle handle_of(const std::optional<Upid>& upid, int guest);

struct Before;

/// A create's source is the volume of a golden backup, or the number of a VM that is a template.
class Proxmox final : public Platform {
  public:
    Proxmox(Settings settings, std::function<void()> check);

    Host host() override;
    std::vector<Lack> preflight() override;
    Guests guests() override;
    std::optional<Guest> guest(const GuestId& id) override;
    /// The node's tasks tell who switched it off. A guest that no task switched off crashed or was shut down
    /// from inside: a node's API does not tell the two apart.
    Outage outage(const Guest& guest, bool seen_running) override;
    std::optional<Error> misfit(const GuestId& id, Kind kind) const override;
    std::optional<Error> refusal(const Action& action, Kind kind) const override;
    Note note(const Target& wanted, const Action& action) override;
    Trace trace(const Target& wanted, const Action& action, const Note& note) override;
    std::optional<bool> is_mounted(const Target& storage, const std::string& point) override;
    std::optional<bool> agent_answers(const Guest& guest) override;
    BackupKeeper* backup_keeper() override { return &keeper_; }
    ActionState look(const Handle& handle) override;
    void interrupt(const Handle& handle) override;

  private:
    void begin_permitted(const Permit& permit, const Note& note,
                         const std::function<void(const Handle&)>& accepted) override;
    /// Read over a connection that was trusted; nothing: what lies on the node's disk is what it shows.
    std::optional<NextCertificate> next_certificate();
    /// A path below which the token may not see a guest, as far as the node tells; nothing: it sees all.
    std::optional<std::string> unseen_guests();
    /// This token's tasks that are such an action on that guest, newest first.
    std::vector<Upid> tasks_of(const Target& target, const Action& action);
    /// Whether a task that is of that guest's action by its handle is about this guest.
    bool is_about(const Upid& task, const GuestId& guest);
    /// When the newest backup with those notes was made; 0: there is none, or there are no notes.
    std::int64_t newest_backup(const Target& target, const Backup& backup);
    /// Whether the guest is as this action alone would have left it.
    bool is_as_after(const Target& target, const Action& action, const Before& before);
    bool is_guest_as_after(const Guest& guest, const Action& action, const Before& before);
    bool has_snapshot(const Guest& guest, const std::string& name);
    /// Throws Error{wrong_state} when the cluster has that guest on another node.
    void require_nowhere(int guest);
    /// Empty where the note found no id.
    static GuestId new_guest_in(const Note& note);
    Handle begun(const Permit& permit, const Note& note);
    /// Deletes a backup of that guest, or of one that is gone.
    Handle forget(const Permit& permit, const DeleteBackup& backup);
    /// Makes a guest of a template.
    Handle copy(const Permit& permit, const GuestId& id, int original, const GuestConfig& config);
    /// Makes a guest of a backup.
    Handle make(const Permit& permit, const GuestId& id, const std::string& backup,
                const GuestConfig& config);
    struct Found {
        GuestRef ref;
        ReadConfig config;
    };
    Found find(const GuestId& id);
    /// Throws Error{wrong_state} when it is another incarnation, or when nobody can tell and data might be
    /// lost.
    Found find_same(const Target& target, const Action& action);

    Settings settings_;
    std::function<void()> check_;
    Client client_;
    Node node_;
    Keeper keeper_;
};

} // namespace blockhost::platform::proxmox
