// SPDX-License-Identifier: MIT
/// See backups.hpp.

#include "hypervisor/libvirt/backups.hpp"

#include "base/patience.hpp"
#include "hypervisor/libvirt/domains.hpp"
#include "hypervisor/libvirt/errors.hpp"

namespace blockhost::libvirt::backups {

namespace {

using namespace std::chrono_literals;
using domains::must_find;

constexpr auto end_patience = 60s; ///< a job that is aborted ends a little later
constexpr std::chrono::milliseconds poll = 20ms;

/// Its XML; empty when there is none. A driver that has no backups has none under way either.
Text job_of(virConnectPtr connection, const std::string& name, virDomainPtr domain) {
    Text xml(virDomainBackupGetXMLDesc(domain, 0));
    if (xml) return xml;
    const int code = last_code();
    if (code == VIR_ERR_NO_DOMAIN_BACKUP || code == VIR_ERR_NO_DOMAIN || code == VIR_ERR_NO_SUPPORT)
        return {};
    throw last_failure(connection, "tell whether " + name + " is backed up");
}

/// last_failure of what wants a running domain: libvirt says of one that is off that it does not support
/// that.
Failed failure_of(virConnectPtr connection, virDomainPtr domain, const std::string& doing) {
    auto why = last_failure(connection, doing);
    if (why.failure.code == Code::hypervisor && virDomainIsActive(domain) == 0)
        why.failure.code = Code::wrong_state;
    return why;
}

} // namespace

std::optional<std::string> under_way(virConnectPtr connection, const std::string& name) {
    const auto domain = must_find(connection, name);
    const Text xml = job_of(connection, name, domain.get());
    return xml ? std::optional<std::string>(xml.get()) : std::nullopt;
}

std::vector<CheckpointView> checkpoints(virConnectPtr connection, const std::string& name) {
    const auto domain = must_find(connection, name);
    virDomainCheckpointPtr* list = nullptr;
    const int count =
        virDomainListAllCheckpoints(domain.get(), &list, VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL);
    if (count < 0 && last_code() == VIR_ERR_NO_SUPPORT) return {};
    if (count < 0) throw last_failure(connection, "list the checkpoints of " + name);
    std::vector<Checkpoint> owned;
    for (int i = 0; i < count; ++i) owned.emplace_back(list[i]);
    std::free(list);
    std::vector<CheckpointView> all;
    for (const Checkpoint& each : owned) {
        const Text xml(virDomainCheckpointGetXMLDesc(each.get(), 0));
        if (!xml && last_code() == VIR_ERR_NO_DOMAIN_CHECKPOINT) continue;
        if (!xml) throw last_failure(connection, "describe a checkpoint of " + name);
        all.push_back({virDomainCheckpointGetName(each.get()), xml.get()});
    }
    return all;
}

void begin(virConnectPtr connection, const std::string& name, const std::string& backup_xml,
           const std::string& checkpoint_xml) {
    const auto domain = must_find(connection, name);
    // libvirt would wait for the other one for 30 s, and then say that it is busy.
    if (job_of(connection, name, domain.get()))
        throw failed(Code::wrong_state, "a backup of " + name + " is under way already");
    if (virDomainBackupBegin(domain.get(), backup_xml.c_str(), checkpoint_xml.c_str(), 0) < 0)
        throw failure_of(connection, domain.get(), "freeze the disk of " + name);
}

void end(virConnectPtr connection, const std::string& name) {
    const auto domain = must_find(connection, name);
    if (!job_of(connection, name, domain.get())) return;
    if (virDomainAbortJob(domain.get()) < 0 && last_code() != VIR_ERR_OPERATION_INVALID)
        throw last_failure(connection, "end the backup of " + name);
    for (const auto deadline = Deadline::in(end_patience); job_of(connection, name, domain.get());
         pause_for(poll))
        if (deadline.passed())
            throw failed(Code::hypervisor, "libvirt does not end the backup of " + name,
                         "see 'virsh domjobinfo " + name + "'");
}

void delete_checkpoint(virConnectPtr connection, const std::string& name, const std::string& checkpoint,
                       bool knowledge_alone) {
    const auto domain = must_find(connection, name);
    const Checkpoint found(virDomainCheckpointLookupByName(domain.get(), checkpoint.c_str(), 0));
    if (!found && last_code() == VIR_ERR_NO_DOMAIN_CHECKPOINT) return;
    if (found && virDomainCheckpointDelete(
                     found.get(), knowledge_alone ? VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY : 0) == 0)
        return;
    throw failure_of(connection, domain.get(), "delete checkpoint " + checkpoint + " of " + name);
}

void restore_checkpoint(virConnectPtr connection, const std::string& name, const std::string& xml) {
    const auto domain = must_find(connection, name);
    const Checkpoint made(virDomainCheckpointCreateXML(domain.get(), xml.c_str(),
                                                       VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE |
                                                           VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE_VALIDATE));
    if (!made) throw last_failure(connection, "restore a checkpoint of " + name);
}

} // namespace blockhost::libvirt::backups
