// SPDX-License-Identifier: MIT
#pragma once
/// A SQLite database in a private folder. What was committed outlives a loss of power (write-ahead log,
/// synchronous=FULL); what was not has never been. Nothing else in this program speaks to SQLite.

#include "base/files/files.hpp"
#include "store/trouble.hpp"

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace blockhost::store {

struct Connection;

/// What a database is, and how its tables came about. `migrations[n]` is SQL that takes version n (0: an
/// empty file) to n+1. One that was released never changes: a change is a further one.
struct Schema {
    std::string_view name; ///< in messages: "the agent's database"
    std::span<const std::string_view> migrations;
};

/// Bytes that need not be text; refers to them.
struct Blob {
    std::string_view bytes;
};

/// A statement's parameter: NULL, an integer, text (UTF-8) or bytes. Refers to text and bytes.
class Value {
  public:
    Value(std::nullptr_t) {}
    template<std::integral Number>
    requires(sizeof(Number) < 8 || std::signed_integral<Number>) Value(Number number)
        : value_(static_cast<std::int64_t>(number)) {}
    Value(std::string_view text) : value_(text) {}
    Value(const std::string& text) : value_(std::string_view(text)) {}
    Value(const char* text) : value_(std::string_view(text)) {}
    Value(Blob blob) : value_(blob) {}
    template<class Some>
    Value(const std::optional<Some>& some) {
        if (some) *this = Value(*some);
    }

    using Kinds = std::variant<std::nullptr_t, std::int64_t, std::string_view, Blob>;
    const Kinds& kinds() const { return value_; }

  private:
    Kinds value_ = nullptr;
};

/// The rows of a query, read one after the other; columns count from 0. Ends before its database does. The
/// readers throw StoreError{corrupt} for a column of another type than is asked for.
class Rows {
  public:
    Rows(Rows&&) noexcept;
    Rows& operator=(Rows&&) noexcept;
    ~Rows();

    /// Goes to the next row, at the beginning to the first one; false when there is none.
    bool next();
    bool is_null(int column) const;
    std::int64_t integer(int column) const;
    std::string text(int column) const;
    std::string blob(int column) const;
    std::optional<std::int64_t> maybe_integer(int column) const; ///< nothing for NULL
    std::optional<std::string> maybe_text(int column) const;     ///< nothing for NULL

  private:
    friend class Database;
    struct State;
    explicit Rows(std::unique_ptr<State> state);
    void require(int column, int type) const;
    std::unique_ptr<State> state_;
};

/// An open database, for one thread at a time; others open their own. Each function throws StoreError.
class Database {
  public:
    /// Opens the file `name` in a private folder (private_folder.hpp), makes it with mode 0600 when it is
    /// missing, and brings its tables to the schema's version. A file that is damaged is found here. Throws
    /// Error{denied} when the folder or the file is not this process's user's alone.
    static Database open(Folder folder, const std::string& name, const Schema& schema, Waiting waiting = {});
    /// Nothing when the file does not exist.
    static std::optional<Database> existing(Folder folder, const std::string& name, const Schema& schema,
                                            Waiting waiting = {});

    Database(Database&&) noexcept;
    Database& operator=(Database&&) noexcept;
    ~Database();

    /// Runs one statement that gives no rows, with its parameters for `?1`, `?2` …; how many rows it
    /// inserted, changed or deleted. Outside of a transaction it is one by itself: durable when this returns.
    /// Fault points there as in Transaction::commit.
    std::int64_t run(std::string_view sql, std::initializer_list<Value> values = {});
    /// Runs one statement that gives rows.
    Rows rows(std::string_view sql, std::initializer_list<Value> values = {});
    /// The one integer of the one row that the statement gives; nothing when it gives no row, or NULL.
    std::optional<std::int64_t> integer(std::string_view sql, std::initializer_list<Value> values = {});

    /// The INTEGER PRIMARY KEY of the last inserted row.
    std::int64_t last_id() const;
    /// Whether a transaction is open.
    bool in_transaction() const;
    /// For messages; never opened.
    const std::string& path() const;

  private:
    friend class Transaction;
    explicit Database(std::unique_ptr<Connection> connection);
    void bring_up_to_date(const Schema& schema);
    std::unique_ptr<Connection> connection_;
};

/// Everything between its making and commit() happens, or nothing does. One at a time; ends before its
/// database does.
class Transaction {
  public:
    enum class Kind {
        write, ///< holds the write lock from the beginning
        read,  ///< sees one state of the database
    };
    explicit Transaction(Database& database, Kind kind = Kind::write);
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    /// Rolls back what was not committed.
    ~Transaction();

    /// What was done is durable when this returns; when it throws, nothing was done. Fault points
    /// "store.commit" before and "store.commit.after" behind it.
    void commit();

  private:
    Database& database_;
    bool open_ = true;
};

} // namespace blockhost::store
