// SPDX-License-Identifier: MIT
// See mounts.hpp.
#include "config/mounts.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cerrno>
#include <set>
#include <sys/stat.h>

namespace blockhost {

namespace {

namespace fs = std::filesystem;

constexpr const char* notes_file = "mounts.json";
constexpr std::size_t largest_notes = 64u << 10;

/// Nothing when nothing is there. A folder that cannot be looked at must not pass for a mount point.
std::optional<dev_t> device_of(const fs::path& path) {
    struct stat seen {};
    if (::stat(path.c_str(), &seen) == 0) return seen.st_dev;
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throw errno_error("cannot look at", path.string(), errno);
}

bool is_mounted(const fs::path& mount_point) {
    const auto device = device_of(mount_point);
    return device && device != device_of(mount_point.parent_path());
}

std::set<std::string> noted(const Folder& state) {
    const auto text = state.read(notes_file, largest_notes);
    if (!text) return {};
    const auto document = json::parse(*text, (state.path() / notes_file).string());
    const auto* list = json::member(document, "mounted");
    if (list == nullptr || !list->is_array())
        throw Error(Code::config, (state.path() / notes_file).string() + " names no file systems",
                    "remove it");
    const auto mounted = json::strings_in(document, "mounted");
    return {mounted.begin(), mounted.end()};
}

} // namespace

fs::path mount_point_of(const fs::path& path) {
    std::error_code ignored;
    fs::path at = fs::weakly_canonical(path, ignored);
    if (ignored) at = path;
    while (!device_of(at) && at.has_relative_path()) at = at.parent_path();
    while (at.has_relative_path() && device_of(at.parent_path()) == device_of(at)) at = at.parent_path();
    return at;
}

void note_mounts(const Paths& paths, const std::vector<fs::path>& folders) {
    const auto state = paths.state.open();
    if (!state) return;
    std::set<std::string> before = noted(*state), now = before;
    const fs::path own = mount_point_of(paths.state.string());
    for (const fs::path& folder : folders)
        if (const fs::path mount = mount_point_of(folder); mount != own && mount.has_relative_path())
            now.insert(mount.string());
    if (now == before) return;
    const boost::json::array list(now.begin(), now.end());
    state->replace(notes_file, json::python_line(boost::json::object{{"mounted", list}}) + "\n",
                   {.mode = 0644, .uid = {}, .gid = {}});
}

void require_database_folder(const DbConfig& config, const Paths& paths) {
    const fs::path folder = config.db_file.parent_path();
    if (paths.state.is(folder) || paths.state.at(folder)) return;
    throw Error(Code::registry,
                "the folder " + folder.string() + " of the VM database is missing; nothing was touched",
                "mount its file system, or set db_file in " + paths.db_yaml().string());
}

void require_mounted(const Paths& paths) {
    const auto state = paths.state.open();
    if (!state) return;
    for (const std::string& mount : noted(*state))
        if (!is_mounted(mount))
            throw Error(
                Code::io,
                "the file system of " + mount + ", where VMs' files lie, is not mounted; nothing was touched",
                "mount it; or, if those files lie elsewhere now, remove " + paths.state.string(notes_file));
}

} // namespace blockhost
