// SPDX-License-Identifier: MIT
#include "platform/proxmox/node.hpp"

#include "base/text/text.hpp"
#include "platform/proxmox/answer.hpp"

#include <algorithm>
#include <array>

namespace blockhost::platform::proxmox {

namespace {

namespace bj = boost::json;

constexpr std::int64_t mib = 1 << 20;

std::optional<std::int64_t> in_mib(const bj::object& row, std::string_view key) {
    const auto bytes = number(row, key);
    return bytes && *bytes >= 0 ? std::optional(*bytes / mib) : std::nullopt;
}

Power power_in(const bj::object& told) {
    const std::string status = scalar(told, "status").value_or(""),
                      inner = scalar(told, "qmpstatus").value_or("");
    if (scalar(told, "lock").value_or("") == "suspended") return Power::suspended;
    if (status == "stopped") return Power::stopped;
    if (status != "running") return Power::unknown;
    if (inner == "paused" || inner == "suspended") return Power::paused;
    return Power::running;
}

Guest guest_in(const bj::object& row, Kind kind, const std::string& path) {
    const auto id = number(row, "vmid");
    if (!id || *id < lowest_id || *id > highest_id) throw senseless(path, "a row has no guest's number");
    Guest guest;
    guest.id = std::to_string(*id);
    guest.kind = kind;
    guest.power = power_in(row);
    guest.name = scalar(row, "name").value_or("");
    if (guest.name == "VM " + guest.id) guest.name.clear(); // what a list calls one that has no name
    guest.lock = scalar(row, "lock").value_or("");
    GuestConfig config;
    config.name = guest.name;
    if (const auto cpus = number(row, "cpus"); cpus && *cpus > 0 && *cpus < (1 << 16))
        config.cpus = static_cast<int>(*cpus);
    config.memory_mib = in_mib(row, "maxmem");
    config.disk_mib = in_mib(row, "maxdisk");
    config.tags = tags_in(scalar(row, "tags").value_or(""));
    guest.config = std::move(config);
    guest.is_partial = true;
    return guest;
}

/// A node reads notes as a template, in which a newline and a backslash are escaped (pve-manager, VZDump.pm).
/// For its variables there is no escape. Throws Error{invalid}.
std::string notes_template(std::string_view notes) {
    if (const std::size_t open = notes.find("{{"); open != notes.npos && notes.find("}}", open) != notes.npos)
        throw Error(Code::invalid, "a backup's notes cannot have {{…}}: the node would put a variable there",
                    "write them without two braces side by side");
    std::string escaped;
    for (const char c : notes) {
        if (c == '\\')
            escaped += "\\\\";
        else if (c == '\n')
            escaped += "\\n";
        else
            escaped += c;
    }
    return escaped;
}

} // namespace

int guest_number(const GuestId& id) {
    const auto number = text::parse_int(id);
    if (!number || *number < 100 || *number > 999'999'999 || std::to_string(*number) != id)
        throw Error(Code::invalid, text::printable(id) + " is no guest's number", "name one from 100 on");
    return static_cast<int>(*number);
}

std::optional<int> template_in(std::string_view source) {
    if (source.empty() || source.find_first_not_of("0123456789") != source.npos) return std::nullopt;
    return guest_number(std::string(source));
}

bool permits(const Permissions& permissions, std::string_view path, std::string_view any) {
    // A node always tells of these, unless nothing is held there.
    constexpr std::array<std::string_view, 4> always_told{"/", "/nodes", "/storage", "/vms"};
    for (std::string_view at = path;; at = at.substr(0, at.rfind('/'))) {
        if (!at.starts_with('/')) at = "/";
        const auto held = permissions.find(at);
        if (held != permissions.end()) {
            const auto holds = [&](const std::string& privilege) {
                const auto found = held->second.find(privilege);
                return found != held->second.end() && (found->second || at == path);
            };
            return std::ranges::any_of(text::split(any, '|'), holds);
        }
        if (std::ranges::find(always_told, at) != always_told.end()) return false;
    }
}

std::optional<std::string> hole_in(const Permissions& permissions, const std::string& path,
                                   std::string_view any) {
    const std::string below = path + "/";
    if (!permits(permissions, below + "any", any)) return path;
    for (auto each = permissions.lower_bound(below); each != permissions.end(); ++each) {
        if (!each->first.starts_with(below)) break;
        if (!permits(permissions, each->first, any)) return each->first;
    }
    return std::nullopt;
}

std::string Node::path(const GuestRef& guest, std::string_view rest) const {
    return "/nodes/" + name_ + (guest.kind == Kind::vm ? "/qemu/" : "/lxc/") + std::to_string(guest.id) +
           std::string(rest);
}

Upid Node::task(const Permit& permit, const char* method, const std::string& path,
                const Parameters& parameters) {
    const bj::value told = client_.change(permit, method, path, parameters);
    const std::string text = scalar(told).value_or("");
    if (auto upid = parse_upid(text)) return std::move(*upid);
    throw AnswerLost(Error(Code::no_answer,
                           std::string(method) + " " + path +
                               " was accepted, but its task is not told: " + text::printable(text),
                           "look at the guest before anything else is done to it"));
}

std::vector<Guest> guests_in(const bj::value& told, Kind kind, const std::string& from) {
    std::vector<Guest> found;
    for (const bj::value& row : list_of(told, from))
        if (!flag(row_of(row, from), "template")) found.push_back(guest_in(row.get_object(), kind, from));
    return found;
}

std::vector<Guest> Node::guests() {
    std::vector<Guest> found;
    for (const Kind kind : {Kind::vm, Kind::container}) {
        const std::string list = path(kind == Kind::vm ? "/qemu" : "/lxc");
        std::ranges::move(guests_in(client_.get(list), kind, list), std::back_inserter(found));
    }
    std::ranges::sort(found, [](const Guest& one, const Guest& other) {
        return std::pair(one.id.size(), one.id) < std::pair(other.id.size(), other.id);
    });
    return found;
}

ReadConfig Node::read(const GuestRef& guest, const Parameters& query) {
    const std::string from = path(guest, "/config");
    ReadConfig config;
    config.told = object_of(client_.get(from, query), from);
    config.digest = scalar(config.told, "digest").value_or("");
    config.lock = scalar(config.told, "lock").value_or("");
    return config;
}

ReadConfig Node::config(const GuestRef& guest) {
    return read(guest, {});
}

ReadConfig Node::running_config(const GuestRef& guest) {
    return read(guest, {{"current", "1"}});
}

Power Node::power(const GuestRef& guest) {
    const std::string from = path(guest, "/status/current");
    const bj::value told = client_.get(from);
    return power_in(object_of(told, from));
}

Upid Node::start(const Permit& permit, const GuestRef& guest) {
    return task(permit, "POST", path(guest, "/status/start"));
}

Upid Node::shut_down(const Permit& permit, const GuestRef& guest, std::chrono::seconds patience, bool force) {
    Parameters parameters{{"timeout", std::to_string(patience.count())}};
    if (force) parameters.emplace_back("forceStop", "1");
    return task(permit, "POST", path(guest, "/status/shutdown"), parameters);
}

Upid Node::stop(const Permit& permit, const GuestRef& guest) {
    return task(permit, "POST", path(guest, "/status/stop"), {{"overrule-shutdown", "1"}});
}

Upid Node::resume(const Permit& permit, const GuestRef& guest) {
    return task(permit, "POST", path(guest, "/status/resume"));
}

std::optional<Upid> Node::set_config(const Permit& permit, const GuestRef& guest, const std::string& digest,
                                     Parameters set, const std::vector<std::string>& remove) {
    if (set.empty() && remove.empty()) return std::nullopt; // a node refuses a write without options
    if (digest.empty()) throw Error(Code::internal, "a change of a configuration that was not read");
    if (!remove.empty()) set.emplace_back("delete", text::join(remove, ","));
    set.emplace_back("digest", digest);
    if (guest.kind == Kind::vm) return task(permit, "POST", path(guest, "/config"), set);
    client_.change(permit, "PUT", path(guest, "/config"), set);
    return std::nullopt;
}

Upid Node::resize(const Permit& permit, const GuestRef& guest, const std::string& digest,
                  const std::string& disk, std::int64_t size) {
    return task(permit, "PUT", path(guest, "/resize"),
                {{"disk", disk}, {"size", std::to_string(size) + "M"}, {"digest", digest}});
}

std::vector<Snapshot> snapshots_in(const bj::value& told, const std::string& from) {
    std::vector<Snapshot> found;
    for (const bj::value& row : list_of(told, from)) {
        const bj::object& each = row_of(row, from);
        const std::string name = scalar(each, "name").value_or("");
        if (name.empty() || name == "current") continue; // that is the guest itself
        found.push_back({name, scalar(each, "description").value_or(""), scalar(each, "parent").value_or(""),
                         number(each, "snaptime")});
    }
    return found;
}

std::vector<Snapshot> Node::snapshots(const GuestRef& guest) {
    const std::string from = path(guest, "/snapshot");
    return snapshots_in(client_.get(from), from);
}

Upid Node::take_snapshot(const Permit& permit, const GuestRef& guest, const std::string& snapshot,
                         const std::string& description) {
    return task(permit, "POST", path(guest, "/snapshot"),
                {{"snapname", snapshot}, {"description", description}});
}

Upid Node::roll_back(const Permit& permit, const GuestRef& guest, const std::string& snapshot) {
    return task(permit, "POST", path(guest, "/snapshot/" + percent_encoded(snapshot) + "/rollback"));
}

Upid Node::delete_snapshot(const Permit& permit, const GuestRef& guest, const std::string& snapshot) {
    return task(permit, "DELETE", path(guest, "/snapshot/" + percent_encoded(snapshot)));
}

Upid Node::back_up(const Permit& permit, const GuestRef& guest, const BackupOrder& order) {
    Parameters parameters{{"vmid", std::to_string(guest.id)},
                          {"storage", order.storage},
                          {"mode", "snapshot"},
                          {"remove", "0"}};
    if (!order.notes.empty()) parameters.emplace_back("notes-template", notes_template(order.notes));
    if (order.is_protected) parameters.emplace_back("protected", "1");
    return task(permit, "POST", path("/vzdump"), parameters);
}

Upid Node::restore(const Permit& permit, const GuestRef& guest, const std::string& backup,
                   const std::string& storage, const Parameters& instead) {
    const auto is_device = [](const auto& each) { return is_network_device(each.first); };
    Parameters parameters{{"vmid", std::to_string(guest.id)}};
    if (std::ranges::none_of(instead, is_device)) parameters.emplace_back("unique", "1");
    if (!storage.empty()) parameters.emplace_back("storage", storage); // else each disk goes where it was
    parameters.insert(parameters.end(), instead.begin(), instead.end());
    if (guest.kind == Kind::vm) {
        parameters.emplace_back("archive", backup);
        return task(permit, "POST", path("/qemu"), parameters);
    }
    parameters.emplace_back("ostemplate", backup);
    parameters.emplace_back("restore", "1");
    return task(permit, "POST", path("/lxc"), parameters);
}

Upid Node::copy(const Permit& permit, int original, int made, const std::string& storage,
                const Parameters& given) {
    Parameters parameters{{"newid", std::to_string(made)}, {"full", "1"}};
    if (!storage.empty()) parameters.emplace_back("storage", storage);
    parameters.insert(parameters.end(), given.begin(), given.end());
    return task(permit, "POST", path({Kind::vm, original}, "/clone"), parameters);
}

void Node::protect(const Permit& permit, const std::string& volume, bool is_protected) {
    client_.change(
        permit, "PUT",
        path("/storage/" + percent_encoded(storage_of(volume)) + "/content/" + percent_encoded(volume)),
        {{"protected", is_protected ? "1" : "0"}});
}

Upid Node::delete_backup(const Permit& permit, const std::string& volume) {
    return task(
        permit, "DELETE",
        path("/storage/" + percent_encoded(storage_of(volume)) + "/content/" + percent_encoded(volume)));
}

Upid Node::destroy(const Permit& permit, const GuestRef& guest) {
    // Without "force", which would destroy a running one; its backups and jobs stay what they are.
    return task(permit, "DELETE", path(guest));
}

std::vector<Upid> Node::own_tasks(std::string_view type) {
    const std::string from = path("/tasks");
    const bj::value told = client_.get(from, {{"source", "all"},
                                              {"typefilter", std::string(type)},
                                              {"userfilter", client_.user()},
                                              {"limit", "500"}});
    std::vector<Upid> found;
    for (const bj::value& row : list_of(told, from)) {
        auto upid = parse_upid(scalar(row_of(row, from), "upid").value_or(""));
        if (upid && upid->user == client_.user()) found.push_back(std::move(*upid));
    }
    return found;
}

int Node::next_id() {
    const std::string from = "/cluster/nextid";
    const auto id = text::parse_int(scalar(client_.get(from)).value_or(""));
    if (!id || *id < lowest_id || *id > highest_id) throw senseless(from, "it is no id");
    return static_cast<int>(*id);
}

Permissions permissions_in(const bj::value& told, const std::string& from) {
    Permissions found;
    for (const auto& [path, held] : object_of(told, from)) {
        if (!held.is_object()) continue;
        for (const auto& [privilege, passed_on] : held.get_object())
            found[std::string(path)][std::string(privilege)] = scalar(passed_on).value_or("") == "1";
    }
    return found;
}

Privileges Node::privileges(const std::string& path) {
    const std::string from = "/access/permissions";
    const bj::value told = client_.get(from, {{"path", path}});
    Privileges found;
    if (const bj::value* held = object_of(told, from).if_contains(path); held != nullptr && held->is_object())
        for (const auto& [privilege, passed_on] : held->get_object())
            found[std::string(privilege)] = scalar(passed_on).value_or("") == "1";
    return found;
}

Permissions Node::permissions() {
    const std::string from = "/access/permissions";
    return permissions_in(client_.get(from), from);
}

boost::json::object Node::version() {
    const std::string from = "/version";
    return object_of(client_.get(from), from);
}

std::string front_certificate_in(const bj::value& told, const std::string& from) {
    std::string found;
    for (const bj::value& each : list_of(told, from)) {
        const bj::object& row = row_of(each, from);
        const std::string file = scalar(row, "filename").value_or("");
        const bool is_custom = file == "pveproxy-ssl.pem";
        if (is_custom || (file == "pve-ssl.pem" && found.empty())) found = scalar(row, "pem").value_or("");
        if (is_custom) break;
    }
    if (found.empty()) throw senseless(from, "it does not tell the node's certificate");
    return found;
}

http::Certificate Node::front_certificate() {
    const std::string from = path("/certificates/info");
    const auto certificate = http::read_certificate(front_certificate_in(client_.get(from), from));
    if (!certificate) throw senseless(from, "its certificate cannot be read");
    return *certificate;
}

std::optional<std::int64_t> Node::clock() {
    const std::string from = path("/time");
    return number(object_of(client_.get(from), from), "time");
}

boost::json::object Node::status() {
    const std::string from = path("/status");
    return object_of(client_.get(from), from);
}

std::string Node::node_of(int guest) {
    const std::string from = "/cluster/resources";
    const bj::value told = client_.get(from, {{"type", "vm"}});
    for (const bj::value& each : list_of(told, from)) {
        const bj::object& row = object_of(each, from);
        if (number(row, "vmid") == guest) return scalar(row, "node").value_or("");
    }
    return "";
}

std::vector<Upid> Node::tasks(const GuestRef& guest) {
    const std::string from = path("/tasks");
    const std::string id = std::to_string(guest.id);
    const bj::value told = client_.get(from, {{"source", "all"}, {"vmid", id}, {"limit", "500"}});
    std::vector<Upid> found;
    for (const bj::value& row : list_of(told, from)) {
        auto upid = parse_upid(scalar(row_of(row, from), "upid").value_or(""));
        if (!upid) throw senseless(from, "a task has no handle");
        if (upid->subject == id) found.push_back(std::move(*upid));
    }
    std::ranges::stable_sort(found, std::ranges::greater{}, &Upid::started);
    return found;
}

std::vector<RunningTask> Node::running_tasks(const GuestRef& guest) {
    const std::string from = path("/tasks");
    const bj::value told = client_.get(from, {{"source", "active"}, {"vmid", std::to_string(guest.id)}});
    std::vector<RunningTask> found;
    for (const bj::value& each : list_of(told, from)) {
        const bj::object& row = object_of(each, from);
        found.push_back({scalar(row, "type").value_or(""), scalar(row, "user").value_or("")});
    }
    return found;
}

} // namespace blockhost::platform::proxmox
