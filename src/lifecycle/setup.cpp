/// The steps about storage and network; see setup.hpp.

#include "lifecycle/setup.hpp"

#include "base/text.hpp"
#include "config/db_yaml.hpp"
#include "lifecycle/settings.hpp"
#include "lifecycle/setup_checks.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::setup {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void refuse(std::string field, std::string message, std::string hint,
                         Code code = Code::invalid) {
    throw FieldError(code, {{std::move(field), std::move(message), std::move(hint)}});
}

} // namespace

std::vector<host::Interface> Site::interfaces() const {
    return reality == Reality::simulated ? host::simulated_interfaces(paths.world)
                                         : host::kernel_interfaces();
}

std::unique_ptr<Hypervisor> Site::hypervisor(Access access) const {
    return reality == Reality::simulated ? open_simulated(paths.world) : open_libvirt(libvirt_uri(), access);
}

std::unique_ptr<Surroundings> Site::surroundings(Access access) const {
    return reality == Reality::simulated ? open_simulated_surroundings(paths.world)
                                         : open_libvirt_surroundings(libvirt_uri(), access);
}

fs::path Site::db_target() const {
    return reality == Reality::simulated ? paths.world / "db.yaml" : paths.db_yaml();
}

fs::path Site::db_yaml() const {
    std::error_code ignored;
    return fs::exists(db_target(), ignored) ? db_target() : paths.db_yaml();
}

std::optional<std::string> Site::db_text() const {
    const auto text = files::read(db_yaml());
    if (!text || text::trim(*text).empty()) return std::nullopt;
    return text;
}

namespace {

/// The value given or db.yaml's; a db.yaml that cannot be understood is in nobody's way who needs nothing
/// of it.
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

/// In the simulated world everything lies in its own folder.
fs::path real_place(const Site& site, const fs::path& path) {
    if (site.reality == Reality::real) return plain(path);
    const bool inside = path.string().starts_with(site.paths.world.string() + "/");
    const bool usual = path == paths_from_environment().disks;
    return inside ? plain(path) : usual ? site.paths.disks : site.paths.world / plain(path).relative_path();
}

/// 0711, for QEMU walks through; made by root each belongs to its parent's owner. True when any was made.
bool make_folders(const fs::path& path) {
    std::vector<fs::path> missing;
    std::error_code ignored;
    for (fs::path each = path; !fs::exists(each, ignored) && each.has_relative_path();
         each = each.parent_path())
        missing.push_back(each);
    for (auto each = missing.rbegin(); each != missing.rend(); ++each) Folder::open_or_make(*each, 0711);
    return !missing.empty();
}

/// What that place's pool is called in libvirt; nothing when that is not decided before the first change.
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
    std::error_code error;
    fs::create_directories(site.paths.state, error);
    if (error) throw errno_error("cannot make", site.paths.state.string(), error.value());
    instance_id(site.paths);
    return known_pool_name(site, pool).value();
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
    std::error_code ignored;
    if (!is_absolute_path(*path) || plain(*path) == "/")
        bad.push_back({"path",
                       fmt::format("--path takes the absolute path of a folder of its own, not '{}'",
                                   text::printable(*path, 80)),
                       "such as /var/lib/blockhost/vms"});
    else if (fs::exists(*path, ignored) && !fs::is_directory(*path, ignored))
        bad.push_back(
            {"path", fmt::format("--path {} is not a folder", *path), "name one, or move what is there"});
}

fs::path plain(const fs::path& path) {
    const fs::path normal = path.lexically_normal();
    return normal.has_filename() ? normal : normal.parent_path();
}

void check_pool_is_there(const Site& site, const std::string& pool, const fs::path& path,
                         Hypervisor& hypervisor) {
    const auto name = known_pool_name(site, pool);
    const auto view = name ? hypervisor.find_pool(*name) : std::nullopt;
    if (!view || plain(view->path) == plain(path)) return;
    refuse("path", fmt::format("the storage pool {} is at {}, not at {}", *name, view->path, path.string()),
           fmt::format("give --path {}, or another --pool", view->path), Code::exists);
}

Storage settle_storage(const Site& site, const StorageWish& wish) {
    Place place = place_of(site, wish);
    std::vector<BadField> bad;
    check_names(place.pool, place.path.string(), bad);
    if (!bad.empty()) throw FieldError(Code::invalid, std::move(bad));
    place.path = real_place(site, place.path);
    const auto hypervisor = site.hypervisor(Access::write);
    check_pool_is_there(site, place.pool, place.path, *hypervisor);
    if (site.reality == Reality::real) {
        try {
            require_reachable_by_qemu(place.path);
        } catch (const Error& error) {
            refuse("path", error.message(), error.hint(), error.code());
        }
    }
    Storage done{.pool = made_pool_name(site, place.pool), .path = place.path};
    site.talk.stage(fmt::format("storage pool {} in {}", done.pool, done.path.string()));
    const bool settled = site.surroundings(Access::write)->pool_is_settled(done.pool);
    const bool made = make_folders(done.path);
    hypervisor->ensure_pool(done.pool, done.path.string());
    done.changed = made || !settled;
    return done;
}

namespace {

const host::Interface* named(const std::vector<host::Interface>& interfaces, const std::string& name) {
    const auto found = std::ranges::find(interfaces, name, &host::Interface::name);
    return found == interfaces.end() ? nullptr : &*found;
}

bool is_libvirts_own(const std::string& bridge, const std::vector<LibvirtNetwork>& networks) {
    return std::ranges::any_of(networks, [&](const LibvirtNetwork& network) {
        return makes_its_bridge(network) && bridge_of(network) == bridge;
    });
}

/// `where` says who named it.
Bridge checked_bridge(const std::vector<host::Interface>& interfaces,
                      const std::vector<LibvirtNetwork>& networks, const std::string& name,
                      const std::string& where) {
    if (!is_bridge_name(name))
        refuse("bridge",
               fmt::format("{} is not the name of a bridge: '{}'", where, text::printable(name, 80)),
               "at most 15 characters, such as br0");
    const host::Interface* found = named(interfaces, name);
    if (!found)
        refuse("bridge", fmt::format("{} names {}, which is not an interface of this host", where, name),
               "'ip link show type bridge' lists the bridges", Code::not_found);
    if (!found->bridge)
        refuse("bridge", fmt::format("{} names {}, which is an interface, but not a bridge", where, name),
               "make a bridge and put that interface into it");
    for (const LibvirtNetwork& network : networks)
        if (network.name == libvirts_network && makes_its_bridge(network) && bridge_of(network) == name)
            refuse("bridge",
                   fmt::format("{} names {}, which belongs to libvirt's network {} and goes with it", where,
                               name, network.name),
                   "VMs need a bridge of the host's own, such as br0");
    const auto address = found->global();
    if (!address)
        refuse("bridge", fmt::format("{} names {}, which has no IPv4 address", where, name),
               fmt::format("give it one: ip addr add ADDRESS/LENGTH dev {}", name), Code::wrong_state);
    return {name, *address};
}

std::optional<std::string> bridge_in_db_yaml(const Site& site) {
    const auto text = site.db_text();
    if (!text || !db_yaml_gives(*text, site.paths, "bridge")) return std::nullopt;
    return parse_db_config(*text, site.paths).bridge;
}

} // namespace

Bridge find_bridge(const Site& site, const std::vector<host::Interface>& interfaces,
                   const std::vector<LibvirtNetwork>& networks, const std::optional<std::string>& given) {
    if (given) return checked_bridge(interfaces, networks, *given, "--bridge");
    const fs::path made = site.paths.run / "bridge";
    if (const auto line = files::read(made, 4096); line && !text::trim(*line).empty())
        return checked_bridge(interfaces, networks, std::string(text::trim(*line)), made.string());
    if (const auto named_there = bridge_in_db_yaml(site); named_there && named(interfaces, *named_there))
        return checked_bridge(interfaces, networks, *named_there, site.db_yaml().string());
    for (const host::Interface& each : interfaces)
        if (each.bridge && each.global() && !is_libvirts_own(each.name, networks))
            return {each.name, *each.global()};
    refuse("bridge", "this host has no bridge with an IPv4 address that VMs could stand on",
           "make one (ip link add br0 type bridge), give it the host's address, or name one with --bridge",
           Code::not_found);
}

NetworkDone settle_network(const Site& site, const std::optional<std::string>& given) {
    const auto surroundings = site.surroundings(Access::write);
    const auto networks = surroundings->networks();
    const auto interfaces = site.interfaces();
    NetworkDone done{.bridge = find_bridge(site, interfaces, networks, given)};
    site.talk.stage(fmt::format("VMs stand on {} ({})", done.bridge.name, done.bridge.address.str()));
    const auto there = std::ranges::find(networks, libvirts_network, &LibvirtNetwork::name);
    if (there == networks.end() || (!there->active && !there->autostart)) return done;
    const host::Interface* bridge = named(interfaces, bridge_of(*there));
    if (there->active && bridge && bridge->ports > 0)
        site.talk.warn(fmt::format("{} domain(s) on libvirt's network {} lose their connection",
                                   bridge->ports, libvirts_network));
    site.talk.stage(fmt::format("stopping libvirt's network {}", libvirts_network));
    surroundings->retire_network(libvirts_network);
    done.changed = true;
    return done;
}

} // namespace blockhost::setup
