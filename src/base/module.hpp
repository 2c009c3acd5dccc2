// SPDX-License-Identifier: MIT
#pragma once
/// Loads a module of this program at first need: from the folder of the running executable (build tree), else
/// from the installed folder.

#include <filesystem>
#include <optional>
#include <string>

namespace blockhost {

/// The file that module `file_name` would be loaded from; nothing when there is none.
std::optional<std::filesystem::path> module_file(const std::string& file_name);

/// The program `file_name` that this one runs as a helper, which lies beside it in a build; nothing when
/// there is none.
std::optional<std::filesystem::path> helper_file(const std::string& file_name);

/// The address of `symbol` in module `file_name` ("hypervisor-libvirt.so"). The module stays loaded until
/// exit. Throws Error{hypervisor_down} with the loader's words; the hint names the missing package.
void* load_symbol(const std::string& file_name, const char* symbol);

/// An installed data file of this program ("fallback-user-data.yaml"): from data/ beside the running
/// executable (build tree), else from the installed data folder.
std::filesystem::path data_file(const std::string& file_name);

} // namespace blockhost
