/// See root_trust.hpp.

#include "lifecycle/root_trust.hpp"

#include "base/text.hpp"
#include "hypervisor/qcow2.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace blockhost::root {

namespace bj = boost::json;
namespace fs = std::filesystem;

std::string text_of(const bj::object& from, std::string_view key) {
    const bj::value* value = from.if_contains(key);
    if (value == nullptr || !value->is_string())
        throw Error(Code::invalid, fmt::format("the parameter {} is missing", key));
    return std::string(value->get_string());
}

std::int64_t number_of(const bj::object& from, std::string_view key) {
    const bj::value* value = from.if_contains(key);
    if (value == nullptr || !value->is_int64())
        throw Error(Code::invalid, fmt::format("the parameter {} is missing", key));
    return value->get_int64();
}

VmName name_of(const std::string& text) {
    if (const auto name = VmName::try_parse(text)) return *name;
    throw Error(Code::invalid, fmt::format("Invalid domain name: '{}'", text::printable(text, 80)));
}

std::optional<Observation> ours(World& world, const VmName& name) {
    Observation seen = observe(world, name);
    if (!seen.domain) return std::nullopt;
    // The instance's id lies in the blockhost user's folder; the state folder's name is root's.
    const bool elsewhere = seen.facts.mark && seen.facts.mark->state_folder != world.paths.state.string();
    if (seen.proof == Proof::none || elsewhere)
        throw Error(Code::foreign, fmt::format("{} is a domain that this BlockHost did not make; it is left "
                                               "untouched",
                                               name.str()));
    return seen;
}

Observation existing(World& world, const VmName& name) {
    auto seen = ours(world, name);
    if (!seen) throw Error(Code::not_found, fmt::format("libvirt has no domain {}", name.str()));
    return *std::move(seen);
}

namespace {

[[noreturn]] void planted(const fs::path& path, std::string_view why) {
    throw Error(
        Code::denied, fmt::format("{} {}", path.string(), why),
        "look at it: root touches only regular files with one name, in folders that are no links of others");
}

} // namespace

std::optional<Folder> open_ours(const World& world, const fs::path& path) {
    const fs::path relative = path.lexically_relative(world.paths.state);
    if (relative.empty() || *relative.begin() == "..")
        return Folder::open(path); // where root's db.yaml has it
    auto at = Folder::open(world.paths.state);
    if (relative == ".") return at;
    for (const fs::path& step : relative) {
        struct stat seen {};
        if (!at || fstatat(at->fd(), step.c_str(), &seen, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
        if (S_ISLNK(seen.st_mode) && seen.st_uid != 0) planted(at->path() / step, "is a link");
        at = S_ISLNK(seen.st_mode) ? Folder::open(at->path() / step) : at->sub(step.string());
    }
    return at;
}

void require_plain(const std::optional<Folder>& folder, const fs::path& path, Absent absent) {
    const std::string name = path.filename().string();
    if (absent == Absent::is_fine && (!folder || folder->kind(name) == Folder::Kind::absent)) return;
    const Fd file = folder ? folder->open_file(name, O_RDONLY | O_NONBLOCK) : Fd();
    struct stat seen {};
    if (!file || fstat(file.get(), &seen) != 0) planted(path, "is not there");
    if (seen.st_nlink != 1) planted(path, "has another name too");
}

void require_templates_below(const World& world, const fs::path& image) {
    const auto templates = open_ours(world, world.paths.templates);
    for (const fs::path& below : backing_chain(image))
        if (!templates || files::identity(below.parent_path()) != files::identity(templates->path()))
            planted(image, fmt::format("stands on {}, which is no template", below.string()));
}

void require_planted_nothing(const World& world, const VmName& name, const DomainFacts& facts) {
    for (const fs::path disk : facts.disks) {
        if (disk.parent_path() != world.storage) continue;
        require_plain(open_ours(world, world.storage), disk, Absent::is_refused);
        require_templates_below(world, disk);
    }
    for (const fs::path seed : facts.seeds)
        if (seed.parent_path() == world.paths.cloud_init / name.str())
            require_plain(open_ours(world, seed.parent_path()), seed, Absent::is_refused);
    const fs::path console(facts.console_log);
    if (console.parent_path() == world.paths.consoles)
        require_plain(open_ours(world, world.paths.consoles), console, Absent::is_fine);
}

namespace {

/// Why that address is none for VMs; nothing when it is. `marked`: the one that the VM's own domain was
/// given, which stays good when the pool has moved.
std::optional<std::string> unfit(const World& world, const Ipv4& ip, const std::optional<Ipv4>& marked) {
    const auto own = world.network->own_addresses();
    const bool hosts = std::find(own.begin(), own.end(), ip) != own.end() || world.config.ipv4.gateway == ip;
    if (!hosts && (world.config.ipv4.network.contains(ip) || marked == ip)) return std::nullopt;
    return fmt::format("{} is not an address for VMs (ip_pool in db.yaml)", ip.str());
}

std::optional<std::string> unfit(const World& world, const Ipv6& ip, const std::optional<Ipv6>& marked) {
    const auto own = world.network->own_addresses6();
    const auto broker = read_broker_allocation(world.paths);
    const bool hosts =
        std::find(own.begin(), own.end(), ip) != own.end() || (broker && broker->gateway() == ip);
    if (!hosts && ((broker && broker->prefix.contains(ip)) || marked == ip)) return std::nullopt;
    return fmt::format("{} is not an address for VMs (the broker's prefix)", ip.str());
}

} // namespace

std::vector<std::string> take_out_unfit(World& world, const VmName& name, OwnAddresses& wanted) {
    const auto seen = ours(world, name);
    const DomainMark mark = seen && seen->facts.mark ? *seen->facts.mark : DomainMark{};
    std::vector<std::string> problems;
    if (const auto why = wanted.ip ? unfit(world, *wanted.ip, mark.ip) : std::nullopt) {
        problems.push_back(*why);
        wanted.ip.reset();
    }
    if (const auto why = wanted.ipv6 ? unfit(world, *wanted.ipv6, mark.ipv6) : std::nullopt) {
        problems.push_back(*why);
        wanted.ipv6.reset();
    }
    return problems;
}

void require_own(const World& world, const VmName& name, const OwnAddresses& wanted) {
    const Database database = world.registry.read();
    const auto record = database.find(name);
    const auto entry = world.journal.peek(name);
    const bool live = record && record->status != RecordStatus::destroyed;
    const bool own_ip =
        !wanted.ip || (live && record->ip == wanted.ip) || (entry && entry->ip() == wanted.ip);
    const bool own_ipv6 =
        !wanted.ipv6 || (live && record->ipv6 == wanted.ipv6) || (entry && entry->ipv6() == wanted.ipv6);
    const OwnAddresses left = still_own(world, database, name, wanted);
    if (!own_ip || !own_ipv6 || left.ip != wanted.ip || left.ipv6 != wanted.ipv6)
        throw Error(Code::invalid, fmt::format("the addresses are not those of {}", name.str()));
}

std::optional<EntryView> held_entry(const World& world, const VmName& name, Verb verb) {
    auto entry = world.journal.peek(name);
    if (!entry || entry->verb != to_string(verb) || !world.journal.held(name)) return std::nullopt;
    return entry;
}

} // namespace blockhost::root
