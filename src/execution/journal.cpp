// SPDX-License-Identifier: MIT
#include "execution/journal.hpp"

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "platform/action_json.hpp"

#include <algorithm>
#include <boost/json/array.hpp>

namespace blockhost::execution {

namespace {

namespace bj = boost::json;
using store::Transaction;

// A position is of one change; an arrival is the position at which an operation was queued, the last time
// that it was.
constexpr std::string_view columns =
    "id, arrival, changed, source, source_name, guest, incarnation, action, key, signed_operation, after, "
    "undoes, begin_before, state, note, handle, made, made_incarnation, was_free, cancel_wished, arrived, "
    "noted_at, begun_at, ended_at, warnings, "
    "error_code, error_message, error_hint, detail";

std::int64_t microseconds(Instant instant) {
    return instant.time_since_epoch().count();
}

std::optional<Instant> instant(const std::optional<std::int64_t>& count) {
    if (!count) return std::nullopt;
    return Instant(std::chrono::microseconds(*count));
}

store::StoreError damaged(std::string_view what, std::string_view id) {
    return {store::Trouble::corrupt, Code::io,
            "the journal's operation " + text::printable(id) + " has " + std::string(what),
            "restore the agent's database from a backup, or move it away"};
}

std::optional<Error> error_in(const std::optional<std::string>& code, std::string message, std::string hint) {
    if (!code) return std::nullopt;
    for (const CodeRow& row : error_table())
        if (row.name == *code) return Error(row.code, std::move(message), std::move(hint));
    return Error(Code::internal, std::move(message), std::move(hint)); // a later version's
}

std::string as_list(const std::vector<std::string>& texts) {
    return json::python_line(bj::array(texts.begin(), texts.end()));
}

std::vector<std::string> texts_in(const std::string& list) {
    return json::strings_in(bj::object{{"list", json::parse(list, "a list of warnings")}}, "list");
}

std::string action_text(const platform::Action& action) {
    return json::python_line(to_json(action));
}

platform::Action action_in(const std::string& stored, const Id& id) {
    try {
        return platform::action_from_json(json::parse(stored, "an action"), "operation " + id);
    } catch (const Error& error) {
        throw damaged("an action that is not known: " + error.message(), id);
    }
}

Operation operation_in(const store::Rows& row) {
    int column = 0;
    Operation told;
    told.id = row.text(column++);
    told.arrival = row.integer(column++);
    told.changed = row.integer(column++);
    const auto source = source_named(row.text(column++));
    if (!source) throw damaged("a source that is not known", told.id);
    told.source = {*source, row.text(column++)};
    told.target.guest = row.text(column++);
    told.target.incarnation = row.text(column++);
    told.action = action_in(row.text(column++), told.id);
    told.key = row.maybe_text(column++).value_or("");
    told.signed_operation = row.text(column++);
    told.after = row.text(column++);
    told.undoes = row.text(column++);
    told.begin_before = instant(row.maybe_integer(column++));
    const auto state = state_named(row.text(column++));
    if (!state) throw damaged("a state that is not known", told.id);
    told.state = *state;
    told.note = row.text(column++);
    told.handle = row.text(column++);
    told.made.guest = row.text(column++);
    told.made.incarnation = row.text(column++);
    told.was_free = row.integer(column++) != 0;
    told.cancel_wished = row.integer(column++) != 0;
    told.arrived = *instant(row.integer(column++));
    told.noted_at = instant(row.maybe_integer(column++));
    told.begun_at = instant(row.maybe_integer(column++));
    told.ended_at = instant(row.maybe_integer(column++));
    told.warnings = texts_in(row.text(column++));
    const auto code = row.maybe_text(column++);
    std::string message = row.text(column++), hint = row.text(column++);
    told.error = error_in(code, std::move(message), std::move(hint));
    told.detail = row.text(column++);
    return told;
}

Error used_otherwise(std::string_view what, const std::string& value) {
    return Error(Code::invalid,
                 "the " + std::string(what) + " " + text::printable(value) +
                     " was used for another wish already",
                 "give each wish one of its own");
}

void require_id(const Id& id) {
    constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    if (id.size() > 64 || id.find_first_not_of(allowed) != id.npos)
        throw Error(Code::invalid, "an operation cannot have the id " + text::printable(id),
                    "it has up to 64 of a-z, 0-9, '.', '_' and '-'");
}

void require_state(const Operation& from, State expected, State to) {
    if (from.state == expected && may_become(expected, to)) return;
    throw Overtaken(Error(Code::wrong_state,
                          "operation " + from.id + " is " + std::string(to_string(from.state)) +
                              ", and cannot become " + std::string(to_string(to)),
                          "look at it again: 'blockhost-libvirt operations " + from.id + "'"));
}

void require_move(const Operation& from, State to) {
    require_state(from, from.state, to);
}

} // namespace

const std::string_view journal_tables = R"(
CREATE TABLE operations (
    id            TEXT PRIMARY KEY,
    arrival       INTEGER NOT NULL,
    changed       INTEGER NOT NULL,
    source        TEXT NOT NULL,
    source_name   TEXT NOT NULL,
    guest         TEXT NOT NULL,
    incarnation   TEXT NOT NULL,
    action        TEXT NOT NULL,
    key           TEXT UNIQUE,
    signed_operation TEXT NOT NULL,
    after         TEXT NOT NULL,
    undoes        TEXT NOT NULL,
    begin_before  INTEGER,
    state         TEXT NOT NULL,
    note          TEXT NOT NULL DEFAULT '',
    handle        TEXT NOT NULL DEFAULT '',
    made          TEXT NOT NULL DEFAULT '',
    made_incarnation TEXT NOT NULL DEFAULT '',
    was_free      INTEGER NOT NULL DEFAULT 0,
    cancel_wished INTEGER NOT NULL DEFAULT 0,
    arrived       INTEGER NOT NULL,
    noted_at      INTEGER,
    begun_at      INTEGER,
    ended_at      INTEGER,
    recorded      INTEGER NOT NULL DEFAULT 0,
    warnings      TEXT NOT NULL DEFAULT '[]',
    error_code    TEXT,
    error_message TEXT NOT NULL DEFAULT '',
    error_hint    TEXT NOT NULL DEFAULT '',
    detail        TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX operations_by_change ON operations (changed);
CREATE INDEX operations_by_arrival ON operations (arrival);
CREATE INDEX operations_by_guest ON operations (guest, arrival);
CREATE INDEX operations_open ON operations (arrival) WHERE ended_at IS NULL;
CREATE INDEX operations_unrecorded ON operations (changed) WHERE ended_at IS NOT NULL AND recorded = 0;
CREATE TABLE operations_position (position INTEGER NOT NULL) STRICT;
INSERT INTO operations_position VALUES (0);
)";

std::vector<Operation> Journal::read(std::string_view condition, std::initializer_list<store::Value> values) {
    auto rows = database_.rows(
        "SELECT " + std::string(columns) + " FROM operations " + std::string(condition), values);
    std::vector<Operation> found;
    while (rows.next()) found.push_back(operation_in(rows));
    return found;
}

std::optional<Operation> Journal::find(const Id& id) {
    const std::lock_guard lock(mutex_);
    auto found = read("WHERE id = ?1", {id});
    if (found.empty()) return std::nullopt;
    return std::move(found.front());
}

std::vector<Operation> Journal::open() {
    const std::lock_guard lock(mutex_);
    return read("WHERE ended_at IS NULL ORDER BY arrival", {});
}

std::vector<Operation> Journal::changed_since(std::int64_t position, std::size_t most) {
    const std::lock_guard lock(mutex_);
    return read("WHERE changed > ?1 ORDER BY changed LIMIT ?2", {position, static_cast<std::int64_t>(most)});
}

std::vector<Operation> Journal::of_guest(const platform::GuestId& guest, std::size_t most) {
    const std::lock_guard lock(mutex_);
    return read("WHERE guest = ?1 ORDER BY arrival DESC LIMIT ?2", {guest, static_cast<std::int64_t>(most)});
}

std::vector<Operation> Journal::about_guest(const platform::GuestId& guest) {
    const std::lock_guard lock(mutex_);
    return read("WHERE guest = ?1 OR made = ?1 ORDER BY arrival DESC", {guest});
}

std::vector<Operation> Journal::latest(std::size_t most) {
    const std::lock_guard lock(mutex_);
    return read("ORDER BY arrival DESC LIMIT ?1", {static_cast<std::int64_t>(most)});
}

std::int64_t Journal::position() {
    const std::lock_guard lock(mutex_);
    return database_.integer("SELECT position FROM operations_position").value_or(0);
}

std::int64_t Journal::next_position() {
    database_.run("UPDATE operations_position SET position = position + 1");
    return database_.integer("SELECT position FROM operations_position").value_or(0);
}

Operation Journal::require(const Id& id) {
    auto found = read("WHERE id = ?1", {id});
    if (found.empty())
        throw Error(Code::not_found, "there is no operation " + text::printable(id),
                    "'blockhost-libvirt operations' lists them");
    return std::move(found.front());
}

std::optional<Operation> Journal::delivered(const Request& request) {
    std::optional<Operation> same;
    for (const auto& [column, value] : {std::pair("id", request.id), {"key", request.key}}) {
        if (value.empty()) continue;
        auto found = read("WHERE " + std::string(column) + " = ?1", {value});
        if (found.empty()) continue;
        if (found.front().target != request.target || (same && same->id != found.front().id) ||
            action_text(found.front().action) != action_text(request.action))
            throw used_otherwise(column, value);
        same = std::move(found.front());
    }
    return same;
}

Submitted Journal::submit(const Request& request) {
    const std::lock_guard lock(mutex_);
    Transaction transaction(database_);
    if (auto found = delivered(request)) return {std::move(*found), false};
    if (!request.after.empty()) {
        const Operation first = require(request.after);
        const auto& guest = first.target.guest.empty() ? first.made.guest : first.target.guest;
        if (guest != request.target.guest || guest.empty())
            throw Error(Code::invalid, "an operation can follow one on the same guest only",
                        "submit it when operation " + first.id + " has ended");
    }
    Operation queued = insert(request, "");
    transaction.commit();
    return {std::move(queued), true};
}

Operation Journal::insert(const Request& request, const Id& undoes) {
    const std::int64_t position = next_position();
    const Id id = request.id.empty() ? random_hex(16) : request.id;
    require_id(id);
    std::optional<std::int64_t> begin_before;
    if (request.begin_before) begin_before = microseconds(*request.begin_before);
    const std::optional<std::string> key = request.key.empty() ? std::nullopt : std::optional(request.key);
    database_.run(
        "INSERT INTO operations (id, arrival, changed, source, source_name, guest, incarnation, action, "
        "key, after, undoes, begin_before, state, arrived, signed_operation) "
        "VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        {id, position, to_string(request.source.kind), request.source.name, request.target.guest,
         request.target.incarnation, action_text(request.action), key, request.after, undoes, begin_before,
         to_string(State::queued), microseconds(now()), request.signed_operation});
    return require(id);
}

void Journal::noted(const Id& id, const platform::Note& note, bool was_free) {
    const std::lock_guard lock(mutex_);
    Transaction transaction(database_);
    require_move(require(id), State::noted);
    database_.run("UPDATE operations SET state = ?2, changed = ?3, note = ?4, was_free = ?5, noted_at = ?6, "
                  "detail = '' WHERE id = ?1",
                  {id, to_string(State::noted), next_position(), note, was_free, microseconds(now())});
    transaction.commit();
}

void Journal::begun(const Id& id, const platform::Handle& handle) {
    const std::lock_guard lock(mutex_);
    Transaction transaction(database_);
    require_move(require(id), State::begun);
    database_.run("UPDATE operations SET state = ?2, changed = ?3, handle = ?4, begun_at = ?5 WHERE id = ?1",
                  {id, to_string(State::begun), next_position(), handle, microseconds(now())});
    transaction.commit();
}

void Journal::ended(const Id& id, const End& end) {
    if (!is_end(end.state)) throw Error(Code::internal, "an operation ends in an end");
    const std::lock_guard lock(mutex_);
    Transaction transaction(database_);
    require_move(require(id), end.state);
    std::optional<std::string_view> code;
    if (end.error) code = row_of(end.error->code()).name;
    database_.run(
        "UPDATE operations SET state = ?2, changed = ?3, made = ?4, warnings = ?5, error_code = ?6, "
        "error_message = ?7, error_hint = ?8, detail = ?9, ended_at = ?10, made_incarnation = ?11 WHERE id = "
        "?1",
        {id, to_string(end.state), next_position(), end.made.guest, as_list(end.warnings), code,
         end.error ? end.error->message() : "", end.error ? end.error->hint() : "", end.detail,
         microseconds(now()), end.made.incarnation});
    transaction.commit();
}

void Journal::waits(const Id& id, std::string_view why) {
    const std::lock_guard lock(mutex_);
    Transaction transaction(database_);
    require_move(require(id), State::waiting);
    database_.run("UPDATE operations SET state = ?2, changed = ?3, detail = ?4 WHERE id = ?1",
                  {id, to_string(State::waiting), next_position(), why});
    transaction.commit();
}

void Journal::approved(const Id& id, std::string_view signed_operation) {
    const std::lock_guard lock(mutex_);
    Transaction transaction(database_);
    require_state(require(id), State::waiting, State::queued);
    const std::int64_t position = next_position();
    database_.run("UPDATE operations SET state = ?2, changed = ?3, arrival = ?3, detail = '', "
                  "signed_operation = ?4 WHERE id = ?1",
                  {id, to_string(State::queued), position, signed_operation});
    transaction.commit();
}

void Journal::put_back(const Id& id, std::string_view why) {
    const std::lock_guard lock(mutex_);
    Transaction transaction(database_);
    require_state(require(id), State::noted, State::queued);
    database_.run("UPDATE operations SET state = ?2, changed = ?3, note = '', noted_at = NULL, detail = ?4 "
                  "WHERE id = ?1",
                  {id, to_string(State::queued), next_position(), why});
    transaction.commit();
}

void Journal::tell(const Id& id, std::string_view detail) {
    const std::lock_guard lock(mutex_);
    Transaction transaction(database_);
    const Operation told = require(id);
    if (told.detail == detail || is_end(told.state)) return;
    database_.run("UPDATE operations SET changed = ?2, detail = ?3 WHERE id = ?1",
                  {id, next_position(), detail});
    transaction.commit();
}

Operation Journal::cancel(const Id& id, std::string_view why) {
    const std::lock_guard lock(mutex_);
    Transaction transaction(database_);
    Operation told = require(id);
    if (is_end(told.state) || told.cancel_wished) return told;
    if (may_become(told.state, State::cancelled))
        database_.run(
            "UPDATE operations SET state = ?2, changed = ?3, detail = ?4, ended_at = ?5 WHERE id = ?1",
            {id, to_string(State::cancelled), next_position(), why, microseconds(now())});
    else
        database_.run("UPDATE operations SET cancel_wished = 1, changed = ?2 WHERE id = ?1",
                      {id, next_position()});
    told = require(id);
    transaction.commit();
    return told;
}

std::vector<Operation> Journal::unrecorded(std::size_t most) {
    const std::lock_guard lock(mutex_);
    return read("WHERE ended_at IS NOT NULL AND recorded = 0 ORDER BY changed LIMIT ?1",
                {static_cast<std::int64_t>(most)});
}

void Journal::recorded(const Id& id) {
    const std::lock_guard lock(mutex_);
    database_.run("UPDATE operations SET recorded = 1 WHERE id = ?1", {id});
}

void Journal::end_overdue(Instant moment) {
    const std::lock_guard lock(mutex_);
    constexpr std::string_view overdue = "WHERE state = ?1 AND begin_before < ?2";
    if (read(std::string(overdue) + " LIMIT 1", {to_string(State::waiting), microseconds(moment)}).empty())
        return;
    Transaction transaction(database_);
    for (const Operation& late : read(overdue, {to_string(State::waiting), microseconds(moment)}))
        database_.run("UPDATE operations SET state = ?2, changed = ?3, ended_at = ?4, error_code = ?5, "
                      "error_message = ?6, error_hint = ?7 WHERE id = ?1",
                      {late.id, to_string(State::failed), next_position(), microseconds(moment),
                       row_of(Code::busy).name, "its time was over before it was signed",
                       "ask for it again if it is still wanted"});
    transaction.commit();
}

Operation Journal::take_back(const Id& id) {
    const std::lock_guard lock(mutex_);
    Transaction transaction(database_);
    if (auto found = read("WHERE undoes = ?1", {id}); !found.empty()) return std::move(found.front());
    const Operation made = require(id);
    const auto refused = [&](const std::string& why) {
        return Error(Code::wrong_state, "operation " + id + " cannot be taken back: " + why,
                     "destroy the guest where it is not wanted");
    };
    if (!makes_guest(made.action)) throw refused("it made no guest");
    if (made.state != State::done) throw refused("it is " + std::string(to_string(made.state)));
    if (made.made.guest.empty() || made.made.incarnation.empty())
        throw refused("nobody can tell its guest from a later one of that id");
    std::vector<Id> own{id};
    for (const Operation& later :
         read("WHERE guest = ?1 AND arrival > ?2 ORDER BY arrival", {made.made.guest, made.arrival})) {
        if (std::ranges::find(own, later.after) != own.end())
            own.push_back(later.id);
        else if (later.begun_at)
            throw refused("operation " + later.id + " changed its guest since");
    }
    Operation queued = insert(
        {.source = {Source::Kind::take_back, id}, .target = made.made, .action = platform::Destroy{}}, id);
    transaction.commit();
    return queued;
}

std::int64_t Journal::forget(Instant ended_before) {
    const std::lock_guard lock(mutex_);
    return database_.run("DELETE FROM operations WHERE ended_at < ?1 AND recorded = 1 AND id NOT IN "
                         "(SELECT after FROM operations WHERE ended_at IS NULL)",
                         {microseconds(ended_before)});
}

} // namespace blockhost::execution
