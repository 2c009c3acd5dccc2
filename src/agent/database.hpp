// SPDX-License-Identifier: MIT
#pragma once
/// The agent's one database, `<state>/agent/agent.db`: what its parts keep there, brought together.

#include "base/time.hpp"
#include "config/paths.hpp"
#include "store/database.hpp"

namespace blockhost::agent {

/// The folder of the database, which is this process's user's alone; made when it is missing.
Folder database_folder(const Paths& paths);
/// The same; nothing when there is none yet.
std::optional<Folder> existing_database_folder(const Paths& paths);
/// Makes the database when it is missing. A connection for one thread at a time: each part opens its own.
store::Database open_database(const Paths& paths, store::Waiting waiting = {});
/// Nothing when there is none yet.
std::optional<store::Database> existing_database(const Paths& paths, store::Waiting waiting = {});

/// Notes what time it is, so that a clock that goes back later is found out. Whoever opens the database calls
/// it. What speaks against the clock now, as the gate will say it where it has to judge by it; then nothing
/// is noted. A database that cannot be written just now is no reason not to read it.
std::optional<Error> note_time(store::Database& database, Instant now);

} // namespace blockhost::agent
