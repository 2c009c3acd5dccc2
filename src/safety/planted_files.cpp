// SPDX-License-Identifier: MIT
/// See planted_files.hpp.

#include "safety/planted_files.hpp"

#include "base/accounts.hpp"
#include "base/files/follow.hpp"
#include "base/text/text.hpp"
#include "config/templates.hpp"
#include "hypervisor/files/qcow2.hpp"
#include "safety/outside_text.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::safety {

namespace {

namespace fs = std::filesystem;
using root::Absent;
using root::planted;

constexpr int most_links = 40; // as in the kernel
constexpr int longest_chain = 64;

/// Whether `folder` is `ours`, one of BlockHost's folders. Throws as root::open_ours.
bool is_same_place(const World& world, const fs::path& folder, const fs::path& ours) {
    root::open_ours(world, ours); // throws in root's words at a link that is not root's
    return world.paths.state.is_same(folder, ours);
}

/// Root, or QEMU's user, to whom libvirt gives files.
bool is_trusted_owner(uid_t uid) {
    if (uid == 0) return true;
    const auto qemu = qemu_credentials();
    return qemu && uid == qemu->uid;
}

/// Whether nobody else could have made the file what it is, or put something in its place. In a folder with
/// the sticky bit, nobody can touch another user's files.
bool is_trusted(const struct stat& seen) {
    const bool sticky = S_ISDIR(seen.st_mode) && (seen.st_mode & S_ISVTX) != 0;
    const bool device = S_ISBLK(seen.st_mode) || S_ISCHR(seen.st_mode); // udev's rules give it to its group
    return is_trusted_owner(seen.st_uid) &&
           (sticky || device || S_ISLNK(seen.st_mode) || (seen.st_mode & (S_IWGRP | S_IWOTH)) == 0);
}

/// Whether only root can have put there what is behind `path`: the file, and every folder and link on the
/// way.
bool is_roots_doing(const fs::path& path, int links = 0) {
    fs::path at = "/"; // never a link itself
    const fs::path relative = path.relative_path();
    for (auto step = relative.begin(); step != relative.end(); ++step) {
        if (step->empty() || *step == ".") continue;
        const fs::path next = *step == ".." ? at.parent_path() : at / *step;
        struct stat seen {};
        if (lstat(next.c_str(), &seen) != 0) return errno == ENOENT;
        if (!is_trusted(seen)) return false;
        if (!S_ISLNK(seen.st_mode)) {
            at = next;
            continue;
        }
        std::error_code unreadable;
        fs::path rest = at / fs::read_symlink(next, unreadable);
        if (unreadable || links == most_links) return false;
        for (++step; step != relative.end(); ++step) rest /= *step;
        return is_roots_doing(rest, links + 1);
    }
    return true;
}

/// The head of an image that a guest is given. Refuses features in which libvirt and QEMU read more than we
/// do.
Qcow2Head plain_head(const fs::path& image) {
    const auto head = read_qcow2_head(image);
    if (!head) planted(image, "is not a qcow2 image");
    if (head->external_data) planted(image, "has its content in another file");
    if ((head->incompatible & ~Qcow2Head::dirty) != 0)
        planted(image, fmt::format("is a qcow2 image with features ({:#x}) that no disk of ours has",
                                   head->incompatible));
    if (!head->backing.empty() && head->backing_format != "qcow2")
        planted(image, "does not say that what it stands on is qcow2");
    return *head;
}

/// Whether an administrator's link in the templates folder, which only root may write, names `image`: the
/// base image of an older host, moved away.
bool is_linked_template(const Folder& templates, const fs::path& image) {
    for (const char* name : {template_link, template_stand_in}) {
        struct stat link {};
        if (fstatat(templates.fd(), name, &link, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISLNK(link.st_mode) ||
            link.st_uid != geteuid() || link.st_nlink != 1)
            continue;
        const fs::path full = templates.path() / name;
        const fs::path target = templates.path() / followed_link(templates.fd(), name, full);
        std::error_code missing;
        if (is_roots_doing(target) && fs::canonical(target, missing) == image && !missing) return true;
    }
    return false;
}

/// `above` is for the message: the image that `image` would back.
void require_template_below(const World& world, const fs::path& above, const fs::path& image) {
    const Folder templates = take_templates(world.paths);
    if (is_same_place(world, image.parent_path(), templates.path()))
        take_image(world.paths, templates, image.filename().string());
    else if (!is_linked_template(templates, image))
        planted(above, fmt::format("stands on {}, which is no template", text::printable(image.string())));
}

/// `layers` is the folder in which the chain of `image` may lie besides the templates; empty: in none.
void require_chain(const World& world, const fs::path& image, fs::path layers) {
    fs::path at = image;
    for (int i = 0; i < longest_chain; ++i) {
        const Qcow2Head head = plain_head(at);
        if (head.backing.empty()) return;
        const fs::path below = file_named_in(at, head.backing);
        if (!layers.empty() && is_same_place(world, below.parent_path(), layers)) {
            root::require_plain(root::open_ours(world, layers), below, Absent::is_refused);
        } else {
            require_template_below(world, image, below);
            layers.clear();
        }
        at = below;
    }
    planted(image, "stands on images without end");
}

/// Whether a file must be looked at: it lies below BlockHost's folders, or where others could have put it.
bool is_in_reach(const World& world, const fs::path& path) {
    const fs::path below_state = path.lexically_relative(world.paths.state.string());
    if (!below_state.empty() && *below_state.begin() != "..") return true;
    return is_same_place(world, path.parent_path(), world.storage) || !is_roots_doing(path);
}

void require_file(const World& world, const fs::path& path, Absent absent) {
    if (!is_in_reach(world, path)) return;
    struct stat seen {};
    if (stat(path.c_str(), &seen) == 0 && S_ISBLK(seen.st_mode) && is_roots_doing(path)) return;
    root::require_plain(root::open_ours(world, path.parent_path()), path, absent);
}

void require_image(const World& world, const fs::path& path) {
    if (!is_in_reach(world, path)) return;
    if (is_same_place(world, path.parent_path(), world.paths.templates.string())) {
        require_template(world, path);
        return;
    }
    require_file(world, path, Absent::is_refused);
    require_chain(world, path,
                  is_same_place(world, path.parent_path(), world.storage) ? world.storage : fs::path());
}

fs::path path_of(World& world, const DiskSources::Volume& volume) {
    const auto pool = world.hypervisor().find_pool(volume.pool);
    if (!pool)
        throw Error(Code::not_found, "there is no storage pool " + text::printable(volume.pool),
                    "virsh pool-list --all shows those there are");
    return fs::path(pool->path) / volume.volume;
}

} // namespace

void require_nothing_planted(World& world, const std::string& definition) {
    const DiskSources sources = disk_sources(definition);
    for (const auto& volume : sources.volumes) require_image(world, path_of(world, volume));
    for (const std::string& image : sources.files) require_image(world, image);
    for (const std::string& image : sources.removable) require_image(world, image);
    for (const std::string& file : sources.raw) require_file(world, file, Absent::is_refused);
    for (const std::string& file : boot_files(definition)) require_file(world, file, Absent::is_fine);
    const std::string console = read_domain(definition).console_log;
    if (!console.empty()) require_file(world, console, Absent::is_fine);
}

void require_template(const World& world, const fs::path& image) {
    require_template_below(world, image, image);
    require_chain(world, image, {});
}

} // namespace blockhost::safety
