// SPDX-License-Identifier: MIT
/// See disk_users.hpp.

#include "vm/disk_users.hpp"

#include "hypervisor/files/qcow2.hpp"
#include "hypervisor/xml/domain.hpp"

#include <algorithm>

namespace blockhost {

namespace {

namespace fs = std::filesystem;

/// Device and inode of a file that exists, else its path.
std::string identity_of(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path, ignored) ? files::identity(path) : path.lexically_normal().string();
}

class Search {
  public:
    Search(World& world, const std::vector<fs::path>& files) : world_(world) {
        for (const fs::path& file : files) wanted_.push_back(identity_of(file));
    }

    bool has_one(const std::string& domain) {
        Hypervisor& hypervisor = world_.hypervisor();
        const auto view = hypervisor.find(domain);
        if (!view) return false;
        const auto others = hypervisor.other_definitions(domain);
        return names_one(view->xml) ||
               std::ranges::any_of(others, [&](const std::string& xml) { return names_one(xml); });
    }

  private:
    bool is_one(const fs::path& file) const {
        return std::ranges::find(wanted_, identity_of(file)) != wanted_.end();
    }

    bool stands_on_one(const fs::path& file) const {
        try {
            return std::ranges::any_of(backing_chain(file),
                                       [&](const fs::path& each) { return is_one(each); });
        } catch (const Error&) { // gone, or not readable for us
            return false;
        }
    }

    bool names_one(const std::string& xml) const {
        const DiskSources sources = disk_sources(xml);
        for (const auto* list : {&sources.files, &sources.raw, &sources.removable})
            if (std::ranges::any_of(*list, [&](const std::string& file) { return is_one(file); }))
                return true;
        for (const DiskSources::Volume& volume : sources.volumes)
            if (const auto pool = world_.hypervisor().find_pool(volume.pool))
                if (is_one(fs::path(pool->path) / volume.volume)) return true;
        return std::ranges::any_of(sources.files,
                                   [&](const std::string& file) { return stands_on_one(file); });
    }

    World& world_;
    std::vector<std::string> wanted_;
};

} // namespace

std::optional<std::string> user_of(World& world, const std::vector<fs::path>& files,
                                   const std::optional<VmName>& but) {
    Search search(world, files);
    for (const DomainState& domain : world.hypervisor().states())
        if ((!but || domain.name != but->str()) && search.has_one(domain.name)) return domain.name;
    return std::nullopt;
}

} // namespace blockhost
