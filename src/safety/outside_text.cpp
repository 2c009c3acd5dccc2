// SPDX-License-Identifier: MIT
/// See outside_text.hpp.

#include "safety/outside_text.hpp"

#include "base/text/json.hpp"
#include "base/text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::root {

namespace bj = boost::json;
namespace fs = std::filesystem;

std::string text_of(const bj::object& from, std::string_view key) {
    const bj::value* value = from.if_contains(key);
    if (value == nullptr || !value->is_string())
        throw Error(Code::invalid, fmt::format("the parameter {} is missing", key));
    return std::string(value->get_string());
}

std::int64_t number_of(const bj::object& from, std::string_view key) {
    if (const auto number = json::integer_in(from, key)) return *number;
    throw Error(Code::invalid, fmt::format("the parameter {} is missing", key));
}

VmName name_of(const std::string& text) {
    if (const auto name = VmName::try_parse(text)) return *name;
    throw Error(Code::invalid, fmt::format("Invalid domain name: '{}'", text::printable(text, 80)));
}

std::optional<Observation> ours(World& world, const VmName& name) {
    Observation seen = observe(world, name);
    if (!seen.domain) return std::nullopt;
    // The instance id lies in the blockhost user's folder; only root decides the state folder's name.
    const bool elsewhere = seen.mark && !world.paths.state.is(seen.mark->state_folder);
    if (seen.proof == Proof::none || elsewhere)
        throw Error(Code::foreign,
                    fmt::format("{} is {}; it is left untouched", name.str(),
                                elsewhere ? "a domain that this BlockHost did not make" : seen.stranger));
    return seen;
}

Observation existing(World& world, const VmName& name) {
    auto seen = ours(world, name);
    if (!seen) throw Error(Code::not_found, fmt::format("libvirt has no domain {}", name.str()));
    return *std::move(seen);
}

void planted(const fs::path& path, std::string_view why) {
    throw Error(
        Code::denied, fmt::format("{} {}", text::printable(path.string()), why),
        "look at it: root touches only regular files with one name, in folders that are no links of others");
}

std::optional<Folder> open_ours(const World& world, const fs::path& path) {
    try {
        return world.paths.state.at(path);
    } catch (const Error& error) {
        throw Error(error.code() == Code::io ? Code::denied : error.code(), error.message(), error.hint());
    }
}

void require_plain(const std::optional<Folder>& folder, const fs::path& path, Absent absent) {
    const std::string name = path.filename().string();
    if (absent == Absent::is_fine && (!folder || folder->kind(name) == Folder::Kind::absent)) return;
    if (folder && folder->kind(name) == Folder::Kind::other) planted(path, "is no regular file");
    const Fd file = folder ? folder->open_file(name, O_RDONLY | O_NONBLOCK) : Fd();
    struct stat seen {};
    if (!file || fstat(file.get(), &seen) != 0) planted(path, "is not there");
    if (seen.st_nlink != 1) planted(path, "has another name too");
}

void require_own(const World& world, const VmName& name, const OwnAddresses& wanted) {
    const Database database = world.registry.read();
    const auto record = database.find(name);
    const auto entry = world.journal.peek(name);
    const bool live = record && record->status != RecordStatus::destroyed;
    const bool own_ip =
        !wanted.ip || (live && record->ip == wanted.ip) || (entry && entry->ip() == wanted.ip);
    const bool own_ipv6 =
        !wanted.ipv6 || (live && record->ipv6 == wanted.ipv6) || (entry && entry->ipv6() == wanted.ipv6);
    const OwnAddresses left = still_own(world, database, name, wanted);
    if (!own_ip || !own_ipv6 || left.ip != wanted.ip || left.ipv6 != wanted.ipv6)
        throw Error(Code::invalid, fmt::format("the addresses are not those of {}", name.str()));
}

Observation believed(World& world, Observation seen) {
    if (!seen.record) return seen;
    const OwnAddresses own{seen.record->ip, seen.record->ipv6};
    try {
        require_own(world, seen.name, own);
        if ((own.ip && world.network->unfit(*own.ip)) || (own.ipv6 && world.network->unfit(*own.ipv6)))
            seen.record.reset();
    } catch (const Error& error) {
        if (error.code() != Code::invalid) throw;
        seen.record.reset();
    }
    return seen;
}

std::optional<EntryView> held_entry(const World& world, const VmName& name, Verb verb) {
    auto entry = world.journal.peek(name);
    if (!entry || entry->verb != to_string(verb) || !world.journal.held(name)) return std::nullopt;
    return entry;
}

} // namespace blockhost::root
