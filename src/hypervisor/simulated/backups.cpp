// SPDX-License-Identifier: MIT
#include "hypervisor/simulated/backups.hpp"

#include "base/error.hpp"

#include <algorithm>

namespace blockhost::simulated {

namespace {

namespace fs = std::filesystem;

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

} // namespace

FrozenExport begin_backup(const Store& store, const std::string& name, const BackupSpec& spec) {
    auto domain = must_find(store, name);
    const std::string doing = "freeze the disk of " + name;
    require_alive(domain, doing);
    const auto refuse = [&](Code code, const std::string& why) {
        return Error(code, "libvirt cannot " + doing + ": " + why);
    };
    if (domain.backup_scratch) throw refuse(Code::wrong_state, "a backup is under way already");
    if (!spec.since.empty() && !has(domain, spec.since))
        throw refuse(Code::hypervisor, "no domain checkpoint with matching name '" + spec.since + "'");
    if (has(domain, spec.checkpoint))
        throw refuse(Code::exists, "domain checkpoint " + spec.checkpoint + " already exists");
    if (fs::exists(spec.scratch)) throw refuse(Code::hypervisor, spec.scratch + " exists already");
    const auto facts = read_domain(store.domain_xml(name));
    if (facts.disks.empty()) throw refuse(Code::hypervisor, "no disk '" + spec.disk + "'");
    fs::copy_file(facts.disks.front(), spec.scratch);
    domain.backup_scratch = spec.scratch;
    domain.backup_socket = spec.socket;
    domain.checkpoints.push_back(spec.checkpoint);
    store.put(name, domain);
    return {"", spec.scratch, ""};
}

void end_backup(const Store& store, const std::string& name) {
    auto domain = must_find(store, name);
    if (!domain.backup_scratch) return;
    fs::remove(*domain.backup_scratch);
    domain.backup_scratch.reset();
    store.put(name, domain);
}

std::vector<CheckpointView> checkpoints(const Store& store, const std::string& name) {
    std::vector<CheckpointView> all;
    for (const std::string& each : must_find(store, name).checkpoints)
        all.push_back({each, "<domaincheckpoint><name>" + each + "</name></domaincheckpoint>"});
    return all;
}

void delete_checkpoint(const Store& store, const std::string& name, const std::string& checkpoint,
                       bool knowledge_alone) {
    auto domain = must_find(store, name);
    if (!has(domain, checkpoint)) return;
    if (!knowledge_alone) require_alive(domain, "delete checkpoint " + checkpoint + " of " + name);
    std::erase(domain.checkpoints, checkpoint);
    store.put(name, domain);
}

void restore_checkpoint(const Store& store, const std::string& name, const CheckpointView& checkpoint) {
    auto domain = must_find(store, name);
    require_alive(domain, "restore a checkpoint of " + name);
    if (has(domain, checkpoint.name)) return;
    throw Error(Code::hypervisor, "libvirt cannot restore a checkpoint of " + name + ": bitmap " +
                                      checkpoint.name + " does not exist");
}

} // namespace blockhost::simulated
