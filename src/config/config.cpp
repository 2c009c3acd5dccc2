// The broker allocation, the engine manifest, the network mode and the instance id.
#include "config/config.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "base/time.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace blockhost {

namespace {

constexpr const char* id_file = "instance-id";

bool all_of_letters_digits_or(std::string_view text, std::string_view others) {
    return std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               others.find(c) != others.npos;
    });
}

bool is_dns_zone(std::string_view text) {
    return text.size() <= 253 && all_of_letters_digits_or(text, ".-");
}

std::string checked_mode(std::string_view mode, const std::filesystem::path& where) {
    if (mode.empty() || mode.size() > 64 || !all_of_letters_digits_or(mode, "_-")) {
        throw Error(Code::config,
                    where.native() + ": \"" + text::printable(mode, 80) + "\" is not a network mode");
    }
    return std::string(mode);
}

/// The `<mode>` of every `<mode>.json` in the folder, links that lead nowhere included.
std::vector<std::string> enabled_modes(const std::filesystem::path& folder_path) {
    constexpr std::string_view suffix = ".json";
    std::vector<std::string> modes;
    auto folder = Folder::open(folder_path);
    if (!folder) return modes;
    for (std::string_view name : folder->names()) {
        if (name.size() > suffix.size() && name.ends_with(suffix))
            modes.emplace_back(name.substr(0, name.size() - suffix.size()));
    }
    return modes;
}

std::optional<InstanceId> read_id(const Folder& state) {
    auto text = state.read(id_file, 4096);
    if (!text) return std::nullopt;
    auto id = InstanceId::try_parse(text::trim(*text));
    if (!id) {
        throw Error(Code::config, (state.path() / id_file).native() + " holds no instance id",
                    "restore it from a backup: VMs are recognised by it");
    }
    return id;
}

/// Stores `id` unless there is one already: linking a finished file into place succeeds for one process only.
void store_id_once(const Folder& state, const InstanceId& id) {
    std::string full = (state.path() / id_file).native();
    std::string temporary = std::string(".") + id_file + "." + random_hex(12);
    Fd fd = state.open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, 0644);
    int failure = 0;
    try {
        files::write_all(fd.get(), id.str() + "\n", full);
        files::sync(fd.get(), full);
        if (linkat(state.fd(), temporary.c_str(), state.fd(), id_file, 0) != 0) failure = errno;
    } catch (...) {
        state.remove(temporary);
        throw;
    }
    state.remove(temporary);
    if (failure != 0 && failure != EEXIST) throw errno_error("cannot make", full, failure);
}

} // namespace

Ipv6 BrokerAllocation::gateway() const {
    return prefix.network().plus(1).value_or(prefix.network());
}

std::optional<BrokerAllocation> read_broker_allocation(const Paths& paths) {
    try {
        std::filesystem::path path = paths.broker_allocation();
        auto text = files::read(path);
        if (!text) return std::nullopt;
        boost::json::value allocation = json::parse(*text, path.native());
        const std::string older = json::string_or(allocation, "ipv6_prefix", "");
        auto prefix = Ipv6Prefix::try_parse(json::string_or(allocation, "prefix", older));
        if (!prefix) return std::nullopt;
        std::string zone = json::string_or(allocation, "dns_zone", "");
        return BrokerAllocation{*prefix, is_dns_zone(zone) ? zone : ""};
    } catch (const Error&) {
        return std::nullopt;
    }
}

EngineManifest read_engine_manifest(const Paths& paths) {
    EngineManifest manifest;
    try {
        std::filesystem::path path = paths.engine_manifest();
        auto text = files::read(path);
        if (!text) return manifest;
        manifest.found = true;
        boost::json::value content = json::parse(*text, path.native());
        if (!content.is_object()) return manifest;
        if (const auto* constraints = content.get_object().if_contains("constraints"))
            manifest.address_pattern = json::string_or(*constraints, "address_pattern", "");
    } catch (const Error&) {
        manifest.found = true; // it is there, whatever is wrong with it
    }
    return manifest;
}

std::string read_network_mode(const Paths& paths) {
    std::filesystem::path folder = paths.etc / "network-modes.enabled", file = paths.etc / "network-mode";
    try {
        std::vector<std::string> modes = enabled_modes(folder);
        if (modes.size() == 1) return checked_mode(modes[0], folder);
        if (modes.size() > 1) {
            std::string names;
            for (const std::string& mode : modes)
                names += (names.empty() ? "" : ", ") + text::printable(mode, 80);
            throw Error(Code::config,
                        "several network modes are enabled in " + folder.native() + ": " + names,
                        "enable exactly one");
        }
        if (auto line = files::read(file, 4096)) return checked_mode(text::trim(*line), file);
    } catch (const Error& e) {
        throw Error(Code::config, e.message(), e.hint());
    }
    throw Error(Code::config, "no network mode is enabled in " + folder.native() + " or " + file.native(),
                "run the wizard, or link one of network-modes.available/ there");
}

InstanceId instance_id(const Paths& paths) {
    Folder state = Folder::open_or_make(paths.state, 0755);
    if (auto id = read_id(state)) return *id;
    store_id_once(state, InstanceId::random());
    auto id = read_id(state);
    if (!id) throw Error(Code::io, (state.path() / id_file).native() + " vanished while it was made");
    return *id;
}

std::optional<InstanceId> existing_instance_id(const Paths& paths) {
    auto state = Folder::open(paths.state);
    return state ? read_id(*state) : std::nullopt;
}

std::string pool_name(const DbConfig& config, const Paths& paths, const InstanceId& instance) {
    return paths.is_default_root ? config.storage_pool : config.storage_pool + "-" + instance.tag();
}

} // namespace blockhost
