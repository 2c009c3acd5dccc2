// SPDX-License-Identifier: MIT
#include "agent/database.hpp"

#include "agent/accepted.hpp"
#include "authority/tables.hpp"
#include "execution/episodes.hpp"
#include "execution/journal.hpp"
#include "store/private_folder.hpp"

#include <array>

namespace blockhost::agent {

namespace {

constexpr const char* folder_name = "agent";
constexpr const char* file_name = "agent.db";

/// Released ones stay as they are, in this order.
const store::Schema& schema() {
    static const std::array<std::string_view, 4> migrations{authority::tables, execution::journal_tables,
                                                            execution::healing_tables, accepted_tables};
    static const store::Schema all{"the agent's database", migrations};
    return all;
}

} // namespace

Folder database_folder(const Paths& paths) {
    return store::make_private_folder(paths.state.make(), folder_name);
}

store::Database open_database(const Paths& paths, store::Waiting waiting) {
    return store::Database::open(database_folder(paths), file_name, schema(), std::move(waiting));
}

std::optional<store::Database> existing_database(const Paths& paths, store::Waiting waiting) {
    const auto state = paths.state.open();
    if (!state) return std::nullopt;
    auto folder = store::private_folder(*state, folder_name);
    if (!folder) return std::nullopt;
    return store::Database::existing(std::move(*folder), file_name, schema(), std::move(waiting));
}

} // namespace blockhost::agent
