// SPDX-License-Identifier: MIT
#pragma once
/// A repository of backups, as operations on VMs need it: restic's, which is given frozen disks by the helper
/// of views (backup/restic.hpp), or the simulated world's.

#include "backup/imgtree.hpp"
#include "base/time.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::backup {

/// A snapshot as the repository lists it. Outside text: whoever can write to the repository made it.
struct Snapshot {
    std::string id; ///< 64 hex digits
    Instant taken_at;
    std::string host;
    std::vector<std::string> tags;
    /// The value of the one tag "KEY=value"; nothing when there is none, or more than one.
    std::optional<std::string> tag(std::string_view key) const;
};

/// A file or folder in a snapshot.
struct Node {
    std::string path; ///< "/vda/00000/00000001"
    bool is_file = false;
    std::uint64_t bytes = 0;
};

/// How far a backup is.
struct Progressed {
    std::uint64_t bytes_done = 0, bytes_all = 0;
    std::optional<std::chrono::seconds> left = {}; ///< as restic reckons
};

/// What a backup of a folder stored.
struct Stored {
    std::string snapshot; ///< as restic prints it: the first hex digits of the id, or all
    std::uint64_t bytes_processed = 0, bytes_added = 0;
    std::uint64_t files_new = 0, files_changed = 0, files_unmodified = 0;
};

/// What to store.
struct BackupCall {
    std::string host; ///< the snapshot's
    std::vector<std::string> tags;
    std::string parent = {}; ///< the snapshot whose unchanged files are not read again; empty: none
    std::function<void(const Progressed&)> progress = {};
};

class Repository {
  public:
    virtual ~Repository() = default;

    virtual std::vector<Snapshot> snapshots() const = 0;
    /// Everything in the snapshot, in the repository's order; the snapshot itself, of which `snapshot` may be
    /// the first digits. While somebody prunes it may fail once with Error{program}.
    virtual Snapshot list(const std::string& snapshot, const std::function<void(Node)>& each) const = 0;
    /// A file of the snapshot. Error{not_found} when the snapshot has none of that path; Error{invalid} when
    /// it is larger than `most` bytes.
    virtual std::string file(const std::string& snapshot, const std::string& path,
                             std::size_t most) const = 0;
    /// Throws Error{denied} for a repository that lets nobody remove anything.
    virtual void forget(const std::vector<std::string>& snapshots) const = 0;

    /// What the disk holds; see backup::look.
    virtual DiskLook look(const FrozenDisk& disk, const std::function<void()>& check) const = 0;
    /// Whether a view is shown as a folder. Where it is not, View::copy_to has to name one.
    virtual bool shows_views() const = 0;
    /// Stores what the view shows; whom it is shown to, the repository knows. `check` is called as the store
    /// goes on, and may throw, which ends it. Throws Error{io} also when a disk cannot be read, and
    /// Error{no_room} also when a copy finds none; a snapshot that lacks something may be left then.
    virtual Stored store(View view, const BackupCall& call, const std::function<void()>& check) const = 0;
    /// The way back: fills empty images of the view's disks with the chunks that it names, each once. Returns
    /// in words why they could not be filled, as when the snapshot lacks one; empty when all went well.
    /// `check` as above.
    virtual std::string fill(const std::string& snapshot, View view,
                             const std::function<void()>& check) const = 0;

  protected:
    Repository() = default;
    Repository(const Repository&) = default;
    Repository& operator=(const Repository&) = default;
};

} // namespace blockhost::backup
