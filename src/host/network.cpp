// SPDX-License-Identifier: MIT
// The host's network: read from the kernel's files and interfaces, changed with iproute2 or the root agent.
#include "host/network.hpp"

#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/files/files.hpp"
#include "base/files/lock.hpp"
#include "base/patience.hpp"
#include "base/process.hpp"
#include "base/root_agent.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "host/interfaces.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <fcntl.h>
#include <unistd.h>

namespace blockhost::host {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::size_t longest_interface_name = 15; // IFNAMSIZ without the final zero
constexpr auto agent_deadline = 30s;               // it carries out one action at a time, for all callers
constexpr auto lock_deadline = 15s;                // longer than a change with ip may take

/// The root agent, and how long to wait for it.
struct Agent {
    fs::path socket;
    std::chrono::milliseconds longest;
};

/// `[A-Za-z0-9_.-]{1,15}`, not a path and not an option: safe as an argument and in /sys.
bool is_interface_name(std::string_view name) {
    auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '.' || c == '-';
    };
    return !name.empty() && name.size() <= longest_interface_name && name != "." && name != ".." &&
           name.front() != '-' && std::all_of(name.begin(), name.end(), fits);
}

/// The refusal of a bridge name that no interface can have.
std::string bad_bridge(const std::string& bridge) {
    return "\"" + text::printable(bridge) + "\" is not the name of a network interface (bridge in db.yaml)";
}

/// The path of iproute2's program.
std::string ip_program() {
    for (const char* path : {"/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"})
        if (access(path, X_OK) == 0) return path;
    throw Error(Code::io, "the program ip is not installed", "apt-get install iproute2");
}

ProcessResult run_ip(std::vector<std::string> arguments, std::string input = {}) {
    return run({.program = ip_program(),
                .arguments = std::move(arguments),
                .environment = {},
                .input = std::move(input),
                .deadline = 10s});
}

/// Changes something with `ip`; the reason when that fails, else nothing.
std::optional<std::string> change_with_ip(std::vector<std::string> arguments, std::string input = {}) {
    try {
        auto result = run_ip(std::move(arguments), std::move(input));
        if (result.ok()) return std::nullopt;
        if (result.timed_out) return "ip did not end within 10 s";
        return text::printable(text::trim(result.err));
    } catch (const Error& error) {
        return error.what();
    }
}

/// Whether iproute2 or the root agent says that there was nothing to remove.
bool is_already_gone(const std::string& reason) {
    for (const char* gone :
         {"No such process", "No such file or directory", "Cannot find device", "No such device"})
        if (reason.find(gone) != std::string::npos) return true;
    return false;
}

enum class Change { set, remove };

std::string sentence(Change change, const std::string& what, const std::string& bridge,
                     const std::string& reason) {
    return what + " on " + bridge + " could not be " + (change == Change::set ? "set" : "removed") + ": " +
           reason;
}

/// Adds a sentence for a failed change. Removing what is gone is no failure.
void note(std::vector<std::string>& failures, Change change, const std::string& what,
          const std::string& bridge, const std::optional<std::string>& reason) {
    if (!reason || (change == Change::remove && is_already_gone(*reason))) return;
    failures.push_back(sentence(change, what, bridge, *reason));
}

/// Something to be set with `ip`: its arguments, and its name in messages.
struct Wish {
    std::string what;
    std::vector<std::string> words;
};

/// Sets all in one run of `ip`. If that fails, sets each by itself, to find out what fails.
void set_with_ip(std::vector<std::string>& failures, const std::string& bridge,
                 const std::vector<Wish>& wishes) {
    std::string batch;
    for (const Wish& wish : wishes) batch += text::join(wish.words, " ") + "\n";
    if (wishes.empty() || !change_with_ip({"-batch", "-"}, batch)) return;
    for (const Wish& wish : wishes)
        note(failures, Change::set, wish.what, bridge, change_with_ip(wish.words));
}

std::string route_to(const Ipv6& address) {
    return "the route to " + address.str();
}

/// Asks the root agent for this project's step, which does everything as root (rootside/actions.hpp).
/// Returns what could not be done; nothing at all when the agent is missing or does not know the step,
/// because it has not been restarted since this program was installed.
std::optional<std::vector<std::string>> by_our_step(Change change, const VmName& vm,
                                                    const boost::json::object& with, const Agent& agent) {
    const std::string_view step = change == Change::set ? "place" : "unplace";
    std::vector<std::string> failures;
    try {
        const auto reply = call_root_agent(
            agent.socket, "vm-step", {{"name", vm.str()}, {"operation", ""}, {"step", step}, {"with", with}},
            agent.longest);
        failures = json::strings_in(reply, "problems");
    } catch (const Error& error) {
        // An agent that refuses without one of our codes does not know the step; denied: it cannot be
        // reached.
        const bool unknown =
            error.code() == Code::hypervisor && error.message().starts_with("the root agent");
        if (unknown || error.code() == Code::denied) return std::nullopt;
        failures.push_back("routes and neighbour entries of " + vm.str() + " could not be " +
                           (change == Change::set ? "set: " : "removed: ") + error.what());
    }
    return failures;
}

std::optional<std::string> change_route_by_agent(Change change, const Ipv6& address,
                                                 const std::string& bridge, const Agent& agent) {
    const char* action = change == Change::set ? "ip6-route-add" : "ip6-route-del";
    try {
        call_root_agent(agent.socket, action, {{"address", address.str() + "/128"}, {"dev", bridge}},
                        agent.longest);
        return std::nullopt;
    } catch (const Error& error) {
        // Only the agent's own refusal can mean that the route is gone; an unreachable socket does not.
        const bool refused = error.code() == Code::hypervisor;
        if (refused && change == Change::remove && is_already_gone(error.message())) return std::nullopt;
        return error.what();
    }
}

void ask_agent_for_route(std::vector<std::string>& failures, Change change, const Ipv6& address,
                         const std::string& bridge, const Agent& agent) {
    if (auto reason = change_route_by_agent(change, address, bridge, agent))
        failures.push_back(sentence(change, route_to(address), bridge, *reason));
}

std::string neighbour_of(const std::string& address) {
    return "the permanent neighbour entry of " + address;
}

std::string needs_root(Change change, const std::string& address, const std::string& bridge) {
    return sentence(change, neighbour_of(address), bridge, "that needs root");
}

/// Route and neighbour entries of a VM, to be set by root.
std::vector<Wish> wishes_for(const Placement& placement) {
    std::vector<Wish> wishes;
    const auto neighbour = [&](const std::string& address) {
        wishes.push_back({neighbour_of(address),
                          {"neigh", "replace", address, "lladdr", placement.mac.str(), "dev",
                           placement.bridge, "nud", "permanent"}});
    };
    if (placement.ipv6)
        wishes.push_back({route_to(*placement.ipv6),
                          {"route", "replace", placement.ipv6->str() + "/128", "dev", placement.bridge}});
    if (placement.ip) neighbour(placement.ip->str());
    if (placement.ipv6) neighbour(placement.ipv6->str());
    return wishes;
}

/// Whether somebody chose the bridge's own address (linux/netdevice.h, NET_ADDR_SET); nothing when the kernel
/// does not say.
std::optional<bool> has_chosen_address(const fs::path& bridge) {
    constexpr std::string_view set_by_user = "3";
    const auto assigned = files::read(bridge / "addr_assign_type");
    return assigned ? std::optional(text::trim(*assigned) == set_by_user) : std::nullopt;
}

/// A bridge that takes its address from its ports changes it when ports come and go. The kernel then drops
/// all of its neighbour entries, permanent ones too (neigh_changeaddr). Setting the address that the bridge
/// has now fixes it. Setting drops them as well: it happens once, under a lock on the bridge's folder in
/// /sys, so that no other process sets it again when entries were made meanwhile.
void fix_bridge_address(std::vector<std::string>& failures, const std::string& bridge) {
    const fs::path folder = fs::path("/sys/class/net") / bridge;
    const auto failed = [&](const std::optional<std::string>& reason) {
        note(failures, Change::set, "its own hardware address", bridge, reason);
    };
    if (has_chosen_address(folder).value_or(true)) return;
    Fd opened(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!opened) return; // it is gone
    const auto lock =
        FileLock::take(std::move(opened), FileLock::Mode::exclusive, Deadline::in(lock_deadline));
    if (!lock) return failed("another program holds a lock on " + folder.native());
    const auto address = files::read(folder / "address");
    if (!address || has_chosen_address(folder).value_or(true)) return;
    failed(change_with_ip({"link", "set", "dev", bridge, "address", std::string(text::trim(*address))}));
}

/// The bridge's port to the running VM with that address. libvirt gives the tap the same address with 0xfe as
/// the first byte (virNetDevTapCreateInBridgePort).
std::optional<std::string> port_of(const std::string& bridge, const Mac& mac) {
    const fs::path interfaces = "/sys/class/net";
    const std::string address = "fe" + mac.str().substr(2);
    std::error_code gone;
    for (const auto& port : fs::directory_iterator(interfaces / bridge / "brif", gone)) {
        const std::string name = port.path().filename();
        const auto found = files::read(interfaces / name / "address");
        if (found && text::trim(*found) == address) return name;
    }
    return std::nullopt;
}

/// Linux hands frames to 01:80:c2:00:00:00 to 0f to the host as the bridge's own, and no netfilter hook sees
/// them (br_handle_frame). Frames that the port is told to forward pass the filters like any others. The mask
/// names all sixteen but 01, which is always dropped, and may not be named.
void guard(std::vector<std::string>& failures, const std::string& port) {
    constexpr const char* all_but_pause = "0xfffd";
    auto reason =
        change_with_ip({"link", "set", "dev", port, "type", "bridge_slave", "group_fwd_mask", all_but_pause});
    // The VM may end meanwhile.
    if (reason && !is_already_gone(*reason))
        failures.push_back("the bridge's port " + port + " could not be guarded: " + *reason);
}

/// True when the kernel has such an entry, which everybody may read. Without `ip` we have set none.
bool has_neighbour(const char* family, const std::string& address, const std::string& bridge) {
    try {
        auto result = run_ip({family, "neigh", "show", "to", address, "dev", bridge, "nud", "permanent"});
        return result.ok() && !text::trim(result.out).empty();
    } catch (const Error&) {
        return false;
    }
}

void remove_neighbour(std::vector<std::string>& failures, const char* family, const std::string& address,
                      const std::string& bridge) {
    if (geteuid() == 0) {
        auto reason = change_with_ip({family, "neigh", "del", address, "dev", bridge});
        return note(failures, Change::remove, neighbour_of(address), bridge, reason);
    }
    if (has_neighbour(family, address, bridge))
        failures.push_back(needs_root(Change::remove, address, bridge));
}

} // namespace

namespace {

/// Accepts only values between IPv4's minimum (RFC 791) and the largest packet.
std::optional<int> unusual_mtu_in(const fs::path& file) {
    constexpr std::int64_t usual = 1500, least = 68, most = 65535;
    const auto text = files::read(file);
    const auto mtu = text ? text::parse_int(text::trim(*text)) : std::nullopt;
    if (!mtu || *mtu == usual || *mtu < least || *mtu > most) return std::nullopt;
    return static_cast<int>(*mtu);
}

} // namespace

std::optional<int> KernelNetwork::unusual_mtu(const std::string& interface) const {
    return is_interface_name(interface) ? unusual_mtu_in(fs::path("/sys/class/net") / interface / "mtu")
                                        : std::nullopt;
}

std::optional<int> SimulatedNetwork::unusual_mtu(const std::string&) const {
    return unusual_mtu_in(paths().world / "mtu");
}

bool KernelNetwork::is_bridge(const std::string& interface) const {
    std::error_code ignored;
    return is_interface_name(interface) &&
           fs::is_directory(fs::path("/sys/class/net") / interface / "bridge", ignored);
}

std::vector<Ipv4> KernelNetwork::own_addresses() const {
    std::vector<Ipv4> addresses;
    for (const auto& [interface, own] : kernel_addresses())
        for (const HostAddress& each : own) addresses.push_back(each.address);
    return addresses;
}

std::vector<Ipv6> KernelNetwork::own_addresses6() const {
    return kernel_addresses6();
}

std::optional<Ipv4> KernelNetwork::address_of(const std::string& interface) const {
    const auto own = first_global(kernel_addresses()[interface]);
    return own ? std::optional(own->address) : std::nullopt;
}

std::vector<std::string> KernelNetwork::do_place(const VmName& vm, const Placement& placement) {
    if (!is_interface_name(placement.bridge)) return {bad_bridge(placement.bridge)};
    const Agent agent{paths().root_agent_socket(), within(end(), agent_deadline)};
    if (geteuid() != 0) {
        const boost::json::object with{{"bridge", placement.bridge},
                                       {"mac", placement.mac.str()},
                                       {"ip", placement.ip ? placement.ip->str() : ""},
                                       {"ipv6", placement.ipv6 ? placement.ipv6->str() : ""}};
        if (auto done = by_our_step(Change::set, vm, with, agent)) return *done;
    }
    std::vector<std::string> failures;
    if (geteuid() == 0) {
        fix_bridge_address(failures, placement.bridge);
        set_with_ip(failures, placement.bridge, wishes_for(placement));
        if (const auto port = port_of(placement.bridge, placement.mac)) guard(failures, *port);
        return failures;
    }
    const auto need_root = [&](const std::string& address) {
        failures.push_back(needs_root(Change::set, address, placement.bridge));
    };
    if (placement.ipv6) ask_agent_for_route(failures, Change::set, *placement.ipv6, placement.bridge, agent);
    if (placement.ip) need_root(placement.ip->str());
    if (placement.ipv6) need_root(placement.ipv6->str());
    return failures;
}

std::vector<std::string> KernelNetwork::guard_port(const VmName& vm, const Placement& placement) {
    if (geteuid() != 0) // there, place() guards the port too
        return place(vm, {placement.bridge, placement.mac, std::nullopt, std::nullopt});
    if (!is_interface_name(placement.bridge)) return {bad_bridge(placement.bridge)};
    const auto port = port_of(placement.bridge, placement.mac);
    if (!port)
        return {"the port of " + vm.str() + " on " + placement.bridge +
                " could not be guarded: there is none with its address"};
    std::vector<std::string> failures;
    guard(failures, *port);
    return failures;
}

/// Takes the port down first, so that no frame passes until it is guarded.
std::vector<std::string> KernelNetwork::mend_port(const Placement& placement, const Port& port) {
    if (!is_interface_name(placement.bridge)) return {bad_bridge(placement.bridge)};
    if (!is_interface_name(port.tap)) return {};
    const std::string what = "the port " + port.tap;
    const std::vector<std::string> of = {"link", "set", "dev", port.tap};
    const auto with = [&](std::initializer_list<std::string> more) {
        std::vector<std::string> words = of;
        words.insert(words.end(), more);
        return words;
    };
    std::vector<std::string> failures;
    for (const auto& words : {with({"down"}), with({"master", placement.bridge}),
                              with({"type", "bridge_slave", "isolated", port.isolated ? "on" : "off"})})
        if (failures.empty()) note(failures, Change::set, what, placement.bridge, change_with_ip(words));
    if (!failures.empty()) return failures; // it stays down, rather than open to its neighbours
    guard(failures, port.tap);
    note(failures, Change::set, what, placement.bridge, change_with_ip(with({"up"})));
    return failures;
}

std::vector<std::string> KernelNetwork::do_unplace(const VmName& vm, const std::string& bridge,
                                                   const std::optional<Ipv4>& ip,
                                                   const std::optional<Ipv6>& ipv6) {
    if (!is_interface_name(bridge)) return {bad_bridge(bridge)};
    const Agent agent{paths().root_agent_socket(), within(end(), agent_deadline)};
    if (geteuid() != 0 && (ip || ipv6)) {
        const boost::json::object with{
            {"bridge", bridge}, {"ip", ip ? ip->str() : ""}, {"ipv6", ipv6 ? ipv6->str() : ""}};
        if (auto done = by_our_step(Change::remove, vm, with, agent)) return *done;
    }
    std::vector<std::string> failures;
    if (ipv6 && geteuid() != 0)
        ask_agent_for_route(failures, Change::remove, *ipv6, bridge, agent);
    else if (ipv6)
        note(failures, Change::remove, route_to(*ipv6), bridge,
             change_with_ip({"-6", "route", "del", ipv6->str() + "/128", "dev", bridge}));
    if (ip) remove_neighbour(failures, "-4", ip->str(), bridge);
    if (ipv6) remove_neighbour(failures, "-6", ipv6->str(), bridge);
    return failures;
}

bool KernelNetwork::has_entry(const std::string& bridge, const std::string& address) const {
    const bool is_ipv6 = address.find(':') != std::string::npos;
    return is_interface_name(bridge) && has_neighbour(is_ipv6 ? "-6" : "-4", address, bridge);
}

namespace {

Folder entries_of(const fs::path& world) {
    return Folder::open_or_make(world, 0755).make_sub("network", 0755);
}

std::string neighbour_file(const std::string& address) {
    return "neighbour-" + address;
}

std::string route_file(const Ipv6& address) {
    return "route-" + address.str();
}

} // namespace

std::vector<std::string> SimulatedNetwork::do_place(const VmName&, const Placement& placement) {
    fault::point("simulated.place");
    const auto entries = entries_of(paths().world);
    const auto put = [&](const std::string& name, const std::string& text) {
        entries.remove_temporaries(name);
        entries.replace(name, text, {.mode = 0644, .uid = {}, .gid = {}});
    };
    const std::string neighbour = placement.bridge + " " + placement.mac.str() + "\n";
    if (placement.ipv6) put(route_file(*placement.ipv6), placement.bridge + "\n");
    if (placement.ip) put(neighbour_file(placement.ip->str()), neighbour);
    if (placement.ipv6) put(neighbour_file(placement.ipv6->str()), neighbour);
    fault::point("simulated.place.after");
    return {};
}

NetworkLook SimulatedNetwork::look() const {
    NetworkLook look;
    std::error_code none;
    for (const auto& each : fs::directory_iterator(paths().world / "network", none)) {
        const std::string name = each.path().filename();
        const auto words = text::split(text::trim(files::read(each.path()).value_or("")), ' ');
        const auto address = name.substr(name.find('-') + 1);
        if (name.starts_with("neighbour-") && words.size() == 2)
            look.neighbours[address] = {words[0], words[1]};
        if (name.starts_with("route-") && words.size() == 1) look.routes[address] = words[0];
    }
    return look;
}

std::vector<std::string> SimulatedNetwork::do_unplace(const VmName&, const std::string&,
                                                      const std::optional<Ipv4>& ip,
                                                      const std::optional<Ipv6>& ipv6) {
    fault::point("simulated.unplace");
    auto entries = entries_of(paths().world);
    const auto remove = [&](const std::string& file) {
        entries.remove(file);
        entries.remove_temporaries(file);
    };
    if (ipv6) remove(route_file(*ipv6));
    if (ip) remove(neighbour_file(ip->str()));
    if (ipv6) remove(neighbour_file(ipv6->str()));
    fault::point("simulated.unplace.after");
    return {};
}

bool SimulatedNetwork::has_entry(const std::string&, const std::string& address) const {
    return entries_of(paths().world).kind(neighbour_file(address)) == Folder::Kind::file;
}

} // namespace blockhost::host
