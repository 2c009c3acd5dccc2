// SPDX-License-Identifier: MIT
#include "agent/record.hpp"

#include "authority/nonces.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>

namespace blockhost::agent {

using authority::AuditCheck;
using authority::AuditHead;

std::optional<AuditCheck> check_record(const Paths& paths, const std::optional<AuditHead>& known) {
    auto database = existing_database(paths);
    std::optional<std::int64_t> cut;
    std::int64_t seen = 0;
    if (database) {
        const authority::Nonces nonces(*database);
        seen = nonces.audit_line();
        cut = nonces.cut_behind();
    }
    const auto folder = existing_database_folder(paths);
    const Fd file = folder ? folder->open_file(record_name, O_RDONLY) : Fd();
    if (!file && seen == 0 && !known) return std::nullopt;
    AuditCheck check;
    if (file) check = authority::check_audit(file.get(), (folder->path() / record_name).string(), known);
    if (check.broken_line != 0) return check;
    const auto broken = [&](std::int64_t last, std::string why) {
        check.broken_line = last + 1;
        check.why = std::move(why);
    };
    if (!file)
        broken(0, "there is no record, and there was one");
    else if (check.head.line < seen)
        broken(check.head.line, fmt::format("this host's database has seen {} lines", seen));
    else if (cut)
        broken(*cut, "the record was seen to end before it, after it had been longer");
    return check;
}

AuditHead parse_head(std::string_view text) {
    const auto words = text::split(std::string(text), ':');
    const auto line = words.size() == 2 ? text::parse_int(words[0]) : std::nullopt;
    constexpr std::size_t digits = 64;
    if (!line || *line < 1 || !text::is_hex(words[1], digits, digits))
        throw Error(Code::invalid, text::printable(std::string(text), 100) + " is no head of a record",
                    "give LINE:HASH, as 'agent audit --verify' prints it");
    return {.line = *line, .hash = words[1]};
}

std::string to_text(const AuditHead& head) {
    return fmt::format("{}:{}", head.line, head.hash);
}

} // namespace blockhost::agent
