// SPDX-License-Identifier: MIT
#pragma once
/// Files that the caller of the program named, of any kind that a shell's user may give.

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

namespace blockhost::files {

/// Reads such a file whole. It may also be a pipe, a terminal, or a socket behind /dev/stdin or /dev/fd/N (a
/// shell's `<(…)`), which is read until its writer is done. Nothing when it does not exist. Throws Error{io}
/// when it cannot be read, is larger than `max` bytes, or sends nothing for `patience`; Error{interrupted}.
std::optional<std::string> read_given(const std::filesystem::path& path, std::size_t max,
                                      std::chrono::milliseconds patience = std::chrono::seconds(30));

} // namespace blockhost::files
