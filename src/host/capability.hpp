// SPDX-License-Identifier: MIT
#pragma once
/// What this host can do.

#include <cstdint>
#include <filesystem>
#include <optional>

namespace blockhost::host {

/// True when KVM can run guests: /dev/kvm exists and the CPU has vmx or svm (/dev/kvm alone proves nothing).
/// `root` is the root of the host's file system: "/" but in tests.
bool kvm_works(const std::filesystem::path& root = "/");

/// The least and the default CPU weight on this host: 1 and 100 for cgroup v2, 2 and 1024 for v1.
struct CpuWeightScale {
    std::int64_t least, usual;
};
CpuWeightScale cpu_weight_scale(const std::filesystem::path& root = "/");

/// The file behind a loop device; nothing for any other path.
std::optional<std::filesystem::path> file_below(const std::filesystem::path& device);

} // namespace blockhost::host
