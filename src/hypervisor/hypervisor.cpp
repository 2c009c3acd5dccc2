/// What the interfaces do on the caller's side, because it reads or writes XML.

#include "hypervisor/hypervisor.hpp"

#include "hypervisor/domain_xml.hpp"

namespace blockhost {

std::optional<PoolView> Observer::find_pool(const std::string& name) {
    auto pool = raised<std::optional<PoolView>>([&](Failure& f) { return do_find_pool(name, f); });
    if (pool) pool->path = pool_target(pool->xml);
    return pool;
}

TunedDevices Observer::devices_of(const std::string& name) {
    const auto view = find(name);
    if (!view) throw Error(Code::not_found, "libvirt has no domain " + name);
    return tuned_devices(view->xml);
}

Tuning Observer::tuning(const std::string& name, TuningOf which) {
    const auto devices = devices_of(name);
    return raised<Tuning>([&](Failure& f) { return do_tuning(name, devices, which, f); });
}

void Hypervisor::tune(const std::string& name, Subsystem subsystem, const Tuning& wanted, TuningOf which) {
    const auto devices = devices_of(name);
    const bool missing = (subsystem == Subsystem::network && devices.mac.empty()) ||
                         (subsystem == Subsystem::disk && devices.disk.empty());
    if (missing)
        throw Error(Code::wrong_state,
                    name + " has no " + (subsystem == Subsystem::disk ? "disk" : "network interface"));
    raised_void([&](Failure& f) { do_tune(name, devices, subsystem, wanted, which, f); });
}

void Hypervisor::ensure_pool(const std::string& name, const std::string& path) {
    auto plain = [](const std::filesystem::path& p) { return (p / "").lexically_normal(); };
    auto pool = find_pool(name);
    if (pool && plain(pool->path) != plain(path))
        throw Error(Code::config, "the storage pool " + name + " is at " + pool->path + ", not at " + path,
                    "set storage_pool and storage_path in db.yaml to a pool and its own folder");
    raised_void([&](Failure& f) { do_ensure_pool(name, render_pool(name, path), f); });
}

} // namespace blockhost
