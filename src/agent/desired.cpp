// SPDX-License-Identifier: MIT
#include "agent/desired.hpp"

#include "base/text/digest.hpp"
#include "base/text/json_members.hpp"
#include "base/text/text.hpp"
#include "model/names.hpp"
#include "platform/proxmox/privileged/arguments.hpp"

#include <algorithm>
#include <array>

namespace blockhost::agent {

namespace {

using json::Findings;
using json::Members;

constexpr std::array<std::string_view, 3> power_words{"running", "stopped", "absent"};
constexpr std::array<std::string_view, 2> kind_words{"vm", "container"};
constexpr std::array<std::string_view, 4> drill_words{"never", "daily", "weekly", "monthly"};
constexpr std::array<std::string_view, 1> storage_words{"usb"};
constexpr std::size_t longest_name = 64, longest_word = 256;
constexpr std::int64_t mib_of_gib = 1024;
constexpr const char* name_rule =
    "1 to 64 letters, digits, '.', '_' and '-', the first one a letter or a digit";

/// A text that is a name; refused where it is none.
std::optional<std::string> name_in(Members& members, std::string_view key) {
    auto name = members.text(key, longest_word);
    if (!name || is_name(*name)) return name;
    members.refuse(key, "is no name: \"" + text::printable(*name, 80) + "\"", name_rule);
    return std::nullopt;
}

/// Calls `each` for the members of the object of that key, whose keys are names.
template<class Each>
void named_objects(Members& members, std::string_view key, Findings& findings, Each each) {
    auto object = members.object(key);
    if (!object) return;
    for (const json::LocatedMember& member : object->all()) {
        if (is_name(member.key))
            each(member, Members(findings, member.value, object->way_to(member.key)));
        else
            findings.refuse(member.at, object->way_to(text::printable(member.key, longest_name)),
                            member.key.empty() ? "has a member without a name" : "is no name", name_rule);
    }
}

template<class Number>
std::optional<Number> number_in(Members& members, std::string_view key, std::int64_t least,
                                std::int64_t most) {
    const auto value = members.integer(key, least, most);
    return value ? std::optional(static_cast<Number>(*value)) : std::nullopt;
}

std::optional<std::set<std::string>> tags_in(Members& members) {
    const auto all = members.texts("tags", longest_word);
    if (!all) return std::nullopt;
    std::set<std::string> tags;
    for (const std::string& tag : *all) {
        if (!is_tag(tag)) {
            members.refuse(
                "tags", "has something that is no tag: \"" + text::printable(tag, 80) + "\"",
                "a tag is 1 to 64 letters, digits, '_', '.', '+' and '-', and begins with a letter, "
                "a digit or '_'");
            return std::nullopt;
        }
        tags.insert(platform::normal_tag(tag));
    }
    return tags;
}

std::optional<std::int64_t> disk_in(Members& members) {
    const auto gib = members.integer("disk_gib", 1, bounds::disk_gib);
    const auto mib = members.integer("disk_mib", 1, bounds::disk_gib * mib_of_gib);
    if (members.has("disk_gib") && members.has("disk_mib"))
        members.refuse("disk_mib", "and disk_gib both give the disk's size", "give one of them");
    return gib ? std::optional(*gib * mib_of_gib) : mib;
}

std::optional<Source> source_in(Members& members) {
    auto object = members.object("source");
    if (!object) return std::nullopt;
    const auto version = object->text("template", longest_word),
               backup = object->text("backup", longest_word);
    object->warn_of_unread();
    if (object->has("template") == object->has("backup")) {
        members.refuse("source", "needs one of template and backup, and not both",
                       R"(write {"template": "current"}, or {"backup": "NAME"})");
        return std::nullopt;
    }
    for (const auto& [given, kind] :
         {std::pair(version, Source::Kind::template_version), std::pair(backup, Source::Kind::backup)}) {
        if (!given) continue;
        if (!given->empty() && text::printable(*given, longest_word) == *given) return Source{kind, *given};
        members.refuse("source", "names nothing that can be written on one line",
                       "name a template or a backup");
    }
    return std::nullopt;
}

std::optional<std::string> wallet_in(Members& members) {
    auto wallet = members.text("owner_wallet", longest_word);
    if (!wallet || Wallet::trusted(*wallet)) return wallet;
    members.refuse("owner_wallet", "is no wallet's address: \"" + text::printable(*wallet, 80) + "\"",
                   "an address is 1 to 200 letters, digits, '_' and '-'");
    return std::nullopt;
}

std::optional<Instant> expiry_in(Members& members) {
    const auto given = members.text("expires_at", longest_word);
    if (!given) return std::nullopt;
    const auto instant = parse_instant(*given);
    if (!instant)
        members.refuse("expires_at", "is no moment: \"" + text::printable(*given, 80) + "\"",
                       "write it like 2027-01-01T00:00:00Z");
    return instant;
}

/// A guest that is to be absent has no other wish: one of them is a mistake, and nobody can tell which.
void check_absent(const Members& members, const json::Located& object) {
    std::vector<std::string> others;
    for (const json::LocatedMember& each : object.members)
        if (each.key != "power" && each.key != "kind")
            others.push_back(text::printable(each.key, longest_name));
    if (!others.empty())
        members.refuse("power", "is absent, but there are other wishes, too: " + text::join(others, ", "),
                       "remove them, or say running or stopped");
}

/// The policy that a guest's backups follow.
std::optional<std::string> policy_named_in(Members& members, const Desired& desired) {
    auto backup = members.object("backup");
    if (!backup) return std::nullopt;
    backup->require("policy", "name one of backup_policies");
    auto policy = name_in(*backup, "policy");
    if (policy && !desired.backup_policies.contains(*policy)) {
        std::vector<std::string> known;
        for (const auto& [name, each] : desired.backup_policies) known.push_back(name);
        backup->refuse("policy", "names " + *policy + ", which is none of backup_policies",
                       known.empty() ? "add it there"
                                     : "add it there, or name one of these: " + text::join(known, ", "));
    }
    backup->warn_of_unread();
    return policy;
}

/// `desired` has its policies already.
WantedGuest guest_in(Members members, const json::LocatedMember& member, std::string place,
                     const Desired& desired) {
    WantedGuest guest;
    guest.id = member.key;
    guest.place = std::move(place);
    if (const auto kind = members.choice("kind", kind_words))
        guest.kind = *kind == 0 ? platform::Kind::vm : platform::Kind::container;
    if (const auto power = members.choice("power", power_words)) guest.power = WantedPower(*power);
    guest.name = name_in(members, "name");
    guest.cpus = number_in<int>(members, "cpus", 1, bounds::cpus);
    guest.memory_mib = members.integer("memory_mib", bounds::memory_least_mib, bounds::memory_most_mib);
    guest.disk_mib = disk_in(members);
    guest.description = members.text("description", bounds::description_bytes);
    if (guest.description) guest.description = platform::normal_description(*guest.description);
    guest.tags = tags_in(members);
    guest.start_on_boot = members.boolean("start_on_boot");
    guest.is_protected = members.boolean("protected");
    if (auto limits = members.object("limits")) {
        guest.cpu_percent = number_in<int>(*limits, "cpu_percent", 1, bounds::cpu_percent);
        limits->warn_of_unread();
    }
    guest.owner_wallet = wallet_in(members);
    guest.expires_at = expiry_in(members);
    guest.source = source_in(members);
    guest.backup_policy = policy_named_in(members, desired);
    members.warn_of_unread();
    if (guest.power == WantedPower::absent) check_absent(members, member.value);
    return guest;
}

bool is_time_of_day(std::string_view text) {
    if (text.size() != 5 || text[2] != ':') return false;
    const auto hour = text::parse_int(text.substr(0, 2)), minute = text::parse_int(text.substr(3));
    return hour && minute && *hour >= 0 && *hour < 24 && *minute >= 0 && *minute < 60 && text[0] != '-' &&
           text[3] != '-';
}

BackupPolicy policy_in(Members members, const Known& known) {
    BackupPolicy policy;
    members.require("at", "write a time of day, like 03:00");
    policy.at = members.text("at", longest_word).value_or("");
    if (members.has("at") && !policy.at.empty() && !is_time_of_day(policy.at))
        members.refuse("at", "is no time of day: \"" + text::printable(policy.at, 80) + "\"",
                       "write it like 03:00");
    members.require("keep", R"(write how many are kept, like {"daily": 7})");
    if (auto keep = members.object("keep")) {
        constexpr std::int64_t most = 10'000;
        policy.keep_last = number_in<int>(*keep, "last", 1, most);
        policy.keep_daily = number_in<int>(*keep, "daily", 1, most);
        policy.keep_weekly = number_in<int>(*keep, "weekly", 1, most);
        policy.keep_monthly = number_in<int>(*keep, "monthly", 1, most);
        policy.keep_yearly = number_in<int>(*keep, "yearly", 1, most);
        keep->warn_of_unread();
        if (!policy.keep_last && !policy.keep_daily && !policy.keep_weekly && !policy.keep_monthly &&
            !policy.keep_yearly)
            members.refuse("keep", "keeps nothing", R"(write how many are kept, like {"daily": 7})");
    }
    members.require("repository", "name where backups go");
    if (auto repository = name_in(members, "repository")) {
        if (known.repositories && !known.repositories->contains(*repository))
            members.refuse(
                "repository", "names " + *repository + ", which this host does not have",
                known.repositories->empty()
                    ? "this host has none"
                    : "it has " + text::join({known.repositories->begin(), known.repositories->end()}, ", "));
        policy.repository = std::move(*repository);
    }
    if (const auto drill = members.choice("drill", drill_words)) policy.drill = BackupPolicy::Drill(*drill);
    members.warn_of_unread();
    return policy;
}

/// A text that `Argument` takes; refused in its words.
template<class Argument>
std::string argument_in(Members& members, std::string_view key, std::string hint) {
    members.require(key, std::move(hint));
    const auto given = members.text(key, longest_word);
    if (!given) return "";
    try {
        return Argument(*given).str();
    } catch (const Error& error) {
        members.refuse(key, "is wrong: " + error.message(), error.hint());
    }
    return "";
}

WantedStorage storage_in(Members members) {
    using namespace platform::proxmox::privileged;
    WantedStorage storage;
    members.require("kind", "write usb");
    static_cast<void>(members.choice("kind", storage_words));
    storage.uuid = argument_in<FilesystemUuid>(members, "uuid", "see ls /dev/disk/by-uuid");
    storage.mount = argument_in<MountPoint>(members, "mount", "name a folder below /mnt");
    if (const auto roles = members.texts("roles", longest_word))
        for (const std::string& role : *roles) {
            if (is_name(role))
                storage.roles.insert(role);
            else
                members.refuse("roles",
                               "has something that is no name: \"" + text::printable(role, 80) + "\"",
                               name_rule);
        }
    members.warn_of_unread();
    return storage;
}

void check_version(Members& members) {
    members.require("version", "write \"version\": 1");
    constexpr std::int64_t highest = (std::int64_t(1) << 53);
    const auto version = members.integer("version", 0, highest);
    if (version && *version != 1)
        members.refuse("version", "is " + std::to_string(*version) + ", and this program knows version 1",
                       "write a document of version 1, or update this program");
}

/// The generations say which document came first: what was left behind does not come back.
void check_generation(const Desired& desired, const std::string& place, const Known& known) {
    if (!known.generation) return;
    const std::string accepted = "generation " + std::to_string(*known.generation);
    if (desired.generation < *known.generation)
        throw Error(Code::wrong_state,
                    place + ": the document is of generation " + std::to_string(desired.generation) +
                        ", and " + accepted + " was accepted already",
                    "whoever wrote it went back in time: give the document a higher generation");
    if (desired.generation == *known.generation && !known.digest.empty() && known.digest != desired.digest)
        throw Error(Code::wrong_state, place + ": another document of " + accepted + " was accepted already",
                    "a changed document needs a higher generation");
}

} // namespace

std::string_view to_string(WantedPower power) {
    return power_words[static_cast<std::size_t>(power)];
}

bool is_name(std::string_view text) {
    return VmName::try_parse(text).has_value();
}

bool is_tag(std::string_view text) {
    const auto is_plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    const auto fits = [&](char c) { return is_plain(c) || c == '.' || c == '+' || c == '-'; };
    return !text.empty() && text.size() <= longest_name && is_plain(text.front()) &&
           std::ranges::all_of(text, fits);
}

Desired parse_desired(std::string_view text, const std::string& name, const Known& known) {
    const auto document = json::LocatedJson::parse(text, name, {.bytes = bounds::document_bytes});
    Findings findings(document);
    Members root(findings, document.root(), "");
    check_version(root);
    findings.throw_if_refused(); // of another version, nothing else is judged
    Desired desired;
    desired.digest = sha256(text);
    desired.text = text;
    root.require("host", "write the name of the host that it is for");
    desired.host = name_in(root, "host").value_or("");
    root.require("generation", "number the documents: each change has a higher one");
    desired.generation = root.integer("generation", 0, bounds::generation).value_or(0);
    named_objects(root, "backup_policies", findings, [&](const json::LocatedMember& member, Members members) {
        desired.backup_policies.emplace(member.key, policy_in(std::move(members), known));
    });
    named_objects(root, "storage", findings, [&](const json::LocatedMember& member, Members members) {
        desired.storage.emplace(member.key, storage_in(std::move(members)));
    });
    named_objects(root, "guests", findings, [&](const json::LocatedMember& member, Members members) {
        desired.guests.push_back(guest_in(std::move(members), member, document.place(member.at), desired));
    });
    root.warn_of_unread();
    findings.throw_if_refused();
    desired.warnings = findings.warnings();
    check_generation(desired, document.place(document.root().member("generation")->value.at), known);
    return desired;
}

void require_fits(const Desired& desired, const platform::Platform& platform, const platform::Host& host) {
    if (desired.host != host.name)
        throw Error(Code::config,
                    "the document is for the host " + desired.host + ", and this is " + host.name,
                    "give each host its own document");
    std::vector<BadField> wrong;
    std::size_t more = 0;
    constexpr std::size_t most_told = 10;
    for (const WantedGuest& guest : desired.guests) {
        const auto why = platform.misfit(guest.id, guest.kind.value_or(platform::Kind::vm));
        if (!why) continue;
        if (wrong.size() == most_told)
            ++more;
        else
            wrong.push_back({"guests." + guest.id, guest.place + ": " + why->message(),
                             "remove the guest from this host's document"});
    }
    if (more > 0) wrong.back().message += " (and " + std::to_string(more) + " more)";
    if (!wrong.empty()) throw FieldError(Code::config, std::move(wrong));
}

} // namespace blockhost::agent
