// SPDX-License-Identifier: MIT
// A platform, for tests/platform and tests/pve: commands are lines of JSON on stdin, each answered by one
// on stdout.
#include "base/interrupt.hpp"
#include "base/text/json.hpp"
#include "guest/identity.hpp"
#include "platform/libvirt/libvirt.hpp"
#include "platform/proxmox/agent_line.hpp"
#include "platform/proxmox/proxmox.hpp"
#include "platform/simulated/simulated.hpp"
#include "tests/unit/platform/permit_for_tests.hpp"

#include <boost/json/array.hpp>
#include <cstdio>
#include <iostream>
#include <memory>
#include <thread>

using namespace blockhost;
using namespace blockhost::platform;
namespace bj = boost::json;

namespace {

std::string text(const bj::object& object, const char* key, std::string_view otherwise = "") {
    return json::string_or(object, key, otherwise);
}

std::int64_t number(const bj::object& object, const char* key, std::int64_t otherwise = 0) {
    return proxmox::number(object, key).value_or(otherwise);
}

proxmox::Settings settings_of(const bj::object& told) {
    proxmox::Settings settings;
    settings.access.origin = text(told, "origin");
    settings.access.token_file = text(told, "token_file");
    settings.access.trust.ca_file = text(told, "ca_file");
    settings.access.patience = std::chrono::milliseconds(number(told, "patience_ms", 10'000));
    settings.node = text(told, "node", "pve1");
    settings.local.name = settings.node;
    settings.local.root = text(told, "local_root", "/");
    settings.local.patience = std::chrono::milliseconds(number(told, "local_patience_ms", 10'000));
    settings.local.user = 0; // the tests' own folder is the node
    settings.lock_patience = std::chrono::milliseconds(number(told, "lock_patience_ms"));
    settings.backup_storage = text(told, "storage", "local");
    settings.disk_storage = text(told, "disk_storage", settings.backup_storage);
    if (const auto* pins = told.if_contains("pins"))
        for (const auto& pin : pins->as_array())
            settings.access.trust.pins.push_back(*http::parse_pin(pin.as_string()));
    return settings;
}

proxmox::Parameters parameters_of(const bj::object& command) {
    proxmox::Parameters parameters;
    if (const auto* given = command.if_contains("parameters"))
        for (const auto& [key, value] : given->as_object()) {
            const bj::array several = value.is_array() ? value.get_array() : bj::array{value};
            for (const auto& each : several) parameters.emplace_back(key, proxmox::scalar(each).value_or(""));
        }
    return parameters;
}

std::set<std::string> tags_of(const bj::value& list) {
    std::set<std::string> tags;
    for (const auto& tag : list.as_array()) tags.emplace(tag.as_string());
    return tags;
}

Action action_of(const bj::object& told) {
    switch (*action_kind(text(told, "kind"))) {
    case ActionKind::start:
        return Start{};
    case ActionKind::stop:
        return Stop{std::chrono::seconds(number(told, "patience", 180)), proxmox::flag(told, "force")};
    case ActionKind::resume:
        return Resume{};
    case ActionKind::set_config: {
        SetConfig change;
        change.digest = text(told, "digest");
        if (told.contains("name")) change.name = text(told, "name");
        if (told.contains("description")) change.description = text(told, "description");
        if (told.contains("cpus")) change.cpus = static_cast<int>(number(told, "cpus"));
        if (told.contains("memory_mib")) change.memory_mib = number(told, "memory_mib");
        if (told.contains("tags")) change.tags = tags_of(told.at("tags"));
        if (told.contains("start_on_boot")) change.start_on_boot = proxmox::flag(told, "start_on_boot");
        if (told.contains("is_protected")) change.is_protected = proxmox::flag(told, "is_protected");
        return change;
    }
    case ActionKind::grow:
        return Grow{number(told, "disk_mib")};
    case ActionKind::create: {
        bj::object config = told;
        config.erase("kind");
        config.erase("source");
        Create create{text(told, "source"), proxmox::config_of(config, Kind::vm)};
        if (!told.contains("cores")) create.config.cpus.reset();
        if (!told.contains("memory")) create.config.memory_mib.reset();
        return create;
    }
    case ActionKind::snapshot:
        return TakeSnapshot{text(told, "snapshot"), text(told, "description")};
    case ActionKind::rollback:
        return RollBack{text(told, "snapshot")};
    case ActionKind::delete_snapshot:
        return DeleteSnapshot{text(told, "snapshot")};
    case ActionKind::backup:
        return Backup{text(told, "repository", "local"), text(told, "notes"),
                      proxmox::flag(told, "is_protected")};
    case ActionKind::restore:
        return Restore{text(told, "backup")};
    case ActionKind::delete_backup:
        return DeleteBackup{text(told, "backup")};
    case ActionKind::destroy:
        break;
    case ActionKind::set_features:
        return SetFeatures{tags_of(told.at("features"))};
    case ActionKind::mount:
        return Mount{text(told, "point")};
    case ActionKind::unmount:
        return Unmount{text(told, "point")};
    }
    return Destroy{};
}

bj::value shown(const std::optional<GuestConfig>& config) {
    if (!config) return nullptr;
    bj::object out{{"name", config->name},
                   {"description", config->description},
                   {"start_on_boot", config->start_on_boot},
                   {"is_protected", config->is_protected},
                   {"tags", bj::array(config->tags.begin(), config->tags.end())}};
    if (config->cpus) out["cpus"] = *config->cpus;
    if (config->memory_mib) out["memory_mib"] = *config->memory_mib;
    if (config->disk_mib) out["disk_mib"] = *config->disk_mib;
    bj::object details;
    for (const auto& [key, value] : config->details) details[key] = value;
    out["details"] = details;
    return out;
}

bj::object shown(const Guest& guest) {
    return {{"id", guest.id},
            {"kind", to_string(guest.kind)},
            {"power", to_string(guest.power)},
            {"name", guest.name},
            {"incarnation", guest.incarnation},
            {"config", shown(guest.config)},
            {"running", shown(guest.running)},
            {"digest", guest.digest},
            {"lock", guest.lock}};
}

bj::object shown(const Error& error) {
    return {{"code", row_of(error.code()).name}, {"message", error.message()}, {"hint", error.hint()}};
}

bj::object shown(const proxmox::Refusal& refusal) {
    constexpr std::string_view kinds[] = {
        "unauthenticated", "forbidden",  "root_only",    "invalid", "unknown_call", "no_guest", "no_node",
        "exists",          "busy",       "locked",       "changed", "wrong_state",  "no_agent", "no_reaction",
        "no_room",         "no_storage", "not_executed", "unknown", "unreadable",   "other"};
    bj::object parameters;
    for (const auto& [name, what] : refusal.parameters) parameters[name] = what;
    return {{"kind", kinds[static_cast<std::size_t>(refusal.kind)]},
            {"words", refusal.words},
            {"path", refusal.path},
            {"privileges", refusal.privileges},
            {"lock", refusal.lock},
            {"parameters", parameters}};
}

bj::object shown(const proxmox::ReadConfig& read, Kind kind) {
    return {{"config", shown(proxmox::config_of(read.told, kind))},
            {"incarnation", proxmox::incarnation_of(read.told, kind)},
            {"digest", read.digest},
            {"lock", read.lock}};
}

bj::object shown(const ActionState& state) {
    constexpr std::string_view phases[] = {"waiting", "running", "done", "failed", "unknown"};
    bj::object out{{"phase", phases[static_cast<std::size_t>(state.phase)]},
                   {"detail", state.detail},
                   {"warnings", bj::array(state.warnings.begin(), state.warnings.end())},
                   {"guest", state.guest}};
    if (state.error) out["error"] = shown(*state.error);
    return out;
}

void pause(std::chrono::milliseconds span) {
    std::this_thread::sleep_for(span);
}

/// A platform; and a client of its node, for single calls, over connections of its own.
struct Opened {
    std::unique_ptr<Platform> platform;
    std::unique_ptr<proxmox::Client> client;
};

proxmox::Client& client_of(const Opened& opened) {
    if (!opened.client) throw Error(Code::usage, "only a node of Proxmox VE has calls");
    return *opened.client;
}

Kind kind_in(const bj::object& command) {
    return text(command, "kind") == "container" ? Kind::container : Kind::vm;
}

/// One call of a node, and what was read from its answer; nothing for other wishes.
std::optional<bj::value> call(proxmox::Client& client, const std::string& wish, const bj::object& command) {
    proxmox::Node node(client, text(command, "node", "pve1"));
    const Permit permit =
        PermitForTests::make({text(command, "guest"), ""}, Start{}); // of whatever it serves
    const proxmox::GuestRef guest{kind_in(command), static_cast<int>(number(command, "guest"))};
    if (wish == "config") return shown(node.config(guest), guest.kind);
    if (wish == "running-config") return shown(node.running_config(guest), guest.kind);
    if (wish == "power") return bj::value(to_string(node.power(guest)));
    if (wish == "next-id") return bj::value(node.next_id());
    if (wish == "take-snapshot")
        return bj::value(
            node.take_snapshot(permit, guest, text(command, "snapshot"), text(command, "description")).text);
    if (wish == "back-up")
        return bj::value(node.back_up(permit, guest,
                                      {text(command, "storage", "local"), text(command, "notes"),
                                       proxmox::flag(command, "is_protected")})
                             .text);
    if (wish == "renew-identity") {
        guest::renew_identity(proxmox::agent_line(client, permit, "pve1", guest), std::chrono::seconds(20));
        return bj::value(nullptr);
    }
    if (wish == "delete-backup") return bj::value(node.delete_backup(permit, text(command, "volume")).text);
    if (wish == "destroy") return bj::value(node.destroy(permit, guest).text);
    if (wish == "protect") {
        node.protect(permit, text(command, "volume"), proxmox::flag(command, "is_protected"));
        return bj::value(nullptr);
    }
    bj::array rows;
    if (wish == "snapshots")
        for (const auto& each : node.snapshots(guest))
            rows.push_back(bj::object{{"name", each.name},
                                      {"description", each.description},
                                      {"parent", each.parent},
                                      {"taken", each.taken.value_or(0)}});
    else if (wish == "backups")
        for (const auto& each : node.backups(text(command, "storage", "local")))
            rows.push_back(
                bj::object{{"id", each.id},
                           {"made", each.made},
                           {"size", each.size},
                           {"guest", each.guest},
                           {"notes", each.notes},
                           {"is_protected", each.is_protected},
                           {"verified", each.verified ? bj::value(*each.verified) : bj::value(nullptr)}});
    else
        return std::nullopt;
    return rows;
}

bj::object shown(const StoredBackup& backup) {
    return {{"id", backup.id},
            {"guest", backup.guest},
            {"kind", to_string(backup.kind)},
            {"made", backup.made},
            {"size", backup.size},
            {"place", backup.place},
            {"format", backup.format},
            {"notes", backup.notes},
            {"is_protected", backup.is_protected},
            {"is_encrypted", backup.is_encrypted},
            {"verified", backup.verified ? bj::value(*backup.verified) : bj::value(nullptr)}};
}

/// What a platform tells of its backups; nothing for other wishes.
std::optional<bj::value> ask_keeper(Platform& platform, const std::string& wish, const bj::object& command) {
    if (wish == "keeps-backups") return bj::value(platform.backup_keeper() != nullptr);
    if (!wish.starts_with("kept-")) return std::nullopt;
    BackupKeeper& keeper = *platform.backup_keeper();
    if (wish == "kept-backups") {
        const StoredBackups all = keeper.backups();
        bj::array seen;
        for (const StoredBackup& each : all.seen) seen.push_back(shown(each));
        return bj::object{{"seen", seen}, {"doubts", bj::array(all.doubts.begin(), all.doubts.end())}};
    }
    if (wish == "kept-places") {
        bj::array places;
        for (const BackupPlace& each : keeper.places())
            places.push_back(
                bj::object{{"name", each.name}, {"kind", each.kind}, {"is_online", each.is_online}});
        return places;
    }
    if (wish == "kept-made-by") {
        const Action action = action_of(command.at("action").as_object());
        const auto made = keeper.made_by({text(command, "guest"), text(command, "incarnation")},
                                         std::get<Backup>(action), text(command, "note"));
        return made ? bj::value(shown(*made)) : bj::value(nullptr);
    }
    if (wish == "kept-course") {
        const auto course = keeper.course(text(command, "handle"));
        if (!course) return nullptr;
        return bj::object{{"mode", course->mode},
                          {"fallback", course->fallback},
                          {"consistency", to_string(course->consistency)},
                          {"may_run_on", course->guest_may_run_on},
                          {"held_s", course->held_s},
                          {"percent", course->percent.value_or(-1)}};
    }
    if (wish == "kept-config") {
        for (const StoredBackup& each : keeper.backups().seen)
            if (each.id == text(command, "backup")) return shown(std::optional(keeper.config_in(each)));
        return nullptr;
    }
    return std::nullopt;
}

bj::value carry_out(const Opened& opened, const bj::object& command) {
    Platform& platform = *opened.platform;
    const std::string wish = text(command, "do");
    if (wish == "read") {
        const proxmox::ReadConfig told{command.at("told").as_object(), "", ""};
        return shown(told, kind_in(command));
    }
    if (wish == "same") {
        const Kind kind = kind_in(command);
        return proxmox::config_of(command.at("one").as_object(), kind) ==
               proxmox::config_of(command.at("other").as_object(), kind);
    }
    if (wish == "get") return client_of(opened).get(text(command, "path"), parameters_of(command));
    if (wish == "change") {
        static std::string method;
        method = text(command, "method");
        return client_of(opened).change(PermitForTests::make({}, Start{}), method.c_str(),
                                        text(command, "path"), parameters_of(command));
    }
    if (wish == "host") {
        const Host host = platform.host();
        bj::value next;
        if (host.next_certificate)
            next = {{"fingerprint", host.next_certificate->fingerprint},
                    {"expiry", host.next_certificate->expiry},
                    {"pinned", host.next_certificate->is_pinned ? bj::value(*host.next_certificate->is_pinned)
                                                                : bj::value(nullptr)}};
        return bj::object{{"platform", host.platform},
                          {"name", host.name},
                          {"version", host.version},
                          {"kernel", host.kernel},
                          {"clock", host.clock.value_or(-1)},
                          {"memory_mib", host.memory_mib.value_or(0)},
                          {"memory_free_mib", host.memory_free_mib.value_or(0)},
                          {"uptime_s", host.uptime_s.value_or(0)},
                          {"load", host.load.value_or(-1)},
                          {"cpus", host.cpus.value_or(0)},
                          {"certificate_expiry", host.certificate_expiry.value_or(0)},
                          {"next_certificate", next}};
    }
    if (wish == "preflight") {
        bj::array lacks;
        for (const Lack& lack : platform.preflight())
            lacks.push_back(
                bj::object{{"feature", lack.feature}, {"what", lack.what}, {"remedy", lack.remedy}});
        return lacks;
    }
    if (wish == "role_commands")
        return bj::value(proxmox::role_commands(static_cast<int>(number(command, "major"))));
    if (wish == "guests") {
        const Guests guests = platform.guests();
        bj::array seen;
        for (const Guest& guest : guests.seen) seen.push_back(shown(guest));
        return bj::object{{"seen", seen}, {"doubt", guests.doubt}};
    }
    if (wish == "guest") {
        const auto guest = platform.guest(text(command, "guest"));
        return guest ? bj::value(shown(*guest)) : bj::value(nullptr);
    }
    if (wish == "begin") {
        const Target target{text(command, "guest"), text(command, "incarnation")};
        const Action action = action_of(command.at("action").as_object());
        Handle handle;
        Permit permit = PermitForTests::make(target, action);
        platform.begin(permit, text(command, "note"), [&](const Handle& told) {
            if (proxmox::flag(command, "full")) throw Error(Code::io, "the disk is full");
            handle = told;
        });
        return bj::value(handle);
    }
    if (wish == "refusal") {
        const auto refused = platform.refusal(action_of(command.at("action").as_object()), kind_in(command));
        return refused ? bj::value(shown(*refused)) : bj::value(nullptr);
    }
    if (wish == "is-mounted") {
        const auto told = platform.is_mounted({text(command, "guest"), text(command, "incarnation")},
                                              text(command, "point"));
        return told ? bj::value(*told) : bj::value(nullptr);
    }
    if (wish == "misfit") {
        const auto refused = platform.misfit(text(command, "guest"), kind_in(command));
        return refused ? bj::value(shown(*refused)) : bj::value(nullptr);
    }
    if (wish == "note")
        return bj::value(platform.note({text(command, "guest"), text(command, "incarnation")},
                                       action_of(command.at("action").as_object())));
    if (wish == "recover")
        return shown(recover_end(
            platform, {text(command, "guest"), text(command, "incarnation")},
            action_of(command.at("action").as_object()), text(command, "note"),
            Deadline::in(std::chrono::milliseconds(number(command, "ms", 20'000))), [](const Handle&) {},
            pause));
    if (wish == "look") return shown(platform.look(text(command, "handle")));
    if (wish == "await")
        return shown(await_end(platform, text(command, "handle"),
                               Deadline::in(std::chrono::milliseconds(number(command, "ms", 20'000))),
                               pause));
    if (wish == "interrupt") {
        platform.interrupt(text(command, "handle"));
        return nullptr;
    }
    if (auto answer = ask_keeper(platform, wish, command)) return std::move(*answer);
    if (auto answer = call(client_of(opened), wish, command)) return std::move(*answer);
    throw Error(Code::usage, "no such command: " + wish);
}

bj::object answered(const Opened& opened, const bj::object& command) {
    try {
        return {{"answer", carry_out(opened, command)}};
    } catch (const proxmox::AnswerLost& lost) {
        bj::object error = shown(static_cast<const Error&>(lost));
        error["lost"] = true;
        return {{"error", error}};
    } catch (const proxmox::Refused& refused) {
        bj::object error = shown(static_cast<const Error&>(refused));
        error["refusal"] = shown(refused.refusal());
        return {{"error", error}};
    } catch (const Error& error) {
        return {{"error", shown(error)}};
    }
}

Opened open_with(const bj::object& settings) {
    if (text(settings, "platform", "proxmox") == "simulated")
        return {std::make_unique<Simulated>(std::filesystem::path(text(settings, "folder"))), {}};
    if (text(settings, "platform") == "libvirt")
        return {std::make_unique<Libvirt>(paths_from_environment(), Reality::real), {}};
    if (text(settings, "platform") == "mock")
        return {
            std::make_unique<Libvirt>(mock_paths(paths_from_environment(), std::filesystem::current_path()),
                                      Reality::simulated),
            {}};
    const auto check = [] { Interruption().check(); };
    const proxmox::Settings node = settings_of(settings);
    return {std::make_unique<proxmox::Proxmox>(node, check),
            std::make_unique<proxmox::Client>(node.access, check)};
}

} // namespace

int main() {
    install_signal_notes();
    std::string line;
    std::getline(std::cin, line);
    Opened opened;
    try {
        const bj::value settings = json::parse(line, "settings");
        opened = open_with(settings.as_object());
    } catch (const Error& error) {
        std::puts(json::python_line(bj::object{{"error", shown(error)}}).c_str());
        return 1;
    }
    while (std::getline(std::cin, line)) {
        std::puts(json::python_line(answered(opened, json::parse(line, "command").as_object())).c_str());
        std::fflush(stdout);
    }
}
