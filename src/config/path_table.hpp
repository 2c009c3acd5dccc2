// SPDX-License-Identifier: MIT
#pragma once
/// The files and folders of BlockHost, for the manual and PROJECT.yaml.

#include <string>
#include <string_view>
#include <vector>

namespace blockhost {

struct PathRow {
    std::string path;         ///< below the default root
    std::string_view meaning; ///< no full stop
};

/// Sorted by path.
std::vector<PathRow> path_table();

} // namespace blockhost
