// SPDX-License-Identifier: MIT
#pragma once
/// Parameters of a call, percent-encoded: for a query, and for a body of type
/// application/x-www-form-urlencoded.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace blockhost::platform::proxmox {

/// In order; a key that stands twice is a list.
using Parameters = std::vector<std::pair<std::string, std::string>>;

/// Everything but RFC 3986's unreserved characters (section 2.3) as %XX. A node ends a value at its first raw
/// "=", and reads "+" as a blank.
std::string percent_encoded(std::string_view text);

/// "KEY=VALUE&KEY=VALUE", encoded.
std::string form_of(const Parameters& parameters);

} // namespace blockhost::platform::proxmox
