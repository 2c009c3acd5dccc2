#pragma once
/// The keys of db.yaml that are read, for the reader, the manual and PROJECT.yaml.

#include <span>
#include <string_view>

namespace blockhost {

struct ConfigKey {
    std::string_view name; ///< "ip_pool.start": a key of a mapping within
    std::string_view
        type; ///< "integer", "number", "text", "path", "address", "list of addresses" and the like
    std::string_view default_text;
    std::string_view meaning; ///< no full stop
};

/// Every key that read_db_config asks for, and no other: asking for one that is not here is Error{internal}.
std::span<const ConfigKey> db_yaml_keys();

} // namespace blockhost
