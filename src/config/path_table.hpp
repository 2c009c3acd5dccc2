#pragma once
/// The files and folders of ours, for the manual and PROJECT.yaml.

#include <string>
#include <string_view>
#include <vector>

namespace blockhost {

struct PathRow {
    std::string path;         ///< below the default root
    std::string_view meaning; ///< no full stop
};

/// In the order of the alphabet.
std::vector<PathRow> path_table();

} // namespace blockhost
