// SPDX-License-Identifier: MIT
/// Registry: locks, reads and durably replaces the VM database.

#include "registry/registry.hpp"

#include "base/accounts.hpp"
#include "base/error.hpp"
#include "base/files/lock.hpp"
#include "base/patience.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t largest = 64u << 20;

std::string lock_name(const std::string& file) {
    return file + ".lock";
}

Error registry_error(const Error& error) {
    return {Code::registry, error.message(), error.hint()};
}

Error lock_error(const std::string& path, int error_number) {
    return registry_error(errno_error("cannot open the VM database's lock", path, error_number));
}

/// Gives the lock file to the folder's owner, so that services can open a lock that root made. Best effort:
/// the lock is open. Only for a regular file with one name: other users can write to the folder.
void hand_to_folder_owner(int fd, const Folder& folder) {
    struct stat lock, owner;
    if (geteuid() != 0 || fstat(fd, &lock) != 0 || fstat(folder.fd(), &owner) != 0) return;
    if (!S_ISREG(lock.st_mode) || lock.st_nlink != 1) return;
    if (lock.st_uid == owner.st_uid && lock.st_gid == owner.st_gid) return;
    if (fchown(fd, owner.st_uid, owner.st_gid) == 0) static_cast<void>(fchmod(fd, 0660));
}

/// Opens the lock file; an invalid Fd, with errno set, when it fails. Falls back to read-only for another
/// user's file: flock needs no more.
Fd open_existing_lock(const Folder& folder, const std::string& name) {
    constexpr int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    Fd fd(openat(folder.fd(), name.c_str(), O_RDWR | flags));
    if (!fd && (errno == EACCES || errno == EROFS))
        fd = Fd(openat(folder.fd(), name.c_str(), O_RDONLY | flags));
    if (fd) hand_to_folder_owner(fd.get(), folder);
    return fd;
}

/// Others can read it until it has its owner, so that nobody is refused meanwhile.
Fd make_lock(const Folder& folder, const std::string& name) {
    Fd fd(openat(folder.fd(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!fd) return fd;
    hand_to_folder_owner(fd.get(), folder);
    if (fchmod(fd.get(), 0660) != 0) throw lock_error((folder.path() / name).string(), errno);
    return fd;
}

Fd open_lock(const Folder& folder, const std::string& name) {
    Fd fd = open_existing_lock(folder, name);
    if (!fd && errno == ENOENT) fd = make_lock(folder, name);
    if (!fd && errno == EEXIST) fd = open_existing_lock(folder, name); // another process was quicker
    if (!fd) throw lock_error((folder.path() / name).string(), errno);
    return fd;
}

/// The owner of a new database: the blockhost user when root makes it, else the folder's owner.
files::Ownership new_file_ownership() {
    files::Ownership ownership{.mode = 0640, .uid = {}, .gid = {}};
    if (geteuid() != 0) return ownership;
    if (const auto user = blockhost_account()) ownership.uid = user->uid, ownership.gid = user->gid;
    return ownership;
}

} // namespace

Registry::Registry(fs::path file, RegistryWaits waits, StateFolder state)
    : file_(std::move(file)), waits_(std::move(waits)), state_(std::move(state)) {}

void Registry::pause(std::chrono::milliseconds span) const {
    if (waits_.give_up && waits_.give_up())
        throw Error(Code::interrupted, "gave up reading the VM database " + file_.string());
    pause_for(span);
}

Database Registry::read() const {
    return read(state_.file_at(file_));
}

Database Registry::read(const Place& place) const {
    for (int left = waits_.torn_retries;; --left) {
        auto text = place ? place->folder.read(place->name, largest) : std::nullopt;
        if (!text) return Database::empty();
        std::optional<JsonTree> tree;
        try {
            tree = JsonTree::parse(std::move(*text));
        } catch (const Error& error) {
            if (left <= 0)
                throw Error(Code::registry,
                            "VM database " + file_.string() + " is " + error.message() +
                                "; nothing was changed",
                            "a program may have died while writing it; repair it by hand or restore it from "
                            "a backup");
            pause(waits_.torn_pause);
            continue;
        }
        try {
            return Database(std::move(*tree));
        } catch (const Error& error) {
            throw error.within(file_.string());
        }
    }
}

void Registry::change(const std::function<void(Database&)>& mutate) const {
    const Place place = state_.file_at(file_);
    if (!place) throw lock_error(file_.string() + ".lock", ENOENT);
    const std::string path = (place->folder.path() / lock_name(place->name)).string();
    const auto patience = within(waits_.end, waits_.lock);
    const auto lock = FileLock::take(open_lock(place->folder, lock_name(place->name)),
                                     FileLock::Mode::exclusive, Deadline::in(patience), waits_.give_up);
    if (!lock && waits_.give_up && waits_.give_up())
        throw Error(Code::interrupted, "gave up waiting for the VM database's lock " + path);
    if (!lock)
        throw Error(Code::registry,
                    "VM database " + file_.string() + " is locked: another program has held " + path +
                        " for " + std::to_string(patience.count() / 1000) + " s; nothing was changed",
                    "`fuser " + path + "` shows which program that is");

    place->folder.remove_temporaries(place->name);
    Database database = read(place);
    const JsonTree before = database.tree();
    mutate(database);
    if (!database.tree().as_read().empty()) return;
    const std::string after = database.tree().write();
    const bool was_laid_out = !before.as_read().empty();
    if (was_laid_out ? after != before.as_read() : after != before.write()) write(*place, after);
}

void Registry::write(const StateFolder::File& place, const std::string& text) const {
    files::Ownership fresh{.mode = 0640, .uid = {}, .gid = {}};
    auto existing = files::Existing::keep_owner_and_mode;
    struct stat old;
    const bool there = fstatat(place.folder.fd(), place.name.c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0;
    if (!there || !S_ISREG(old.st_mode)) {
        fresh = new_file_ownership();
    } else if ((old.st_mode & 0600) != 0600) {
        // Keeps the mode unless it would lock the owner out.
        fresh.mode = (old.st_mode & 0777) | 0600;
        if (geteuid() == 0) fresh.uid = old.st_uid, fresh.gid = old.st_gid;
        existing = files::Existing::overwrite_owner_and_mode;
    }
    try {
        files::replace_at(place.folder.fd(), place.name, (place.folder.path() / place.name).string(), text,
                          fresh, existing);
    } catch (const Error& error) {
        if (error.code() != Code::io) throw;
        throw registry_error(error);
    }
}

void Registry::check_writable() const {
    const Place place = state_.file_at(file_);
    const std::string folder = place ? place->folder.path().string() : file_.parent_path().string();
    if (!place) throw registry_error(errno_error("cannot write the VM database into folder", folder, ENOENT));
    if (faccessat(place->folder.fd(), ".", W_OK | X_OK, AT_EACCESS) != 0)
        throw registry_error(errno_error("cannot write the VM database into folder", folder, errno));
    const std::string lock = lock_name(place->name);
    if (faccessat(place->folder.fd(), lock.c_str(), R_OK, AT_EACCESS) != 0 && errno != ENOENT)
        throw lock_error((place->folder.path() / lock).string(), errno);
}

} // namespace blockhost
