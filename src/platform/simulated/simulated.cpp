// SPDX-License-Identifier: MIT
#include "platform/simulated/simulated.hpp"

#include "base/fault.hpp"
#include "base/files/files.hpp"
#include "base/files/lock.hpp"
#include "base/text/digest.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "platform/action_json.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <fcntl.h>

namespace blockhost::platform {

namespace {

namespace bj = boost::json;
using namespace std::chrono_literals;

constexpr const char* world_file = "platform.json";
constexpr const char* faults_file = "faults.json";

std::string text(const bj::object& object, std::string_view key) {
    return json::string_or(object, key, "");
}

std::int64_t number(const bj::object& object, std::string_view key) {
    return json::integer_in(object, key).value_or(0);
}

/// The member, which is made when it is missing. References to other members do not outlive that: an
/// insertion moves them, and object[key] may even where the key is there.
bj::object& member(bj::object& object, std::string_view key) {
    bj::value* found = object.if_contains(key);
    if (found == nullptr) found = &object.insert_or_assign(key, bj::object{}).first->value();
    if (!found->is_object()) *found = bj::object{};
    return found->get_object();
}

bj::object read_object(const std::filesystem::path& path) {
    const auto text = files::read(path);
    if (!text) return {};
    bj::value read = json::parse(*text, path.string());
    return read.is_object() ? std::move(read.get_object()) : bj::object{};
}

std::int64_t now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now().time_since_epoch()).count();
}

/// The world, read and locked; written back when it is let go.
class Entered {
  public:
    explicit Entered(std::filesystem::path folder)
        : folder_(std::move(folder)), lock_(locked(folder_)), faults(read_object(folder_ / faults_file)),
          world(read_object(folder_ / world_file)) {
        if (json::is_true(faults, "down"))
            throw Error(Code::no_answer, "the simulated platform does not answer", "try again later");
    }
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;

    void write() {
        files::replace(folder_ / world_file, json::python_line(world) + "\n",
                       {.mode = 0600, .uid = {}, .gid = {}});
    }
    void write_faults() {
        files::replace(folder_ / faults_file, json::python_line(faults) + "\n",
                       {.mode = 0600, .uid = {}, .gid = {}});
    }

    bj::object& guests() { return member(world, "guests"); }
    bj::object& actions() { return member(world, "actions"); }

    /// One of the next `key` answers is lost.
    bool is_lost(std::string_view key) {
        const std::int64_t left = number(faults, key);
        if (left <= 0) return false;
        faults[key] = left - 1;
        write_faults();
        return true;
    }

  private:
    static FileLock locked(const std::filesystem::path& folder) {
        std::filesystem::create_directories(folder);
        Fd fd(::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        auto lock = FileLock::take(std::move(fd), FileLock::Mode::exclusive, Deadline::in(30s));
        if (!lock) throw Error(Code::no_answer, "the simulated platform's lock is held by another process");
        return std::move(*lock);
    }

    std::filesystem::path folder_;
    FileLock lock_;

  public:
    bj::object faults, world;
};

/// Carries an action out on the world. Throws what the action fails with.
struct Effect {
    Entered& world;
    const Target& target;
    const GuestId& id = target.guest;

    bj::object& guest() const {
        bj::value* found = world.guests().if_contains(id);
        if (found == nullptr) throw Error(Code::not_found, "there is no guest " + text::printable(id));
        bj::object& guest = found->as_object();
        if (const std::string lock = text(guest, "lock"); !lock.empty())
            throw Error(Code::wrong_state, "the guest is locked for \"" + lock + "\"",
                        "wait until that is done");
        return guest;
    }

    void operator()(const Start&) const {
        guest()["power"] = "running";
        guest().erase("crashed");
    }
    void operator()(const Stop& stop) const {
        bj::object& stopped = guest();
        if (json::is_true(stopped, "deaf") && !stop.force)
            throw Error(Code::guest, "the guest did not shut down within its time", "force it off");
        stopped["power"] = "stopped";
        stopped.erase("crashed");
    }
    void operator()(const Resume&) const {
        bj::object& resumed = guest();
        if (text(resumed, "power") != "paused") throw Error(Code::wrong_state, "the guest is not paused");
        resumed["power"] = "running";
    }
    void operator()(const SetConfig& change) const {
        bj::object& changed = guest();
        if (change.digest != digest_of(changed))
            throw Error(Code::busy, "the guest's configuration changed meanwhile", "read it again");
        bj::object& config = member(changed, "config");
        if (change.name) config["name"] = *change.name;
        if (change.description) config["description"] = *change.description;
        if (change.cpus) config["cpus"] = *change.cpus;
        if (change.memory_mib) config["memory_mib"] = *change.memory_mib;
        if (change.tags) config["tags"] = bj::array(change.tags->begin(), change.tags->end());
        if (change.start_on_boot) config["start_on_boot"] = *change.start_on_boot;
        if (change.is_protected) config["is_protected"] = *change.is_protected;
    }
    void operator()(const Grow& grow) const {
        bj::object& config = member(guest(), "config");
        if (number(config, "disk_mib") > grow.disk_mib)
            throw Error(Code::invalid, "the disk is larger than that already", "a disk only grows");
        config["disk_mib"] = grow.disk_mib;
    }
    void operator()(const Create& create) const {
        bj::object made{{"power", "stopped"}, {"incarnation", "made:" + random_hex(12)}};
        bj::object& config = member(made, "config");
        config["name"] = create.config.name;
        // What is not said is as in the source. No real platform has a guest without a size.
        config["cpus"] = create.config.cpus.value_or(1);
        config["memory_mib"] = create.config.memory_mib.value_or(512);
        config["disk_mib"] = create.config.disk_mib.value_or(2048);
        config["description"] = create.config.description;
        make(std::move(made));
    }
    void operator()(const TakeSnapshot& take) const {
        bj::object& taken = guest();
        bj::object config = member(taken, "config");
        bj::object& snapshots = member(taken, "snapshots");
        if (snapshots.contains(take.snapshot)) throw Error(Code::exists, "there is a snapshot of that name");
        snapshots[take.snapshot] =
            bj::object{{"config", std::move(config)}, {"description", take.description}};
    }
    void operator()(const RollBack& back) const {
        bj::object& rolled = guest();
        bj::value* found = member(rolled, "snapshots").if_contains(back.snapshot);
        if (found == nullptr) throw Error(Code::not_found, "there is no snapshot of that name");
        rolled["config"] = found->as_object()["config"];
    }
    void operator()(const DeleteSnapshot& snapshot) const {
        if (member(guest(), "snapshots").erase(snapshot.snapshot) == 0)
            throw Error(Code::not_found, "there is no snapshot of that name");
    }
    void operator()(const Backup& backup) const {
        bj::object saved{{"guest", id},
                         {"config", member(guest(), "config")},
                         {"notes", backup.notes},
                         {"is_protected", backup.is_protected}};
        member(world.world, "backups")[backup.repository + ":" + id + "/" + random_hex(8)] = saved;
    }
    void operator()(const Restore& restore) const {
        bj::value* found = member(world.world, "backups").if_contains(restore.backup);
        if (found == nullptr) throw Error(Code::not_found, "there is no backup of that name");
        bj::object& saved = found->as_object();
        if (json::is_true(saved, "broken"))
            throw Error(Code::io, "the backup is damaged", "restore another one");
        make({{"power", "stopped"},
              {"incarnation", "made:" + random_hex(12)},
              {"config", member(saved, "config")}});
    }
    void operator()(const DeleteBackup& backup) const {
        bj::object& backups = member(world.world, "backups");
        bj::value* found = backups.if_contains(backup.backup);
        if (found == nullptr) throw Error(Code::not_found, "there is no backup of that name");
        if (text(found->as_object(), "guest") != id)
            throw Error(Code::invalid, "it is no backup of guest " + id, "name the guest whose backup it is");
        if (json::is_true(found->as_object(), "is_protected"))
            throw Error(Code::wrong_state, "the backup is protected", "take the protection off first");
        backups.erase(backup.backup);
    }
    void operator()(const Destroy&) const {
        bj::object& gone = guest();
        if (json::is_true(member(gone, "config"), "is_protected"))
            throw Error(Code::wrong_state, "the guest is protected", "take the protection off first");
        if (text(gone, "power") != "stopped")
            throw Error(Code::wrong_state, "the guest runs", "stop it first");
        world.guests().erase(id);
    }
    void operator()(const SetFeatures& set) const {
        if (text(guest(), "kind") != "container")
            throw Error(Code::invalid, "a VM has no features: containers have", "name a container");
        member(guest(), "config")["features"] = bj::array(set.features.begin(), set.features.end());
    }
    void operator()(const Mount& mount) const {
        bj::object& mounts = member(world.world, "mounts");
        for (const auto& each : mounts)
            if ((each.key() == mount.point) != (text(mounts, each.key()) == target.incarnation))
                throw Error(Code::wrong_state, "that disk or that mount point is in use already",
                            "unmount it first");
        mounts[mount.point] = target.incarnation;
    }
    void operator()(const Unmount& unmount) const {
        bj::object& mounts = member(world.world, "mounts");
        if (mounts.contains(unmount.point) && text(mounts, unmount.point) != target.incarnation)
            throw Error(Code::wrong_state, "what is mounted there is another disk", "look at it");
        mounts.erase(unmount.point);
    }

    static std::string digest_of(bj::object& guest) {
        return sha256(json::python_line(member(guest, "config")));
    }

  private:
    void make(bj::object made) const {
        if (world.guests().contains(id)) throw Error(Code::exists, "there is a guest " + id + " already");
        world.guests()[id] = std::move(made);
    }
};

bool makes_a_guest(const Action& action) {
    return std::holds_alternative<Create>(action) || std::holds_alternative<Restore>(action);
}

/// `found`: the guest of the target's id, or null.
void require_meant(const bj::value* found, const Target& target, const Action& action) {
    if (is_on_storage(kind_of(action))) {
        if (filesystem_of(target).empty())
            throw Error(Code::invalid, text::printable(target.guest) + " is no storage", "name one");
        return;
    }
    if (makes_a_guest(action)) {
        if (found != nullptr)
            throw Error(Code::exists, "there is a guest " + target.guest + " already", "choose another id");
    } else if (found != nullptr) {
        if (target.incarnation.empty() || text(found->as_object(), "incarnation") != target.incarnation)
            throw Error(Code::wrong_state,
                        "guest " + target.guest + " is not the one that is meant: it was made anew since",
                        "look at it, and decide again");
    } else if (!std::holds_alternative<DeleteBackup>(action)) {
        throw Error(Code::not_found, "there is no guest " + text::printable(target.guest));
    } else if (!target.incarnation.empty()) {
        throw Error(Code::wrong_state, "guest " + text::printable(target.guest) + " is gone since",
                    "its backups may be all that is left: decide again");
    }
}

/// Empty where there is no such guest.
std::string incarnation_of(Entered& world, const GuestId& id) {
    const bj::value* found = world.guests().if_contains(id);
    return found == nullptr ? "" : text(found->as_object(), "incarnation");
}

/// How long a stop waits for a guest that does not react.
std::int64_t waits_ms(const bj::value* guest, const Action& action) {
    const auto* stop = std::get_if<Stop>(&action);
    if (stop == nullptr || stop->force || guest == nullptr || !json::is_true(guest->as_object(), "deaf"))
        return 0;
    return std::chrono::milliseconds(stop->patience).count();
}

/// Throws what the action fails with in the end.
void carry_out(Entered& world, const Target& target, const Action& action) {
    const std::string words = text(member(world.faults, "fail"), to_string(kind_of(action)));
    if (!words.empty()) throw Error(Code::hypervisor, words);
    std::visit(Effect{world, target}, action);
}

Power power_of(std::string_view word) {
    for (const Power power : {Power::running, Power::stopped, Power::paused, Power::suspended})
        if (word == to_string(power)) return power;
    return Power::unknown;
}

GuestConfig config_of(const bj::object& told) {
    GuestConfig config;
    config.name = text(told, "name");
    if (told.contains("cpus")) config.cpus = static_cast<int>(number(told, "cpus"));
    if (told.contains("memory_mib")) config.memory_mib = number(told, "memory_mib");
    if (told.contains("disk_mib")) config.disk_mib = number(told, "disk_mib");
    config.description = normal_description(text(told, "description"));
    for (const std::string& tag : json::strings_in(told, "tags")) config.tags.insert(normal_tag(tag));
    config.start_on_boot = json::is_true(told, "start_on_boot");
    config.is_protected = json::is_true(told, "is_protected");
    return config;
}

Guest guest_of(const GuestId& id, bj::object& told) {
    Guest guest;
    guest.id = id;
    guest.kind = text(told, "kind") == "container" ? Kind::container : Kind::vm;
    guest.power = power_of(text(told, "power"));
    guest.incarnation = text(told, "incarnation");
    guest.config = config_of(member(told, "config"));
    guest.name = guest.config->name;
    guest.digest = Effect::digest_of(told);
    guest.lock = text(told, "lock");
    return guest;
}

bool is_unreadable(Entered& world, const GuestId& id) {
    const auto ids = json::strings_in(world.faults, "unreadable");
    return std::ranges::find(ids, id) != ids.end();
}

const Error unreadable(Code::hypervisor, "the simulated platform cannot read this guest");

bj::object as_json(const Error& error) {
    return {{"code", row_of(error.code()).name}, {"message", error.message()}, {"hint", error.hint()}};
}

Error error_in(const bj::object& told) {
    for (const CodeRow& row : error_table())
        if (row.name == text(told, "code")) return Error(row.code, text(told, "message"), text(told, "hint"));
    return Error(Code::internal, text(told, "message"));
}

} // namespace

Host Simulated::host() {
    Entered world(folder_);
    Host host;
    host.platform = "simulated";
    host.name = "simulated";
    host.version = BLOCKHOST_VERSION;
    return host;
}

std::vector<Lack> Simulated::preflight() {
    return {};
}

Guests Simulated::guests() {
    Entered world(folder_);
    Guests guests;
    for (auto& [id, told] : world.guests()) {
        Guest guest = guest_of(id, told.as_object());
        if (is_unreadable(world, guest.id)) {
            guest = Guest{};
            guest.id = id;
            guest.unreadable = unreadable.message();
        }
        guests.seen.push_back(std::move(guest));
    }
    if (json::is_true(world.faults, "hidden")) guests.doubt = "the simulated platform hides guests";
    return guests;
}

std::optional<Guest> Simulated::guest(const GuestId& id) {
    Entered world(folder_);
    if (is_unreadable(world, id)) throw Error(unreadable);
    bj::value* found = world.guests().if_contains(id);
    if (found == nullptr) return std::nullopt;
    return guest_of(id, found->as_object());
}

Outage Simulated::outage(const Guest& guest, bool) {
    Entered world(folder_);
    if (is_unreadable(world, guest.id)) throw Error(unreadable);
    const bj::value* found = world.guests().if_contains(guest.id);
    if (found == nullptr) return {Outage::Cause::unknown, "it is gone"};
    if (json::is_true(found->as_object(), "crashed")) return {Outage::Cause::crash, "it crashed"};
    return {Outage::Cause::on_purpose, "it was switched off"};
}

std::optional<bool> Simulated::is_mounted(const Target& storage, const std::string& point) {
    Entered world(folder_);
    return text(member(world.world, "mounts"), point) == storage.incarnation;
}

Note Simulated::note(const Target&, const Action&) {
    return "simulated-" + random_hex(16);
}

void Simulated::begin_permitted(const Permit& permit, const Note& note,
                                const std::function<void(const Handle&)>& accepted) {
    const Target& target = permit.target();
    const Action& action = permit.action();
    const Error lost(Code::no_answer, "whether the simulated platform does it is not known",
                     "look at the guest");
    {
        Entered world(folder_);
        if (world.is_lost("lose_before")) throw Error(lost);
        const bj::value* found = world.guests().if_contains(target.guest);
        require_meant(found, target, action);
        fault::point("simulated.begin");
        bj::object done{{"kind", to_string(kind_of(action))},
                        {"guest", target.guest},
                        {"incarnation", incarnation_of(world, target.guest)},
                        {"action", to_json(action)},
                        {"ends", now_ms() + number(world.faults, "takes_ms") + waits_ms(found, action)}};
        try {
            carry_out(world, target, action);
        } catch (const Error& error) {
            done["error"] = as_json(error);
        }
        if (makes_a_guest(action)) done["incarnation"] = incarnation_of(world, target.guest);
        world.actions()[note] = std::move(done);
        world.write();
        fault::point("simulated.begin.after");
        if (world.is_lost("lose_after")) throw Error(lost);
    }
    accepted(note);
}

Trace Simulated::trace(const Target&, const Action&, const Note& note) {
    Entered world(folder_);
    const bj::value* found = world.actions().if_contains(note);
    if (found == nullptr) return {};
    return {Trace::Kind::begun, note, text(found->as_object(), "guest")};
}

ActionState Simulated::look(const Handle& handle) {
    Entered world(folder_);
    ActionState state;
    bj::value* found = world.actions().if_contains(handle);
    if (found == nullptr) {
        state.phase = ActionState::Phase::unknown;
        state.detail = "the simulated platform does not know the action any more";
        return state;
    }
    const bj::object& told = found->as_object();
    state.guest = text(told, "guest");
    if (now_ms() < number(told, "ends")) return state;
    const bj::value* error = told.if_contains("error");
    state.phase = error != nullptr ? ActionState::Phase::failed : ActionState::Phase::done;
    if (error != nullptr) state.error = error_in(error->as_object());
    return state;
}

void Simulated::interrupt(const Handle& handle) {
    Entered world(folder_);
    bj::value* found = world.actions().if_contains(handle);
    if (found == nullptr) return;
    bj::object& told = found->as_object();
    if (now_ms() >= number(told, "ends") || !told.contains("error")) return; // what it does, it did at once
    told["ends"] = now_ms();
    told["error"] = as_json(Error(Code::interrupted, "the action was stopped"));
    world.write();
}

} // namespace blockhost::platform
