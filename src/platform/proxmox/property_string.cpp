// SPDX-License-Identifier: MIT
#include "platform/proxmox/property_string.hpp"

#include "base/text/text.hpp"

namespace blockhost::platform::proxmox {

namespace {

constexpr std::size_t longest = 8 << 10;

/// "KEY=VALUE"; nothing where a key is missing. A volume id holds "=" nowhere, and what stands behind the
/// first "=" belongs to the value.
std::optional<std::pair<std::string, std::string>> pair_of(const std::string& part) {
    const std::size_t equals = part.find('=');
    if (equals == part.npos) return std::nullopt;
    return std::pair(part.substr(0, equals), part.substr(equals + 1));
}

/// Whether a value without its key is read as the same value.
bool can_be_bare(std::string_view value) {
    return !value.empty() && value.find('=') == value.npos && text::trim(value) == value;
}

} // namespace

std::optional<Properties> parse_properties(std::string_view text, std::string_view default_key) {
    if (text.size() > longest) return std::nullopt;
    Properties found;
    for (const std::string& piece : text::split(text, ',')) {
        const std::string part(text::trim(piece));
        if (part.empty()) continue;
        auto pair = pair_of(part);
        if (!pair) pair.emplace(default_key, part);
        if (pair->first.empty() || !found.insert(std::move(*pair)).second) return std::nullopt;
    }
    return found;
}

std::string write_properties(const Properties& properties, std::string_view default_key) {
    std::string written;
    auto bare = default_key.empty() ? properties.end() : properties.find(default_key);
    if (bare != properties.end() && !can_be_bare(bare->second)) bare = properties.end();
    if (bare != properties.end()) written = bare->second;
    for (auto each = properties.begin(); each != properties.end(); ++each)
        if (each != bare) written += (written.empty() ? "" : ",") + each->first + "=" + each->second;
    return written;
}

} // namespace blockhost::platform::proxmox
