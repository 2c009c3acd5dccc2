// SPDX-License-Identifier: MIT
#include "agent/database.hpp"

#include "agent/accepted.hpp"
#include "authority/nonces.hpp"
#include "authority/tables.hpp"
#include "execution/episodes.hpp"
#include "execution/journal.hpp"
#include "hub/outbox.hpp"
#include "store/private_folder.hpp"

#include <array>

namespace blockhost::agent {

namespace {

constexpr const char* folder_name = "agent";
constexpr const char* file_name = "agent.db";

/// Released ones stay as they are, in this order.
const store::Schema& schema() {
    static const std::array<std::string_view, 7> migrations{authority::tables,
                                                            execution::journal_tables,
                                                            execution::healing_tables,
                                                            accepted_tables,
                                                            wanted_tables,
                                                            document_tables,
                                                            hub::tables};
    static const store::Schema all{"the agent's database", migrations};
    return all;
}

} // namespace

Folder database_folder(const Paths& paths) {
    return store::make_private_folder(paths.state.make(), folder_name);
}

std::optional<Folder> existing_database_folder(const Paths& paths) {
    const auto state = paths.state.open();
    return state ? store::private_folder(*state, folder_name) : std::nullopt;
}

store::Database open_database(const Paths& paths, store::Waiting waiting) {
    return store::Database::open(database_folder(paths), file_name, schema(), std::move(waiting));
}

std::optional<store::Database> existing_database(const Paths& paths, store::Waiting waiting) {
    auto folder = existing_database_folder(paths);
    if (!folder) return std::nullopt;
    return store::Database::existing(std::move(*folder), file_name, schema(), std::move(waiting));
}

std::optional<Error> note_time(store::Database& database, Instant now) {
    try {
        authority::Nonces nonces(database);
        nonces.require_forward(now);
        nonces.note_clock(now);
        return std::nullopt;
    } catch (const store::StoreError&) {
        return std::nullopt;
    } catch (const Error& error) {
        if (error.code() != Code::clock) throw;
        return error;
    }
}

} // namespace blockhost::agent
