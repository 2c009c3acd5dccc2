/// Registry: the lock, the patient reading and the durable replacing of the VM database.

#include "registry/registry.hpp"

#include "base/error.hpp"
#include "base/lock.hpp"

#include <cerrno>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace blockhost {

namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& file) {
    return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

fs::path lock_path(const fs::path& file) {
    fs::path path = file;
    return path += ".lock";
}

Error registry_error(const Error& error) {
    return {Code::registry, error.message(), error.hint()};
}

Error lock_error(const fs::path& path, int error_number) {
    return registry_error(errno_error("cannot open the VM database's lock", path.string(), error_number));
}

/// The lock file is left to the folder's owner, so that the services can open it after root made it. Best
/// effort: we hold what we need. Only a plain file with one name: other users can write to the folder.
void hand_to_folder_owner(int fd, const fs::path& folder) {
    struct stat lock, owner;
    if (geteuid() != 0 || fstat(fd, &lock) != 0 || stat(folder.c_str(), &owner) != 0) return;
    if (!S_ISREG(lock.st_mode) || lock.st_nlink != 1) return;
    if (lock.st_uid == owner.st_uid && lock.st_gid == owner.st_gid) return;
    if (fchown(fd, owner.st_uid, owner.st_gid) == 0) static_cast<void>(fchmod(fd, 0660));
}

/// An invalid Fd, with errno set, when there is none yet. Read-only serves where it is not ours: flock needs
/// no more.
Fd open_existing_lock(const fs::path& path) {
    constexpr int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    Fd fd(open(path.c_str(), O_RDWR | flags));
    if (!fd && (errno == EACCES || errno == EROFS)) fd = Fd(open(path.c_str(), O_RDONLY | flags));
    if (fd) hand_to_folder_owner(fd.get(), folder_of(path));
    return fd;
}

/// Readable for others until it has its owner, so that nobody is turned away in between.
Fd make_lock(const fs::path& path) {
    Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!fd) return fd;
    hand_to_folder_owner(fd.get(), folder_of(path));
    if (fchmod(fd.get(), 0660) != 0) throw lock_error(path, errno);
    return fd;
}

Fd open_lock(const fs::path& path) {
    Fd fd = open_existing_lock(path);
    if (!fd && errno == ENOENT) fd = make_lock(path);
    if (!fd && errno == EEXIST) fd = open_existing_lock(path); // somebody was quicker
    if (!fd) throw lock_error(path, errno);
    return fd;
}

/// Who owns a new database: the blockhost user where root makes it, else the folder's owner.
files::Ownership new_file_ownership() {
    files::Ownership ownership{.mode = 0640, .uid = {}, .gid = {}};
    if (geteuid() != 0) return ownership;
    struct passwd entry, *found = nullptr;
    char buffer[4096];
    if (getpwnam_r("blockhost", &entry, buffer, sizeof buffer, &found) != 0 || !found) return ownership;
    ownership.uid = found->pw_uid;
    ownership.gid = found->pw_gid;
    return ownership;
}

} // namespace

Registry::Registry(fs::path file, RegistryWaits waits) : file_(std::move(file)), waits_(std::move(waits)) {}

void Registry::pause(std::chrono::milliseconds span) const {
    if (waits_.give_up && waits_.give_up())
        throw Error(Code::interrupted, "gave up reading the VM database " + file_.string());
    std::this_thread::sleep_for(span);
}

Database Registry::read() const {
    for (int left = waits_.torn_retries;; --left) {
        auto text = files::read(file_);
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
    const fs::path path = lock_path(file_);
    const auto lock =
        FileLock::take(open_lock(path), FileLock::Mode::exclusive, Deadline::in(waits_.lock), waits_.give_up);
    if (!lock && waits_.give_up && waits_.give_up())
        throw Error(Code::interrupted, "gave up waiting for the VM database's lock " + path.string());
    if (!lock)
        throw Error(Code::registry,
                    "VM database " + file_.string() + " is locked: another program has held " +
                        path.string() + " for " + std::to_string(waits_.lock.count() / 1000) +
                        " s; nothing was changed",
                    "`fuser " + path.string() + "` shows which program that is");

    if (const auto folder = Folder::open(folder_of(file_)))
        folder->remove_temporaries(file_.filename().string());
    Database database = read();
    const JsonTree before = database.tree();
    mutate(database);
    if (!database.tree().as_read().empty()) return;
    const std::string after = database.tree().write();
    const bool was_laid_out = !before.as_read().empty();
    if (was_laid_out ? after != before.as_read() : after != before.write()) write(after);
}

void Registry::write(const std::string& text) const {
    files::Ownership fresh{.mode = 0640, .uid = {}, .gid = {}};
    auto existing = files::Existing::keep_owner_and_mode;
    struct stat old;
    if (lstat(file_.c_str(), &old) != 0 || !S_ISREG(old.st_mode)) {
        fresh = new_file_ownership();
    } else if ((old.st_mode & 0600) != 0600) {
        // A mode that would lock its owner out is the one thing not kept.
        fresh.mode = (old.st_mode & 0777) | 0600;
        if (geteuid() == 0) fresh.uid = old.st_uid, fresh.gid = old.st_gid;
        existing = files::Existing::overwrite_owner_and_mode;
    }
    try {
        files::replace(file_, text, fresh, existing);
    } catch (const Error& error) {
        if (error.code() != Code::io) throw;
        throw registry_error(error);
    }
}

void Registry::check_writable() const {
    const fs::path folder = folder_of(file_), lock = lock_path(file_);
    if (faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
        throw registry_error(errno_error("cannot write the VM database into folder", folder.string(), errno));
    if (faccessat(AT_FDCWD, lock.c_str(), R_OK, AT_EACCESS) != 0 && errno != ENOENT)
        throw lock_error(lock, errno);
}

} // namespace blockhost
