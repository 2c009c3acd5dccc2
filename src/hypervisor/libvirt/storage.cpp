// SPDX-License-Identifier: MIT
/// See storage.hpp.

#include "hypervisor/libvirt/storage.hpp"

#include "base/patience.hpp"
#include "hypervisor/libvirt/domains.hpp"
#include "hypervisor/libvirt/errors.hpp"
#include "hypervisor/libvirt/handles.hpp"

#include <cerrno>
#include <filesystem>
#include <libvirt/virterror.h>
#include <sys/stat.h>

namespace blockhost::libvirt::storage {
namespace {

using namespace std::chrono_literals;

/// Repeats `call` while libvirt refuses it only because the pool or the volume is at work for somebody else.
/// True when it succeeded; else the last refusal is this thread's last error.
template<class Call>
bool patiently(Call call) {
    auto until = std::chrono::steady_clock::now() + 5s;
    for (auto pause = 20ms;; pause = std::min(pause * 2, 320ms)) {
        if (call() == 0) return true;
        // "pool has asynchronous jobs running", "volume is still being allocated", "volume is still in use":
        // told apart by code, since libvirt's words are in the daemon's language.
        bool at_work = last_domain() == VIR_FROM_STORAGE &&
                       (last_code() == VIR_ERR_INTERNAL_ERROR || last_code() == VIR_ERR_OPERATION_INVALID);
        if (!at_work || std::chrono::steady_clock::now() + pause > until) return false;
        pause_for(pause);
    }
}

/// Empty when there is no such pool.
Pool look_up_pool(virConnectPtr connection, const std::string& name) {
    Pool pool(virStoragePoolLookupByName(connection, name.c_str()));
    if (!pool && last_code() != VIR_ERR_NO_STORAGE_POOL)
        throw last_failure(connection, "look up storage pool " + name);
    return pool;
}

/// Empty when no active pool knows such a volume.
Volume look_up_volume(virConnectPtr connection, const std::string& path) {
    Volume volume(virStorageVolLookupByPath(connection, path.c_str()));
    if (!volume && last_code() != VIR_ERR_NO_STORAGE_VOL)
        throw last_failure(connection, "look up volume " + path);
    return volume;
}

/// The active pool on the folder of `path`; empty when there is none.
Pool pool_around(virConnectPtr connection, const std::string& path) {
    auto folder = std::filesystem::path(path).parent_path().string();
    Pool pool(virStoragePoolLookupByTargetPath(connection, folder.c_str()));
    if (!pool && last_code() != VIR_ERR_NO_STORAGE_POOL && last_code() != VIR_ERR_NO_SUPPORT)
        throw last_failure(connection, "look for the storage pool of " + path);
    return pool;
}

/// Started, its folder made where that is missing, and only then to be defined: one that is defined was
/// built. A folder that is there keeps its owner and mode, since it is not built.
Pool new_pool(virConnectPtr connection, const std::string& name, const std::string& xml) {
    for (const unsigned flags : {0u, unsigned(VIR_STORAGE_POOL_CREATE_WITH_BUILD)})
        if (Pool made(virStoragePoolCreateXML(connection, xml.c_str(), flags)); made) return made;
    auto why = last_failure(connection, "make storage pool " + name);
    auto pool = look_up_pool(connection, name); // another process may have been quicker
    if (!pool) throw why;
    return pool;
}

/// By its own XML, which has the uuid that libvirt gave it.
void define_as_it_runs(virConnectPtr connection, virStoragePoolPtr pool, const std::string& name) {
    const Text xml(virStoragePoolGetXMLDesc(pool, 0));
    if (!xml || !Pool(virStoragePoolDefineXML(connection, xml.get(), 0)))
        throw last_failure(connection, "define storage pool " + name);
}

bool surely_no_file(const std::string& path) {
    struct stat found;
    return ::lstat(path.c_str(), &found) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

VolumeView view_of(virConnectPtr connection, virStorageVolPtr volume) {
    Text path(virStorageVolGetPath(volume));
    virStorageVolInfo info;
    if (!path || virStorageVolGetInfo(volume, &info) < 0) throw last_failure(connection, "describe a volume");
    return {path.get(), info.capacity, info.allocation};
}

Volume refresh_and_look_up(virConnectPtr connection, const std::string& path) {
    auto pool = pool_around(connection, path);
    if (!pool) return {};
    if (!patiently([&] { return virStoragePoolRefresh(pool.get(), 0); }))
        throw last_failure(connection, "refresh the storage pool of " + path);
    return look_up_volume(connection, path);
}

} // namespace

std::optional<PoolText> find_pool(virConnectPtr connection, const std::string& name) {
    auto pool = look_up_pool(connection, name);
    if (!pool) return std::nullopt;
    virStoragePoolInfo info;
    Text xml(virStoragePoolGetXMLDesc(pool.get(), 0));
    if (!xml || virStoragePoolGetInfo(pool.get(), &info) < 0) {
        if (last_code() == VIR_ERR_NO_STORAGE_POOL) return std::nullopt;
        throw last_failure(connection, "describe storage pool " + name);
    }
    PoolText found;
    found.view.name = name;
    found.view.active = info.state != VIR_STORAGE_POOL_INACTIVE;
    found.view.capacity_bytes = info.capacity;
    found.view.available_bytes = info.available;
    found.xml = xml.get();
    return found;
}

void ensure_pool(virConnectPtr connection, const std::string& name, const std::string& xml) {
    auto pool = look_up_pool(connection, name);
    if (!pool) pool = new_pool(connection, name, xml);
    if (virStoragePoolIsActive(pool.get()) != 1 && virStoragePoolCreate(pool.get(), 0) < 0) {
        auto why = last_failure(connection, "start storage pool " + name);
        why.failure.hint = "mount the file system of its folder: a pool that was there is not made anew";
        if (virStoragePoolIsActive(pool.get()) != 1) throw why;
    }
    if (virStoragePoolIsPersistent(pool.get()) == 0) define_as_it_runs(connection, pool.get(), name);
    int autostart = 0;
    if (virStoragePoolGetAutostart(pool.get(), &autostart) == 0 && autostart) return;
    if (virStoragePoolSetAutostart(pool.get(), 1) < 0)
        throw last_failure(connection, "autostart storage pool " + name);
}

void remove_pool(virConnectPtr connection, const std::string& name) {
    auto pool = look_up_pool(connection, name);
    if (!pool) return;
    if (virStoragePoolIsActive(pool.get()) == 1 &&
        !patiently([&] { return virStoragePoolDestroy(pool.get()); }))
        throw last_failure(connection, "stop storage pool " + name);
    if (virStoragePoolUndefine(pool.get()) < 0 && last_code() != VIR_ERR_NO_STORAGE_POOL)
        throw last_failure(connection, "undefine storage pool " + name);
}

std::optional<VolumeView> find_volume(virConnectPtr connection, const std::string& path) {
    if (auto volume = look_up_volume(connection, path)) return view_of(connection, volume.get());
    if (pool_around(connection, path) || surely_no_file(path)) return std::nullopt;
    throw failed(Code::hypervisor,
                 "no active storage pool holds " + path + ", so libvirt cannot tell what it is",
                 "see `virsh pool-list --all`");
}

VolumeView create_volume(virConnectPtr connection, const std::string& name, const std::string& xml) {
    auto pool = look_up_pool(connection, name);
    if (!pool) throw failed(Code::not_found, "libvirt has no storage pool " + name);
    Volume volume(virStorageVolCreateXML(pool.get(), xml.c_str(), 0));
    if (volume) return view_of(connection, volume.get());
    auto why = last_failure(connection, "make a volume in storage pool " + name);
    // "volume target path … already exists": a file of that name which the pool doesn't know. The test driver
    // says "operation failed" of a volume that it knows.
    bool refused = why.failure.code == Code::wrong_state || why.libvirt_code == VIR_ERR_OPERATION_FAILED;
    if (refused && virStoragePoolIsActive(pool.get()) == 1) why.failure.code = Code::exists;
    throw why;
}

void delete_volume(virConnectPtr connection, const std::string& path) {
    auto volume = look_up_volume(connection, path);
    if (!volume && surely_no_file(path)) return;
    if (!volume) volume = refresh_and_look_up(connection, path);
    if (!volume && surely_no_file(path)) return;
    if (!volume)
        throw failed(Code::hypervisor, path + " is a file that no active storage pool knows, and stays",
                     "see `virsh pool-list --all`");
    if (Text known(virStorageVolGetPath(volume.get())); !known || path != known.get())
        throw failed(Code::hypervisor, path + " is known to libvirt under another path, and stays");
    if (patiently([&] { return virStorageVolDelete(volume.get(), 0); })) return;
    if (last_code() != VIR_ERR_NO_STORAGE_VOL) throw last_failure(connection, "delete volume " + path);
}

namespace {

/// Through QEMU, which has the file: nobody else may change it meanwhile.
void grow_running(virConnectPtr connection, virDomainPtr domain, const std::string& name,
                  const std::string& path, std::uint64_t capacity_bytes) {
    virDomainBlockInfo info;
    if (virDomainGetBlockInfo(domain, path.c_str(), &info, 0) < 0)
        throw last_failure(connection, "tell the size of the disk " + path + " of " + name);
    if (info.capacity >= capacity_bytes) return;
    if (virDomainBlockResize(domain, path.c_str(), capacity_bytes, VIR_DOMAIN_BLOCK_RESIZE_BYTES) < 0)
        throw last_failure(connection, "make the disk " + path + " of " + name + " larger");
}

} // namespace

void grow_disk(virConnectPtr connection, const std::string& name, const std::string& path,
               std::uint64_t capacity_bytes) {
    const auto domain = domains::must_find(connection, name);
    if (virDomainIsActive(domain.get()) == 1)
        return grow_running(connection, domain.get(), name, path, capacity_bytes);
    auto volume = look_up_volume(connection, path);
    if (!volume && !surely_no_file(path)) volume = refresh_and_look_up(connection, path);
    if (!volume)
        throw failed(Code::hypervisor, "no active storage pool has the disk " + path + " of " + name,
                     "see `virsh pool-list --all`");
    if (view_of(connection, volume.get()).capacity_bytes >= capacity_bytes) return;
    if (!patiently([&] { return virStorageVolResize(volume.get(), capacity_bytes, 0); }))
        throw last_failure(connection, "make the disk " + path + " of " + name + " larger");
}

} // namespace blockhost::libvirt::storage
