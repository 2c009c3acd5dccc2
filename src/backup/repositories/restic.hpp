// SPDX-License-Identifier: MIT
#pragma once
/// restic(1), the store of backups, driven as a program.

#include "backup/repositories/repository.hpp"
#include "backup/repositories/restic_answers.hpp"
#include "base/accounts.hpp"
#include "base/error.hpp"
#include "base/process.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::backup {

/// How a repository is reached.
struct Access {
    std::string repository; ///< as restic has it: an absolute path, sftp:…, rest:…, rclone:…
    std::string password;   ///< goes to restic through a pipe: no argument, environment or file has it
    /// Whom restic runs as; nothing: this process's user.
    std::optional<Account> user = {};
    std::filesystem::path cache = {}; ///< a folder of that user's; empty: restic keeps no cache
    std::string program = "/usr/bin/restic";
    std::string key = {}; ///< the id of the key that is tried first; empty: in restic's order
};

/// One repository, through restic.
///
/// Every call throws Error{program} when restic is missing, ends unexpectedly or answers otherwise than
/// expected; Error{denied} for a password that the repository does not take, and for a repository that
/// restic's user may not enter; Error{not_found} when there is no repository; Error{io} when it cannot be
/// reached; Error{no_room} when it is full; Error{busy} when another process has locked it. The lock of a
/// process that is dead is removed, and the call made once more. What only looks takes no lock, and so waits
/// for nobody.
class Restic final : public Repository {
  public:
    /// `check` is called at least every 200 ms while restic runs; what it throws ends restic and is passed
    /// on.
    Restic(Access access, std::function<void()> check);

    const Access& access() const { return access_; }
    /// The same repository, which that key is tried at first.
    Restic by_key(const std::string& id) const;
    /// Throws Error{program} also for a version older than oldest_restic.
    std::string version() const;

    /// Makes the repository. Error{exists} when there is one.
    void make() const;
    /// The repository's own id, 64 hex digits.
    std::string repository_id() const;
    std::vector<Snapshot> snapshots() const override;
    Snapshot list(const std::string& snapshot, const std::function<void(Node)>& each) const override;
    std::string file(const std::string& snapshot, const std::string& path, std::size_t most) const override;
    /// Looks whether the repository is whole; with `percent` (1 to 100) that much of its data is read, too.
    /// Throws Error{io} with restic's findings when it is not.
    void verify(std::optional<unsigned> percent) const;
    /// Likewise; reads the part `part` (1 to `of`) of the data, so that `of` calls read all of it.
    void verify_part(unsigned part, unsigned of) const;
    void forget(const std::vector<std::string>& snapshots) const override;
    /// Removes what no snapshot needs any more. Throws as forget.
    void prune() const;

    std::vector<Key> keys() const;
    /// Adds a key. restic reads its password from `pipe`, which its user may read; `feed` is called at least
    /// every 200 ms, and writes it there.
    void add_key(const std::filesystem::path& pipe, const std::function<void()>& feed) const;
    void remove_key(const std::string& id) const;
    /// What all of the repository is encrypted with, as JSON.
    std::string master_key() const;
    /// Puts a file into the keys of a repository on this host, as restic's user. Throws Error{io}.
    void put_key_file(const std::string& id, const std::string& content) const;

    DiskLook look(const FrozenDisk& disk, const std::function<void()>& check) const override;
    bool shows_views() const override;
    Stored store(View view, const BackupCall& call, const std::function<void()>& check) const override;
    std::string fill(const std::string& snapshot, View view,
                     const std::function<void()>& check) const override;

    /// How restic stores the folder in which it is started, for a program that starts it there. The password
    /// is the input.
    ProcessSpec storing(const BackupCall& call) const;
    /// What `storing` came to. Throws as above; Error{io} for a backup that lacks files which could not be
    /// read: its snapshot is incomplete, and not to be kept.
    Stored stored(const ProcessResult& result, const std::string& summary_line) const;

    /// How restic writes the snapshot as a tar archive to its standard output, likewise.
    ProcessSpec dumping(const std::string& snapshot) const;
    /// Throws what a result of restic's means, unless it went well.
    void require_success(const ProcessResult& result, std::string_view doing) const;

  private:
    ProcessSpec as_user(std::string program, std::vector<std::string> words) const;
    std::vector<std::string> environment() const;
    ProcessSpec spec(std::vector<std::string> words) const;
    ProcessSpec looking(std::vector<std::string> words) const;
    ProcessResult answer_to(const ProcessSpec& looking, std::string_view doing) const;
    ProcessResult call(const ProcessSpec& spec) const;
    ProcessResult locked_call(const ProcessSpec& spec, std::string_view doing) const;
    void verify_words(std::vector<std::string> words) const;
    void remove_by(const ProcessSpec& spec, std::string_view doing) const;

    Access access_;
    std::function<void()> check_;
};

} // namespace blockhost::backup
