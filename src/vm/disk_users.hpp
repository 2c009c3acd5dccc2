// SPDX-License-Identifier: MIT
#pragma once
/// Finds the domains that use a disk: by their definitions and the backing chains of their disks, never by
/// names.

#include "vm/context.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace blockhost {

/// The first domain of any origin that has one of `files` as a disk or in a disk's backing chain, under any
/// path; the domain `but` is left out. Throws when a domain cannot be looked at. The backing chain of a file
/// that we may not read is known only as far as libvirt tells it.
std::optional<std::string> user_of(World& world, const std::vector<std::filesystem::path>& files,
                                   const std::optional<VmName>& but = {});

} // namespace blockhost
