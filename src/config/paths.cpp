// SPDX-License-Identifier: MIT
// The layout under one root.
#include "config/paths.hpp"

#include "base/error.hpp"
#include "base/files/spelling.hpp"
#include "base/text/text.hpp"

#include <cstdlib>

namespace blockhost {

namespace {

/// Sets the state folder and every folder in it.
void lay_out_state(Paths& paths, const std::filesystem::path& folder) {
    using Links = StatePlace::Links;
    const StateFolder state(folder);
    paths.state = state;
    paths.templates = {state, "templates", Links::of_root};
    paths.template_packages = {state, "template-packages", Links::of_root};
    paths.disks = {state, "vms", Links::of_root};
    paths.cloud_init = {state, "cloud-init"};
    paths.consoles = {state, "console"};
    paths.metrics = {state, "metrics"};
    paths.journal = {state, "journal"};
    paths.mints = {state, "mints"};
    paths.suspended = {state, "suspended"};
    paths.kept_off = {state, "kept-off"};
}

} // namespace

Paths paths_from_environment() {
    const char* set = std::getenv("BLOCKHOST_ROOT");
    std::filesystem::path root = set && *set ? set : "/";
    if (!root.is_absolute()) {
        throw Error(Code::config,
                    "BLOCKHOST_ROOT is not an absolute path: " + text::printable(root.native()));
    }
    root = files::plain(root);

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
