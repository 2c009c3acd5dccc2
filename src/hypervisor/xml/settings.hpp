// SPDX-License-Identifier: MIT
#pragma once
/// What of a domain can be another after it was made.

#include "base/error.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <string>

namespace blockhost {

struct DomainFacts;

/// What is given is set, and nothing else.
struct DomainSettings {
    std::optional<std::int64_t> cpus = {}, memory_mib = {};
    std::optional<std::string> description = {}; ///< empty: none
    std::optional<std::set<std::string>> tags = {};
    bool operator==(const DomainSettings&) const = default;
};

inline constexpr std::size_t longest_description = 8 << 10; ///< bytes
inline constexpr std::size_t longest_tag = 64, most_tags = 256;

/// Why a domain cannot say that, whichever host it is on: Error{invalid}. Nothing: it can.
std::optional<Error> refusal_of(const DomainSettings& settings);

/// The metadata element that says so much, in the namespace as the default one; empty for no tags.
std::string render_tags(const std::set<std::string>& tags);

/// The definition with these settings. Throws Error{hypervisor} when it cannot be parsed.
std::string with_settings(const std::string& xml, const DomainSettings& settings);
/// All four, as a definition says them, of which `facts` were read already. Throws as with_settings.
DomainSettings read_settings(const std::string& xml);
DomainSettings read_settings(const std::string& xml, const DomainFacts& facts);

} // namespace blockhost
