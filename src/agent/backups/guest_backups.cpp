// SPDX-License-Identifier: MIT
#include "agent/backups/guest_backups.hpp"

#include "base/text/text.hpp"
#include "base/time.hpp"
#include "platform/backup_words.hpp"

#include <algorithm>

namespace blockhost::agent {

using platform::Guest;
using platform::GuestId;
using platform::Guests;
using platform::StoredBackup;

namespace {

constexpr std::string_view mark = "blockhost ";
constexpr std::size_t id_digits = 32;

bool is_number(const std::string& text) {
    return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

std::string hint_of(const Guests& guests) {
    return guests.doubt.empty() ? "'blockhost-libvirt guests' lists them" : guests.doubt;
}

/// The one guest of that name.
GuestId named(const Guests& guests, const std::string& name) {
    std::vector<std::string> ids;
    for (const Guest& each : guests.seen)
        if (each.name == name) ids.push_back(each.id);
    if (ids.empty())
        throw Error(Code::not_found, "there is no guest " + text::printable(name), hint_of(guests));
    if (ids.size() > 1)
        throw Error(Code::invalid, "several guests are named " + text::printable(name),
                    "name one by its number: " + text::join(ids, ", "));
    return ids.front();
}

} // namespace

platform::BackupKeeper& require_keeper(platform::Platform& platform) {
    if (auto* keeper = platform.backup_keeper()) return *keeper;
    throw Error(Code::config, "this platform keeps no backups", "backups of its guests are in a repository");
}

std::string notes_of(const execution::Id& operation, const std::string& guest_name) {
    // A node would put variables in the place of {{…}}.
    const bool is_plain = !guest_name.empty() && guest_name.find_first_of("{}\n") == guest_name.npos;
    return (is_plain ? guest_name + ", " : "") + std::string(mark) + operation;
}

std::string operation_in(std::string_view notes) {
    const std::size_t at = notes.rfind(mark);
    if (at == notes.npos) return "";
    const std::string_view id = notes.substr(at + mark.size());
    return text::is_hex(id, id_digits, id_digits) ? std::string(id) : "";
}

std::vector<KnownBackup> known_backups(const platform::StoredBackups& all, const Guests& guests,
                                       execution::Journal* journal) {
    std::vector<KnownBackup> known;
    for (const StoredBackup& each : all.seen) {
        KnownBackup backup;
        backup.stored = each;
        const auto guest = std::ranges::find(guests.seen, each.guest, &Guest::id);
        if (guest != guests.seen.end()) backup.name = guest->name;
        const std::string id = journal != nullptr ? operation_in(each.notes) : "";
        const auto operation = id.empty() ? std::nullopt : journal->find(id);
        const auto* made = operation ? std::get_if<platform::Backup>(&operation->action) : nullptr;
        if (made != nullptr && operation->target.guest == each.guest && made->repository == each.place) {
            backup.operation = id;
            backup.course = platform::course_in(operation->detail).value_or(platform::BackupCourse());
        }
        known.push_back(std::move(backup));
    }
    return known;
}

GuestId find_guest_id(platform::Platform& platform, const Guests& guests, const std::string& word) {
    if (!is_number(word)) return named(guests, word);
    if (const auto misfit = platform.misfit(word, platform::Kind::vm)) throw Error(*misfit);
    return word;
}

Guest find_guest(platform::Platform& platform, const std::string& word) {
    const Guests guests = is_number(word) ? Guests() : platform.guests();
    auto guest = platform.guest(find_guest_id(platform, guests, word));
    if (!guest) throw Error(Code::not_found, "there is no guest " + text::printable(word), hint_of(guests));
    return std::move(*guest);
}

const KnownBackup& find_backup(platform::Platform& platform, const Guests& guests,
                               const std::vector<KnownBackup>& all, const std::string& word) {
    constexpr std::string_view latest = "@latest";
    const std::string hint = "'blockhost-libvirt backup list' shows those that there are";
    if (!word.ends_with(latest)) {
        const auto found =
            std::ranges::find(all, word, [](const KnownBackup& each) { return each.stored.id; });
        if (found == all.end())
            throw Error(Code::not_found, "there is no backup " + text::printable(word), hint);
        return *found;
    }
    const GuestId guest = find_guest_id(platform, guests, word.substr(0, word.size() - latest.size()));
    const auto found = std::find_if(all.rbegin(), all.rend(),
                                    [&](const KnownBackup& each) { return each.stored.guest == guest; });
    if (found == all.rend())
        throw Error(Code::not_found, "there is no backup of guest " + text::printable(guest), hint);
    return *found;
}

std::string choose_place(platform::BackupKeeper& keeper, const std::optional<std::string>& named) {
    const auto places = keeper.places();
    std::vector<std::string> names;
    names.reserve(places.size());
    for (const auto& each : places) names.push_back(text::printable(each.name));
    const std::string there = names.empty() ? "none is seen" : "there are " + text::join(names, ", ");
    const std::string usual = named.value_or(keeper.usual_place());
    if (usual.empty() && places.size() != 1)
        throw Error(Code::config,
                    places.empty() ? "no storage of the node takes backups, as far as the API token may see"
                                   : "several storages of the node take backups: " + text::join(names, ", "),
                    places.empty() ? "give one the content \"backup\" on the node"
                                   : "name one with --storage, or as backup_storage in agent.json");
    const auto place =
        usual.empty() ? places.begin() : std::ranges::find(places, usual, &platform::BackupPlace::name);
    if (place == places.end())
        throw Error(Code::not_found,
                    text::printable(usual) +
                        " is no storage of the node that takes backups, as far as the API "
                        "token may see",
                    there);
    if (!place->is_online)
        throw Error(Code::io, "the storage " + text::printable(place->name) + " is not reached",
                    "see that it is mounted and switched on, or name another one");
    if (place->free && *place->free <= 0)
        throw Error(Code::no_room, "the storage " + text::printable(place->name) + " is full",
                    "make room there, or name another one");
    return place->name;
}

TakenBackup take_backup(Engine& engine, const BackupWish& wish, const std::string& requester,
                        const std::function<bool()>& stop, const execution::Runner::Told& told) {
    const execution::Id id = random_hex(id_digits);
    const platform::Backup action{wish.place, notes_of(id, wish.guest.name), wish.is_protected};
    const platform::Target target{wish.guest.id, wish.guest.incarnation};
    engine.journal().submit({.source = {execution::Source::Kind::shell, requester},
                             .target = target,
                             .action = action,
                             .id = id});
    TakenBackup taken{carry_out(engine, {id}, stop, told).front(), {}, {}};
    if (taken.operation.state != execution::State::done) return taken;
    auto& keeper = require_keeper(engine.platform());
    taken.stored = keeper.made_by(target, action, taken.operation.note);
    taken.course = platform::course_in(taken.operation.detail).value_or(platform::BackupCourse());
    return taken;
}

execution::Operation finish_or_cancel(Engine& engine, const execution::Id& id,
                                      const std::function<void()>& check) {
    try {
        return engine.finish(id, check);
    } catch (const Error& error) {
        const auto operation = engine.journal().find(id);
        if (error.code() == Code::interrupted && operation && operation->state == execution::State::queued)
            engine.journal().cancel(id, "who asked for it was stopped before it was begun");
        throw;
    }
}

} // namespace blockhost::agent
