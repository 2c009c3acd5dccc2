// SPDX-License-Identifier: MIT
#include "hub/memory.hpp"

#include "base/text/text.hpp"

namespace blockhost::hub {

namespace {

std::string as_text(const Announced& announced) {
    return std::to_string(announced.generation) + " " + announced.digest;
}

} // namespace

std::string Memory::fact(std::string_view name) const {
    auto rows = database_.rows("SELECT value FROM hub_facts WHERE name = ?1", {name});
    return rows.next() ? rows.text(0) : std::string();
}

void Memory::set(std::string_view name, std::string_view value) {
    if (fact(name) == value) return; // an idle host writes nothing
    database_.run("INSERT INTO hub_facts VALUES (?1, ?2) ON CONFLICT(name) DO UPDATE SET value = ?2",
                  {name, value});
}

std::int64_t Memory::reserve_numbers(std::int64_t how_many) {
    const std::int64_t first = text::parse_int(fact("next_number")).value_or(1);
    set("next_number", std::to_string(first + how_many));
    return first;
}

void Memory::note_audit(const std::string& head) {
    const auto line = line_of_head(head), known = line_of_head(known_audit());
    if (line && (!known || *line > *known)) set("known_audit", head);
}

bool Memory::was_refused(const Announced& announced) const {
    return fact("refused") == as_text(announced);
}

void Memory::note_refused(const Announced& announced) {
    set("refused", as_text(announced));
}

void Memory::note_signed_set(const std::string& mark, const std::set<std::string>& digests) {
    std::vector<std::string> gone;
    {
        auto rows = database_.rows("SELECT digest FROM hub_dealt_with");
        while (rows.next())
            if (!digests.contains(rows.text(0))) gone.push_back(rows.text(0));
    }
    for (const std::string& each : gone)
        database_.run("DELETE FROM hub_dealt_with WHERE digest = ?1", {each});
    set("signed_mark", mark);
}

bool Memory::is_dealt_with(const std::string& digest) {
    return database_.integer("SELECT 1 FROM hub_dealt_with WHERE digest = ?1", {digest}).has_value();
}

void Memory::note_dealt_with(const std::string& digest) {
    database_.run("INSERT OR IGNORE INTO hub_dealt_with VALUES (?1)", {digest});
}

std::optional<std::int64_t> Memory::journal_position() const {
    return text::parse_int(fact("journal_position"));
}

void Memory::note_journal_position(std::int64_t position) {
    set("journal_position", std::to_string(position));
}

} // namespace blockhost::hub
