// SPDX-License-Identifier: MIT
/// Backups and checkpoints of the simulated world, and what they stand on: the bitmaps of what a guest
/// writes.

#include "base/error.hpp"
#include "hypervisor/simulated/store.hpp"

#include <algorithm>

namespace blockhost::simulated {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t superblock = 0; ///< the cluster that tells whether a file system is frozen

DomainFile must_find(const Store& store, const std::string& name) {
    if (auto domain = store.domain(name)) return *domain;
    throw Error(Code::not_found, "libvirt has no domain " + name);
}

void require_alive(const DomainFile& domain, const std::string& doing) {
    if (is_alive(domain.state)) return;
    throw Error(Code::wrong_state,
                "libvirt cannot " + doing + ": Requested operation is not valid: domain is not running");
}

bool has(const DomainFile& domain, const std::string& checkpoint) {
    return std::ranges::find(domain.checkpoints, checkpoint) != domain.checkpoints.end();
}

bool is_consistent(const DomainFile& domain, const std::string& bitmap) {
    const auto found = domain.bitmaps.find(bitmap);
    return found != domain.bitmaps.end() && found->second;
}

} // namespace

fs::path Store::disk_of(const std::string& name) const {
    const auto facts = read_domain(domain_xml(name));
    if (facts.disks.empty()) throw Error(Code::hypervisor, "libvirt finds no disk of " + name);
    return facts.disks.front();
}

/// As QEMU does with an image that it opens: until it ends well, the image's own are in use.
void Store::open_bitmaps(const std::string& name, DomainFile& domain) const {
    if (domain.bitmaps.empty()) return;
    DiskContent content = read_content(disk_of(name));
    domain.bitmaps = content.bitmaps;
    for (auto& [bitmap, written] : content.bitmaps) written.reset();
    write_content(disk_of(name), content);
}

void Store::close_bitmaps(const std::string& name, const DomainFile& domain) const {
    if (domain.bitmaps.empty()) return;
    DiskContent content = read_content(disk_of(name));
    content.bitmaps = domain.bitmaps;
    write_content(disk_of(name), content);
}

void Store::guest_writes(const std::string& name, std::uint64_t cluster, const std::string& text) const {
    DomainFile domain = must_find(*this, name);
    DiskContent content = read_content(disk_of(name));
    content.clusters[cluster] = text;
    for (auto& [bitmap, written] : domain.bitmaps)
        if (written) written->insert(cluster);
    write_content(disk_of(name), content);
    put(name, domain);
}

int Store::set_frozen(const std::string& name, bool frozen) const {
    DomainFile domain = must_find(*this, name);
    if (domain.frozen == frozen) return 0;
    const std::string text = (frozen ? "frozen at " : "thawed at ") + std::to_string(millis_now());
    if (frozen) guest_writes(name, superblock, text);
    domain = must_find(*this, name);
    domain.frozen = frozen;
    put(name, domain);
    if (!frozen) guest_writes(name, superblock, text);
    return 1;
}

void Store::begin_backup(const std::string& name, const BackupSpec& spec) const {
    auto domain = must_find(*this, name);
    const std::string doing = "freeze the disk of " + name;
    require_alive(domain, doing);
    const auto refuse = [&](Code code, const std::string& why) {
        return Error(code, "libvirt cannot " + doing + ": " + why);
    };
    if (domain.backup_scratch) throw refuse(Code::wrong_state, "a backup is under way already");
    if (!domain.committing.empty()) throw refuse(Code::wrong_state, "it is being committed");
    if (!spec.since.empty() && !has(domain, spec.since))
        throw refuse(Code::hypervisor, "no domain checkpoint with matching name '" + spec.since + "'");
    if (!spec.since.empty() && !is_consistent(domain, spec.since))
        throw refuse(Code::hypervisor, "Bitmap '" + spec.since + "' is missing or inconsistent");
    if (has(domain, spec.checkpoint))
        throw refuse(Code::hypervisor, "domain checkpoint " + spec.checkpoint + " already exists");
    if (domain.bitmaps.contains(spec.checkpoint))
        throw refuse(Code::hypervisor, "Bitmap already exists: " + spec.checkpoint);
    if (fs::exists(spec.scratch)) throw refuse(Code::hypervisor, spec.scratch + " exists already");
    if (!fs::is_directory(fs::path(spec.socket).parent_path()))
        throw refuse(Code::hypervisor, "Failed to bind socket to " + spec.socket);
    DiskContent frozen{read_clusters(disk_of(name)), {}};
    if (!spec.since.empty()) frozen.bitmaps[spec.since] = domain.bitmaps.at(spec.since);
    write_content(spec.scratch, frozen);
    domain.backup_scratch = spec.scratch;
    domain.backup_socket = spec.socket;
    domain.checkpoints.push_back(spec.checkpoint);
    domain.bitmaps[spec.checkpoint].emplace();
    put(name, domain);
}

void Store::end_backup(const std::string& name) const {
    auto domain = must_find(*this, name);
    if (!domain.backup_scratch) return;
    fs::remove(*domain.backup_scratch);
    domain.backup_scratch.reset();
    put(name, domain);
}

std::vector<CheckpointView> Store::checkpoints(const std::string& name) const {
    std::vector<CheckpointView> all;
    for (const std::string& each : must_find(*this, name).checkpoints)
        all.push_back({each, "<domaincheckpoint><name>" + each + "</name></domaincheckpoint>"});
    return all;
}

void Store::delete_checkpoint(const std::string& name, const std::string& checkpoint,
                              bool knowledge_alone) const {
    auto domain = must_find(*this, name);
    if (!has(domain, checkpoint)) return;
    if (!knowledge_alone) {
        const std::string doing = "delete checkpoint " + checkpoint + " of " + name;
        require_alive(domain, doing);
        if (domain.bitmaps.erase(checkpoint) == 0)
            throw Error(Code::hypervisor, "libvirt cannot " + doing + ": bitmap not found");
    }
    std::erase(domain.checkpoints, checkpoint);
    put(name, domain);
}

void Store::restore_checkpoint(const std::string& name, const CheckpointView& checkpoint) const {
    auto domain = must_find(*this, name);
    const std::string doing = "restore a checkpoint of " + name;
    require_alive(domain, doing);
    if (has(domain, checkpoint.name)) return;
    if (!is_consistent(domain, checkpoint.name))
        throw Error(Code::hypervisor,
                    "libvirt cannot " + doing + ": bitmap " + checkpoint.name + " does not exist");
    domain.checkpoints.push_back(checkpoint.name);
    put(name, domain);
}

} // namespace blockhost::simulated
