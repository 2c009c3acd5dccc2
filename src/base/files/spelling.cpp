// SPDX-License-Identifier: MIT
/// See spelling.hpp.

#include "base/files/spelling.hpp"

#include <sys/stat.h>

namespace blockhost::files {

std::filesystem::path plain(const std::filesystem::path& path) {
    std::filesystem::path result = path.has_root_directory() ? "/" : "";
    for (const auto& step : path.relative_path())
        if (!step.empty() && step != ".") result /= step;
    return result;
}

bool is_same_folder(const std::filesystem::path& a, const std::filesystem::path& b) {
    struct stat first {
    }, second{};
    if (stat(a.c_str(), &first) != 0 || stat(b.c_str(), &second) != 0) return plain(a) == plain(b);
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

} // namespace blockhost::files
