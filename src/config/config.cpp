// SPDX-License-Identifier: MIT
// The broker allocation, the engine manifest, the network mode and the instance id.
#include "config/config.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/pattern.hpp"
#include "base/text/text.hpp"
#include "base/time.hpp"
#include "config/config_file.hpp"
#include "config/json_file.hpp"
#include "model/assignable.hpp"

#include <algorithm>
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

/// The `<mode>` of every `<mode>.json` in the folder, dangling links included.
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

} // namespace

Ipv6 BrokerAllocation::gateway() const {
    return prefix.network().plus(1).value_or(prefix.network());
}

std::optional<BrokerAllocation> read_broker_allocation(const Paths& paths) {
    const auto file = JsonFile::read(paths.broker_allocation());
    if (!file) return std::nullopt;
    const auto is_prefix = [](const std::string& text) {
        return text.empty() || Ipv6Prefix::try_parse(text).has_value();
    };
    constexpr std::string_view example = "an IPv6 prefix such as 2a11:6c7:f04:276::/120, or \"\"";
    std::string_view key = "prefix";
    auto text = file->text(key, example, is_prefix);
    if (!text) text = file->text(key = "ipv6_prefix", example, is_prefix);
    if (!text) file->refuse("prefix", "is missing (\"\" means that VMs get no IPv6)");
    const std::string zone = file->text("dns_zone", "the name of a DNS zone", is_dns_zone).value_or("");
    if (text->empty()) return std::nullopt;
    const auto prefix = *Ipv6Prefix::try_parse(*text);
    if (const auto why = why_not_for_machines(prefix))
        file->refuse(key, prefix.str() + " " + std::string(*why) + ", and cannot be given to VMs");
    return BrokerAllocation{prefix, zone};
}

EngineManifest read_engine_manifest(const Paths& paths) {
    constexpr std::string_view key = "constraints.address_pattern";
    EngineManifest manifest;
    const auto file = JsonFile::read(paths.engine_manifest());
    if (!file) return manifest;
    manifest.found = true;
    const auto is_pattern = [](const std::string& text) {
        return match_at_start("", text) != Matching::no_pattern;
    };
    manifest.address_pattern = file->text(key, "a regular expression", is_pattern).value_or("");
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
        if (const auto line = read_config_file(file)) return checked_mode(text::trim(*line), file);
    } catch (const Error& e) {
        throw Error(Code::config, e.message(), e.hint());
    }
    throw Error(Code::config, "no network mode is enabled in " + folder.native() + " or " + file.native(),
                "run the wizard, or link one of network-modes.available/ there");
}

InstanceId instance_id(const Paths& paths) {
    const Folder state = paths.state.make();
    if (auto id = read_id(state)) return *id;
    InstanceId fresh = InstanceId::random();
    try {
        files::make_at(state.fd(), id_file, (state.path() / id_file).native(), fresh.str() + "\n",
                       {.mode = 0644, .uid = {}, .gid = {}});
    } catch (const Error&) {
        if (auto id = read_id(state)) return *id; // another process won, and removed our temporary file
        throw;
    }
    state.remove_temporaries(id_file);
    return fresh;
}

std::optional<InstanceId> existing_instance_id(const Paths& paths) {
    const auto state = paths.state.open();
    return state ? read_id(*state) : std::nullopt;
}

std::string pool_name(const DbConfig& config, const Paths& paths, const InstanceId& instance) {
    return paths.is_default_root ? config.storage_pool : config.storage_pool + "-" + instance.tag();
}

} // namespace blockhost
