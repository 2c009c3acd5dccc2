// SPDX-License-Identifier: MIT
#include "platform/proxmox/proxmox.hpp"

#include "base/patience.hpp"
#include "base/text/text.hpp"
#include "platform/proxmox/local.hpp"
#include "platform/proxmox/property_string.hpp"
#include "platform/proxmox/task.hpp"

#include <algorithm>
#include <charconv>

namespace blockhost::platform::proxmox {

namespace {

namespace bj = boost::json;

constexpr const char* all_guests = "/vms"; ///< the path of access rules
constexpr const char* done = "done";       ///< in a handle: the node carried it out at once

struct ReadHandle {
    std::optional<Upid> upid; ///< nothing: it was done at once
    GuestId guest;
};

std::optional<ReadHandle> read_handle(const Handle& handle) {
    const std::size_t blank = handle.find(' ');
    if (blank == handle.npos) { // a task's own name, as people have it
        auto upid = parse_upid(handle);
        if (!upid) return std::nullopt;
        return ReadHandle{upid, upid->subject};
    }
    ReadHandle read{{}, handle.substr(blank + 1)};
    const std::string head = handle.substr(0, blank);
    if (head == done) return read;
    read.upid = parse_upid(head);
    return read.upid ? std::optional(std::move(read)) : std::nullopt;
}

/// The disk that GuestConfig::disk_mib is about.
std::string first_disk(const bj::object& told) {
    for (const std::string_view key : {"rootfs", "scsi0", "virtio0", "sata0", "ide0"}) {
        const auto properties =
            parse_properties(scalar(told, key).value_or(""), key == "rootfs" ? "volume" : "file");
        if (properties && properties->contains("size") && !properties->contains("media"))
            return std::string(key);
    }
    throw Error(Code::wrong_state, "the guest has no disk");
}

/// Keys to set and to take away: an empty text is taken away.
std::pair<Parameters, std::vector<std::string>> parameters_of(const SetConfig& change, Kind kind) {
    Parameters set;
    std::vector<std::string> remove;
    const auto text = [&](const char* key, const std::optional<std::string>& value) {
        if (value && value->empty()) remove.emplace_back(key);
        if (value && !value->empty()) set.emplace_back(key, *value);
    };
    text(kind == Kind::vm ? "name" : "hostname", change.name);
    text("description", change.description);
    if (change.cpus) {
        set.emplace_back("cores", std::to_string(*change.cpus));
        if (kind == Kind::vm) remove.emplace_back("sockets");
    }
    if (change.memory_mib) set.emplace_back("memory", std::to_string(*change.memory_mib));
    if (change.tags) text("tags", text::join({change.tags->begin(), change.tags->end()}, ";"));
    if (change.start_on_boot) set.emplace_back("onboot", *change.start_on_boot ? "1" : "0");
    if (change.is_protected) set.emplace_back("protection", *change.is_protected ? "1" : "0");
    return {std::move(set), std::move(remove)};
}

/// Begins one action on a guest that was looked at; what it returns is the task, or nothing when it is done.
struct Begin {
    Node& node;
    const Permit& permit;
    const Settings& settings;
    const GuestRef& guest;
    const ReadConfig& config;

    // A node refuses to start what runs, late for a VM, at once for a container; likewise a stop.
    std::optional<Upid> operator()(const Start&) const {
        if (node.power(guest) == Power::running) return std::nullopt;
        return node.start(permit, guest);
    }
    std::optional<Upid> operator()(const Stop& stop) const {
        if (node.power(guest) == Power::stopped) return std::nullopt;
        if (stop.patience.count() == 0 && stop.force) return node.stop(permit, guest);
        return node.shut_down(permit, guest, stop.patience, stop.force);
    }
    std::optional<Upid> operator()(const Resume&) const { return node.resume(permit, guest); }
    std::optional<Upid> operator()(const SetConfig& change) const {
        auto [set, remove] = parameters_of(change, guest.kind);
        return node.set_config(permit, guest, change.digest, std::move(set), remove);
    }
    std::optional<Upid> operator()(const Grow& grow) const {
        const auto now = config_of(config.told, guest.kind).disk_mib;
        if (now && *now == grow.disk_mib) return std::nullopt;
        if (now && *now > grow.disk_mib)
            throw Error(Code::invalid,
                        "the disk is larger than that already: " +
                            text::human_bytes(static_cast<std::uint64_t>(*now) << 20),
                        "a disk only grows");
        return node.resize(permit, guest, config.digest, first_disk(config.told), grow.disk_mib);
    }
    std::optional<Upid> operator()(const TakeSnapshot& take) const {
        return node.take_snapshot(permit, guest, take.snapshot, take.description);
    }
    std::optional<Upid> operator()(const RollBack& back) const {
        return node.roll_back(permit, guest, back.snapshot);
    }
    std::optional<Upid> operator()(const DeleteSnapshot& snapshot) const {
        return node.delete_snapshot(permit, guest, snapshot.snapshot);
    }
    std::optional<Upid> operator()(const Backup& backup) const {
        return node.back_up(permit, guest, {backup.repository, backup.notes, backup.is_protected});
    }
    std::optional<Upid> operator()(const Destroy&) const { return node.destroy(permit, guest); }
    std::optional<Upid> operator()(const Create&) const { return needs_no_guest(); }
    std::optional<Upid> operator()(const Restore&) const { return needs_no_guest(); }
    std::optional<Upid> operator()(const DeleteBackup&) const { return needs_no_guest(); }
    std::optional<Upid> operator()(const Mount&) const { return needs_no_guest(); }
    std::optional<Upid> operator()(const Unmount&) const { return needs_no_guest(); }
    std::optional<Upid> operator()(const SetFeatures& set) const {
        if (const auto refused = local::refusal(set, guest.kind)) throw Error(*refused);
        local::carry_out(settings.local, permit);
        return std::nullopt;
    }

    [[noreturn]] static std::optional<Upid> needs_no_guest() {
        throw Error(Code::internal, "an action that is no change of a guest that is there");
    }
};

/// A detail that a new guest may be given: what connects it, "net0" and its addresses, "ipconfig0". Its disks
/// and the rest are those of its source.
bool is_wiring(std::string_view key) {
    const std::string_view kind = key.substr(0, key.find_first_of("0123456789"));
    return kind == "net" || kind == "ipconfig" || kind == "nameserver" || kind == "searchdomain";
}

/// Why no guest is made of that backup with that configuration; nothing: nothing speaks against it.
std::optional<Error> refusal_of(const std::string& backup, const GuestConfig& config) {
    try {
        static_cast<void>(kind_of_backup(backup));
    } catch (const Error& error) {
        return error;
    }
    if (config.disk_mib)
        return Error(Code::invalid, "a new guest's disk has its source's size", "grow it afterwards");
    for (const auto& [key, value] : config.details)
        if (!is_wiring(key))
            return Error(Code::invalid, "a new guest cannot be given " + text::printable(key),
                         "what else it has comes from its source");
    return std::nullopt;
}

bool loses_data(const Action& action) {
    const ActionKind kind = kind_of(action);
    return kind == ActionKind::destroy || kind == ActionKind::rollback ||
           kind == ActionKind::delete_snapshot || kind == ActionKind::delete_backup;
}

/// The refusal of a change of a guest that somebody else works on, with what tells who that is.
Error held(Node& node, const GuestRef& guest, const Refused& refused) {
    std::vector<RunningTask> tasks;
    try {
        tasks = node.running_tasks(guest);
    } catch (const Error&) {
        return refused; // that it is refused is known all the same
    }
    if (!tasks.empty())
        return Error(refused.code(),
                     refused.message() + "; " + text::printable(tasks.front().type) + " of " +
                         text::printable(tasks.front().user) + " runs",
                     "wait until that ends");
    if (refused.refusal().kind != RefusalKind::locked) return refused;
    return Error(refused.code(), refused.message() + "; no task runs that holds it",
                 "what left it died: remove it as root on the node: " +
                     std::string(guest.kind == Kind::vm ? "qm" : "pct") + " unlock " +
                     std::to_string(guest.id));
}

/// Whether a lock flag stands in an action's way. A suspended guest is started and resumed with its flag.
bool is_held(const ReadConfig& config) {
    return !config.lock.empty() && config.lock != "suspended";
}

/// The cluster has no guest of that id, as far as the token may see.
class NoGuest : public Error {
  public:
    NoGuest(const GuestId& id, const std::string& node)
        : Error(Code::not_found, "there is no guest " + id + " on " + node) {}
};

std::optional<double> decimal(const std::string& text) {
    double value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
    return value;
}

} // namespace

Handle handle_of(const std::optional<Upid>& upid, int guest) {
    return (upid ? upid->text : done) + " " + std::to_string(guest);
}

Proxmox::Proxmox(Settings settings, std::function<void()> check)
    : settings_(std::move(settings)), check_(std::move(check)), client_(settings_.access, check_),
      node_(client_, settings_.node), keeper_(client_, node_, settings_.backup_storage) {}

Host Proxmox::host() {
    Host host;
    host.platform = "proxmox";
    host.name = settings_.node;
    host.version = scalar(node_.version(), "version").value_or("");
    host.next_certificate = next_certificate();
    if (client_.certificate()) host.certificate_expiry = client_.certificate()->not_after;
    const bj::object told = node_.status();
    host.kernel = scalar(told, "kversion").value_or("");
    host.uptime_s = number(told, "uptime");
    if (const bj::value* memory = told.if_contains("memory"); memory != nullptr && memory->is_object()) {
        constexpr std::int64_t mib = 1 << 20;
        if (const auto total = number(memory->get_object(), "total")) host.memory_mib = *total / mib;
        if (const auto left = number(memory->get_object(), "free")) host.memory_free_mib = *left / mib;
    }
    if (const bj::value* load = told.if_contains("loadavg");
        load != nullptr && load->is_array() && !load->get_array().empty())
        host.load = decimal(scalar(load->get_array().front()).value_or(""));
    host.clock = node_.clock();
    if (const bj::value* cpu = told.if_contains("cpuinfo"); cpu != nullptr && cpu->is_object())
        if (const auto cpus = number(cpu->get_object(), "cpus")) host.cpus = static_cast<int>(*cpus);
    return host;
}

std::optional<NextCertificate> Proxmox::next_certificate() {
    const http::Certificate next = node_.front_certificate();
    if (client_.certificate() && client_.certificate()->leaf == next.leaf) return std::nullopt;
    NextCertificate told{http::to_string(http::Pin{http::Pin::Of::leaf, next.leaf}), next.not_after, {}};
    const auto& pins = client_.access().trust.pins;
    if (!pins.empty()) told.is_pinned = http::fits(pins, next);
    return told;
}

std::vector<Lack> Proxmox::preflight() {
    auto lacks = lacks_of(scalar(node_.version(), "version").value_or(""),
                          {settings_.node, settings_.backup_storage, settings_.disk_storage},
                          [this](const std::string& path) { return node_.privileges(path); });
    if (const auto hole = unseen_guests(); hole && *hole != all_guests)
        lacks.push_back({"see guests", "VM.Audit on " + *hole, "remove the access rule of " + *hole});
    return lacks;
}

std::optional<std::string> Proxmox::unseen_guests() {
    return hole_in(node_.permissions(), all_guests, "VM.Audit");
}

Guests Proxmox::guests() {
    Guests guests;
    guests.seen = node_.guests();
    if (const auto hole = unseen_guests())
        guests.doubt = "the API token may not see all guests: it has no VM.Audit on " + *hole;
    return guests;
}

std::optional<Error> Proxmox::misfit(const GuestId& id, Kind) const {
    try {
        static_cast<void>(guest_number(id));
    } catch (const Error& error) {
        return error;
    }
    return std::nullopt;
}

std::optional<Error> Proxmox::refusal(const Action& action, Kind kind) const {
    if (const auto* create = std::get_if<Create>(&action)) return refusal_of(create->source, create->config);
    if (const auto* restore = std::get_if<Restore>(&action)) return refusal_of(restore->backup, {});
    return local::refusal(action, kind);
}

std::optional<bool> Proxmox::agent_answers(const Guest& guest) {
    if (guest.kind != Kind::vm) return std::nullopt;
    return node_.agent_answers({guest.kind, guest_number(guest.id)});
}

std::optional<bool> Proxmox::is_mounted(const Target& storage, const std::string& point) {
    return local::is_mounted(settings_.local, storage, point);
}

Proxmox::Found Proxmox::find(const GuestId& id) {
    const int number = guest_number(id);
    for (const Kind kind : {Kind::vm, Kind::container}) {
        try {
            const GuestRef ref{kind, number};
            return {ref, node_.config(ref)};
        } catch (const Refused& refused) {
            if (refused.refusal().kind != RefusalKind::no_guest) throw;
        }
    }
    require_nowhere(number);
    throw NoGuest(id, settings_.node);
}

void Proxmox::require_nowhere(int guest) {
    const std::string elsewhere = node_.node_of(guest);
    if (elsewhere.empty() || elsewhere == settings_.node) return;
    throw Error(Code::wrong_state,
                "guest " + std::to_string(guest) + " is on the node " + text::printable(elsewhere) +
                    ", not on " + settings_.node,
                "it moved: manage it there, or move it back");
}

std::optional<Guest> Proxmox::guest(const GuestId& id) {
    try {
        const auto [ref, coming] = find(id);
        const ReadConfig now = node_.running_config(ref);
        Guest guest;
        guest.id = id;
        guest.kind = ref.kind;
        guest.power = node_.power(ref);
        guest.config = config_of(coming.told, ref.kind);
        guest.name = guest.config->name;
        guest.incarnation = incarnation_of(coming.told, ref.kind);
        guest.digest = coming.digest;
        guest.lock = coming.lock;
        if (const auto running = config_of(now.told, ref.kind); running != *guest.config)
            guest.running = running;
        return guest;
    } catch (const NoGuest&) {
    } catch (const Refused& refused) { // it went away between two of these requests
        if (refused.refusal().kind != RefusalKind::no_guest) throw;
        require_nowhere(guest_number(id));
    }
    return std::nullopt;
}

Proxmox::Found Proxmox::find_same(const Target& target, const Action& action) {
    Found found = find(target.guest);
    const Incarnation now = incarnation_of(found.config.told, found.ref.kind);
    if (now != target.incarnation)
        throw Error(Code::wrong_state,
                    "guest " + target.guest + " is not the one that is meant: it was made anew since",
                    "look at it, and decide again");
    if (now.empty() && loses_data(action))
        throw Error(Code::wrong_state,
                    "guest " + target.guest +
                        " cannot be told from a later one of its id: it has no network device",
                    "give it one, or do that on the node");
    return found;
}

void Proxmox::begin_permitted(const Permit& permit, const Note& note,
                              const std::function<void(const Handle&)>& accepted) {
    Handle handle;
    try {
        handle = begun(permit, note);
    } catch (const AnswerLost&) {
        throw;
    } catch (const Error& error) {
        if (error.code() != Code::no_answer) throw;
        throw Error(Code::hypervisor_down, error.message(), "nothing was begun: try again later");
    }
    accepted(handle);
}

Handle Proxmox::begun(const Permit& permit, const Note& note) {
    const Target& target = permit.target();
    const Action& action = permit.action();
    if (is_on_storage(permit.kind())) {
        local::carry_out(settings_.local, permit);
        return done + (" " + target.guest);
    }
    const auto id = [&] { return target.guest.empty() ? new_guest_in(note) : target.guest; };
    if (const auto* restore = std::get_if<Restore>(&action)) return make(permit, id(), restore->backup, {});
    if (const auto* create = std::get_if<Create>(&action)) {
        if (const auto original = template_in(create->source))
            return copy(permit, id(), *original, create->config);
        return make(permit, id(), create->source, create->config);
    }
    if (const auto* backup = std::get_if<DeleteBackup>(&action)) return forget(permit, *backup);
    constexpr std::chrono::milliseconds between(1000);
    Handle handle;
    for (const Deadline deadline = Deadline::in(settings_.lock_patience); handle.empty();) {
        const auto [guest, config] = find_same(target, action); // each time: it may be made anew meanwhile
        try {
            if (!is_held(config) || deadline.passed())
                handle =
                    handle_of(std::visit(Begin{node_, permit, settings_, guest, config}, action), guest.id);
        } catch (const Refused& refused) {
            const RefusalKind kind = refused.refusal().kind;
            if (kind != RefusalKind::busy && kind != RefusalKind::locked) throw;
            if (deadline.passed()) throw held(node_, guest, refused);
        }
        if (handle.empty())
            pause_for(std::min(between, std::max(deadline.left(), std::chrono::milliseconds(1))), check_);
    }
    return handle;
}

Handle Proxmox::forget(const Permit& permit, const DeleteBackup& backup) {
    const Target& target = permit.target();
    try {
        find_same(target, backup);
    } catch (const NoGuest&) {
        if (!target.incarnation.empty())
            throw Error(Code::wrong_state, "guest " + target.guest + " is gone since",
                        "its backups may be all that is left: decide again");
    }
    const int guest = guest_number(target.guest);
    if (guest_of_backup(backup.backup) != guest)
        throw Error(Code::invalid, text::printable(backup.backup) + " is no backup of guest " + target.guest,
                    "name the guest whose backup it is");
    return handle_of(node_.delete_backup(permit, backup.backup), guest);
}

Handle Proxmox::copy(const Permit& permit, const GuestId& id, int original, const GuestConfig& config) {
    GuestConfig rest = config;
    rest.name.clear(), rest.description.clear();
    if (rest != GuestConfig())
        throw Error(Code::invalid,
                    "a copy of a template can be given a name and a description, and nothing else",
                    "change it afterwards, or make it of a golden backup");
    const std::string shown = "VM " + std::to_string(original);
    const bj::object told = node_.config({Kind::vm, original}).told;
    if (!flag(told, "template"))
        throw Error(Code::invalid, shown + " is no template", "name one, or a golden backup");
    if (config_of(told, Kind::vm).start_on_boot)
        throw Error(Code::wrong_state, shown + " has onboot, which its copies would have, too",
                    "take it off: qm set " + std::to_string(original) + " --delete onboot");
    Parameters given;
    if (!config.name.empty()) given.emplace_back("name", config.name);
    if (!config.description.empty()) given.emplace_back("description", config.description);
    const int made = guest_number(id);
    return handle_of(node_.copy(permit, original, made, settings_.disk_storage, given), made);
}

Handle Proxmox::make(const Permit& permit, const GuestId& id, const std::string& backup,
                     const GuestConfig& config) {
    if (const auto refused = refusal_of(backup, config)) throw Error(*refused);
    const Kind kind = kind_of_backup(backup);
    Parameters instead;
    if (!config.name.empty()) instead.emplace_back(kind == Kind::vm ? "name" : "hostname", config.name);
    if (config.cpus) instead.emplace_back("cores", std::to_string(*config.cpus));
    if (config.memory_mib) instead.emplace_back("memory", std::to_string(*config.memory_mib));
    if (!config.description.empty()) instead.emplace_back("description", config.description);
    if (!config.tags.empty())
        instead.emplace_back("tags", text::join({config.tags.begin(), config.tags.end()}, ";"));
    // What is not said is not the archive's: a copy does not start by itself, with the original's addresses.
    instead.emplace_back("onboot", config.start_on_boot ? "1" : "0");
    if (config.is_protected) instead.emplace_back("protection", "1");
    for (const auto& [key, value] : config.details) instead.emplace_back(key, value);
    // Who gives one device gives all of them, so that no other one comes with the address of the original.
    if (std::ranges::any_of(config.details, [](const auto& each) { return is_network_device(each.first); }))
        for (const auto& [key, value] : config_of(node_.archived_config(backup), kind).details)
            if (is_network_device(key) && !config.details.contains(key))
                instead.emplace_back(key, without_address(value));
    const GuestRef made{kind, guest_number(id)};
    return handle_of(node_.restore(permit, made, backup, settings_.disk_storage, instead), made.id);
}

ActionState Proxmox::look(const Handle& handle) {
    const auto read = read_handle(handle);
    if (!read)
        throw Error(Code::invalid, text::printable(handle) + " is no task of a node",
                    "a task is named as the node's list of tasks names it: UPID:…");
    ActionState state;
    if (read->upid)
        state = action_state_of(proxmox::look(client_, *read->upid));
    else
        state.phase = ActionState::Phase::done;
    state.guest = read->guest;
    return state;
}

void Proxmox::interrupt(const Handle& handle) {
    if (const auto read = read_handle(handle); read && read->upid) proxmox::interrupt(client_, *read->upid);
}

} // namespace blockhost::platform::proxmox
