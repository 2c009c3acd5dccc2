// SPDX-License-Identifier: MIT
#pragma once
/// The keys that are read from db.yaml, for the reader, the manual and PROJECT.yaml.

#include <span>
#include <string_view>

namespace blockhost {

struct ConfigKey {
    std::string_view name; ///< "ip_pool.start": a key in a nested mapping
    std::string_view
        type; ///< "integer", "number", "text", "path", "address", "list of addresses" and the like
    std::string_view default_text;
    std::string_view meaning; ///< no full stop
};

/// Every key that read_db_config asks for, and no other. Asking for any other key is Error{internal}.
std::span<const ConfigKey> db_yaml_keys();

} // namespace blockhost
