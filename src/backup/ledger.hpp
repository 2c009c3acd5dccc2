// SPDX-License-Identifier: MIT
#pragma once
/// What became of this host's backups, and of the care for its repository: a database in `<state>/backup`,
/// for this process's user alone. Losing it costs one more backup of each VM, and never one.

#include "backup/policies.hpp"
#include "config/paths.hpp"
#include "store/database.hpp"

#include <optional>
#include <string>
#include <vector>

namespace blockhost::backup {

/// One attempt to back up a VM.
struct Attempt {
    VmName vm;
    Instant began, ended;
    std::string snapshot = {};                      ///< empty: it failed
    std::uint64_t data_bytes = 0, stored_bytes = 0; ///< of the disks' data; new in the repository
    std::string error = {};                         ///< why it failed
    bool operator==(const Attempt&) const = default;
};

/// What is done for the repository from time to time.
enum class Chore { check, read, forget, prune };
std::string_view to_string(Chore chore);

struct ChoreRun {
    Instant ended;
    std::string error = {}; ///< empty: it went well
    bool operator==(const ChoreRun&) const = default;
};

/// The ledger of one repository; another one's entries are not seen. For one thread; several processes may
/// have it open. Throws StoreError.
class Ledger {
  public:
    /// Made when it is missing.
    static Ledger open(const Paths& paths, std::string repository_id);
    /// Nothing where none was made.
    static std::optional<Ledger> existing(const Paths& paths, std::string repository_id);

    void note(const Attempt& attempt);
    /// The VM's last attempt; its last that succeeded.
    std::optional<Attempt> last(const VmName& vm);
    std::optional<Attempt> last_good(const VmName& vm);
    /// The one that made that backup, as long as it is remembered.
    std::optional<Attempt> of(const VmName& vm, const std::string& snapshot);
    /// For every VM the time at which its last good one began.
    std::vector<std::pair<VmName, Instant>> all_last_good();

    void note(Chore chore, const ChoreRun& run);
    std::optional<ChoreRun> last(Chore chore);
    std::optional<Instant> last_good(Chore chore); ///< when it went well last

    /// A backup that was compared with its manifest, and is whole: that never changes.
    void note_whole(const std::string& snapshot);
    bool is_whole(const std::string& snapshot);

    /// When a VM was first seen to be no more; noted now, if it was not.
    Instant gone_since(const Uuid& uuid, Instant when);
    std::optional<Instant> known_gone_since(const Uuid& uuid);
    /// It is there after all.
    void note_live(const Uuid& uuid);

  private:
    Ledger(store::Database database, std::string repository)
        : database_(std::move(database)), repository_(std::move(repository)) {}
    std::optional<Attempt> attempt_where(std::string_view condition, const VmName& vm);

    store::Database database_;
    std::string repository_;
};

} // namespace blockhost::backup
