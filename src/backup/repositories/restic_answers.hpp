// SPDX-License-Identifier: MIT
#pragma once
/// What restic prints, and how it fails. Its answers are JSON and read strictly; its failures are told apart
/// by exit status, and where older versions have one status for all, by its words.
///
/// Each function that parses throws Error{program} for what restic does not say.

#include "backup/repositories/repository.hpp"
#include "base/error.hpp"
#include "base/process.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::backup {

/// The oldest version that is driven: Debian 12's.
inline constexpr std::string_view oldest_restic = "0.14.0";

/// One of a repository's keys: each is opened by a password of its own, and opens all of the repository.
struct Key {
    std::string id;                  ///< 8 hex digits or more
    std::string user, host, created; ///< as restic tells who made it where and when
    bool is_current = false;         ///< it opened the repository now
};

/// What `version` prints. Throws Error{program} also for a version older than oldest_restic.
std::string parse_version(const ProcessResult& result);
/// The id in `cat config`, 64 hex digits.
std::string parse_repository_id(std::string_view text);
/// `snapshots --json`.
std::vector<Snapshot> parse_snapshots(std::string_view text);
/// `key list --json`.
std::vector<Key> parse_keys(std::string_view text);
/// The snapshot's own line of `ls --json`; nothing for a file's.
std::optional<Snapshot> parse_listed_snapshot(std::string_view line);
/// A file's line; nothing for the snapshot's own.
std::optional<Node> parse_node(std::string_view line);
/// A line of `backup --json`: calls `progress` for one that tells of progress; true for the summary.
bool read_backup_line(std::string_view line, const std::function<void(const Progressed&)>& progress);
/// What the backup came to, by its summary.
Stored parse_stored(const std::string& summary_line);

/// It stored a snapshot that lacks what could not be read.
bool is_incomplete(const ProcessResult& result);
/// Another process has locked the repository.
bool is_locked(const ProcessResult& result);
/// Whether its words on stderr have these.
bool says(const ProcessResult& result, std::string_view words);
/// Its last words.
std::string words_of(const ProcessResult& result);
/// What a call on that repository that did not go well means: `doing` says what was tried.
Error failure_of(const ProcessResult& result, std::string_view repository, std::string_view doing);
/// A snapshot, a file or a repository that restic's answer lacks.
Error strange_answer(std::string_view what);

} // namespace blockhost::backup
