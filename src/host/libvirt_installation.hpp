// SPDX-License-Identifier: MIT
#pragma once
/// Which parts of libvirt are installed here, found by looking at files: loads nothing, connects to nothing.
/// `root` is the root of the host's file system: "/" but in tests.

#include "base/files/files.hpp"
#include "base/time.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost::host {

/// The file that the loader would take for a library of that name: from the folders of LD_LIBRARY_PATH, else
/// from where distributions keep libraries. Only a library for this program's architecture counts.
std::optional<std::filesystem::path> find_library(const std::string& file_name,
                                                  const std::filesystem::path& root = "/");

/// The socket that a connection to `uri` would use: the one that `uri` names (socket=…), else virtqemud's,
/// else libvirtd's. Nothing when there is no socket.
std::optional<std::filesystem::path> daemon_socket(const std::string& uri,
                                                   const std::filesystem::path& root = "/");

/// When the running daemon started, by its pid file; nothing when no daemon with a pid file runs.
std::optional<Instant> daemon_started(const std::filesystem::path& root = "/");

/// The start veto in libvirt's folder of hooks.
struct VetoHook {
    enum class State {
        absent,    ///< no such file, or a dangling link
        unusable,  ///< not an executable file: libvirt skips it
        unnoticed, ///< installed after libvirtd last read which hooks there are, at its start or on SIGHUP
        ready,
    };
    State state = State::absent;
    std::filesystem::path path;
};
/// `asked`: when libvirtd last called the veto, which shows that libvirtd knows it. Throws Error{io} when
/// this process may not look.
VetoHook veto_hook(std::optional<Instant> asked, const std::filesystem::path& root = "/");

/// When the entry of that name in a folder was last written to; nothing when there is none.
std::optional<Instant> changed_at(const Folder& folder, std::string_view name);

} // namespace blockhost::host
