// SPDX-License-Identifier: MIT
#pragma once
/// The calls of one node that this program needs, each as it is: what is a task returns its handle, what is
/// done at once returns nothing. All throw as Client does.

#include "platform/proxmox/client.hpp"
#include "platform/proxmox/guest_config.hpp"
#include "platform/proxmox/role.hpp"
#include "platform/proxmox/upid.hpp"

namespace blockhost::platform::proxmox {

/// A guest of the node: its number, and which family of calls is its own.
struct GuestRef {
    Kind kind = Kind::vm;
    int id = 0;
    bool operator==(const GuestRef&) const = default;
};

/// A configuration as it was read. What is written back carries the digest, so that nobody's change is lost.
struct ReadConfig {
    boost::json::object told; ///< as the node told it
    std::string digest;
    std::string lock; ///< "backup" …; empty: none
};

/// Throws Error{invalid} for anything but a guest's number, 100 to 999999999.
int guest_number(const GuestId& id);

struct Snapshot {
    std::string name, description, parent;
    std::optional<std::int64_t> taken; ///< Unix time
};

/// A backup in a storage's list.
struct BackupVolume {
    std::string id;                  ///< "local:backup/vzdump-lxc-210-….tar.zst"
    std::int64_t made = 0, size = 0; ///< Unix time, 0: it is not told; bytes
    int guest = 0;                   ///< 0: it is no guest's
    std::string notes;               ///< their first line
    bool is_protected = false;
    std::optional<bool> verified; ///< only of a Backup Server that looked; absent is not failed
    std::string format = {};      ///< "tar.zst", "vma.zst", "pbs-vm"
    bool is_encrypted = false;
    bool operator==(const BackupVolume&) const = default;
};

/// Which family of calls restores a backup: its volume's name tells (pve-storage, parse_volname). Throws
/// Error{invalid} for a volume that is no guest's backup.
Kind kind_of_backup(const std::string& volume);
/// The guest whose backup it is, by its volume's name, too; nothing: it is none's.
std::optional<int> guest_of_backup(std::string_view volume);
/// The number of the template that a new guest's source is; nothing: it is a backup's volume.
std::optional<int> template_in(std::string_view source);
/// "local" of "local:backup/…".
std::string storage_of(const std::string& volume);

/// A storage as a node sees it.
struct StorageRow {
    std::string name, kind; ///< "usb-1", "dir"
    bool takes_backups = false;
    bool is_enabled = true, is_active = true; ///< whether it is wanted; whether it is there
    std::optional<std::int64_t> size, free;   ///< bytes
    bool operator==(const StorageRow&) const = default;
};

struct BackupOrder {
    std::string storage, notes;
    bool is_protected = false;
};

/// A task that runs on the node.
struct RunningTask {
    std::string type, user; ///< "vzdump", "user@realm!token"; outside text
};

/// The privileges that a token really has, by path; and whether each holds below that path, too.
using Permissions = std::map<std::string, std::map<std::string, bool, std::less<>>, std::less<>>;
/// Whether they hold one of `any` ("VM.Allocate|Pool.Allocate") on `path`. The nearest path that is told
/// counts, and no other: what it lacks was taken away there.
bool permits(const Permissions& permissions, std::string_view path, std::string_view any);
/// The first path at or below `path` where they hold none of `any`, as far as is told; nothing: they hold it
/// everywhere there.
std::optional<std::string> hole_in(const Permissions& permissions, const std::string& path,
                                   std::string_view any);

// What the "data" of an answer says. `from`, the call's path, is for messages. They throw Error{hypervisor}
// where it makes no sense.

/// Rows of the list of one kind, without templates. A configuration is what a row tells: name, processors,
/// memory, disk, tags.
std::vector<Guest> guests_in(const boost::json::value& told, Kind kind, const std::string& from);
/// Without "current", which is the guest itself.
std::vector<Snapshot> snapshots_in(const boost::json::value& told, const std::string& from);
std::vector<BackupVolume> backups_in(const boost::json::value& told, const std::string& from);
std::vector<StorageRow> storages_in(const boost::json::value& told, const std::string& from);
/// The lines "KEY: VALUE" of an archive's configuration as a guest's configuration is told, without its
/// snapshots.
boost::json::object archived_config_in(const boost::json::value& told, const std::string& from);
Permissions permissions_in(const boost::json::value& told, const std::string& from);
/// Of the certificates on the node's disk, in PEM, the one that its front end shows: pveproxy-ssl.pem where
/// there is one, else pve-ssl.pem (pve-manager, src/PVE/Service/pveproxy.pm).
std::string front_certificate_in(const boost::json::value& told, const std::string& from);

/// What changes something takes the permit of the action that it serves.
class Node {
  public:
    Node(Client& client, std::string name) : client_(client), name_(std::move(name)) {}
    const std::string& name() const { return name_; }

    /// Rows of both lists; two requests, however many guests there are.
    std::vector<Guest> guests();

    ReadConfig config(const GuestRef& guest);
    /// What it has now, as far as a change waits for its next start.
    ReadConfig running_config(const GuestRef& guest);
    Power power(const GuestRef& guest);

    Upid start(const Permit& permit, const GuestRef& guest);
    /// Asks the guest; with `force`, it is switched off when `patience` is over.
    Upid shut_down(const Permit& permit, const GuestRef& guest, std::chrono::seconds patience, bool force);
    /// Switches it off at once, also while a shutdown is waited for.
    Upid stop(const Permit& permit, const GuestRef& guest);
    Upid resume(const Permit& permit, const GuestRef& guest);

    /// Keys to set, and keys to take away. A task for a VM; done at once for a container.
    std::optional<Upid> set_config(const Permit& permit, const GuestRef& guest, const std::string& digest,
                                   Parameters set, const std::vector<std::string>& remove);
    /// `disk`: "scsi0", "rootfs". A node lets a disk grow only.
    Upid resize(const Permit& permit, const GuestRef& guest, const std::string& digest,
                const std::string& disk, std::int64_t mib);

    std::vector<Snapshot> snapshots(const GuestRef& guest);
    Upid take_snapshot(const Permit& permit, const GuestRef& guest, const std::string& snapshot,
                       const std::string& description);
    Upid roll_back(const Permit& permit, const GuestRef& guest, const std::string& snapshot);
    Upid delete_snapshot(const Permit& permit, const GuestRef& guest, const std::string& snapshot);

    /// Those that the token may see.
    std::vector<StorageRow> storages();
    std::vector<BackupVolume> backups(const std::string& storage);
    /// The configuration that a backup holds.
    boost::json::object archived_config(const std::string& volume);
    /// Nothing is pruned by it. Error{invalid} for notes with {{…}}.
    Upid back_up(const Permit& permit, const GuestRef& guest, const BackupOrder& order);
    /// To an id that nothing has: there is no restore over a guest. `instead`: configuration keys whose
    /// values are not to be those of the backup. MAC addresses are made anew, unless it has network devices:
    /// a node that makes addresses anew forgets a container's devices that were given (pve-container,
    /// src/PVE/LXC/Create.pm, sanitize_and_merge_config).
    Upid restore(const Permit& permit, const GuestRef& guest, const std::string& backup,
                 const std::string& storage, const Parameters& instead = {});
    /// Copies a VM with its disks, to an id that nothing has. MAC addresses and uuids are made anew; the rest
    /// of its configuration is the copy's, too. The task is the original's by its handle (qemu-server,
    /// src/PVE/API2/Qemu.pm, clone_vm).
    Upid copy(const Permit& permit, int original, int made, const std::string& storage,
              const Parameters& given);
    void protect(const Permit& permit, const std::string& volume, bool is_protected);
    Upid delete_backup(const Permit& permit, const std::string& volume);

    Upid destroy(const Permit& permit, const GuestRef& guest);

    /// Whether the guest agent of a VM answers; nothing: it is not set up to have one.
    std::optional<bool> agent_answers(const GuestRef& vm);

    /// This token's own tasks of one type, newest first, at most 50; running ones are among them.
    std::vector<Upid> own_tasks(std::string_view type);

    /// The cluster's lowest free id. It is not reserved.
    int next_id();
    /// What the token has wherever it has anything at all.
    Permissions permissions();
    /// What the token really has on that path, whatever its entries there and above say.
    Privileges privileges(const std::string& path);
    boost::json::object version();
    boost::json::object status();
    /// What new connections will be shown once the node's front end is started anew: it lies on the disk.
    http::Certificate front_certificate();
    /// Unix time, by the node's clock.
    std::optional<std::int64_t> clock();
    /// The node of the cluster that has a guest of that id, by the cluster's own list; empty: none that may
    /// be seen.
    std::string node_of(int guest);
    /// Whosever tasks of that guest, newest first, as far as they may be seen: at most the last 500.
    std::vector<Upid> tasks(const GuestRef& guest);
    /// What runs for that guest, as far as it may be seen.
    std::vector<RunningTask> running_tasks(const GuestRef& guest);

  private:
    std::string path(const GuestRef& guest, std::string_view rest = {}) const;
    std::string path(std::string_view rest) const { return "/nodes/" + name_ + std::string(rest); }
    ReadConfig read(const GuestRef& guest, const Parameters& query);
    /// The handle in an answer. Throws AnswerLost for anything else: the node accepted something.
    Upid task(const Permit& permit, const char* method, const std::string& path,
              const Parameters& parameters = {});

    Client& client_;
    std::string name_;
};

} // namespace blockhost::platform::proxmox
