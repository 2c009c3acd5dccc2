// SPDX-License-Identifier: MIT
#pragma once
/// The backups that a node's storages have.

#include "platform/backups.hpp"
#include "platform/proxmox/node.hpp"

namespace blockhost::platform::proxmox {

/// What a list has of notes: their first line.
std::string listed_notes(const std::string& notes);

class Keeper final : public BackupKeeper {
  public:
    /// `client` and `node` outlive it. `usual`: the storage that is configured, or empty.
    Keeper(Client& client, Node& node, std::string usual)
        : client_(client), node_(node), usual_(std::move(usual)) {}

    StoredBackups backups() override;
    std::vector<BackupPlace> places() override;
    std::string usual_place() override { return usual_; }
    std::optional<StoredBackup> made_by(const Target& target, const Backup& action,
                                        const std::string& note) override;
    std::optional<BackupCourse> course(const std::string& handle) override;
    GuestConfig config_in(const StoredBackup& backup) override;

    /// A guest's backups in one storage.
    std::vector<BackupVolume> of(const GuestId& guest, const std::string& storage);

  private:
    void look_at(const StorageRow& storage, const Permissions& held, StoredBackups& found);

    Client& client_;
    Node& node_;
    std::string usual_;
};

} // namespace blockhost::platform::proxmox
