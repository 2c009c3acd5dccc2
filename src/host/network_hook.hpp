// SPDX-License-Identifier: MIT
#pragma once
/// `blockhost-network-hook`, the dispatcher of the network plugins: a program of another package, which may
/// be missing.

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

namespace blockhost::host {

/// Runs "blockhost-network-hook cleanup NAME" of the host under `root`, for up to `limit`. Nothing when it
/// succeeds or is not installed; else what went wrong, in one line. It may run this program's guest-exec.
std::optional<std::string> clean_up_network(const std::filesystem::path& root, const std::string& name,
                                            std::chrono::seconds limit);

} // namespace blockhost::host
