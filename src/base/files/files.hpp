// SPDX-License-Identifier: MIT
#pragma once
/// File descriptors, whole-file reading, durable replacing, and folders that outside text cannot escape from.

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace blockhost {

/// Owns one file descriptor and closes it. Every descriptor that this program makes is close-on-exec.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept;
    ~Fd();
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }

  private:
    int fd_ = -1;
};

namespace files {

/// Reads the whole file; nothing when it does not exist (ENOENT only; everything else throws Error{io}).
/// Throws Error{io} when it is larger than `max` bytes.
std::optional<std::string> read(const std::filesystem::path& path, std::size_t max = 64u << 20);
/// Deleted for strings: a path from StateFolder::string() must not be opened.
template<std::same_as<std::string> Text>
std::optional<std::string> read(const Text&, std::size_t = 0) = delete;
/// The same from an open descriptor, from its start.
std::string read_fd(int fd, std::string_view name_for_errors, std::size_t max = 64u << 20);

/// Owner, group and mode of a file that this program makes.
struct Ownership {
    mode_t mode = 0640;
    std::optional<uid_t> uid; ///< nothing: the folder's owner for root, else this process's user
    std::optional<gid_t> gid; ///< nothing: the folder's group for root, else this process's group
};

/// Whether `file` has the form of a temporary file's name for replacing `name`.
bool is_temporary_of(std::string_view file, std::string_view name);

/// Replaces `path` durably. A unique temporary file in the same folder (".<name>.<12 hex digits>", never
/// `<name>.tmp`) is written, given its owner and mode, fsynced and renamed over `path`; then the folder is
/// fsynced. With keep_owner_and_mode an existing regular file keeps its owner, group and mode; without the
/// privilege to give files away it keeps what it can, and no other group gains access. Otherwise, and for a
/// new file, `fresh` applies. On failure the temporary file is removed and the old file is untouched; a
/// killed process may leave its temporary file behind. A link at `path` is replaced, not followed. Throws
/// Error{io}. Fault points: "files.replace" before the renaming, "files.replace.after" at the end.
enum class Existing { keep_owner_and_mode, overwrite_owner_and_mode };
void replace(const std::filesystem::path& path, std::string_view content, const Ownership& fresh,
             Existing existing = Existing::keep_owner_and_mode);
/// Deleted for strings: a path from StateFolder::string() must not be written.
template<std::same_as<std::string> Text>
void replace(const Text&, std::string_view, const Ownership&,
             Existing = Existing::keep_owner_and_mode) = delete;
/// The same in an open folder. `name` is a single component; messages use `name_for_errors`.
void replace_at(int folder_fd, const std::string& name, std::string_view name_for_errors,
                std::string_view content, const Ownership& fresh, Existing existing);
/// Like replace_at, but only for a free name: throws Error{exists} when `name` is taken. Of several
/// concurrent calls one succeeds.
void make_at(int folder_fd, const std::string& name, std::string_view name_for_errors,
             std::string_view content, const Ownership& fresh);
/// Like replace_at without syncing, for what may be lost with the host's power; readers see old or new.
void replace_unsynced_at(int folder_fd, const std::string& name, std::string_view name_for_errors,
                         std::string_view content, const Ownership& fresh);
/// Replaces whatever is named `name` by a symbolic link to `target`, atomically and durably. Temporary name
/// and fault points are those of replace.
void replace_link_at(int folder_fd, const std::string& name, std::string_view name_for_errors,
                     const std::string& target);
/// Moves file `from_name` of one open folder to `name` of another, durably and also across file systems.
/// Holes, owner and mode stay. `check` is called while the file is copied, and may throw. Throws
/// Error{exists} when `name` is taken.
void move_at(int from_folder_fd, const std::string& from_name, int folder_fd, const std::string& name,
             std::string_view name_for_errors, const std::function<void()>& check = {});
/// Gives an open file or folder exactly `ownership`. For root, owner and group default to those of the folder
/// `folder_fd`.
void give(int fd, int folder_fd, const Ownership& ownership, std::string_view name_for_errors);

void write_all(int fd, std::string_view data, std::string_view name_for_errors);
void sync(int fd, std::string_view name_for_errors);
void sync_folder(const std::filesystem::path& folder);
/// The size of an open folder's file system, and the space that may still be written to, in bytes.
struct Room {
    std::uint64_t all = 0, free = 0;
};
Room room_on(int folder_fd, std::string_view name_for_errors);
/// Identifies a file under any of its names: device and inode. Links are followed.
std::string identity(const std::filesystem::path& path);

} // namespace files

/// A folder in which other users can write. It takes names, never paths: single components only. Every access
/// goes through openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, so that no planted link leads out of
/// the folder. Throws Error{io}; Error{invalid} for a name with '/', "." or "..". Folders below the state
/// folder are reached through state_folder.hpp alone.
class Folder {
  public:
    /// Opens the folder, making it first (one level) with `mode` when missing. A folder that root makes gets
    /// its parent's owner.
    static Folder open_or_make(const std::filesystem::path& path, mode_t mode);
    /// Opens it; nothing when it does not exist. Follows links of root and of the caller: for root's places.
    static std::optional<Folder> open(const std::filesystem::path& path);
    /// Deleted for strings: a path from StateFolder::string() must not be opened.
    template<std::same_as<std::string> Text>
    static std::optional<Folder> open(const Text&) = delete;
    template<std::same_as<std::string> Text>
    static Folder open_or_make(const Text&, mode_t) = delete;

    const std::filesystem::path& path() const { return path_; }
    int fd() const { return fd_.get(); }

    /// A sub-folder, never through a link; nothing when it does not exist.
    std::optional<Folder> sub(std::string_view name) const;
    Folder make_sub(std::string_view name, mode_t mode) const;

    /// Opens a regular file with openat2 `flags`; an invalid Fd when it does not exist. Throws for anything
    /// else of that name (a link, a FIFO, a folder), and for a file with a second name that the folder's
    /// owner does not own. A file made by O_CREAT has exactly `mode` and, when made by root, the folder's
    /// owner.
    Fd open_file(std::string_view name, int flags, mode_t mode = 0) const;
    std::optional<std::string> read(std::string_view name, std::size_t max = 16u << 20) const;
    /// Replaces the file durably, like files::replace; the result has `ownership`, whatever was there before.
    void replace(std::string_view name, std::string_view content, const files::Ownership& ownership) const;

    /// Like replace, without syncing: files::replace_unsynced_at.
    void replace_unsynced(std::string_view name, std::string_view content,
                          const files::Ownership& ownership) const;

    enum class Kind { absent, file, folder, other };
    Kind kind(std::string_view name) const;
    std::vector<std::string> names() const; ///< sorted, without "." and ".."
    /// Removes a file (never a folder, never through a link) and syncs the folder; true when something was
    /// removed. Fault points "folder.remove" and "folder.remove.after"; remove_tree has "folder.remove_tree"
    /// and ".after".
    bool remove(std::string_view name) const;
    /// Removes a sub-folder with everything in it, without following links; true when something was removed.
    bool remove_tree(std::string_view name) const;
    /// Removes what killed processes left of replace(name). The caller knows that nobody replaces it now.
    void remove_temporaries(std::string_view name) const;
    void sync() const;

  private:
    friend class StateFolder;
    Folder(std::filesystem::path path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    std::filesystem::path path_;
    Fd fd_;
};

} // namespace blockhost
