// SPDX-License-Identifier: MIT
#pragma once
/// Empty qcow2 images for the simulated world: sparse files that `qemu-img check` accepts.

#include <cstdint>
#include <filesystem>
#include <string>

namespace blockhost::simulated {

/// Makes `path` (which must not exist) with that virtual size, as an overlay when `backing` is not empty.
/// Throws Error{io}, with EEXIST's words when it exists.
void make_qcow2(const std::filesystem::path& path, std::uint64_t virtual_bytes, const std::string& backing);

/// Gives an image of make_qcow2's another virtual size. Throws Error{io} when it cannot be written or read.
void resize_qcow2(const std::filesystem::path& path, std::uint64_t virtual_bytes);

} // namespace blockhost::simulated
