// SPDX-License-Identifier: MIT
/// See storage.hpp.

#include "setup/storage.hpp"

#include "base/text/text.hpp"
#include "config/db_yaml.hpp"
#include "operations/create/settings.hpp"
#include "vm/first_use.hpp"

#include <fmt/format.h>

namespace blockhost::setup {

namespace fs = std::filesystem;

namespace {

/// The values given, else db.yaml's. A db.yaml that cannot be understood does not matter when both are given.
struct Place {
    std::string pool;
    fs::path path;
};

Place place_of(const Site& site, const StorageWish& wish) {
    Place place{wish.pool.value_or("blockhost"), wish.path.value_or(site.paths.disks.string())};
    const auto text = wish.pool && wish.path ? std::nullopt : site.db_text();
    if (!text) return place;
    const DbConfig config = parse_db_config(*text, site.paths);
    if (!wish.pool) place.pool = config.storage_pool;
    if (!wish.path) place.path = config.storage_path;
    return place;
}

/// In the simulated world every path lies in that world's folder.
fs::path real_place(const Site& site, const fs::path& path) {
    if (site.reality == Reality::real) return plain(path);
    const bool inside = path.string().starts_with(site.paths.world.string() + "/");
    const bool usual = path == paths_from_environment().disks.string();
    if (inside) return plain(path);
    return usual ? fs::path(site.paths.disks.string()) : site.paths.world / plain(path).relative_path();
}

/// Makes missing folders with mode 0711, since QEMU walks through them; each that root makes belongs to its
/// parent's owner. True when any was made.
bool make_folders(const Site& site, const fs::path& path) {
    std::vector<fs::path> missing;
    for (fs::path each = path; !site.paths.state.at(each) && each.has_relative_path();
         each = each.parent_path())
        missing.push_back(each);
    for (auto each = missing.rbegin(); each != missing.rend(); ++each)
        if (const auto parent = site.paths.state.at(each->parent_path()))
            parent->make_sub(each->filename().string(), 0711);
    return !missing.empty();
}

/// The name of the pool in libvirt; nothing when it is not decided before the first change.
std::optional<std::string> known_pool_name(const Site& site, const std::string& pool) {
    DbConfig config{
        .db_file = {}, .storage_path = {}, .ipv4 = {{Ipv4(0), 32}, Ipv4(0), Ipv4(0), {}}, .resolvers = {}};
    config.storage_pool = pool;
    if (site.paths.is_default_root) return pool;
    const auto instance = existing_instance_id(site.paths);
    return instance ? std::optional(pool_name(config, site.paths, *instance)) : std::nullopt;
}

std::string made_pool_name(const Site& site, const std::string& pool) {
    if (const auto known = known_pool_name(site, pool)) return *known;
    if (!existing_instance_id(site.paths)) require_first_use(*site.hypervisor(Access::read), site.paths);
    instance_id(site.paths);
    return known_pool_name(site, pool).value();
}

void check_is_folder(const fs::path& path, std::vector<BadField>& bad) {
    std::error_code ignored;
    if (fs::exists(path, ignored) && !fs::is_directory(path, ignored))
        bad.push_back({"path", fmt::format("--path {} is not a folder", path.string()),
                       "name one, or move what is there"});
}

} // namespace

void check_names(const std::optional<std::string>& pool, const std::optional<std::string>& path,
                 std::vector<BadField>& bad) {
    if (pool && !is_pool_name(*pool))
        bad.push_back(
            {"pool",
             fmt::format("--pool takes the name of a storage pool, not '{}'", text::printable(*pool, 80)),
             "1 to 64 characters without blanks and slashes, such as blockhost"});
    if (!path) return;
    std::error_code unknown;
    const auto resolved = fs::weakly_canonical(*path, unknown); // also where a link leads
    if (is_storage_path(*path) && (unknown || is_storage_path(resolved.string())))
        check_is_folder(*path, bad);
    else
        bad.push_back({"path",
                       fmt::format("--path takes the absolute path of a folder of its own, not '{}'",
                                   text::printable(*path, 80)),
                       "such as /var/lib/blockhost/vms"});
}

void check_pool_is_there(const Site& site, const std::string& pool, const fs::path& path,
                         Hypervisor& hypervisor) {
    const auto name = known_pool_name(site, pool);
    const auto view = name ? hypervisor.find_pool(*name) : std::nullopt;
    if (!view || site.paths.state.is_same(view->path, path)) return;
    refuse("path", fmt::format("the storage pool {} is at {}, not at {}", *name, view->path, path.string()),
           fmt::format("give --path {}, or another --pool", view->path), Code::exists);
}

Storage settle_storage(const Site& site, const StorageWish& wish) {
    Place place = place_of(site, wish);
    std::vector<BadField> bad;
    check_names(place.pool, wish.path, bad);
    if (!wish.path) check_is_folder(place.path, bad);
    if (!bad.empty()) throw FieldError(Code::invalid, std::move(bad));
    place.path = real_place(site, place.path);
    const auto hypervisor = site.hypervisor(Access::write);
    check_pool_is_there(site, place.pool, place.path, *hypervisor);
    if (site.reality == Reality::real) {
        try {
            operations::require_reachable_by_qemu(
                site.paths, {place.path, site.paths.templates.string(), site.paths.cloud_init.string()},
                host::Way::open);
        } catch (const Error& error) {
            refuse("path", error.message(), error.hint(), error.code());
        }
    }
    Storage done{.pool = made_pool_name(site, place.pool), .path = place.path};
    site.progress.stage(fmt::format("storage pool {} in {}", done.pool, done.path.string()));
    if (hypervisor->find_pool(done.pool) && !site.paths.state.at(done.path))
        refuse("path",
               fmt::format("the folder {} of the storage pool {} is missing", done.path.string(), done.pool),
               "mount its file system; if its disks are lost, make the folder again", Code::wrong_state);
    const bool settled = site.surroundings(Access::write)->pool_is_settled(done.pool);
    const bool made = make_folders(site, done.path);
    hypervisor->ensure_pool(done.pool, done.path.string());
    done.changed = made || !settled;
    return done;
}

} // namespace blockhost::setup
