// SPDX-License-Identifier: MIT
#pragma once
/// The backups that a repository holds.

#include "backup/repositories/restic.hpp"
#include "model/names.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::backup {

/// One backup: what the repository's list says of it. Its manifest says the rest.
struct Backup {
    std::string id; ///< 64 hex digits: restic's snapshot
    Instant taken_at;
    VmName vm;
    Uuid uuid;
    OperationId operation; ///< that made it
    InstanceId instance;   ///< whose VM it is

    std::string short_id() const { return id.substr(0, 8); }
};

/// The tags by which a snapshot is known as a backup.
std::vector<std::string> tags_of(const VmName& vm, const Uuid& uuid, const OperationId& operation);

class Catalogue {
  public:
    /// Snapshots without our tags are somebody else's, and are counted only.
    explicit Catalogue(const std::vector<Snapshot>& snapshots);

    const std::vector<Backup>& all() const { return all_; } ///< the oldest first
    std::vector<Backup> of(const VmName& vm) const;
    std::vector<Backup> latest_of_each() const; ///< the last of each VM, by its name
    std::size_t others() const { return others_; }
    /// The first backup of another instance than `own`; nothing when there is none.
    const Backup* foreign_to(const InstanceId& own) const;

    /// The backup that `name` names: at least six digits of its id, or "NAME@latest". Throws Error{invalid}
    /// for anything else, Error{not_found} for none, Error{usage} for digits that more than one begins with.
    const Backup& find(std::string_view name) const;

  private:
    std::vector<Backup> all_;
    std::size_t others_ = 0;
};

} // namespace blockhost::backup
