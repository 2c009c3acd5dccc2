// SPDX-License-Identifier: MIT
// Statements, rows, transactions, and how tables come about.
#include "store/database.hpp"

#include "base/fault.hpp"
#include "store/connection.hpp"
#include "store/private_folder.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <mutex>

namespace blockhost::store {

namespace {

/// Marks the files of this program among those of SQLite: "BLHO".
constexpr int application_id = 0x424c484f;

int bind(sqlite3_stmt* statement, int at, const Value& value) {
    struct Binder {
        sqlite3_stmt* statement;
        int at;
        int operator()(std::nullptr_t) const { return sqlite3_bind_null(statement, at); }
        int operator()(std::int64_t number) const { return sqlite3_bind_int64(statement, at, number); }
        int operator()(std::string_view text) const {
            return sqlite3_bind_text64(statement, at, text.data() ? text.data() : "", text.size(),
                                       SQLITE_TRANSIENT, SQLITE_UTF8);
        }
        int operator()(Blob blob) const {
            const std::string_view bytes = blob.bytes;
            return sqlite3_bind_blob64(statement, at, bytes.data() ? bytes.data() : "", bytes.size(),
                                       SQLITE_TRANSIENT);
        }
    };
    return std::visit(Binder{statement, at}, value.kinds());
}

StoreError newer(const std::string& what, const std::string& path, std::int64_t version, std::int64_t known) {
    return StoreError(Trouble::newer, Code::io,
                      fmt::format("{} {} has version {}, and this program knows versions up to {}", what,
                                  path, version, known),
                      "install the version of blockhost-libvirt that wrote it, or a later one");
}

} // namespace

struct Rows::State {
    Connection* connection = nullptr;
    sqlite3_stmt* statement = nullptr;
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { sqlite3_finalize(statement); }
};

Rows::Rows(std::unique_ptr<State> state) : state_(std::move(state)) {}
Rows::Rows(Rows&&) noexcept = default;
Rows& Rows::operator=(Rows&&) noexcept = default;
Rows::~Rows() = default;

bool Rows::next() {
    const int result = sqlite3_step(state_->statement);
    if (result != SQLITE_ROW && result != SQLITE_DONE) state_->connection->fail(result, "read");
    return result == SQLITE_ROW;
}

void Rows::require(int column, int type) const {
    if (sqlite3_column_type(state_->statement, column) != type)
        state_->connection->fail(SQLITE_CORRUPT, "read");
}

bool Rows::is_null(int column) const {
    return sqlite3_column_type(state_->statement, column) == SQLITE_NULL;
}

std::int64_t Rows::integer(int column) const {
    require(column, SQLITE_INTEGER);
    return sqlite3_column_int64(state_->statement, column);
}

std::string Rows::text(int column) const {
    require(column, SQLITE_TEXT);
    const void* start = sqlite3_column_blob(state_->statement, column); // null when it is empty
    const auto length = static_cast<std::size_t>(sqlite3_column_bytes(state_->statement, column));
    return start ? std::string(static_cast<const char*>(start), length) : std::string();
}

std::string Rows::blob(int column) const {
    require(column, SQLITE_BLOB);
    const void* start = sqlite3_column_blob(state_->statement, column);
    const auto length = static_cast<std::size_t>(sqlite3_column_bytes(state_->statement, column));
    return start ? std::string(static_cast<const char*>(start), length) : std::string();
}

std::optional<std::int64_t> Rows::maybe_integer(int column) const {
    return is_null(column) ? std::nullopt : std::optional(integer(column));
}

std::optional<std::string> Rows::maybe_text(int column) const {
    return is_null(column) ? std::nullopt : std::optional(text(column));
}

Database::Database(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

std::optional<Database> Database::existing(Folder folder, const std::string& name, const Schema& schema,
                                           Waiting waiting) {
    require_private(folder);
    if (!is_there(folder, name)) return std::nullopt;
    Database database(
        std::make_unique<Connection>(std::move(folder), name, std::string(schema.name), std::move(waiting)));
    database.connection_->connect();
    database.bring_up_to_date(schema);
    return database;
}

void Database::bring_up_to_date(const Schema& schema) {
    const auto known = static_cast<std::int64_t>(schema.migrations.size());
    // What the file is; false when its tables are not of this version.
    const auto is_current = [&] {
        const auto version = integer("PRAGMA user_version").value_or(0);
        const bool is_empty = version == 0 && integer("SELECT count(*) FROM sqlite_schema").value_or(0) == 0;
        if (!is_empty && integer("PRAGMA application_id").value_or(0) != application_id)
            throw StoreError(Trouble::foreign, Code::foreign,
                             path() + " is another program's database, and not " + connection_->what,
                             "look at what it is, and move it away");
        if (version < 0 || version > known) throw newer(connection_->what, path(), version, known);
        return version == known && !is_empty;
    };
    if (is_current()) return;
    Transaction all_or_nothing(*this);
    if (is_current()) return; // by another process, before this one had the lock
    for (auto next = integer("PRAGMA user_version").value_or(0); next < known; ++next)
        connection_->execute(std::string(schema.migrations[static_cast<std::size_t>(next)]).c_str(),
                             "bring up to date");
    connection_->execute(
        fmt::format("PRAGMA user_version = {}; PRAGMA application_id = {}", known, application_id).c_str(),
        "bring up to date");
    all_or_nothing.commit();
}

Database Database::open(Folder folder, const std::string& name, const Schema& schema, Waiting waiting) {
    require_private(folder);
    {
        // Closing a file drops the locks that this process's other threads have on it through SQLite: so only
        // a new one, which nobody knows yet, is opened here.
        static std::mutex making;
        const std::lock_guard one_at_a_time(making);
        if (!is_there(folder, name)) {
            if (!folder.open_file(name, O_RDWR | O_CREAT, 0600))
                throw errno_error("cannot make", (folder.path() / name).string(), ENOENT);
            folder.sync();
        }
    }
    auto opened = existing(std::move(folder), name, schema, std::move(waiting));
    if (!opened) throw Error(Code::io, "the database vanished while it was opened");
    return std::move(*opened);
}

Rows Database::rows(std::string_view sql, std::initializer_list<Value> values) {
    auto state = std::make_unique<Rows::State>();
    state->connection = connection_.get();
    const char* rest = nullptr;
    connection_->require(sqlite3_prepare_v3(connection_->sqlite, sql.data(), static_cast<int>(sql.size()), 0,
                                            &state->statement, &rest),
                         "ask");
    if (!state->statement || rest != sql.data() + sql.size() ||
        sqlite3_bind_parameter_count(state->statement) != static_cast<int>(values.size()))
        throw Error(Code::internal, "not one statement with its parameters: " + std::string(sql));
    int at = 0;
    for (const Value& value : values) connection_->require(bind(state->statement, ++at, value), "ask");
    return Rows(std::move(state));
}

std::int64_t Database::run(std::string_view sql, std::initializer_list<Value> values) {
    Rows one = rows(sql, values);
    const bool by_itself = !in_transaction() && sqlite3_stmt_readonly(one.state_->statement) == 0;
    if (by_itself) fault::point("store.commit");
    const int result = sqlite3_step(one.state_->statement);
    if (result == SQLITE_ROW) throw Error(Code::internal, "a statement gives rows: " + std::string(sql));
    if (result != SQLITE_DONE) connection_->fail(result, "write");
    if (by_itself) fault::point("store.commit.after");
    return sqlite3_changes64(connection_->sqlite);
}

std::optional<std::int64_t> Database::integer(std::string_view sql, std::initializer_list<Value> values) {
    Rows found = rows(sql, values);
    return found.next() ? found.maybe_integer(0) : std::nullopt;
}

std::int64_t Database::last_id() const {
    return sqlite3_last_insert_rowid(connection_->sqlite);
}

bool Database::in_transaction() const {
    return sqlite3_get_autocommit(connection_->sqlite) == 0;
}

const std::string& Database::path() const {
    return connection_->path;
}

Transaction::Transaction(Database& database, Kind kind) : database_(database) {
    if (database.in_transaction()) throw Error(Code::internal, "a transaction is open already");
    database_.connection_->execute(kind == Kind::write ? "BEGIN IMMEDIATE" : "BEGIN", "begin to write");
}

Transaction::~Transaction() {
    // SQLite itself rolls back at some failures.
    if (open_ && database_.in_transaction())
        sqlite3_exec(database_.connection_->sqlite, "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
    fault::point("store.commit");
    database_.connection_->execute("COMMIT", "write");
    open_ = false;
    fault::point("store.commit.after");
}

} // namespace blockhost::store
