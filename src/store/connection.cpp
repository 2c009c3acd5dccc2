// SPDX-License-Identifier: MIT
// How SQLite is opened, how it waits, and what its failures mean.
#include "store/connection.hpp"

#include "base/patience.hpp"
#include "base/text/text.hpp"
#include "store/lock_holder.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::store {

namespace {

constexpr std::string_view descriptors = "/proc/self/fd/";

/// lstat(2) for SQLite, which resolves links in a path before it opens it. A descriptor's name in /proc is
/// such a link; resolved, it would be the folder's path again, which may by then lead elsewhere.
int look_at(const char* path, struct stat* found) {
    const std::string_view name = path;
    const bool in_way =
        name == "/proc/self" ||
        (name.starts_with(descriptors) && name.find('/', descriptors.size()) == std::string_view::npos);
    return in_way ? stat(path, found) : lstat(path, found);
}

/// SQLite waits for a lock; zero ends the wait.
int wait_for_lock(void* context, int count) {
    auto& state = *static_cast<Connection*>(context);
    if (count == 0) state.wait_ends.reset();
    return state.wait_on() ? 1 : 0;
}

bool is_full(int result, int error_number) {
    return (result & 0xff) == SQLITE_FULL ||
           ((result & 0xff) == SQLITE_IOERR && (error_number == ENOSPC || error_number == EDQUOT));
}

bool is_read_only(int result, int error_number) {
    const int primary = result & 0xff;
    const bool forbidden = error_number == EROFS || error_number == EACCES || error_number == EPERM;
    return primary == SQLITE_READONLY || primary == SQLITE_PERM ||
           ((primary == SQLITE_CANTOPEN || primary == SQLITE_IOERR) && forbidden);
}

Trouble trouble_of(int result, int error_number) {
    const int primary = result & 0xff;
    if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) return Trouble::locked;
    if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) return Trouble::corrupt;
    if (is_full(result, error_number)) return Trouble::full;
    return is_read_only(result, error_number) ? Trouble::read_only : Trouble::failed;
}

bool is_our_mistake(int result) {
    const int primary = result & 0xff;
    return primary == SQLITE_ERROR || primary == SQLITE_MISUSE || primary == SQLITE_RANGE ||
           primary == SQLITE_CONSTRAINT || primary == SQLITE_MISMATCH;
}

} // namespace

void keep_descriptor_paths() {
    static const bool done = [] {
        sqlite3_vfs* files = sqlite3_vfs_find(nullptr);
        return files && files->iVersion >= 3 && files->xSetSystemCall &&
               files->xSetSystemCall(files, "lstat", reinterpret_cast<sqlite3_syscall_ptr>(look_at)) ==
                   SQLITE_OK;
    }();
    if (!done) throw Error(Code::internal, "this SQLite does not let its way of opening files be set");
}

bool is_there(const Folder& folder, const std::string& name) {
    const std::string path = (folder.path() / name).string();
    struct stat found {};
    if (fstatat(folder.fd(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return false;
        throw errno_error("cannot look at", path, errno);
    }
    if (!S_ISREG(found.st_mode) || found.st_nlink != 1)
        throw Error(Code::denied, path + " is no plain file with one name",
                    "look at what it is, and move it away");
    if (found.st_uid != geteuid() || (found.st_mode & 077) != 0)
        throw Error(
            Code::denied,
            fmt::format("{} belongs to user {} with mode {:04o}, and has to be this process's user's alone",
                        path, found.st_uid, found.st_mode & 07777),
            fmt::format("look at what is in it, then: chown {} {} && chmod 0600 {}", geteuid(), path, path));
    return true;
}

bool Connection::wait_on() {
    if (!wait_ends) wait_ends = Deadline::in(waiting.patience);
    if (thrown_in_waiting || wait_ends->passed()) return false;
    try {
        constexpr std::chrono::milliseconds step(20);
        pause_for(std::min(step, wait_ends->left()), waiting.check);
        return true;
    } catch (...) {
        thrown_in_waiting = std::current_exception();
        return false;
    }
}

void Connection::connect() {
    keep_descriptor_paths();
    const std::string way = std::string(descriptors) + std::to_string(folder.fd()) + "/" + name;
    constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    require(sqlite3_open_v2(way.c_str(), &sqlite, flags, nullptr), "open");
    if (const char* opened = sqlite3_db_filename(sqlite, "main"); !opened || way != opened)
        throw Error(Code::internal, "SQLite opens " + path + " by another path than it was given");
    sqlite3_busy_handler(sqlite, wait_for_lock, this);
    sqlite3_db_config(sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    execute("PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL;"
            "PRAGMA foreign_keys = ON",
            "open");
    if (pragma("PRAGMA journal_mode = WAL") != "wal" || pragma("PRAGMA synchronous") != "2" ||
        pragma("PRAGMA foreign_keys") != "1")
        throw StoreError(Trouble::failed, Code::io,
                         what + " " + path + " cannot be kept with a write-ahead log",
                         "put it on a local file system");
    if (const std::string found = pragma("PRAGMA quick_check(1)"); found != "ok")
        fail(SQLITE_CORRUPT, "read");
}

void Connection::fail(int result, std::string_view doing) {
    if (const std::exception_ptr thrown = std::exchange(thrown_in_waiting, nullptr))
        std::rethrow_exception(thrown);
    const int error_number = sqlite ? sqlite3_system_errno(sqlite) : 0;
    const std::string it = what + " " + path;
    const Trouble trouble = trouble_of(result, error_number);
    switch (trouble) {
    case Trouble::locked: {
        const auto holders = lock_holders(folder, {name, name + "-shm"});
        throw StoreError(trouble, Code::busy,
                         fmt::format("{} has been held for {:g} s by {}", it,
                                     std::chrono::duration<double>(waiting.patience).count(),
                                     holders.empty() ? "another process" : text::join(holders, " and ")),
                         "wait until it is done, or end it; then try again");
    }
    case Trouble::full:
        throw StoreError(trouble, Code::io, "there is no room to write " + it + "; nothing was changed",
                         "free some space on that file system, then try again");
    case Trouble::read_only:
        throw StoreError(trouble, Code::io, it + " can be read, and not written",
                         "see whether that file system is mounted read-only, and who owns the file");
    case Trouble::corrupt:
        throw StoreError(
            trouble, Code::io, it + " is damaged, or is no database; nothing was changed",
            "stop the agent, keep the file and those beside it that begin with its name, and put the "
            "newest backup in their place");
    default:
        break;
    }
    const std::string why = sqlite ? sqlite3_errmsg(sqlite) : sqlite3_errstr(result);
    if (is_our_mistake(result)) throw Error(Code::internal, fmt::format("cannot {} {}: {}", doing, it, why));
    throw StoreError(trouble, Code::io,
                     fmt::format("cannot {} {}: {}{}", doing, it, why,
                                 error_number ? fmt::format(" (errno {})", error_number) : ""),
                     {});
}

void Connection::require(int result, std::string_view doing) {
    if (result != SQLITE_OK) fail(result, doing);
}

void Connection::execute(const char* sql, std::string_view doing) {
    require(sqlite3_exec(sqlite, sql, nullptr, nullptr, nullptr), doing);
}

std::string Connection::pragma(const char* sql) {
    std::string answer;
    const auto keep = [](void* to, int columns, char** texts, char**) {
        if (columns > 0 && texts[0]) *static_cast<std::string*>(to) = texts[0];
        return 0;
    };
    const auto ask = [&] { return sqlite3_exec(sqlite, sql, keep, &answer, nullptr); };
    wait_ends.reset();
    int result = ask();
    // SQLite does not wait where two make the same file a database at once.
    while ((result & 0xff) == SQLITE_BUSY && wait_on()) result = ask();
    require(result, "read");
    return answer;
}

} // namespace blockhost::store
