// SPDX-License-Identifier: MIT
// Nonces and facts, as rows.
#include "authority/nonces.hpp"

#include <fmt/format.h>

namespace blockhost::authority {

namespace {

constexpr std::chrono::minutes tolerance{2};
constexpr std::chrono::days kept_beyond{1};
constexpr std::chrono::seconds noted_apart{10};

std::int64_t number_of(Instant instant) {
    return instant.time_since_epoch().count();
}

Instant instant_of(std::int64_t number) {
    return Instant(std::chrono::microseconds(number));
}

} // namespace

std::int64_t Nonces::fact(std::string_view name) const {
    return database_.integer("SELECT number FROM authority_fact WHERE name = ?1", {name}).value_or(0);
}

void Nonces::set(std::string_view name, std::int64_t number) {
    database_.run("INSERT INTO authority_fact VALUES (?1, ?2) ON CONFLICT(name) DO UPDATE SET number = ?2",
                  {name, number});
}

void Nonces::use(const std::string& nonce, const std::string& operation, Instant not_after, Instant now) {
    const auto inserted = database_.run("INSERT INTO nonce VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                                        {nonce, operation, number_of(not_after)});
    if (inserted == 0)
        throw Error(Code::denied, "the nonce of the envelope was used before: it is carried out once at most",
                    "ask for the operation anew, and sign what `pending` prints then");
    database_.run("DELETE FROM nonce WHERE not_after < ?1", {number_of(now - kept_beyond)});
    note_clock(now);
}

std::int64_t Nonces::announce() {
    database_.run("INSERT INTO authority_fact VALUES ('lines_announced', 1) "
                  "ON CONFLICT(name) DO UPDATE SET number = number + 1");
    return announced();
}

void Nonces::note_audit_line(std::int64_t line) {
    if (line > audit_line()) set("audit_line", line);
}

void Nonces::note_cut(std::int64_t behind_line) {
    if (!cut_behind()) set("audit_cut_behind", behind_line);
}

std::optional<std::int64_t> Nonces::cut_behind() const {
    return database_.integer("SELECT number FROM authority_fact WHERE name = 'audit_cut_behind'");
}

void Nonces::require_forward(Instant now) const {
    const Instant latest = instant_of(fact("clock"));
    if (now + tolerance < latest)
        throw Error(Code::clock,
                    fmt::format("the clock says {}, and has said {} before", format_instant(now),
                                format_instant(latest)),
                    "set the clock; where it was wrong before, 'blockhost-libvirt agent start-over'");
}

void Nonces::note_clock(Instant now) {
    if (now > instant_of(fact("clock")) + noted_apart) set("clock", number_of(now));
}

Instant Nonces::started() const {
    return instant_of(fact("void_before"));
}

void Nonces::require_after_start(Instant not_before) const {
    if (is_before_start(not_before))
        throw Error(Code::denied, "the envelope was made before the used nonces were started over",
                    "ask for the operation anew, and sign what `pending` prints then");
}

void Nonces::start_over(Instant now, std::int64_t count, std::int64_t line, std::int64_t given_up) {
    store::Transaction all(database_);
    set("lines_announced", std::max(count, announced()));
    set("audit_line", line);
    set("given_up_line", std::max(given_up, given_up_line()));
    set("clock", number_of(now));
    set("void_before", number_of(std::chrono::floor<std::chrono::seconds>(now)));
    database_.run("DELETE FROM authority_fact WHERE name = 'audit_cut_behind'");
    all.commit();
}

} // namespace blockhost::authority
