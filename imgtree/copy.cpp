// SPDX-License-Identifier: MIT
#include "imgtree/copy.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::imgtree {

namespace {

constexpr std::size_t piece = std::size_t{1} << 20;

Error cannot_write(const std::string& path) {
    if (errno == ENOSPC || errno == EDQUOT)
        return Error(Code::no_room, fmt::format("cannot write {}: No space left on device", path));
    return errno_error("cannot write", path, errno);
}

void give(int fd, const struct stat& as, const std::string& path) {
    const timespec times[2] = {as.st_mtim, as.st_mtim};
    if (fchown(fd, as.st_uid, as.st_gid) != 0 || fchmod(fd, as.st_mode & 07777) != 0 ||
        futimens(fd, times) != 0)
        throw cannot_write(path);
}

void copy_file(Tree& tree, Tree::Node node, const struct stat& as, const std::string& path) {
    const Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) throw cannot_write(path);
    const auto size = static_cast<std::uint64_t>(as.st_size);
    for (std::uint64_t at = 0; at < size;) {
        const auto bytes = tree.read(node, at, std::min<std::uint64_t>(piece, size - at));
        if (!bytes || bytes->empty()) throw Error(Code::io, tree.trouble());
        for (std::size_t done = 0; done < bytes->size();) {
            const ssize_t n = write(file.get(), bytes->data() + done, bytes->size() - done);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw cannot_write(path);
            done += static_cast<std::size_t>(n);
        }
        at += bytes->size();
    }
    give(file.get(), as, path);
}

void copy_folder(Tree& tree, Tree::Node node, const std::string& path) {
    const auto names = tree.names(node);
    const auto as = tree.look(node);
    if (!names || !as) throw Error(Code::io, "the tree has no folder " + path);
    for (const auto& [name, below] : *names) {
        const auto seen = tree.look(below);
        const std::string inner = path + "/" + name;
        if (!seen) throw Error(Code::io, "the tree has no " + inner);
        if (S_ISREG(seen->st_mode)) {
            copy_file(tree, below, *seen, inner);
            continue;
        }
        if (mkdir(inner.c_str(), 0700) != 0) throw cannot_write(inner);
        copy_folder(tree, below, inner);
    }
    const Fd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) throw cannot_write(path);
    give(folder.get(), *as, path);
}

} // namespace

void copy_out(Tree& tree, const std::string& folder) {
    copy_folder(tree, Tree::root, folder);
}

void show_at(const std::string& folder, const std::string& mount_point) {
    if (mount(folder.c_str(), mount_point.c_str(), nullptr, MS_BIND, nullptr) != 0)
        throw errno_error("cannot show", mount_point, errno);
}

} // namespace blockhost::imgtree
