// SPDX-License-Identifier: MIT
#pragma once
/// Copies files out of a guest's disk. The file systems on it are the tenant's, so that this host's kernel
/// never mounts them: libguestfs does, in a virtual machine of its own, which runs as an unprivileged user
/// without network and sees no other file of this host's than anybody may.

#include "base/files/files.hpp"
#include "base/progress.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::image {

/// What a path is in the guest.
struct GuestPath {
    enum class Kind { folder, file, link } kind = Kind::file;
    std::uint64_t bytes = 0; ///< of a file
    mode_t mode = 0;         ///< of a file, with its type
    std::int64_t mtime = 0;  ///< of a file, seconds since 1970
    std::string target = {}; ///< of a link
};

/// What data/copy-out.pl prints: of each of `paths` what it is, and the guest's mount points that could not
/// be mounted. Throws Error{invalid} for a disk without a system or with several; Error{not_found} for a path
/// that is not there; Error{wrong_state} for one that is neither file, folder nor symbolic link;
/// Error{program} for what is no such report.
struct GuestReport {
    std::vector<GuestPath> paths;
    std::vector<std::string> unmounted;
};
GuestReport parse_report(std::string_view text, const std::vector<std::string>& paths);

/// Where the contents are: "0", "1" and so on, by the paths' order; a folder's is a tar archive. They are an
/// unprivileged user's, and so may be anything.
inline constexpr const char* contents_folder = "contents";

/// Copies what `paths` are in the guest to `<bench>/t/contents`. `image` is a qcow2 image that this program
/// made. It takes half a minute and more, at most a quarter of an hour. `check` is called at least every
/// 200 ms, and may throw. Throws Error{program} when a program of libguestfs is missing or fails, or the host
/// has no kernel; Error{no_room}; as parse_report.
std::vector<GuestPath> copy_out(const Folder& bench, const std::string& image,
                                const std::vector<std::string>& paths, Progress& progress,
                                const std::function<void()>& check);

/// The room that the virtual machine itself takes in the bench.
inline constexpr std::uint64_t appliance_bytes = 512u << 20;

} // namespace blockhost::image
