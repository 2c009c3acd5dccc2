// SPDX-License-Identifier: MIT
#include "backup/ledger.hpp"

#include "store/private_folder.hpp"

#include <array>

namespace blockhost::backup {

namespace {

constexpr const char *folder_name = "backup", *file_name = "ledger.db";

/// Released ones stay as they are, in this order. Times are microseconds since 1970.
constexpr std::string_view tables = R"sql(
CREATE TABLE attempt (id INTEGER PRIMARY KEY, repository TEXT NOT NULL, vm TEXT NOT NULL, began INTEGER NOT NULL,
    ended INTEGER NOT NULL, snapshot TEXT NOT NULL, data_bytes INTEGER NOT NULL, stored_bytes INTEGER NOT NULL,
    error TEXT NOT NULL) STRICT;
CREATE INDEX attempt_by_vm ON attempt (repository, vm, id);
CREATE TABLE chore (repository TEXT NOT NULL, what TEXT NOT NULL, ended INTEGER NOT NULL, error TEXT NOT NULL,
    good INTEGER, PRIMARY KEY (repository, what)) STRICT;
CREATE TABLE whole (repository TEXT NOT NULL, snapshot TEXT NOT NULL, PRIMARY KEY (repository, snapshot)) STRICT;
CREATE TABLE gone (uuid TEXT PRIMARY KEY, since INTEGER NOT NULL) STRICT;
)sql";

const store::Schema& schema() {
    static const std::array<std::string_view, 1> migrations{tables};
    static const store::Schema all{"the ledger of backups", migrations};
    return all;
}

/// So many attempts are kept of each VM.
constexpr std::int64_t most_attempts = 100;

std::int64_t number_of(Instant at) {
    return at.time_since_epoch().count();
}

Instant instant_of(std::int64_t number) {
    return Instant(std::chrono::microseconds(number));
}

} // namespace

std::string_view to_string(Chore chore) {
    switch (chore) {
    case Chore::check:
        return "check";
    case Chore::read:
        return "read";
    case Chore::forget:
        return "forget";
    case Chore::prune:
        return "prune";
    }
    return {};
}

Ledger Ledger::open(const Paths& paths, std::string repository_id) {
    return {store::Database::open(store::make_private_folder(paths.state.make(), folder_name), file_name,
                                  schema()),
            std::move(repository_id)};
}

std::optional<Ledger> Ledger::existing(const Paths& paths, std::string repository_id) {
    const auto state = paths.state.open();
    auto folder = state ? store::private_folder(*state, folder_name) : std::nullopt;
    if (!folder) return std::nullopt;
    auto database = store::Database::existing(std::move(*folder), file_name, schema());
    if (!database) return std::nullopt;
    return Ledger(std::move(*database), std::move(repository_id));
}

void Ledger::note(const Attempt& attempt) {
    store::Transaction all(database_);
    database_.run(
        "INSERT INTO attempt (repository, vm, began, ended, snapshot, data_bytes, stored_bytes, error) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        {repository_, attempt.vm.str(), number_of(attempt.began), number_of(attempt.ended), attempt.snapshot,
         static_cast<std::int64_t>(attempt.data_bytes), static_cast<std::int64_t>(attempt.stored_bytes),
         attempt.error});
    // The last good one stays, however many failed since.
    database_.run(
        "DELETE FROM attempt WHERE repository = ?1 AND vm = ?2 AND id NOT IN (SELECT id FROM attempt WHERE "
        "repository = ?1 AND vm = ?2 ORDER BY id DESC LIMIT ?3) AND id NOT IN (SELECT coalesce(max(id), 0) "
        "FROM "
        "attempt WHERE repository = ?1 AND vm = ?2 AND error = '')",
        {repository_, attempt.vm.str(), most_attempts});
    if (!attempt.snapshot.empty())
        database_.run("INSERT INTO whole VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                      {repository_, attempt.snapshot});
    all.commit();
}

namespace {

constexpr std::string_view attempts_of_vm = "SELECT began, ended, snapshot, data_bytes, stored_bytes, error "
                                            "FROM attempt WHERE repository = ?1 AND vm = ?2";

std::optional<Attempt> next_attempt(store::Rows& rows, const VmName& vm) {
    if (!rows.next()) return std::nullopt;
    return Attempt{vm,
                   instant_of(rows.integer(0)),
                   instant_of(rows.integer(1)),
                   rows.text(2),
                   static_cast<std::uint64_t>(rows.integer(3)),
                   static_cast<std::uint64_t>(rows.integer(4)),
                   rows.text(5)};
}

} // namespace

std::optional<Attempt> Ledger::attempt_where(std::string_view condition, const VmName& vm) {
    auto rows =
        database_.rows(std::string(attempts_of_vm) + std::string(condition) + " ORDER BY id DESC LIMIT 1",
                       {repository_, vm.str()});
    return next_attempt(rows, vm);
}

std::optional<Attempt> Ledger::of(const VmName& vm, const std::string& snapshot) {
    auto rows =
        database_.rows(std::string(attempts_of_vm) + " AND snapshot = ?3", {repository_, vm.str(), snapshot});
    return next_attempt(rows, vm);
}

std::optional<Attempt> Ledger::last(const VmName& vm) {
    return attempt_where("", vm);
}

std::optional<Attempt> Ledger::last_good(const VmName& vm) {
    return attempt_where(" AND error = ''", vm);
}

std::vector<std::pair<VmName, Instant>> Ledger::all_last_good() {
    auto rows = database_.rows("SELECT vm, began FROM attempt WHERE id IN (SELECT max(id) FROM attempt WHERE "
                               "repository = ?1 AND error = '' GROUP BY vm) ORDER BY vm",
                               {repository_});
    std::vector<std::pair<VmName, Instant>> all;
    while (rows.next())
        if (const auto vm = VmName::try_parse(rows.text(0)))
            all.emplace_back(*vm, instant_of(rows.integer(1)));
    return all;
}

void Ledger::note(Chore chore, const ChoreRun& run) {
    const auto good = run.error.empty() ? std::optional(number_of(run.ended)) : std::nullopt;
    database_.run("INSERT INTO chore VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT(repository, what) DO UPDATE SET "
                  "ended = ?3, "
                  "error = ?4, good = coalesce(?5, good)",
                  {repository_, to_string(chore), number_of(run.ended), run.error, good});
}

std::optional<ChoreRun> Ledger::last(Chore chore) {
    auto rows = database_.rows("SELECT ended, error FROM chore WHERE repository = ?1 AND what = ?2",
                               {repository_, to_string(chore)});
    if (!rows.next()) return std::nullopt;
    return ChoreRun{instant_of(rows.integer(0)), rows.text(1)};
}

std::optional<Instant> Ledger::last_good(Chore chore) {
    const auto good = database_.integer("SELECT good FROM chore WHERE repository = ?1 AND what = ?2",
                                        {repository_, to_string(chore)});
    return good ? std::optional(instant_of(*good)) : std::nullopt;
}

void Ledger::note_whole(const std::string& snapshot) {
    database_.run("INSERT INTO whole VALUES (?1, ?2) ON CONFLICT DO NOTHING", {repository_, snapshot});
}

bool Ledger::is_whole(const std::string& snapshot) {
    return database_
        .integer("SELECT 1 FROM whole WHERE repository = ?1 AND snapshot = ?2", {repository_, snapshot})
        .has_value();
}

std::optional<Instant> Ledger::known_gone_since(const Uuid& uuid) {
    const auto since = database_.integer("SELECT since FROM gone WHERE uuid = ?1", {uuid.str()});
    return since ? std::optional(instant_of(*since)) : std::nullopt;
}

Instant Ledger::gone_since(const Uuid& uuid, Instant when) {
    database_.run("INSERT INTO gone VALUES (?1, ?2) ON CONFLICT DO NOTHING", {uuid.str(), number_of(when)});
    return known_gone_since(uuid).value_or(when);
}

void Ledger::note_live(const Uuid& uuid) {
    database_.run("DELETE FROM gone WHERE uuid = ?1", {uuid.str()});
}

} // namespace blockhost::backup
