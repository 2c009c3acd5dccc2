#pragma once
/// File descriptors, whole-file reading, durable replacing, and folders that outside text cannot escape from.

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

/// Owns one file descriptor; closes it. Every descriptor we make is close-on-exec.
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

/// The whole file; nothing when it does not exist (ENOENT only; everything else throws Error{io}).
/// Throws when it is larger than `max` bytes.
std::optional<std::string> read(const std::filesystem::path& path, std::size_t max = 64u << 20);
/// The same from an open descriptor, from its start.
std::string read_fd(int fd, std::string_view name_for_errors, std::size_t max = 64u << 20);

/// Who shall own a file we make, and how it may be used.
struct Ownership {
    mode_t mode = 0640;
    std::optional<uid_t> uid; ///< nothing: the folder's owner when we are root, else ourselves
    std::optional<gid_t> gid; ///< nothing: the folder's group when we are root, else our own
};

/// Whether `file` is a name that replacing `name` gives its temporary file.
bool is_temporary_of(std::string_view file, std::string_view name);

/// Replaces `path` durably: a unique temporary file in the same folder (".<name>.<12 hex digits>", never
/// `<name>.tmp`), written, fsynced, given its owner and mode, renamed over `path`, folder fsynced. With
/// keep_owner_and_mode an existing regular file's owner, group and mode are kept (where we lack the
/// privilege, what can be kept is, and no other group gains access); else, and for a new file, `fresh`
/// applies. On failure the temporary is removed and the old file is untouched; a killed process may leave its
/// temporary behind. A link at `path` is replaced, not followed. Throws Error{io}. Fault points
/// "files.replace" before the renaming, "files.replace.after" when all is done.
enum class Existing { keep_owner_and_mode, overwrite_owner_and_mode };
void replace(const std::filesystem::path& path, std::string_view content, const Ownership& fresh,
             Existing existing = Existing::keep_owner_and_mode);
/// The same in an open folder; `name` is a single component, `name_for_errors` what messages call it.
void replace_at(int folder_fd, const std::string& name, std::string_view name_for_errors,
                std::string_view content, const Ownership& fresh, Existing existing);
/// For what may be lost with the host's power: readers see the old file or the new one, nothing is synced.
void replace_unsynced_at(int folder_fd, const std::string& name, std::string_view name_for_errors,
                         std::string_view content, const Ownership& fresh);
/// Replaces whatever is named `name` by a symbolic link to `target`, atomically and durably. Its temporary
/// name is like replace's. Fault points as replace.
void replace_link_at(int folder_fd, const std::string& name, std::string_view name_for_errors,
                     const std::string& target);
/// Moves file `from_name` of one open folder to `name` of another, durably and also across file systems; its
/// holes, owner and mode stay. `check` is called while it is copied, and may throw. Throws Error{exists} when
/// `name` is taken.
void move_at(int from_folder_fd, const std::string& from_name, int folder_fd, const std::string& name,
             std::string_view name_for_errors, const std::function<void()>& check = {});
/// Gives an open file or folder exactly `ownership`; `folder_fd` is the folder whose owner is the default for
/// root.
void give(int fd, int folder_fd, const Ownership& ownership, std::string_view name_for_errors);

void write_all(int fd, std::string_view data, std::string_view name_for_errors);
void sync(int fd, std::string_view name_for_errors);
void sync_folder(const std::filesystem::path& folder);
/// What the file system of an open folder holds in all, and what may still be written to it, in bytes.
struct Room {
    std::uint64_t all = 0, free = 0;
};
Room room_on(int folder_fd, std::string_view name_for_errors);
/// What tells one file from all others, however it is named: device and inode. Links are followed.
std::string identity(const std::filesystem::path& path);

/// The first parent of `path` (or `path` itself) that user `uid` without special groups may not traverse
/// (by the owner's, else the group's, else the others' x bit); nothing when all can be traversed. Links are
/// resolved; what does not exist, or we may not look at ourselves, ends the search.
std::optional<std::filesystem::path> first_untraversable(const std::filesystem::path& path, uid_t uid,
                                                         gid_t gid);

} // namespace files

/// A folder of ours that other users can write to: names, never paths. Every access goes through openat2 with
/// RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, so that no planted link leads out of it. Names are single
/// components. Throws Error{io}; Error{invalid} for a name with '/', "." or "..".
class Folder {
  public:
    /// Opens it, making it first (one level) with `mode` when missing. When root makes it, it gets the
    /// parent's owner.
    static Folder open_or_make(const std::filesystem::path& path, mode_t mode);
    /// Opens it; nothing when it does not exist.
    static std::optional<Folder> open(const std::filesystem::path& path);

    const std::filesystem::path& path() const { return path_; }
    int fd() const { return fd_.get(); }

    /// A sub-folder, never through a link; nothing when absent.
    std::optional<Folder> sub(std::string_view name) const;
    Folder make_sub(std::string_view name, mode_t mode) const;

    /// Opens a regular file by openat2 `flags`; an invalid Fd when it does not exist. Anything else of that
    /// name (a link, a FIFO, a folder) throws. One made by O_CREAT has exactly `mode` and, made by root, the
    /// folder's owner.
    Fd open_file(std::string_view name, int flags, mode_t mode = 0) const;
    std::optional<std::string> read(std::string_view name, std::size_t max = 16u << 20) const;
    /// Durable replacement, as files::replace; the file ends with `ownership`, whatever was there before.
    void replace(std::string_view name, std::string_view content, const files::Ownership& ownership) const;

    /// As replace, without syncing: files::replace_unsynced_at.
    void replace_unsynced(std::string_view name, std::string_view content,
                          const files::Ownership& ownership) const;

    enum class Kind { absent, file, folder, other };
    Kind kind(std::string_view name) const;
    std::vector<std::string> names() const; ///< sorted, without "." and ".."
    /// Removes a file (never a folder, never through a link); true when something was removed. Syncs the
    /// folder. Fault points "folder.remove" and "folder.remove.after"; remove_tree has "folder.remove_tree"
    /// and ".after".
    bool remove(std::string_view name) const;
    /// Removes a sub-folder with everything in it, without following links; true when something was removed.
    bool remove_tree(std::string_view name) const;
    /// Removes what killed processes left of replace(name). The caller knows that nobody is replacing it now.
    void remove_temporaries(std::string_view name) const;
    void sync() const;

  private:
    Folder(std::filesystem::path path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    std::filesystem::path path_;
    Fd fd_;
};

} // namespace blockhost
