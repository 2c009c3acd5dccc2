// SPDX-License-Identifier: MIT
#pragma once
/// Owners of libvirt's objects.

#include <cstdlib>
#include <libvirt/libvirt.h>
#include <memory>

namespace blockhost::libvirt {

struct Release {
    void operator()(virDomainPtr p) const { virDomainFree(p); }
    void operator()(virDomainCheckpointPtr p) const { virDomainCheckpointFree(p); }
    void operator()(virStoragePoolPtr p) const { virStoragePoolFree(p); }
    void operator()(virStorageVolPtr p) const { virStorageVolFree(p); }
    void operator()(virNWFilterPtr p) const { virNWFilterFree(p); }
    void operator()(virNWFilterBindingPtr p) const { virNWFilterBindingFree(p); }
    void operator()(virDomainSnapshotPtr p) const { virDomainSnapshotFree(p); }
    void operator()(char* p) const { std::free(p); }
};
using Domain = std::unique_ptr<virDomain, Release>;
using Checkpoint = std::unique_ptr<virDomainCheckpoint, Release>;
using Pool = std::unique_ptr<virStoragePool, Release>;
using Volume = std::unique_ptr<virStorageVol, Release>;
using Filter = std::unique_ptr<virNWFilter, Release>;
using Binding = std::unique_ptr<virNWFilterBinding, Release>;
using DomainSnapshot = std::unique_ptr<virDomainSnapshot, Release>;
using Text = std::unique_ptr<char, Release>; ///< what libvirt allocated with malloc

} // namespace blockhost::libvirt
