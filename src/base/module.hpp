#pragma once
/// Loading a module of ours at first need: from the folder of the running executable (build tree), else the
/// installed one.

#include <filesystem>
#include <optional>
#include <string>

namespace blockhost {

/// Where module `file_name` would be loaded from; nothing when it is not there.
std::optional<std::filesystem::path> module_file(const std::string& file_name);

/// The address of `symbol` in module `file_name` ("hypervisor-libvirt.so"). The module stays loaded until
/// exit. Throws Error{hypervisor_down} with the loader's own words and which package brings what is missing.
void* load_symbol(const std::string& file_name, const char* symbol);

/// An installed data file of ours ("fallback-user-data.yaml"): from data/ beside the running executable
/// (build tree), else from the installed data folder.
std::filesystem::path data_file(const std::string& file_name);

} // namespace blockhost
