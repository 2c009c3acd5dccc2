// SPDX-License-Identifier: MIT
// See private_folder.hpp.
#include "store/private_folder.hpp"

#include "base/error.hpp"

#include <cerrno>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::store {

void require_private(const Folder& folder) {
    const std::string path = folder.path().string();
    struct stat found {};
    if (fstat(folder.fd(), &found) != 0) throw errno_error("cannot look at", path, errno);
    if (found.st_uid != geteuid())
        throw Error(
            Code::denied,
            fmt::format("folder {} belongs to user {}, and not to user {} as this process does", path,
                        found.st_uid, geteuid()),
            "run as that user; if nobody should have made it, look at what is in it and move it away");
    if ((found.st_mode & 077) != 0)
        throw Error(Code::denied,
                    fmt::format("folder {} has mode {:04o}, so that other users may enter it", path,
                                found.st_mode & 07777),
                    "look at what is in it, then: chmod 0700 " + path);
}

std::optional<Folder> private_folder(const Folder& parent, const std::string& name) {
    auto folder = parent.sub(name);
    if (folder) require_private(*folder);
    return folder;
}

Folder make_private_folder(const Folder& parent, const std::string& name) {
    if (auto there = private_folder(parent, name)) return std::move(*there);
    const std::string path = (parent.path() / name).string();
    // Not by make_sub: a folder that root makes there would get its parent's owner.
    const bool made = mkdirat(parent.fd(), name.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) throw errno_error("cannot make", path, errno);
    auto folder = private_folder(parent, name);
    if (!folder) throw errno_error("cannot open", path, ENOENT);
    parent.sync();
    return std::move(*folder);
}

} // namespace blockhost::store
