#pragma once
/// What of libvirt is installed here, seen by looking at files: nothing is loaded, nobody is connected to.
/// `root` is where the host's file system begins: "/" but in tests.

#include "base/time.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace blockhost::host {

/// The file that the loader would take for a library of that name: in the folders of LD_LIBRARY_PATH, else
/// where distributions keep libraries; only one for this program's own kind of machine counts.
std::optional<std::filesystem::path> find_library(const std::string& file_name,
                                                  const std::filesystem::path& root = "/");

/// The socket of the daemon that a connection to `uri` would use: the one named there (socket=…), else that
/// of libvirtd or of virtqemud. Nothing when there is no socket.
std::optional<std::filesystem::path> daemon_socket(const std::string& uri,
                                                   const std::filesystem::path& root = "/");

/// When the running daemon started, by its pid file; nothing when none runs that leaves one.
std::optional<Instant> daemon_started(const std::filesystem::path& root = "/");

/// The start veto among libvirt's hooks.
struct VetoHook {
    enum class State {
        absent,    ///< no such file, or a link to nothing
        unusable,  ///< it cannot be executed: libvirt passes it over
        unnoticed, ///< libvirtd reads which hooks there are at its start and on SIGHUP; this one came later
        ready,
    };
    State state = State::absent;
    std::filesystem::path path;
};
/// `asked`: when libvirtd was last seen asking it, which shows that it is noticed. Throws Error{io} when we
/// may not look.
VetoHook veto_hook(std::optional<Instant> asked, const std::filesystem::path& root = "/");

/// When a file was last written to; nothing when there is none.
std::optional<Instant> changed_at(const std::filesystem::path& path);

} // namespace blockhost::host
