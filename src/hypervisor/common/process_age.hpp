// SPDX-License-Identifier: MIT
#pragma once
/// What /proc tells of processes on this host.

#include <filesystem>
#include <optional>
#include <string>

namespace blockhost::libvirt {

/// Empty when the file cannot be read.
std::string first_line(const std::filesystem::path& path);

/// Seconds since the process of that /proc folder began (proc(5): field 22 of stat, in clock ticks since
/// boot).
std::optional<double> age_of(const std::filesystem::path& process);

} // namespace blockhost::libvirt
