// SPDX-License-Identifier: MIT
// Finds and loads the program's modules and data files, in the build tree or installed.
#include "base/module.hpp"

#include "base/error.hpp"

#include <dlfcn.h>
#include <vector>

namespace blockhost {

namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
}

/// The folder of the running executable, and the build folder around it if there is one (test programs lie
/// deeper).
std::vector<fs::path> executable_folders() {
    std::error_code unknown;
    fs::path own = fs::read_symlink("/proc/self/exe", unknown).parent_path();
    if (unknown) return {};
    std::vector<fs::path> folders{own};
    fs::path above = own;
    for (int level = 0; level < 3; ++level) {
        above = above.parent_path();
        if (is_there(above / "meson-private")) folders.push_back(above);
    }
    return folders;
}

/// The first existing `folder`/`inside`/`file_name` of the executable's folders, else
/// `installed`/`file_name`.
fs::path find(const fs::path& inside, const std::string& file_name, const fs::path& installed) {
    for (const fs::path& folder : executable_folders())
        if (fs::path path = folder / inside / file_name; is_there(path)) return path;
    return installed / file_name;
}

std::string hint_for(std::string_view loader_words) {
    if (loader_words.find("libvirt.so") != loader_words.npos ||
        loader_words.find("libvirt-") != loader_words.npos)
        return "install libvirt: apt-get install libvirt-daemon-system";
    if (loader_words.find("libcurl.so") != loader_words.npos) return "apt-get install libcurl4";
    if (loader_words.find("libisofs.so") != loader_words.npos) return "apt-get install libisofs6";
    return "reinstall the package blockhost-provisioner-libvirt";
}

} // namespace

std::optional<fs::path> module_file(const std::string& file_name) {
    const fs::path path = find("", file_name, BLOCKHOST_MODULE_FOLDER);
    return is_there(path) ? std::optional(path) : std::nullopt;
}

std::optional<fs::path> helper_file(const std::string& file_name) {
    const fs::path path = find("", file_name, BLOCKHOST_HELPER_FOLDER);
    return is_there(path) ? std::optional(path) : std::nullopt;
}

void* load_symbol(const std::string& file_name, const char* symbol) {
    fs::path path = find("", file_name, BLOCKHOST_MODULE_FOLDER);
    if (!is_there(path))
        throw Error(Code::hypervisor_down, "module " + path.native() + " is missing", hint_for({}));
    void* module = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (!module) {
        std::string words = dlerror();
        throw Error(Code::hypervisor_down, "module " + file_name + " cannot be loaded: " + words,
                    hint_for(words));
    }
    void* address = dlsym(module, symbol);
    if (!address)
        throw Error(Code::hypervisor_down, "module " + path.native() + " has no " + symbol, hint_for({}));
    return address;
}

fs::path data_file(const std::string& file_name) {
    return find("data", file_name, BLOCKHOST_DATA_FOLDER);
}

} // namespace blockhost
