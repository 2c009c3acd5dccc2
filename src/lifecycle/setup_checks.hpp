#pragma once
/// What more than one step of setup refuses. For setup*.cpp only.

#include "lifecycle/setup.hpp"

namespace blockhost::setup {

/// The network that libvirt comes with; setup stops it.
inline constexpr const char* libvirts_network = "default";

/// Adds what is wrong with the name of a pool or the path of its folder.
void check_names(const std::optional<std::string>& pool, const std::optional<std::string>& path,
                 std::vector<BadField>& bad);

/// Refuses a pool that is there and has another folder.
void check_pool_is_there(const Site& site, const std::string& pool, const std::filesystem::path& path,
                         Hypervisor& hypervisor);

/// A folder's path without "." and a slash at its end.
std::filesystem::path plain(const std::filesystem::path& path);

} // namespace blockhost::setup
