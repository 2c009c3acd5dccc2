// SPDX-License-Identifier: MIT
// Whole-file reading and durable replacing.
#include "base/files/files.hpp"

#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/time.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace blockhost {

Fd& Fd::operator=(Fd&& other) noexcept {
    if (this == &other) return *this;
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
    return *this;
}

Fd::~Fd() {
    if (fd_ >= 0) ::close(fd_);
}

namespace files {

namespace {

/// Reads everything with `read_some(buffer, size, offset)`.
template<typename ReadSome>
std::string read_all(ReadSome read_some, std::string_view name, std::size_t max, std::size_t expected) {
    std::string content;
    std::size_t length = 0;
    for (;;) {
        if (length == content.size())
            content.resize(length + std::max<std::size_t>(expected + 1 - length, 4096));
        ssize_t got = read_some(content.data() + length, content.size() - length, length);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw errno_error("cannot read", name, errno);
        if (got == 0) break;
        length += static_cast<std::size_t>(got);
        if (length > max)
            throw Error(Code::io, std::string(name) + " is larger than " + std::to_string(max) + " bytes");
        expected = std::max(expected, length);
    }
    content.resize(length);
    return content;
}

constexpr std::size_t temporary_digits = 12;

std::string temporary_prefix(std::string_view name) {
    constexpr std::size_t longest = 200; // keeps the whole name below NAME_MAX
    return "." + std::string(name.substr(0, longest)) + ".";
}

/// fstat's result; throws Error{io}.
struct stat look(int fd, std::string_view name) {
    struct stat found {};
    if (fstat(fd, &found) != 0) throw errno_error("cannot look at", name, errno);
    return found;
}

/// Renames to a name that must be free.
void rename_new(int from_folder, const std::string& from, int folder, const std::string& name,
                std::string_view name_for_errors) {
    if (renameat2(from_folder, from.c_str(), folder, name.c_str(), RENAME_NOREPLACE) == 0) return;
    if (errno == EEXIST) throw Error(Code::exists, std::string(name_for_errors) + " is there already");
    throw errno_error("cannot move a file to", name_for_errors, errno);
}

/// Copies `length` bytes at `offset` of one file to the same offset of another.
void copy_range(int from, int to, off_t offset, off_t length, std::string_view name,
                const std::function<void()>& check) {
    std::string buffer(1 << 20, '\0');
    while (length > 0) {
        const auto want =
            static_cast<std::size_t>(std::min<off_t>(length, static_cast<off_t>(buffer.size())));
        const ssize_t got = pread(from, buffer.data(), want, offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw errno_error("cannot read what becomes", name, errno);
        if (got == 0) throw Error(Code::io, "what becomes " + std::string(name) + " got shorter");
        if (lseek(to, offset, SEEK_SET) < 0) throw errno_error("cannot write", name, errno);
        write_all(to, std::string_view(buffer.data(), static_cast<std::size_t>(got)), name);
        offset += got;
        length -= got;
        if (check) check();
    }
}

/// Copies everything but the holes.
void copy_sparse(int from, int to, std::string_view name, const std::function<void()>& check) {
    const off_t size = look(from, name).st_size;
    if (ftruncate(to, size) != 0) throw errno_error("cannot size", name, errno);
    for (off_t at = 0; at < size;) {
        const off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) return; // only a hole is left
        if (data < 0) throw errno_error("cannot read what becomes", name, errno);
        const off_t hole = lseek(from, data, SEEK_HOLE);
        if (hole < 0) throw errno_error("cannot read what becomes", name, errno);
        copy_range(from, to, data, hole - data, name, check);
        at = hole;
    }
}

/// A file with a unique name, removed again unless it is renamed.
class Temporary {
  public:
    Temporary(int folder_fd, const std::string& final_name, std::string_view name_for_errors)
        : folder_fd_(folder_fd), name_(temporary_prefix(final_name) + random_hex(temporary_digits)),
          fd_(openat(folder_fd, name_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) {
        if (!fd_) throw errno_error("cannot make a temporary file for", name_for_errors, errno);
    }
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;
    ~Temporary() {
        if (!renamed_) unlinkat(folder_fd_, name_.c_str(), 0);
    }
    int fd() const { return fd_.get(); }
    void rename_to(const std::string& name, std::string_view name_for_errors) {
        if (renameat(folder_fd_, name_.c_str(), folder_fd_, name.c_str()) != 0)
            throw errno_error("cannot replace", name_for_errors, errno);
        renamed_ = true;
    }
    void rename_to_free(const std::string& name, std::string_view name_for_errors) {
        rename_new(folder_fd_, name_, folder_fd_, name, name_for_errors);
        renamed_ = true;
    }

  private:
    int folder_fd_;
    std::string name_;
    Fd fd_;
    bool renamed_ = false;
};

void set_mode(int fd, mode_t mode, std::string_view name) {
    if (fchmod(fd, mode) != 0) throw errno_error("cannot set the mode of", name, errno);
}

/// Gives `fd` the owner, group and mode of `old`. Without the privilege to give files away this process's
/// user stays the owner; if the group cannot be kept either, the group that the file has gets no more access
/// than others have.
void give_as(int fd, const struct stat& old, std::string_view name) {
    mode_t mode = old.st_mode & 07777;
    struct stat fresh = look(fd, name);
    bool kept = fresh.st_uid == old.st_uid && fresh.st_gid == old.st_gid;
    if (!kept && fchown(fd, old.st_uid, old.st_gid) != 0) {
        if (errno != EPERM) throw errno_error("cannot give the owner of", name, errno);
        constexpr uid_t unchanged = static_cast<uid_t>(-1);
        bool group_kept = fresh.st_gid == old.st_gid || fchown(fd, unchanged, old.st_gid) == 0;
        if (!group_kept) mode = (mode & ~mode_t{070}) | (mode & 07) << 3;
    }
    set_mode(fd, mode, name);
}

} // namespace

bool is_temporary_of(std::string_view file, std::string_view name) {
    const std::string prefix = temporary_prefix(name);
    return file.size() == prefix.size() + temporary_digits && file.starts_with(prefix) &&
           file.find_first_not_of("0123456789abcdef", prefix.size()) == std::string_view::npos;
}

std::optional<std::string> read(const std::filesystem::path& path, std::size_t max) {
    Fd fd(::open(path.c_str(),
                 O_RDONLY | O_CLOEXEC | O_NONBLOCK)); // never wait for a FIFO's writer
    if (!fd && errno == ENOENT) return std::nullopt;
    if (!fd) throw errno_error("cannot open", path.native(), errno);
    const struct stat found = look(fd.get(), path.native());
    if (!S_ISREG(found.st_mode) && !S_ISDIR(found.st_mode))
        throw Error(Code::io, path.native() + " is not a regular file", "put a regular file there");
    auto size = static_cast<std::size_t>(found.st_size);
    auto some = [&](char* to, std::size_t n, std::size_t) { return ::read(fd.get(), to, n); };
    return read_all(some, path.native(), max, std::min(size, max));
}

std::string read_fd(int fd, std::string_view name_for_errors, std::size_t max) {
    auto size = static_cast<std::size_t>(look(fd, name_for_errors).st_size);
    auto some = [&](char* to, std::size_t n, std::size_t at) {
        return pread(fd, to, n, static_cast<off_t>(at));
    };
    return read_all(some, name_for_errors, max, std::min(size, max));
}

void replace(const std::filesystem::path& path, std::string_view content, const Ownership& fresh,
             Existing existing) {
    auto parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    Fd folder(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) throw errno_error("cannot open", parent.native(), errno);
    replace_at(folder.get(), path.filename(), path.native(), content, fresh, existing);
}

void replace_at(int folder_fd, const std::string& name, std::string_view name_for_errors,
                std::string_view content, const Ownership& fresh, Existing existing) {
    struct stat old {};
    bool there = fstatat(folder_fd, name.c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0;
    if (!there && errno != ENOENT) throw errno_error("cannot look at", name_for_errors, errno);

    Temporary temporary(folder_fd, name, name_for_errors);
    write_all(temporary.fd(), content, name_for_errors);
    if (there && S_ISREG(old.st_mode) && existing == Existing::keep_owner_and_mode) {
        give_as(temporary.fd(), old, name_for_errors);
    } else {
        give(temporary.fd(), folder_fd, fresh, name_for_errors);
    }
    sync(temporary.fd(), name_for_errors);

    fault::point("files.replace");
    temporary.rename_to(name, name_for_errors);
    sync(folder_fd, name_for_errors);
    fault::point("files.replace.after");
}

void make_at(int folder_fd, const std::string& name, std::string_view name_for_errors,
             std::string_view content, const Ownership& fresh) {
    Temporary temporary(folder_fd, name, name_for_errors);
    write_all(temporary.fd(), content, name_for_errors);
    give(temporary.fd(), folder_fd, fresh, name_for_errors);
    sync(temporary.fd(), name_for_errors);
    fault::point("files.make");
    temporary.rename_to_free(name, name_for_errors);
    sync(folder_fd, name_for_errors);
    fault::point("files.make.after");
}

void replace_unsynced_at(int folder_fd, const std::string& name, std::string_view name_for_errors,
                         std::string_view content, const Ownership& fresh) {
    Temporary temporary(folder_fd, name, name_for_errors);
    write_all(temporary.fd(), content, name_for_errors);
    give(temporary.fd(), folder_fd, fresh, name_for_errors);
    temporary.rename_to(name, name_for_errors);
}

void replace_link_at(int folder_fd, const std::string& name, std::string_view name_for_errors,
                     const std::string& target) {
    const std::string fresh = temporary_prefix(name) + random_hex(temporary_digits);
    if (symlinkat(target.c_str(), folder_fd, fresh.c_str()) != 0)
        throw errno_error("cannot make a link for", name_for_errors, errno);
    try {
        fault::point("files.replace");
        if (renameat(folder_fd, fresh.c_str(), folder_fd, name.c_str()) != 0)
            throw errno_error("cannot replace", name_for_errors, errno);
    } catch (...) {
        unlinkat(folder_fd, fresh.c_str(), 0);
        throw;
    }
    sync(folder_fd, name_for_errors);
    fault::point("files.replace.after");
}

void move_at(int from_folder_fd, const std::string& from_name, int folder_fd, const std::string& name,
             std::string_view name_for_errors, const std::function<void()>& check) {
    fault::point("files.move");
    Fd from(openat(from_folder_fd, from_name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!from) throw errno_error("cannot open what becomes", name_for_errors, errno);
    sync(from.get(), name_for_errors);
    const bool same_file_system =
        look(from.get(), name_for_errors).st_dev == look(folder_fd, name_for_errors).st_dev;
    if (same_file_system) {
        rename_new(from_folder_fd, from_name, folder_fd, name, name_for_errors);
    } else {
        Temporary copy(folder_fd, name, name_for_errors);
        copy_sparse(from.get(), copy.fd(), name_for_errors, check);
        give_as(copy.fd(), look(from.get(), name_for_errors), name_for_errors);
        sync(copy.fd(), name_for_errors);
        copy.rename_to_free(name, name_for_errors);
        unlinkat(from_folder_fd, from_name.c_str(), 0);
    }
    sync(folder_fd, name_for_errors);
    fault::point("files.move.after");
}

void give(int fd, int folder_fd, const Ownership& ownership, std::string_view name_for_errors) {
    struct stat now = look(fd, name_for_errors);
    uid_t uid = ownership.uid.value_or(now.st_uid);
    gid_t gid = ownership.gid.value_or(now.st_gid);
    if (geteuid() == 0) {
        struct stat folder = look(folder_fd, name_for_errors);
        uid = ownership.uid.value_or(folder.st_uid);
        gid = ownership.gid.value_or(folder.st_gid);
    }
    if ((uid != now.st_uid || gid != now.st_gid) && fchown(fd, uid, gid) != 0)
        throw errno_error("cannot give the owner of", name_for_errors, errno);
    set_mode(fd, ownership.mode, name_for_errors);
}

void write_all(int fd, std::string_view data, std::string_view name_for_errors) {
    while (!data.empty()) {
        ssize_t written = ::write(fd, data.data(), data.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) throw errno_error("cannot write", name_for_errors, errno);
        data.remove_prefix(static_cast<std::size_t>(written));
    }
}

void sync(int fd, std::string_view name_for_errors) {
    if (fault::left_out("sync", fd)) return;
    if (fsync(fd) != 0) throw errno_error("cannot sync", name_for_errors, errno);
}

void sync_folder(const std::filesystem::path& folder) {
    Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) throw errno_error("cannot open", folder.native(), errno);
    sync(fd.get(), folder.native());
}

Room room_on(int folder_fd, std::string_view name_for_errors) {
    struct statvfs room {};
    if (fstatvfs(folder_fd, &room) != 0) throw errno_error("cannot look at", name_for_errors, errno);
    return {static_cast<std::uint64_t>(room.f_blocks) * room.f_frsize,
            static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize};
}

std::string identity(const std::filesystem::path& path) {
    struct stat found {};
    if (stat(path.c_str(), &found) != 0) throw errno_error("cannot look at", path.native(), errno);
    return std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino);
}

} // namespace files

} // namespace blockhost
