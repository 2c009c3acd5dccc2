#pragma once
/// The text of db.yaml as configuration, for whoever has it before it is a file.

#include "config/config.hpp"

namespace blockhost {

/// As read_db_config of a file with that text.
DbConfig parse_db_config(const std::string& text, const Paths& paths);

/// Which of the keys have a value in a db.yaml, for `key` "bridge" or "ip_pool.network". Throws as
/// parse_db_config for what is no YAML.
bool db_yaml_gives(const std::string& text, const Paths& paths, const std::string& key);

// What the values of single keys may be.
bool is_bridge_name(const std::string& text);
bool is_pool_name(const std::string& text);
bool is_absolute_path(const std::string& text);

} // namespace blockhost
