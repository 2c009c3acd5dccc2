// SPDX-License-Identifier: MIT
/// See db_yaml.hpp.

#include "setup/db_yaml.hpp"

#include "base/accounts.hpp"
#include "base/files/lock.hpp"
#include "base/text/text.hpp"
#include "config/db_yaml.hpp"
#include "config/yaml_merge.hpp"
#include "setup/network.hpp"
#include "setup/storage.hpp"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::setup {

namespace {

namespace fs = std::filesystem;
using Type = YamlSetting::Type;

constexpr std::string_view heading = "# Where this host's VMs are and which addresses they get. Read by "
                                     "blockhost-libvirt and by\n# other programs of BlockHost.\n";
constexpr const char* user_group = "blockhost";
constexpr mode_t file_mode = 0640;
constexpr auto patience_for_another = std::chrono::seconds(20);

/// Collects everything that is wrong with the values given, before any of them counts.
class Complaints {
  public:
    void add(std::string field, std::string message, std::string hint) {
        bad_.push_back({std::move(field), std::move(message), std::move(hint)});
    }
    bool about(std::string_view field) const {
        return std::ranges::find(bad_, field, &BadField::field) != bad_.end();
    }
    void raise() const {
        if (!bad_.empty()) throw FieldError(Code::invalid, bad_);
    }

    std::vector<BadField>& list() { return bad_; }

  private:
    std::vector<BadField> bad_;
};

std::string shown(const std::string& text) {
    return text::printable(text, 80);
}

/// Networks that no host stands in: 0.0.0.0/8, loopback, link-local, multicast and above.
bool is_reserved(Ipv4Network network) {
    const auto first = network.network().value() >> 24;
    return first == 0 || first == 127 || first >= 224 ||
           network.network().value() >> 16 == (169u << 8 | 254u);
}

bool is_network_for_vms(const Ipv4Network& network) {
    return network.prefix_length() >= 8 && network.prefix_length() <= 30 && !is_reserved(network);
}

std::optional<Ipv4Network> given_network(const DbWish& wish, Complaints& bad) {
    if (!wish.ip_network) return std::nullopt;
    const auto network = Ipv4Network::try_parse(*wish.ip_network);
    if (network && is_network_for_vms(*network)) return network;
    bad.add("ip_network",
            network ? fmt::format("--ip-network {} is not a network for VMs", network->str())
                    : fmt::format("--ip-network takes an IPv4 network, not '{}'", shown(*wish.ip_network)),
            "such as 192.168.1.0/24, with a length from /8 to /30");
    return std::nullopt;
}

/// A number is a host's number in the network or, where the network does not begin at .0, a last octet.
std::optional<Ipv4> address_in(const Ipv4Network& network, const std::string& text) {
    if (const auto whole = Ipv4::try_parse(text)) return whole;
    const auto number = text::parse_int(text);
    const std::int64_t size = std::int64_t{1} << (32 - network.prefix_length());
    if (!number || *number < 0) return std::nullopt;
    if (*number < size) return Ipv4(network.network().value() + static_cast<std::uint32_t>(*number));
    const Ipv4 octet((network.network().value() & 0xffffff00) | static_cast<std::uint32_t>(*number & 0xff));
    return *number <= 255 && network.contains(octet) ? std::optional(octet) : std::nullopt;
}

bool is_a_hosts(const Ipv4Network& network, Ipv4 address) {
    return network.contains(address) && address != network.network() && address != network.broadcast();
}

std::optional<Ipv4> given_address(const std::optional<std::string>& text, const Ipv4Network& network,
                                  std::string field, std::string_view option, Complaints& bad) {
    if (!text) return std::nullopt;
    const auto address = address_in(network, *text);
    if (address && is_a_hosts(network, *address)) return address;
    bad.add(std::move(field),
            fmt::format("{} takes an address of a host in {}, not '{}'", option, network.str(), shown(*text)),
            fmt::format("from {} to {}, or its last number", Ipv4(network.network().value() + 1).str(),
                        Ipv4(network.broadcast().value() - 1).str()));
    return std::nullopt;
}

/// The existing file, as far as it can be understood.
struct Existing {
    std::string text;
    bool is_new = true; ///< there was no file, or nothing in it
    std::optional<DbConfig> config;
};

bool is_comment_alone(const std::string& text) {
    return std::ranges::all_of(text::split(text, '\n'), [](const std::string& line) {
        return text::trim(line).empty() || text::trim(line).front() == '#';
    });
}

Existing existing_file(const Site& site) {
    const auto text = site.db_text();
    if (!text) return {std::string(heading), true, std::nullopt};
    if (is_comment_alone(*text)) return {*text, true, std::nullopt};
    Existing found{*text, false, std::nullopt};
    merge_yaml(*text, site.db_yaml().string(), {}); // refuses what is not even YAML
    try {
        found.config = parse_db_config(*text, site.paths);
    } catch (const Error&) {
        // The values given may mend what is wrong; the result is parsed too.
    }
    return found;
}

struct Values {
    std::optional<std::string> pool, bridge;
    std::optional<fs::path> path;
    std::optional<Ipv4Network> network;
    std::optional<Ipv4> first, last, gateway;
    std::optional<std::string> grace;
};

void take_grace(const DbWish& wish, Values& values, Complaints& bad) {
    if (!wish.gc_grace_days) return;
    const auto days = text::parse_int(*wish.gc_grace_days);
    if (!days || *days < 0 || *days > limits::expiry_days_max)
        bad.add("gc_grace_days",
                fmt::format("--gc-grace-days takes whole days, not '{}'", shown(*wish.gc_grace_days)),
                fmt::format("from 0 to {}", limits::expiry_days_max));
    else
        values.grace = std::to_string(*days);
}

void take_addresses(const DbWish& wish, const Ipv4Network& network, Values& values, Complaints& bad) {
    values.first = given_address(wish.ip_start, network, "ip_start", "--ip-start", bad);
    values.last = given_address(wish.ip_end, network, "ip_end", "--ip-end", bad);
    values.gateway = given_address(wish.gateway, network, "gateway", "--gateway", bad);
    if (values.first && values.last && *values.first > *values.last)
        bad.add("ip_end",
                fmt::format("--ip-end {} lies before --ip-start {}", values.last->str(), values.first->str()),
                "the pool goes from the start to the end");
}

/// Fills in what a file without a pool needs and nobody gave: the upper part of the network, and the gateway
/// that the host itself uses.
void fill_up(const Ipv4Network& network, const std::vector<host::Interface>& interfaces,
             const std::optional<Bridge>& bridge, Values& values) {
    const std::uint32_t base = network.network().value();
    const std::uint32_t size = 1u << (32 - std::max(network.prefix_length(), 24));
    const Ipv4 first(base + (size == 256 ? 200 : size / 2)), last(base + (size == 256 ? 250 : size - 2));
    if (!values.first && !values.last) values.first = first, values.last = last;
    if (!values.last) values.last = std::max(*values.first, last);
    if (!values.first) values.first = std::min(*values.last, first);
    values.network = network;
    if (values.gateway) return;
    values.gateway = Ipv4(base + 1);
    if (!bridge) return;
    if (is_a_hosts(network, bridge->address.address)) values.gateway = bridge->address.address;
    const auto stands = std::ranges::find(interfaces, bridge->name, &host::Interface::name);
    if (stands != interfaces.end() && stands->gateway && is_a_hosts(network, *stands->gateway))
        values.gateway = stands->gateway;
}

std::vector<YamlSetting> settings_of(const Values& values, const Ipv4Network& network) {
    std::vector<YamlSetting> settings;
    const auto put = [&](std::string section, std::string key, const std::optional<std::string>& value,
                         Type type = Type::text) {
        if (value) settings.push_back({std::move(section), std::move(key), *value, type});
    };
    const auto end_of_pool = [&](const char* key, const std::optional<Ipv4>& address) {
        if (!address) return;
        const std::string text = pool_end_text(network, *address);
        put("ip_pool", key, text, text.find('.') == std::string::npos ? Type::number : Type::text);
    };
    put("", "bridge", values.bridge);
    put("", "storage_pool", values.pool);
    put("", "storage_path", values.path ? std::optional(values.path->string()) : std::nullopt);
    put("", "gc_grace_days", values.grace, Type::number);
    put("ip_pool", "network", values.network ? std::optional(values.network->str()) : std::nullopt);
    end_of_pool("start", values.first);
    end_of_pool("end", values.last);
    put("ip_pool", "gateway", values.gateway ? std::optional(values.gateway->str()) : std::nullopt);
    return settings;
}

/// Adds the contract's defaults for values that nobody gave, and keys that cannot be given.
void add_defaults(const Site& site, Values& values, std::vector<YamlSetting>& others) {
    if (!values.pool) values.pool = "blockhost";
    if (!values.path) values.path = site.paths.disks.string();
    if (!values.grace) values.grace = "7";
    others.push_back({"", "default_expiry_days", "30", Type::number});
    others.push_back({"ipv6_pool", "start", "2", Type::number});
    others.push_back({"ipv6_pool", "end", "254", Type::number});
}

/// The result as the other verbs will read it. An error is blamed on the value that could be given to mend
/// it.
DbConfig understood(const Site& site, const std::string& text) {
    try {
        return parse_db_config(text, site.paths);
    } catch (const Error& error) {
        static constexpr std::array<std::array<const char*, 2>, 8> fields{{{"ip_pool.start", "ip_start"},
                                                                           {"ip_pool.end", "ip_end"},
                                                                           {"ip_pool.gateway", "gateway"},
                                                                           {"ip_pool.network", "ip_network"},
                                                                           {"gc_grace_days", "gc_grace_days"},
                                                                           {"storage_pool", "pool"},
                                                                           {"storage_path", "path"},
                                                                           {"bridge", "bridge"}}};
        for (const auto& [key, field] : fields) {
            if (error.message().find(std::string(key) + ":") == std::string::npos) continue;
            std::string option(field);
            std::ranges::replace(option, '_', '-');
            throw FieldError(Code::invalid, {{field, error.message(), "give --" + option + " too"}});
        }
        throw;
    }
}

files::Ownership ownership_of(const Site& site) {
    files::Ownership ownership{.mode = file_mode, .uid = {}, .gid = {}};
    if (site.reality == Reality::simulated || geteuid() != 0) return ownership;
    ownership.uid = 0;
    ownership.gid = group_id(user_group).value_or(0);
    return ownership;
}

bool is_as(const fs::path& file, const files::Ownership& wanted) {
    struct stat found;
    if (::stat(file.c_str(), &found) != 0) return false;
    return (found.st_mode & 07777) == wanted.mode && found.st_uid == wanted.uid.value_or(found.st_uid) &&
           found.st_gid == wanted.gid.value_or(found.st_gid);
}

std::string range_text(Ipv4 first, Ipv4 last) {
    return first.str() + " to " + last.str();
}

/// libvirt need not answer for this step; when it does not, a warning says what it was to be asked.
struct Libvirt {
    std::vector<LibvirtNetwork> networks = {};
    std::optional<Warning> silent = {};
};

Libvirt ask_libvirt(const Site& site) {
    try {
        return {site.surroundings(Access::read)->networks(), {}};
    } catch (const Error& error) {
        return {{},
                Warning{"ip_network", fmt::format("libvirt could not be asked which addresses its DHCP hands "
                                                  "out: {}",
                                                  error.message())}};
    }
}

void check_pool(const Site& site, const DbConfig& config, bool libvirt_answers) {
    if (!libvirt_answers || site.reality == Reality::simulated) return;
    const auto hypervisor = site.hypervisor(Access::read);
    check_pool_is_there(site, config.storage_pool, config.storage_path, *hypervisor);
}

} // namespace

std::string pool_end_text(const Ipv4Network& network, Ipv4 address) {
    return network.prefix_length() >= 24 ? std::to_string(address.value() & 0xff) : address.str();
}

std::vector<Warning> dangers(const Ipv4Pool& pool, const std::string& bridge,
                             const std::vector<host::Interface>& interfaces,
                             const std::vector<DhcpRange>& ranges) {
    std::vector<Warning> found;
    const std::string whole = range_text(pool.first, pool.last);
    const auto holds = [&](Ipv4 address) { return pool.first <= address && address <= pool.last; };
    const auto overlaps = [&](const Ipv4Network& other) {
        return other.contains(pool.network.network()) || pool.network.contains(other.network());
    };
    for (const host::Interface& interface : interfaces)
        for (const host::HostAddress& own : interface.addresses) {
            if (holds(own.address))
                found.push_back(
                    {"ip_start", fmt::format("the pool ({}) contains {}, this host's address on {}", whole,
                                             own.address.str(), interface.name)});
            if (interface.name != bridge && own.prefix_length < 32 && overlaps(own.network()))
                found.push_back(
                    {"ip_network", fmt::format("{} overlaps {}, the network of {}", pool.network.str(),
                                               own.network().str(), interface.name)});
        }
    if (pool.gateway && holds(*pool.gateway))
        found.push_back(
            {"gateway", fmt::format("the pool ({}) contains the gateway, {}", whole, pool.gateway->str())});
    for (const DhcpRange& range : ranges)
        if (range.first <= pool.last && pool.first <= range.last)
            found.push_back(
                {"ip_start", fmt::format("the pool ({}) overlaps what the DHCP of libvirt's network {} hands "
                                         "out ({}){}",
                                         whole, range.network, range_text(range.first, range.last),
                                         range.network == libvirts_network ? ", until setup stops it" : "")});
    const auto stands = std::ranges::find(interfaces, bridge, &host::Interface::name);
    if (stands == interfaces.end()) {
        found.push_back({"bridge", fmt::format("{} is not an interface of this host", bridge)});
    } else if (std::ranges::none_of(stands->addresses, [&](const host::HostAddress& own) {
                   return own.network() == pool.network;
               })) {
        const auto address = stands->global();
        found.push_back(
            {"ip_network", fmt::format("{} is not the network that {} stands in ({})", pool.network.str(),
                                       bridge, address ? address->network().str() : "none")});
    }
    return found;
}

namespace {

/// Everything that is given or found out, before anything is written.
struct Plan {
    Values values;
    Ipv4Network network;
    std::vector<YamlSetting> others = {}; ///< keys that a file needs and that cannot be given
};

/// The bridge for a file that has none, or is given one; else what is known of the bridge that the file
/// names.
std::optional<Bridge> bridge_for(const Site& site, const DbWish& wish, const Existing& existing,
                                 const std::vector<host::Interface>& interfaces, const Libvirt& libvirt,
                                 Values& values, Complaints& bad) {
    if (!wish.bridge && !existing.is_new && db_yaml_gives(existing.text, site.paths, "bridge")) {
        for (const host::Interface& each : interfaces)
            if (existing.config && each.name == existing.config->bridge && each.global())
                return Bridge{each.name, *each.global()};
        return std::nullopt;
    }
    try {
        const Bridge found = find_bridge(site, interfaces, libvirt.networks, wish.bridge);
        values.bridge = found.name;
        return found;
    } catch (const FieldError& error) {
        bad.add("bridge", error.message(), error.hint());
        return std::nullopt;
    }
}

Plan plan_for(const Site& site, const DbWish& wish, const Existing& existing,
              const std::vector<host::Interface>& interfaces, const Libvirt& libvirt) {
    Complaints bad;
    Values values;
    check_names(wish.pool, wish.path, bad.list());
    values.pool = wish.pool;
    if (wish.path) values.path = plain(*wish.path);
    take_grace(wish, values, bad);
    values.network = given_network(wish, bad);
    const auto bridge = bridge_for(site, wish, existing, interfaces, libvirt, values, bad);
    const bool without_pool = existing.is_new || !db_yaml_gives(existing.text, site.paths, "ip_pool");

    std::optional<Ipv4Network> network = values.network;
    if (!network && without_pool && bridge && is_network_for_vms(bridge->address.network()))
        network = bridge->address.network();
    if (!network && !without_pool && existing.config) network = existing.config->ipv4.network;
    if (network && !bad.about("ip_network")) take_addresses(wish, *network, values, bad);
    bad.raise();
    if (!network)
        throw FieldError(Code::invalid, {{"ip_network", "which network VMs' addresses are of is not known",
                                          "give --ip-network"}});
    Plan plan{std::move(values), *network};
    if (without_pool) fill_up(*network, interfaces, bridge, plan.values);
    if (existing.is_new) add_defaults(site, plan.values, plan.others);
    return plan;
}

std::vector<YamlSetting> all_settings(const Site& site, const Existing& existing, const Plan& plan) {
    std::vector<YamlSetting> settings;
    if (!db_yaml_gives(existing.text, site.paths, "db_file"))
        settings.push_back({"", "db_file", site.paths.state.string("vms.json")});
    for (const auto& part : {settings_of(plan.values, plan.network), plan.others})
        settings.insert(settings.end(), part.begin(), part.end());
    return settings;
}

/// Holds the folder, since what another setup writes between our reading and writing would be lost. Where
/// there is no folder yet, there is nothing to lose.
std::optional<FileLock> hold_folder_of(const fs::path& file) {
    Fd folder(open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return std::nullopt;
    auto lock =
        FileLock::take(std::move(folder), FileLock::Mode::exclusive, Deadline::in(patience_for_another));
    if (!lock)
        throw Error(Code::busy, fmt::format("another setup is writing {}", file.string()),
                    "try again when it is done");
    return lock;
}

/// Where a file is written: a link of root's, or of our own, is written through and stays; any other is
/// refused.
fs::path behind_links(const fs::path& file) {
    struct stat found {};
    if (::lstat(file.c_str(), &found) != 0 || !S_ISLNK(found.st_mode)) return file;
    std::error_code dangling;
    const fs::path target = fs::canonical(file, dangling);
    if (dangling || (found.st_uid != 0 && found.st_uid != geteuid()))
        throw Error(Code::config,
                    fmt::format("{} is a link {}; nothing was changed", file.string(),
                                dangling ? "that leads nowhere" : "of another user's"),
                    "put a file in its place, or the link in order");
    return target;
}

void write(const fs::path& named, const std::string& text, const files::Ownership& ownership) {
    const fs::path file = behind_links(named);
    std::error_code error;
    fs::create_directories(file.parent_path(), error);
    if (error) throw errno_error("cannot make", file.parent_path().string(), error.value());
    if (const auto folder = Folder::open(file.parent_path()))
        folder->remove_temporaries(file.filename().string());
    files::replace(file, text, ownership, files::Existing::overwrite_owner_and_mode);
}

} // namespace

DbDone settle_db_config(const Site& site, const DbWish& wish) {
    const auto held = wish.dry_run ? std::nullopt : hold_folder_of(site.db_target());
    const Existing existing = existing_file(site);
    const auto interfaces = site.interfaces();
    const Libvirt libvirt = ask_libvirt(site);
    const Plan plan = plan_for(site, wish, existing, interfaces, libvirt);
    const MergedYaml merged =
        merge_yaml(existing.text, site.db_yaml().string(), all_settings(site, existing, plan));

    DbDone done{.file = site.db_target(), .config = understood(site, merged.text), .warnings = {}};
    check_pool(site, done.config, !libvirt.silent);
    done.warnings = dangers(done.config.ipv4, done.config.bridge, interfaces, dhcp_ranges(libvirt.networks));
    if (libvirt.silent) done.warnings.push_back(*libvirt.silent);
    if (!merged.comments_kept)
        site.progress.warn(done.file.string() + " is written anew as a whole: its comments do not stay");
    const files::Ownership ownership = ownership_of(site);
    done.changed = existing.is_new || merged.text != existing.text || !is_as(done.file, ownership);
    if (!wish.dry_run && done.changed) write(done.file, merged.text, ownership);
    return done;
}

} // namespace blockhost::setup
