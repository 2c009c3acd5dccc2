// SPDX-License-Identifier: MIT
#pragma once
/// One connection of SQLite's, and what its failures mean.

#include "base/files/files.hpp"
#include "base/time.hpp"
#include "store/trouble.hpp"

#include <exception>
#include <optional>
#include <sqlite3.h>

namespace blockhost::store {

/// What a database's functions share. SQLite is given a path through the folder's descriptor, so that
/// whatever becomes of the folder's name, it opens files of this folder.
struct Connection {
    Connection(Folder in, std::string file, std::string called, Waiting how_long)
        : folder(std::move(in)), name(std::move(file)), path((folder.path() / name).string()),
          what(std::move(called)), waiting(std::move(how_long)) {}
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() { sqlite3_close_v2(sqlite); }

    void connect();
    /// Throws for a result that is not SQLITE_OK; what the wait for a lock threw goes first. `doing`:
    /// "write".
    void require(int result, std::string_view doing);
    [[noreturn]] void fail(int result, std::string_view doing);
    /// Runs SQL of this program's own; may be several statements.
    void execute(const char* sql, std::string_view doing);
    /// The first column of the statement's last row; empty when it gives none.
    std::string pragma(const char* sql);
    /// One more pause of a wait for a lock; false when its time is over, or when it was ended.
    bool wait_on();

    Folder folder;
    std::string name, path, what;
    Waiting waiting;
    sqlite3* sqlite = nullptr;
    std::optional<Deadline> wait_ends;    ///< of the wait for a lock that goes on
    std::exception_ptr thrown_in_waiting; ///< by `waiting.check`; it must not pass through SQLite
};

/// Throws Error{denied} unless the file `name` in the folder is a regular one of this process's user, closed
/// to others; false when there is none.
bool is_there(const Folder& folder, const std::string& name);

/// Makes SQLite take a path through a descriptor's name in /proc as it is; once for this process.
void keep_descriptor_paths();

} // namespace blockhost::store
