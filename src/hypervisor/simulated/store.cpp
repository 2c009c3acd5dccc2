// SPDX-License-Identifier: MIT
/// See store.hpp. Files are replaced by renaming and not synced: the world outlives its processes, not the
/// host.

#include "hypervisor/simulated/store.hpp"

#include "base/error.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "base/time.hpp"
#include "hypervisor/files/start_veto.hpp"
#include "hypervisor/simulated/image.hpp"
#include "hypervisor/xml/disk.hpp"
#include "hypervisor/xml/domain.hpp"
#include "hypervisor/xml/print.hpp"
#include "model/power.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <pugixml.hpp>
#include <unistd.h>

namespace blockhost::simulated {
namespace {

namespace fs = std::filesystem;
namespace bj = boost::json;
using namespace std::chrono_literals;

constexpr std::uint64_t template_bytes = 2ull << 30;

void write_file(const fs::path& path, const std::string& content) {
    auto fresh = path;
    fresh += ".new"; // one writer at a time: the world is entered
    {
        Fd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
        if (!file) throw errno_error("cannot write", fresh.string(), errno);
        files::write_all(file.get(), content, fresh.string());
    }
    fs::rename(fresh, path);
}

void append_line(const fs::path& path, const std::string& line) {
    Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    if (!file) throw errno_error("cannot write", path.string(), errno);
    files::write_all(file.get(), line + "\n", path.string());
}

/// Names of files in `folder` that end in `suffix`, without it, sorted.
std::vector<std::string> names_in(const fs::path& folder, std::string_view suffix) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) {
        auto name = entry.path().filename().string();
        if (name.ends_with(suffix)) names.push_back(name.substr(0, name.size() - suffix.size()));
    }
    std::sort(names.begin(), names.end());
    return names;
}

pugi::xml_node parse(pugi::xml_document& document, const std::string& xml, const char* root) {
    auto result = document.load_string(xml.c_str());
    if (result && document.child(root)) return document.child(root);
    throw Error(Code::hypervisor, std::string("libvirt cannot read the ") + root + " definition: " +
                                      (result ? "its root element is another" : result.description()));
}

template<class Number>
Number number_or(const bj::object& object, std::string_view key, Number fallback) {
    auto value = object.if_contains(key);
    return value && value->is_number() ? value->to_number<Number>() : fallback;
}

bool bool_or(const bj::object& object, std::string_view key, bool fallback) {
    auto value = object.if_contains(key);
    return value && value->is_bool() ? value->get_bool() : fallback;
}

bj::object read_object(const fs::path& path) {
    auto text = files::read(path);
    if (!text) return bj::object{};
    auto value = json::parse(*text, path.string());
    if (!value.is_object()) throw Error(Code::config, path.string() + " is not a JSON object");
    return std::move(value.get_object());
}

constexpr PowerState every_state[] = {PowerState::running, PowerState::stopping, PowerState::paused,
                                      PowerState::off,     PowerState::crashed,  PowerState::unknown};

PowerState power_state(const std::string& word) {
    for (auto state : every_state)
        if (to_string(state) == word) return state;
    return PowerState::unknown;
}

} // namespace

Millis millis_now() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

Store::Store(fs::path world) : world_(fs::absolute(world).lexically_normal()) {
    for (const char* folder : {"domains", "guests", "pools", "filters", "pending", "templates"})
        fs::create_directories(world_ / folder);
    auto base = world_ / "templates" / "blockhost-base.qcow2";
    auto entered = enter();
    if (!fs::exists(base)) make_qcow2(base, template_bytes, "");
}

FileLock Store::enter() const {
    auto path = world_ / "lock";
    Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0660));
    if (!file) throw errno_error("cannot open", path.string(), errno);
    auto lock = FileLock::take(std::move(file), FileLock::Mode::exclusive, Deadline::in(10s));
    if (!lock) throw Error(Code::no_answer, "the simulated world in " + world_.string() + " does not answer");
    if (behaviour().down)
        throw Error(Code::hypervisor_down,
                    "libvirt cannot be reached at the simulated world in " + world_.string(),
                    "take \"down\" out of its behaviour.json");
    catch_up();
    return std::move(*lock);
}

namespace {

/// `b` with what the object says otherwise.
Behaviour overlaid(Behaviour b, const bj::object& object) {
    b.agent = json::string_or(object, "agent", b.agent);
    b.agent_at = json::string_or(object, "agent_at", b.agent_at);
    b.agent_ms = number_or(object, "agent_ms", b.agent_ms);
    b.passwd_locked = number_or(object, "passwd_locked", b.passwd_locked);
    b.stats = json::string_or(object, "stats", b.stats);
    b.cpu_load = number_or(object, "cpu_load", b.cpu_load);
    b.disk_rate = number_or(object, "disk_rate", b.disk_rate);
    b.network_rate = number_or(object, "network_rate", b.network_rate);
    b.memory_used = number_or(object, "memory_used", b.memory_used);
    b.connections = number_or(object, "connections", b.connections);
    b.cloud_init = json::string_or(object, "cloud_init", b.cloud_init);
    b.login = json::string_or(object, "login", b.login);
    b.login_ms = number_or(object, "login_ms", b.login_ms);
    b.shutdown = json::string_or(object, "shutdown", b.shutdown);
    b.disk = json::string_or(object, "disk", b.disk);
    b.redefine = json::string_or(object, "redefine", b.redefine);
    b.store = json::string_or(object, "store", b.store);
    b.tune_refuses = json::string_or(object, "tune_refuses", "");
    b.tune_forgets = json::string_or(object, "tune_forgets", "");
    b.down = bool_or(object, "down", b.down);
    b.boot_ms = number_or(object, "boot_ms", b.boot_ms);
    b.shutdown_ms = number_or(object, "shutdown_ms", b.shutdown_ms);
    b.commit_ms = number_or(object, "commit_ms", b.commit_ms);
    b.store_ms = number_or(object, "store_ms", b.store_ms);
    b.host_memory_mib = number_or(object, "host_memory_mib", b.host_memory_mib);
    b.host_cpus = number_or(object, "host_cpus", b.host_cpus);
    b.pool_available = number_or(object, "pool_available", b.pool_available);
    return b;
}

} // namespace

Behaviour Store::behaviour() const {
    return overlaid({}, read_object(world_ / "behaviour.json"));
}

Behaviour Store::behaviour_of(const std::string& name) const {
    const auto value = read_object(world_ / "behaviour.json");
    const auto behaviour = overlaid({}, value);
    const auto* own = json::member(json::object_in(value, "of"), name);
    return own && own->is_object() ? overlaid(behaviour, own->get_object()) : behaviour;
}

fs::path Store::file(const char* folder, const std::string& name, const char* suffix) const {
    if (name.empty() || name[0] == '.' || name.find('/') != name.npos || name.size() > 200)
        throw Error(Code::invalid, "the simulated world has no room for the name " + text::printable(name));
    return world_ / folder / (name + suffix);
}

std::vector<std::string> Store::domains() const {
    return names_in(world_ / "domains", ".json");
}

std::optional<DomainFile> Store::domain(const std::string& name) const {
    auto path = file("domains", name, ".json");
    if (!fs::exists(path)) return std::nullopt;
    const auto object = read_object(path);
    DomainFile domain;
    domain.uuid = json::string_or(object, "uuid", "");
    domain.state = power_state(json::string_or(object, "state", "unknown"));
    domain.reason = json::string_or(object, "reason", "");
    domain.persistent = bool_or(object, "persistent", true);
    domain.started = number_or(object, "started", Millis{0});
    domain.ends = number_or(object, "ends", Millis{0});
    // However it went off, these ended with QEMU.
    domain.frozen = is_alive(domain.state) && bool_or(object, "frozen", false);
    domain.backup_socket = json::string_or(object, "backup_socket", "");
    if (is_alive(domain.state) && object.contains("backup_scratch"))
        domain.backup_scratch = json::string_or(object, "backup_scratch", "");
    domain.checkpoints = json::strings_in(object, "checkpoints");
    domain.bitmaps = bitmaps_in(json::object_in(object, "bitmaps"));
    domain.committing = json::string_or(object, "committing", "");
    domain.committed = number_or(object, "committed", Millis{0});
    domain.running = tuning_in(object, "running", unlimited());
    domain.definition = tuning_in(object, "definition", unsaid());
    return domain;
}

void Store::put(const std::string& name, const DomainFile& domain) const {
    bj::object object{{"uuid", domain.uuid},       {"state", to_string(domain.state)},
                      {"reason", domain.reason},   {"persistent", domain.persistent},
                      {"started", domain.started}, {"ends", domain.ends}};
    if (is_alive(domain.state)) object["running"] = to_json(domain.running);
    if (domain.frozen) object["frozen"] = true;
    if (domain.backup_scratch) {
        object["backup_scratch"] = *domain.backup_scratch;
        object["backup_socket"] = domain.backup_socket;
    }
    if (!domain.checkpoints.empty())
        object["checkpoints"] = bj::array(domain.checkpoints.begin(), domain.checkpoints.end());
    if (!domain.bitmaps.empty()) object["bitmaps"] = to_json(domain.bitmaps);
    if (is_alive(domain.state) && !domain.committing.empty()) {
        object["committing"] = domain.committing;
        object["committed"] = domain.committed;
    }
    if (domain.definition != unsaid()) object["definition"] = to_json(domain.definition);
    // Who looks next need not read every domain for those that end by themselves.
    if (domain.ends != 0) write_file(file("pending", name, ".ending"), "");
    write_file(file("domains", name, ".json"), bj::serialize(object) + "\n");
}

std::string Store::domain_xml(const std::string& name) const {
    return files::read(file("domains", name, ".xml")).value_or("");
}

void Store::put_xml(const std::string& name, const std::string& xml) const {
    write_file(file("domains", name, ".xml"), xml);
}

void Store::define(const std::string& xml) const {
    pugi::xml_document document;
    auto root = parse(document, xml, "domain");
    std::string name = root.child("name").text().get(), uuid = root.child("uuid").text().get();
    if (uuid.empty()) {
        uuid = Uuid::random().str();
        root.insert_child_after("uuid", root.child("name")).text() = uuid.c_str();
    }
    for (const auto& other : domains()) {
        auto there = domain(other);
        if (there && (other == name) != (there->uuid == uuid))
            throw Error(Code::exists, "libvirt cannot define the domain: domain '" + other +
                                          "' already exists with uuid " + there->uuid);
    }
    auto state = domain(name).value_or(DomainFile{});
    state.uuid = uuid;
    state.persistent = true;
    write_file(file("domains", name, ".xml"), print_xml(document));
    put(name, state);
    tell(name);
}

void Store::start(const std::string& name) const {
    auto state = domain(name);
    if (!state) throw Error(Code::not_found, "libvirt has no domain " + name);
    if (state->state == PowerState::running) return;
    auto refuse = [&](Code code, const std::string& why) {
        return Error(code, "libvirt cannot start " + name + ": " + why);
    };
    if (is_alive(state->state)) throw refuse(Code::wrong_state, "domain is already running");
    auto xml = domain_xml(name);
    if (auto reason = reason_to_stay_off(name, xml)) throw refuse(Code::hypervisor, *reason);
    auto facts = read_domain(xml);
    for (const auto& list : {facts.disks, facts.seeds})
        for (const auto& path : list)
            if (!fs::exists(path))
                throw refuse(Code::hypervisor,
                             "Cannot access storage file '" + path + "': No such file or directory");
    pugi::xml_document document;
    for (auto interface : parse(document, xml, "domain").child("devices").children("interface"))
        if (std::string used = interface.child("filterref").attribute("filter").value();
            !used.empty() && !filter(used))
            throw refuse(Code::hypervisor, "internal error: referenced filter '" + used + "' is missing");
    state->state = PowerState::running;
    state->reason = "booted";
    state->started = millis_now();
    state->ends = 0; // what was pressed before does not matter to this run
    state->running = started_with(state->definition);
    open_bitmaps(name, *state);
    put(name, *state);
    if (!facts.console_log.empty() && fs::exists(fs::path(facts.console_log).parent_path()))
        append_line(facts.console_log, "simulated guest " + name + " boots");
    tell(name);
}

void Store::start_transient(const std::string& xml) const {
    const std::string name = read_domain(xml).name;
    if (domain(name)) throw Error(Code::exists, "libvirt cannot start the domain: " + name + " exists");
    define(xml);
    try {
        start(name);
    } catch (...) {
        undefine(name);
        throw;
    }
    undefine(name); // of what runs, only the definition goes
}

void Store::power_off(const std::string& name, const std::string& reason) const {
    auto state = domain(name);
    if (!state || state->state == PowerState::off) return;
    if (state->backup_scratch) fs::remove(*state->backup_scratch); // its job ends with QEMU
    state->backup_scratch.reset();
    close_bitmaps(name, *state);
    state->frozen = false;
    state->state = PowerState::off;
    state->reason = reason;
    state->ends = 0;
    state->committing.clear();
    put(name, *state);
    tell(name);
    if (!state->persistent) undefine(name);
}

void Store::set_disk(const std::string& name, const std::string& target, const std::string& path) const {
    if (!domain(name)) throw Error(Code::not_found, "libvirt has no domain " + name);
    put_xml(name, with_disk(domain_xml(name), target, path));
}

void Store::add_layer(const std::string& name, const std::string& target, const std::string& path) const {
    const auto state = domain(name);
    if (!state) throw Error(Code::not_found, "libvirt has no domain " + name);
    const auto refuse = [&](Code code, const std::string& why) {
        return Error(code, "libvirt cannot put an overlay on the disk of " + name + ": " + why);
    };
    if (!is_alive(state->state)) throw refuse(Code::wrong_state, "domain is not running");
    if (!state->committing.empty()) throw refuse(Code::wrong_state, "it is being committed");
    if (!fs::exists(path)) throw refuse(Code::hypervisor, "there is no " + path);
    set_disk(name, target, path);
}

void Store::undefine(const std::string& name) const {
    auto state = domain(name);
    if (!state) return;
    if (is_alive(state->state)) {
        state->persistent = false;
        return put(name, *state);
    }
    fs::remove(file("domains", name, ".xml"));
    fs::remove(file("domains", name, ".json"));
    fs::remove(file("guests", name, ".passwd"));
    fs::remove(file("domains", name, ".hung"));
    tell(name);
}

void Store::meet_full_disk(const std::string& name) const {
    auto state = domain(name);
    if (!state || state->state != PowerState::running || behaviour_of(name).disk != "full") return;
    state->state = PowerState::paused;
    state->reason = reason::io_error;
    put(name, *state);
    tell(name);
}

std::optional<std::string> Store::guest_passwd(const std::string& name) const {
    return files::read(file("guests", name, ".passwd"));
}

void Store::put_guest_passwd(const std::string& name, const std::string& content) const {
    write_file(file("guests", name, ".passwd"), content);
}

std::optional<std::string> Store::pool_folder(const std::string& name) const {
    const auto xml = files::read(file("pools", name, ".xml"));
    return xml ? std::optional(pool_target(*xml)) : std::nullopt;
}

void Store::put_pool(const std::string& name, const std::string& path) const {
    const fs::path folder = path;
    if (!folder.lexically_normal().string().starts_with(world_.string() + "/"))
        throw Error(Code::config, "the simulated world keeps its disks in " + world_.string() + ", not in " +
                                      folder.string());
    fs::create_directories(folder);
    write_file(file("pools", name, ".xml"), render_pool(name, path));
}

void Store::remove_pool(const std::string& name) const {
    fs::remove(file("pools", name, ".xml"));
}

bool Store::pool_holds(const std::string& path) const {
    auto folder = fs::path(path).parent_path().lexically_normal();
    for (const auto& name : names_in(world_ / "pools", ".xml"))
        if (const auto of_pool = pool_folder(name);
            of_pool && (fs::path(*of_pool) / "").lexically_normal() == folder / "")
            return true;
    return false;
}

std::string Store::volume_path(const std::string& pool, const std::string& name) const {
    const auto folder = pool_folder(pool);
    if (!folder) throw Error(Code::not_found, "libvirt has no storage pool " + pool);
    return fs::path(*folder) / name;
}

void Store::create_volume(const std::string& pool, const VolumeSpec& volume) const {
    auto path = volume_path(pool, volume.name);
    auto refuse = [&](Code code, const std::string& why) {
        return Error(code, "libvirt cannot make a volume in storage pool " + pool + ": " + why);
    };
    if (fs::exists(path)) throw refuse(Code::exists, path + " exists already");
    if (!volume.backing.empty() && !fs::exists(volume.backing))
        throw refuse(Code::hypervisor, "there is no " + volume.backing);
    make_qcow2(path, volume.capacity_bytes, volume.backing);
}

bool Store::filter(const std::string& name) const {
    return fs::exists(file("filters", name, ".xml"));
}

void Store::put_filter(const std::string& name, const std::string& xml) const {
    pugi::xml_document fresh, old;
    std::string uuid = parse(fresh, xml, "filter").child("uuid").text().get();
    auto there = files::read(file("filters", name, ".xml"));
    if (there && uuid != parse(old, *there, "filter").child("uuid").text().get())
        throw Error(Code::exists, "libvirt cannot define network filter " + name +
                                      ": a filter of that name exists with another uuid");
    write_file(file("filters", name, ".xml"), xml);
}

void Store::remove_filter(const std::string& name) const {
    fs::remove(file("filters", name, ".xml"));
}

std::string Store::note_pending(bj::object call) const {
    unsigned char byte = 0;
    random_bytes(&byte, 1);
    call["due"] = millis_now() + 300 + byte * 600 / 255;
    auto name = random_hex(12);
    write_file(file("pending", name, ".json"), bj::serialize(call));
    return name;
}

void Store::done_with(const std::string& note) const {
    fs::remove(file("pending", note, ".json"));
}

void Store::carry_out(const bj::object& call) const {
    const auto text = [&](const char* key) { return json::string_or(call, key, ""); };
    const std::string what = text("call");
    if (what == "define")
        define(text("xml"));
    else if (what == "start")
        start(text("name"));
    else if (what == "set_disk")
        set_disk(text("name"), text("target"), text("path"));
    else if (what == "add_layer")
        add_layer(text("name"), text("target"), text("path"));
    else if (what == "begin_backup")
        begin_backup(text("name"),
                     {text("disk"), text("socket"), text("scratch"), text("checkpoint"), text("since")});
    else if (what == "freeze")
        set_frozen(text("name"), true);
    else if (what == "create_volume")
        create_volume(text("pool"),
                      {text("name"), number_or(call, "capacity_bytes", std::uint64_t{0}), text("backing")});
    else
        throw Error(Code::internal, "the simulated world cannot carry out " + what);
}

void Store::catch_up() const {
    for (const auto& name : names_in(world_ / "pending", ".json")) {
        auto note = read_object(file("pending", name, ".json"));
        if (number_or(note, "due", Millis{0}) > millis_now()) continue;
        done_with(name);
        try {
            carry_out(note);
        } catch (const Error&) {
            // It came too late to succeed, and nobody is left to be told.
        }
    }
    if (behaviour().disk == "full")
        for (const auto& name : domains()) meet_full_disk(name);
    for (const auto& name : names_in(world_ / "pending", ".ending")) {
        const auto state = domain(name);
        if (!state || state->ends == 0)
            fs::remove(file("pending", name, ".ending"));
        else if (state->ends <= millis_now())
            power_off(name, "shutdown");
    }
}

void Store::tell(const std::string& name) const {
    append_line(world_ / "events", name + " lifecycle");
}

bool Store::first_hang(const std::string& name, const DomainFile& domain) const {
    const auto mark = file("domains", name, ".hung");
    const auto run = std::to_string(domain.started);
    if (files::read(mark) == run) return false;
    write_file(mark, run);
    return true;
}

std::size_t Store::events_end() const {
    std::error_code none;
    auto size = fs::file_size(world_ / "events", none);
    return none ? 0 : size;
}

std::vector<std::string> Store::events_since(std::size_t& position) const {
    auto all = files::read(world_ / "events").value_or("");
    std::vector<std::string> names;
    while (position < all.size()) {
        auto end = all.find('\n', position);
        if (end == all.npos) break;
        auto line = all.substr(position, end - position);
        names.push_back(line.substr(0, line.find(' ')));
        position = end + 1;
    }
    return names;
}

} // namespace blockhost::simulated
