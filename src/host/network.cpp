// The host's network: looked at through the kernel's own interfaces, changed with iproute2 or the root agent.
#include "host/network.hpp"

#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "base/root_agent.hpp"
#include "base/text.hpp"
#include "host/interfaces.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <unistd.h>

namespace blockhost::host {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::size_t longest_interface_name = 15; // IFNAMSIZ, less its final zero
constexpr auto agent_deadline = 30s;               // it carries out one action at a time, others' too

/// `[A-Za-z0-9_.-]{1,15}` and no path: a name that is safe as an argument and in /sys.
bool is_interface_name(std::string_view name) {
    auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '.' || c == '-';
    };
    return !name.empty() && name.size() <= longest_interface_name && name != "." && name != ".." &&
           name.front() != '-' && std::all_of(name.begin(), name.end(), fits);
}

/// The sentence for a bridge name that no interface can have.
std::string bad_bridge(const std::string& bridge) {
    return "\"" + text::printable(bridge) + "\" is not the name of a network interface (bridge in db.yaml)";
}

/// iproute2's program.
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

/// What iproute2 and the root agent say when there is nothing to remove (any more).
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

/// Adds `sentence` for a change that failed; a removal of what is gone has not failed.
void note(std::vector<std::string>& failures, Change change, const std::string& what,
          const std::string& bridge, const std::optional<std::string>& reason) {
    if (!reason || (change == Change::remove && is_already_gone(*reason))) return;
    failures.push_back(sentence(change, what, bridge, *reason));
}

/// Something that `ip` shall set, in its words, and how a person calls it.
struct Wish {
    std::string what;
    std::vector<std::string> words;
};

/// All by one run of `ip`; where that fails each by itself, which tells what failed.
void set_with_ip(std::vector<std::string>& failures, const std::string& bridge,
                 const std::vector<Wish>& wishes) {
    std::string batch;
    for (const Wish& wish : wishes) batch += text::join(wish.words, " ") + "\n";
    if (!change_with_ip({"-batch", "-"}, batch)) return;
    for (const Wish& wish : wishes)
        note(failures, Change::set, wish.what, bridge, change_with_ip(wish.words));
}

std::string route_to(const Ipv6& address) {
    return "the route to " + address.str();
}

/// Our own step of the root agent's, which does all of it as root (lifecycle/root_actions.hpp): what could
/// not be done. Nothing at all when this agent does not know the step: it was not restarted since we were
/// installed.
std::optional<std::vector<std::string>>
by_our_step(Change change, const VmName& vm, const boost::json::object& with, const fs::path& agent_socket) {
    const std::string_view step = change == Change::set ? "place" : "unplace";
    std::vector<std::string> failures;
    try {
        const auto reply = call_root_agent(
            agent_socket, "vm-step", {{"name", vm.str()}, {"operation", ""}, {"step", step}, {"with", with}},
            agent_deadline);
        const boost::json::value* problems = reply.if_contains("problems");
        if (problems == nullptr || !problems->is_array()) return failures;
        for (const auto& problem : problems->get_array())
            if (problem.is_string()) failures.emplace_back(problem.get_string());
    } catch (const Error& error) {
        // An agent that says no without a code of ours does not know the step; one that is not there sets
        // nothing.
        const bool unknown =
            error.code() == Code::hypervisor && error.message().starts_with("the root agent");
        if (unknown || error.code() == Code::denied) return std::nullopt;
        failures.push_back("routes and neighbour entries of " + vm.str() + " could not be " +
                           (change == Change::set ? "set: " : "removed: ") + error.what());
    }
    return failures;
}

std::optional<std::string> change_route_by_agent(Change change, const Ipv6& address,
                                                 const std::string& bridge, const fs::path& socket) {
    const char* action = change == Change::set ? "ip6-route-add" : "ip6-route-del";
    try {
        call_root_agent(socket, action, {{"address", address.str() + "/128"}, {"dev", bridge}},
                        agent_deadline);
        return std::nullopt;
    } catch (const Error& error) {
        // Only the agent's own refusal can mean that the route is gone; a missing socket says nothing about
        // it.
        const bool refused = error.code() == Code::hypervisor;
        if (refused && change == Change::remove && is_already_gone(error.message())) return std::nullopt;
        return error.what();
    }
}

void ask_agent_for_route(std::vector<std::string>& failures, Change change, const Ipv6& address,
                         const std::string& bridge, const fs::path& agent_socket) {
    if (auto reason = change_route_by_agent(change, address, bridge, agent_socket))
        failures.push_back(sentence(change, route_to(address), bridge, *reason));
}

std::string neighbour_of(const std::string& address) {
    return "the permanent neighbour entry of " + address;
}

std::string needs_root(Change change, const std::string& address, const std::string& bridge) {
    return sentence(change, neighbour_of(address), bridge, "that needs root");
}

/// Route and neighbour entries of a VM, for root to set.
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
    neighbour(placement.ip.str());
    if (placement.ipv6) neighbour(placement.ipv6->str());
    return wishes;
}

/// A bridge that takes its address from its ports gets another one as ports come and go, and then the kernel
/// drops all its neighbour entries, permanent ones too (neigh_changeaddr). Giving it the address it has fixes
/// that address (linux/netdevice.h, NET_ADDR_SET).
void fix_bridge_address(std::vector<std::string>& failures, const std::string& bridge) {
    const fs::path folder = fs::path("/sys/class/net") / bridge;
    const auto assigned = files::read(folder / "addr_assign_type"), address = files::read(folder / "address");
    constexpr std::string_view set_by_user = "3";
    if (!assigned || !address || text::trim(*assigned) == set_by_user) return;
    auto reason =
        change_with_ip({"link", "set", "dev", bridge, "address", std::string(text::trim(*address))});
    note(failures, Change::set, "its own hardware address", bridge, reason);
}

/// The bridge's port to the running VM with that address; libvirt gives its tap the same one, but for the
/// first byte, 0xfe (virNetDevTapCreateInBridgePort).
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

/// Frames to 01:80:c2:00:00:00 to 0f are a bridge's own business: Linux hands them to the host as the port's,
/// and no hook of netfilter sees them (br_handle_frame). What the port is told to forward goes by the filters
/// like any other frame. All sixteen but 01, which is always dropped, and may not be named.
void guard(std::vector<std::string>& failures, const std::string& port) {
    constexpr const char* all_but_pause = "0xfffd";
    auto reason =
        change_with_ip({"link", "set", "dev", port, "type", "bridge_slave", "group_fwd_mask", all_but_pause});
    // a VM may end meanwhile
    if (reason && !is_already_gone(*reason))
        failures.push_back("the bridge's port " + port + " could not be guarded: " + *reason);
}

/// True when the kernel has such an entry; everyone may look. A host without `ip` has none of ours.
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

std::vector<std::string> KernelNetwork::place(const VmName& vm, const Placement& placement) {
    if (!is_interface_name(placement.bridge)) return {bad_bridge(placement.bridge)};
    if (geteuid() != 0) {
        const boost::json::object with{{"bridge", placement.bridge},
                                       {"mac", placement.mac.str()},
                                       {"ip", placement.ip.str()},
                                       {"ipv6", placement.ipv6 ? placement.ipv6->str() : ""}};
        if (auto done = by_our_step(Change::set, vm, with, paths_.root_agent_socket())) return *done;
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
    if (placement.ipv6)
        ask_agent_for_route(failures, Change::set, *placement.ipv6, placement.bridge,
                            paths_.root_agent_socket());
    need_root(placement.ip.str());
    if (placement.ipv6) need_root(placement.ipv6->str());
    return failures;
}

std::vector<std::string> KernelNetwork::guard_port(const VmName& vm, const Placement& placement) {
    if (geteuid() != 0) return place(vm, placement); // which guards it too, on the other side
    if (!is_interface_name(placement.bridge)) return {bad_bridge(placement.bridge)};
    const auto port = port_of(placement.bridge, placement.mac);
    if (!port)
        return {"the port of " + vm.str() + " on " + placement.bridge +
                " could not be guarded: there is none with its address"};
    std::vector<std::string> failures;
    guard(failures, *port);
    return failures;
}

std::vector<std::string> KernelNetwork::unplace(const VmName& vm, const std::string& bridge,
                                                const std::optional<Ipv4>& ip,
                                                const std::optional<Ipv6>& ipv6) {
    if (!is_interface_name(bridge)) return {bad_bridge(bridge)};
    if (geteuid() != 0 && (ip || ipv6)) {
        const boost::json::object with{
            {"bridge", bridge}, {"ip", ip ? ip->str() : ""}, {"ipv6", ipv6 ? ipv6->str() : ""}};
        if (auto done = by_our_step(Change::remove, vm, with, paths_.root_agent_socket())) return *done;
    }
    std::vector<std::string> failures;
    if (ipv6 && geteuid() != 0)
        ask_agent_for_route(failures, Change::remove, *ipv6, bridge, paths_.root_agent_socket());
    else if (ipv6)
        note(failures, Change::remove, route_to(*ipv6), bridge,
             change_with_ip({"-6", "route", "del", ipv6->str() + "/128", "dev", bridge}));
    if (ip) remove_neighbour(failures, "-4", ip->str(), bridge);
    if (ipv6) remove_neighbour(failures, "-6", ipv6->str(), bridge);
    return failures;
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

std::vector<std::string> SimulatedNetwork::place(const VmName&, const Placement& placement) {
    fault::point("simulated.place");
    const auto entries = entries_of(world_);
    const auto put = [&](const std::string& name, const std::string& text) {
        entries.remove_temporaries(name);
        entries.replace(name, text, {.mode = 0644, .uid = {}, .gid = {}});
    };
    const std::string neighbour = placement.bridge + " " + placement.mac.str() + "\n";
    if (placement.ipv6) put(route_file(*placement.ipv6), placement.bridge + "\n");
    put(neighbour_file(placement.ip.str()), neighbour);
    if (placement.ipv6) put(neighbour_file(placement.ipv6->str()), neighbour);
    fault::point("simulated.place.after");
    return {};
}

std::vector<std::string> SimulatedNetwork::unplace(const VmName&, const std::string&,
                                                   const std::optional<Ipv4>& ip,
                                                   const std::optional<Ipv6>& ipv6) {
    fault::point("simulated.unplace");
    auto entries = entries_of(world_);
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

} // namespace blockhost::host
