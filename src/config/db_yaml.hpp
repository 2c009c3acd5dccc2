// SPDX-License-Identifier: MIT
#pragma once
/// Parses the text of db.yaml, also before it is written to the file.

#include "config/config.hpp"

namespace blockhost {

/// Like read_db_config for a file with that text.
DbConfig parse_db_config(const std::string& text, const Paths& paths);

/// Whether a db.yaml gives `key` ("bridge", "ip_pool.network") a value. Throws like parse_db_config for text
/// that is not YAML.
bool db_yaml_gives(const std::string& text, const Paths& paths, const std::string& key);

// Which values single keys may have.
bool is_bridge_name(const std::string& text);
bool is_pool_name(const std::string& text);
bool is_absolute_path(const std::string& text);
/// An absolute path of a folder that VMs may have for themselves: neither a system folder nor one that holds
/// others' folders (/etc, /usr/share, /var/lib, /home).
bool is_storage_path(const std::string& text);

} // namespace blockhost
