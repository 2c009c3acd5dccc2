// SPDX-License-Identifier: MIT
/// See layers.hpp.

#include "hypervisor/libvirt/layers.hpp"

#include "hypervisor/libvirt/domains.hpp"
#include "hypervisor/libvirt/errors.hpp"
#include "hypervisor/libvirt/handles.hpp"

#include <libvirt/virterror.h>

namespace blockhost::libvirt::layers {

std::optional<BlockJob> block_job(virConnectPtr connection, const std::string& name,
                                  const std::string& target) {
    const auto domain = domains::must_find(connection, name);
    virDomainBlockJobInfo info;
    const int found = virDomainGetBlockJobInfo(domain.get(), target.c_str(), &info,
                                               VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES);
    if (found == 0) return std::nullopt;
    if (found < 0) {
        const auto why =
            last_failure(connection, "tell what is done with the disk " + target + " of " + name);
        if (virDomainIsActive(domain.get()) == 0) return std::nullopt;
        throw why;
    }
    // libvirt tells of an end below `end` until QEMU says that the job is ready.
    return BlockJob{.commits = info.type == VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT,
                    .ready = info.end > 0 && info.cur == info.end,
                    .done_bytes = info.cur,
                    .all_bytes = info.end};
}

void set_disk(virConnectPtr connection, const std::string& name, const std::string& xml) {
    const auto domain = domains::must_find(connection, name);
    domains::require_side(domain.get(), name, TuningOf::definition);
    if (virDomainUpdateDeviceFlags(domain.get(), xml.c_str(), VIR_DOMAIN_DEVICE_MODIFY_CONFIG) < 0)
        throw last_failure(connection, "change the disk in the definition of " + name);
}

/// Without metadata: libvirt would keep the domain from being undefined for its sake, and nobody else is to
/// act on it.
void add_layer(virConnectPtr connection, const std::string& name, const std::string& xml) {
    const auto domain = domains::must_find(connection, name);
    domains::require_side(domain.get(), name, TuningOf::running);
    const DomainSnapshot made(virDomainSnapshotCreateXML(
        domain.get(), xml.c_str(),
        VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT |
            VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA | VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC));
    if (!made) throw last_failure(connection, "put an overlay on the disk of " + name);
}

void commit_layer(virConnectPtr connection, const std::string& name, const std::string& target,
                  const std::string& into) {
    const auto domain = domains::must_find(connection, name);
    domains::require_side(domain.get(), name, TuningOf::running);
    if (const auto job = block_job(connection, name, target); job && job->commits) return;
    if (virDomainBlockCommit(domain.get(), target.c_str(), into.c_str(), nullptr, 0,
                             VIR_DOMAIN_BLOCK_COMMIT_ACTIVE) < 0)
        throw last_failure(connection, "commit the overlay of the disk of " + name);
}

void end_block_job(virConnectPtr connection, const std::string& name, const std::string& target, JobEnd end) {
    const auto domain = domains::must_find(connection, name);
    if (!block_job(connection, name, target)) return;
    const unsigned flags = end == JobEnd::pivot ? VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT : 0;
    if (virDomainBlockJobAbort(domain.get(), target.c_str(), flags) == 0) return;
    auto why = last_failure(connection, "end what is done with the disk of " + name);
    if (why.libvirt_code == VIR_ERR_BLOCK_COPY_ACTIVE) why.failure.code = Code::busy;
    if (!block_job(connection, name, target)) return; // it ended by itself meanwhile
    throw why;
}

} // namespace blockhost::libvirt::layers
