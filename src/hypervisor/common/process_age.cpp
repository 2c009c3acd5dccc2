// SPDX-License-Identifier: MIT
/// See process_age.hpp.

#include "hypervisor/common/process_age.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <unistd.h>

namespace blockhost::libvirt {

namespace fs = std::filesystem;

std::string first_line(const fs::path& path) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
    char line[1024] = {};
    if (!file || !std::fgets(line, sizeof line, file.get())) return {};
    std::string text = line;
    return text.substr(0, text.find('\n'));
}

std::optional<double> age_of(const fs::path& process) {
    auto stat = first_line(process / "stat");
    auto at = stat.rfind(')');
    if (at == stat.npos) return std::nullopt;
    for (int field = 2; field < 22 && at != stat.npos; ++field) at = stat.find(' ', at + 1);
    if (at == stat.npos) return std::nullopt;
    double started = std::strtod(stat.c_str() + at, nullptr) / static_cast<double>(::sysconf(_SC_CLK_TCK));
    return std::strtod(first_line("/proc/uptime").c_str(), nullptr) - started;
}

} // namespace blockhost::libvirt
