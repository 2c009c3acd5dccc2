// The layout below one root.
#include "config/paths.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

#include <cstdlib>

namespace blockhost {

namespace {

/// Sets every folder that lies in `paths.state`.
void lay_out_state(Paths& paths, const std::filesystem::path& state) {
    paths.state = state;
    paths.templates = state / "templates";
    paths.template_packages = state / "template-packages";
    paths.disks = state / "vms";
    paths.cloud_init = state / "cloud-init";
    paths.consoles = state / "console";
    paths.metrics = state / "metrics";
    paths.journal = state / "journal";
    paths.mints = state / "mints";
    paths.suspended = state / "suspended";
    paths.kept_off = state / "kept-off";
}

} // namespace

Paths paths_from_environment() {
    const char* set = std::getenv("BLOCKHOST_ROOT");
    std::filesystem::path root = set && *set ? set : "/";
    if (!root.is_absolute()) {
        throw Error(Code::config,
                    "BLOCKHOST_ROOT is not an absolute path: " + text::printable(root.native()));
    }
    root = root.lexically_normal();
    if (!root.has_filename() && root != root.root_path()) root = root.parent_path(); // a trailing slash

    Paths paths;
    paths.root = root;
    paths.is_default_root = root == "/";
    paths.etc = root / "etc/blockhost";
    paths.run = root / "run/blockhost";
    paths.share = root / "usr/share/blockhost";
    paths.cache = root / "var/cache/blockhost";
    lay_out_state(paths, root / "var/lib/blockhost");
    return paths;
}

Paths mock_paths(const Paths& real, const std::filesystem::path& cwd) {
    Paths mock = real;
    mock.world = cwd / "mock-world";
    mock.run = mock.world / "run";
    mock.cache = mock.world / "cache";
    lay_out_state(mock, mock.world);
    return mock;
}

} // namespace blockhost
