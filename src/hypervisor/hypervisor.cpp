/// What the interfaces do on the caller's side, because it reads or writes XML.

#include "hypervisor/hypervisor.hpp"

#include "hypervisor/domain_xml.hpp"

namespace blockhost {

std::optional<PoolView> Observer::find_pool(const std::string& name) {
    auto pool = raised<std::optional<PoolView>>([&](Failure& f) { return do_find_pool(name, f); });
    if (pool) pool->path = pool_target(pool->xml);
    return pool;
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
