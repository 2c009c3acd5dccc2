// SPDX-License-Identifier: MIT
#pragma once
/// Puts what came out of a guest's file system into a folder of this host's. What came is the guest's doing,
/// so that nothing of it is followed: neither a path that climbs, nor a link.

#include "base/files/files.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::image {

/// How much was put there.
struct Unpacked {
    std::uint64_t files = 0, folders = 0, links = 0;
    std::uint64_t bytes = 0;    ///< of all files
    std::uint64_t left_out = 0; ///< devices, FIFOs, sockets, and what has no place of its own
    Unpacked& operator+=(const Unpacked& other);
};

/// The components of a path in an archive, without "." and empty ones. Throws Error{invalid} for "..", and
/// for more or longer components than a path of this host may have.
std::vector<std::string> components(std::string_view path);

/// Unpacks a tar archive into the folder `into`, whose owner gets it all. Files and folders have their
/// permissions, without setuid, setgid and sticky, and files their times; symbolic links say what they said,
/// and are never followed; hard links within the archive stay what they are. Everything else is left out, and
/// so is what would stand in the place of something, below what is no folder, or more than `deepest` folders
/// down. Zeros become holes.
///
/// `check` is called for each piece, and may throw. Throws Error{invalid} for what is no archive, and for a
/// path that climbs; Error{no_room} before the file system of `into` is full; Error{io}. What was unpacked
/// before that stays.
Unpacked unpack(int archive, const Folder& into, std::size_t deepest, const std::function<void()>& check);

/// One file's content, from an open descriptor.
struct Content {
    int from;
    std::uint64_t bytes;
    mode_t mode;        ///< taken without setuid, setgid and sticky
    std::int64_t mtime; ///< seconds since 1970
};
/// Makes the file `name`, which has to be free. Throws likewise.
void put_file(const Folder& into, const std::string& name, const Content& content,
              const std::function<void()>& check);
/// Makes a symbolic link with that very text. Throws Error{io}.
void put_link(const Folder& into, const std::string& name, const std::string& target);

} // namespace blockhost::image
