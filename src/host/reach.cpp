// SPDX-License-Identifier: MIT
/// See reach.hpp.

#include "host/reach.hpp"

#include "base/accounts.hpp"
#include "base/error.hpp"
#include "base/files/access.hpp"
#include "base/files/files.hpp"

#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::host {

namespace {

namespace fs = std::filesystem;

/// The folder `below` the open folder `from`, never through a link; nothing when it does not exist.
std::optional<Folder> walk(Folder from, const fs::path& below) {
    for (const auto& part : below) {
        auto next = from.sub(part.native());
        if (!next) return std::nullopt;
        from = std::move(*next);
    }
    return from;
}

void let_everybody_pass(const Folder& folder) {
    struct stat found {};
    if (fstat(folder.fd(), &found) != 0 || fchmod(folder.fd(), (found.st_mode & 07777) | S_IXOTH) != 0)
        throw errno_error("cannot set the mode of", folder.path().native(), errno);
}

void open_to_qemu(const fs::path& folder, const StateFolder& state) {
    auto root = state.open();
    if (!root) return;
    if (folder == state.string()) return let_everybody_pass(*root);
    if (const auto found = walk(std::move(*root), folder.lexically_relative(state.string())))
        let_pass(*found, qemu_group());
}

bool is_mine(const fs::path& folder) {
    struct stat found {};
    return lstat(folder.c_str(), &found) == 0 && S_ISDIR(found.st_mode) &&
           (geteuid() == 0 || found.st_uid == geteuid());
}

} // namespace

bool is_within(const fs::path& path, const fs::path& folder) {
    const fs::path below = path.lexically_relative(folder);
    return !below.empty() && *below.begin() != "..";
}

std::optional<fs::path> blocked_for_qemu(const fs::path& path, const StateFolder& state, Way way) {
    const auto qemu = qemu_credentials();
    if (!qemu) return std::nullopt;
    return first_impassable(path, *qemu, [&](const fs::path& folder) {
        if (!is_within(folder, state.string()) || !is_mine(folder)) return false;
        if (way == Way::look) return true;
        try {
            open_to_qemu(folder, state);
            return may_pass(folder, *qemu);
        } catch (const Error&) { // the folder blocks the way, and is returned
            return false;
        }
    });
}

} // namespace blockhost::host
