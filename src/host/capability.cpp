// SPDX-License-Identifier: MIT
// Looks only at the host's own files: loads nothing, connects to nothing, asks no name service.
#include "host/capability.hpp"

#include "base/files/files.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <string_view>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <vector>

namespace blockhost::host {

namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
}

/// The words of the first "flags" line of /proc/cpuinfo.
std::vector<std::string> cpu_flags(const fs::path& cpuinfo) {
    auto content = files::read(cpuinfo);
    if (!content) return {};
    for (const std::string& line : text::split(*content, '\n')) {
        std::size_t colon = line.find(':');
        if (colon != line.npos && text::trim(std::string_view(line).substr(0, colon)) == "flags")
            return text::split(line.substr(colon + 1), ' ');
    }
    return {};
}

} // namespace

bool kvm_works(const fs::path& root) {
    if (!is_there(root / "dev/kvm")) return false;
    auto flags = cpu_flags(root / "proc/cpuinfo");
    return std::any_of(flags.begin(), flags.end(),
                       [](const std::string& flag) { return flag == "vmx" || flag == "svm"; });
}

CpuWeightScale cpu_weight_scale(const fs::path& root) {
    const bool unified = is_there(root / "sys/fs/cgroup/cgroup.controllers");
    return unified ? CpuWeightScale{1, 100} : CpuWeightScale{2, 1024};
}

std::optional<fs::path> file_below(const fs::path& device) {
    struct stat found {};
    if (stat(device.c_str(), &found) != 0 || !S_ISBLK(found.st_mode)) return std::nullopt;
    const std::string number =
        std::to_string(major(found.st_rdev)) + ":" + std::to_string(minor(found.st_rdev));
    const auto file = files::read(fs::path("/sys/dev/block") / number / "loop/backing_file");
    if (!file) return std::nullopt;
    return fs::path(text::trim(*file));
}

} // namespace blockhost::host
