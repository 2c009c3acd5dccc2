// SPDX-License-Identifier: MIT
#pragma once
/// The desired state: a JSON document that says what the guests of one host should be like. What it does not
/// say is not touched: a guest that it does not name, a field that it leaves out.
/// data/schemas/desired-state.schema.json describes it; docs/desired-state.md explains it.

#include "base/time.hpp"
#include "platform/platform.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::agent {

/// Bounds of what a document may ask for; a platform narrows them further.
namespace bounds {
inline constexpr std::int64_t cpus = 8192, memory_least_mib = 16, memory_most_mib = 16 << 20;
inline constexpr std::int64_t disk_gib = 65'536, cpu_percent = 51'200;
inline constexpr std::int64_t generation = (std::int64_t(1) << 53) - 1; ///< what any JSON reader keeps
inline constexpr std::size_t document_bytes = 4 << 20, description_bytes = 8 << 10;
} // namespace bounds

enum class WantedPower { running, stopped, absent };
std::string_view to_string(WantedPower power);

/// What a guest that is not there is made of.
struct Source {
    enum class Kind { template_version, backup };
    Kind kind = Kind::template_version;
    std::string name; ///< "current", or a backup's name
    bool operator==(const Source&) const = default;
};

/// What is wanted of one guest. What is not said is not touched.
struct WantedGuest {
    platform::GuestId id;
    std::string place; ///< "FILE:LINE:COLUMN" of its name
    std::optional<platform::Kind> kind;
    std::optional<WantedPower> power; ///< absent comes without any other wish
    std::optional<std::string> name;
    std::optional<int> cpus;
    std::optional<std::int64_t> memory_mib;
    std::optional<std::int64_t> disk_mib;      ///< of the first disk
    std::optional<std::string> description;    ///< in normal form, as GuestConfig has it
    std::optional<std::set<std::string>> tags; ///< in lower case
    std::optional<bool> start_on_boot, is_protected;
    std::optional<int> cpu_percent; ///< of one CPU, at most
    std::optional<std::string> owner_wallet;
    std::optional<Instant> expires_at;
    std::optional<Source> source;
    std::optional<std::string> backup_policy; ///< one of the document's
};

struct BackupPolicy {
    enum class Drill { never, daily, weekly, monthly };
    std::string at; ///< "HH:MM", the host's local time
    std::optional<int> keep_last, keep_daily, keep_weekly, keep_monthly, keep_yearly;
    std::string repository;
    Drill drill = Drill::never;
};

struct WantedStorage {
    std::string uuid;  ///< of the file system
    std::string mount; ///< absolute, in normal form
    std::set<std::string> roles;
};

struct Desired {
    std::string host;
    std::int64_t generation = 0;
    std::vector<WantedGuest> guests; ///< in the document's order
    std::map<std::string, BackupPolicy> backup_policies;
    std::map<std::string, WantedStorage> storage;
    std::string digest; ///< SHA-256 of the document's bytes
    std::string text;   ///< these bytes
    /// Sentences with places about what the document says and nobody knows.
    std::vector<std::string> warnings;
};

/// What a document has to agree with.
struct Known {
    /// The generation that was accepted last, and that document's digest. A lower one is refused, and so is
    /// the same one with another content.
    std::optional<std::int64_t> generation = {};
    std::string digest = {};
    /// Where backups can go; nothing: whoever asks does not know, and every name is let pass.
    std::optional<std::set<std::string>> repositories = {};
};

/// Reads a document that was received as `text`; `name` is how messages call it: its file. Throws FieldError
/// or Error{config}, each sentence of which begins with "NAME:LINE:COLUMN: "; Error{wrong_state} for a
/// generation that was left behind.
Desired parse_desired(std::string_view text, const std::string& name, const Known& known = {});

/// Throws Error{config} where the document is for another host, and FieldError{config} where it names guests
/// that cannot be on that platform.
void require_fits(const Desired& desired, const platform::Platform& platform, const platform::Host& host);

/// Whether a document may say that name of a guest, policy, host or storage: as VmName.
bool is_name(std::string_view text);
/// `[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}`
bool is_tag(std::string_view text);

} // namespace blockhost::agent
