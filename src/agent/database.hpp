// SPDX-License-Identifier: MIT
#pragma once
/// The agent's one database, `<state>/agent/agent.db`: what its parts keep there, brought together.

#include "config/paths.hpp"
#include "store/database.hpp"

namespace blockhost::agent {

/// The folder of the database, which is this process's user's alone; made when it is missing.
Folder database_folder(const Paths& paths);
/// Makes the database when it is missing. A connection for one thread at a time: each part opens its own.
store::Database open_database(const Paths& paths, store::Waiting waiting = {});
/// Nothing when there is none yet.
std::optional<store::Database> existing_database(const Paths& paths, store::Waiting waiting = {});

} // namespace blockhost::agent
