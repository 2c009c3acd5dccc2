// SPDX-License-Identifier: MIT
#include "backup/repositories/restic_answers.hpp"

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "base/time.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <charconv>
#include <fmt/format.h>

namespace blockhost::backup {

namespace {

namespace bj = boost::json;

constexpr std::size_t id_digits = 64, short_id_digits = 8;
// restic's exit statuses; before 0.17 everything but success and an incomplete backup is `failed`.
constexpr int incomplete = 3, no_repository = 10, locked = 11, wrong_password = 12;

bj::value parsed(std::string_view text) {
    try {
        return json::parse(text, "restic's answer");
    } catch (const Error& error) {
        throw strange_answer(error.message());
    }
}

std::array<unsigned, 3> parts_of(std::string_view version) {
    std::array<unsigned, 3> parts{};
    const char *at = version.data(), *end = at + version.size();
    for (unsigned& part : parts) {
        const auto [next, wrong] = std::from_chars(at, end, part);
        if (wrong != std::errc()) break;
        at = next;
        if (at == end || *at != '.') break;
        ++at;
    }
    return parts;
}

std::uint64_t count_of(const bj::value& document, std::string_view key) {
    const auto count = json::count_in(document, key);
    if (!count) throw strange_answer(fmt::format("its summary has no count \"{}\"", key));
    return *count;
}

Snapshot snapshot_of(const bj::value& value) {
    Snapshot snapshot;
    snapshot.id = json::string_or(value, "id", "");
    const auto taken_at = parse_instant(json::string_or(value, "time", ""));
    if (!text::is_hex(snapshot.id, id_digits, id_digits) || !taken_at)
        throw strange_answer("a snapshot without id or time");
    snapshot.taken_at = *taken_at;
    snapshot.host = json::string_or(value, "hostname", "");
    snapshot.tags = json::strings_in(value, "tags");
    return snapshot;
}

/// What ssh said last, of its own; empty: nothing.
std::string ssh_words(const ProcessResult& result) {
    constexpr std::string_view prefix = "subprocess ssh: ";
    std::string said;
    for (const std::string& line : text::last_lines(result.err, 10, 400))
        if (line.starts_with(prefix)) said = line.substr(prefix.size());
    return said;
}

/// restic may end before it has read what ssh said.
Error sftp_failure(const ProcessResult& result, const std::string& where) {
    const std::string said = ssh_words(result);
    return Error(
        Code::io,
        fmt::format("the repository {} cannot be reached: {}", where,
                    said.empty() ? "ssh does not get there" : "ssh says: " + said),
        "see whether its host answers, and whether restic's user may log in there by a key (docs/backup.md, "
        "\"Another host\")");
}

} // namespace

Error strange_answer(std::string_view what) {
    return Error(Code::program, "restic answers otherwise than expected: " + text::printable(what),
                 "restic " + std::string(oldest_restic) + " or later is driven; see 'restic version'");
}

std::optional<std::string> Snapshot::tag(std::string_view key) const {
    std::optional<std::string> found;
    for (const std::string& each : tags) {
        if (!each.starts_with(std::string(key) + "=")) continue;
        if (found) return std::nullopt;
        found = each.substr(key.size() + 1);
    }
    return found;
}

std::vector<Snapshot> parse_snapshots(std::string_view text) {
    const bj::value document = parsed(text);
    if (document.is_null()) return {};
    if (!document.is_array()) throw strange_answer("its list of snapshots is no list");
    std::vector<Snapshot> all;
    for (const bj::value& each : document.get_array()) all.push_back(snapshot_of(each));
    return all;
}

std::optional<Snapshot> parse_listed_snapshot(std::string_view line) {
    const bj::value document = parsed(line);
    if (json::string_or(document, "struct_type", "") != "snapshot") return std::nullopt;
    return snapshot_of(document);
}

std::optional<Node> parse_node(std::string_view line) {
    const bj::value document = parsed(line);
    const std::string kind = json::string_or(document, "struct_type", "");
    if (kind == "snapshot") return std::nullopt;
    Node node{json::string_or(document, "path", ""), json::string_or(document, "type", "") == "file",
              json::count_in(document, "size").value_or(0)};
    if (kind != "node" || !node.path.starts_with('/')) throw strange_answer("a file without a path");
    return node;
}

bool read_backup_line(std::string_view line, const std::function<void(const Progressed&)>& progress) {
    if (!line.starts_with('{')) return false;
    const bj::value document = parsed(line);
    const std::string type = json::string_or(document, "message_type", "");
    if (type == "status" && progress) {
        Progressed how{json::count_in(document, "bytes_done").value_or(0),
                       json::count_in(document, "total_bytes").value_or(0)};
        if (const auto left = json::count_in(document, "seconds_remaining"))
            how.left = std::chrono::seconds(std::min<std::uint64_t>(*left, 1u << 30));
        progress(how);
    }
    return type == "summary";
}

std::string parse_version(const ProcessResult& result) {
    const auto lines = text::last_lines(result.out, 1);
    const auto words = text::split(lines.empty() ? "" : lines[0], ' ');
    if (!result.ok() || words.size() < 2 || words[0] != "restic")
        throw strange_answer(result.out + result.err);
    if (parts_of(words[1]) < parts_of(oldest_restic))
        throw Error(
            Code::program,
            fmt::format("restic {} is too old: {} is needed", text::printable(words[1]), oldest_restic),
            "install a later restic");
    return words[1];
}

std::string parse_repository_id(std::string_view text) {
    const std::string id = json::string_or(parsed(text), "id", "");
    if (!text::is_hex(id, id_digits, id_digits)) throw strange_answer("a repository without an id");
    return id;
}

std::vector<Key> parse_keys(std::string_view text) {
    const bj::value document = parsed(text);
    if (!document.is_array()) throw strange_answer("its list of keys is no list");
    std::vector<Key> all;
    for (const bj::value& each : document.get_array()) {
        Key key{json::string_or(each, "id", ""), json::string_or(each, "userName", ""),
                json::string_or(each, "hostName", ""), json::string_or(each, "created", "")};
        if (!text::is_hex(key.id, short_id_digits, id_digits)) throw strange_answer("a key without an id");
        const auto* current = each.as_object().if_contains("current");
        key.is_current = current != nullptr && current->is_bool() && current->get_bool();
        all.push_back(std::move(key));
    }
    return all;
}

Stored parse_stored(const std::string& summary_line) {
    if (summary_line.empty()) throw strange_answer("a backup without a summary");
    const bj::value summary = parsed(summary_line);
    Stored stored{json::string_or(summary, "snapshot_id", ""),
                  count_of(summary, "total_bytes_processed"),
                  count_of(summary, "data_added"),
                  count_of(summary, "files_new"),
                  count_of(summary, "files_changed"),
                  count_of(summary, "files_unmodified")};
    if (!text::is_hex(stored.snapshot, short_id_digits, id_digits))
        throw strange_answer("a backup without a snapshot");
    return stored;
}

bool is_incomplete(const ProcessResult& result) {
    return result.exit_status == incomplete;
}

/// Without its question whether there is a repository at all.
std::string words_of(const ProcessResult& result) {
    std::string said;
    for (const std::string& line : text::last_lines(result.err, 6, 400)) {
        if (line.starts_with("Is there a repository at the following location?")) break;
        said = line;
        if (line.starts_with("Fatal: ") || line.find("already locked") != line.npos) break;
    }
    for (std::string_view prefix : {"Fatal: ", "error: ", "unable to create lock in backend: "})
        if (said.starts_with(prefix)) said.erase(0, prefix.size());
    return said.empty() ? fmt::format("it ended with status {} and no word", result.exit_status) : said;
}

bool says(const ProcessResult& result, std::string_view words) {
    return result.err.find(words) != result.err.npos;
}

bool is_locked(const ProcessResult& result) {
    return result.exit_status == locked || says(result, "repository is already locked");
}

Error failure_of(const ProcessResult& result, std::string_view repository, std::string_view doing) {
    const std::string where = text::printable(repository), words = words_of(result);
    const auto failed = [&](Code code, std::string hint) {
        return Error(code, fmt::format("{}: {}", doing, words), std::move(hint));
    };
    if (result.exit_status == wrong_password || says(result, "wrong password or no key found"))
        return Error(Code::denied, fmt::format("the repository {} does not take the password", where),
                     "it is on the repository's recovery sheet");
    if (says(result, "start the sftp session")) return sftp_failure(result, where);
    if (is_locked(result)) return failed(Code::busy, "wait until that process has ended");
    if (says(result, "no space left on device") || says(result, "disk quota exceeded"))
        return failed(Code::no_room, "make room in the repository " + where + ", or have it pruned");
    if (says(result, "permission denied"))
        return failed(Code::denied, "let restic's user enter and write the repository " + where);
    if (says(result, "config file already exists") || says(result, "already initialized"))
        return Error(Code::exists, "there is a repository at " + where + " already",
                     "give its password, or name another place");
    const bool no_file = says(result, "no such file or directory") || says(result, "does not exist");
    if (result.exit_status == no_repository || (says(result, "Is there a repository at") && no_file))
        return Error(Code::not_found, "there is no repository at " + where,
                     "mount its file system; or see 'blockhost-libvirt backup setup'");
    if (says(result, "Is there a repository at") || says(result, "unable to open repository"))
        return Error(Code::io, fmt::format("the repository {} cannot be reached: {}", where, words),
                     "see whether its host and its file system answer");
    return failed(Code::program, "see what restic says of " + where);
}

} // namespace blockhost::backup
