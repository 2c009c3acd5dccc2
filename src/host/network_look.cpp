// SPDX-License-Identifier: MIT
/// See network_look.hpp.

#include "host/network_look.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/process.hpp"
#include "base/text/text.hpp"

#include <net/if.h>
#include <sstream>
#include <unistd.h>

namespace blockhost::host {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

const fs::path sys_net = "/sys/class/net";

/// Output of the first of these programs that is installed; nothing when there is none, or it fails.
std::optional<std::string> said_by(std::initializer_list<const char*> places,
                                   std::vector<std::string> arguments) {
    for (const char* program : places) {
        if (access(program, X_OK) != 0) continue;
        try {
            auto result = run({.program = program,
                               .arguments = std::move(arguments),
                               .environment = {},
                               .input = {},
                               .deadline = 10s});
            return result.ok() ? std::optional(result.out) : std::nullopt;
        } catch (const Error&) {
            return std::nullopt;
        }
    }
    return std::nullopt;
}

std::optional<std::string> said_by_ip(std::vector<std::string> arguments) {
    return said_by({"/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"}, std::move(arguments));
}

/// The word behind `key` in lines such as "10.0.0.5 dev br0 lladdr 52:54:00:00:00:01 PERMANENT" and "fd00::5
/// dev br0 metric 1024 pref medium".
std::string word_behind(const std::string& line, std::string_view key) {
    std::istringstream words(line);
    for (std::string word, last; words >> word; last = word)
        if (last == key) return word;
    return {};
}

template<class Take>
void for_each_line(const std::optional<std::string>& listing, Take take) {
    std::istringstream lines(listing.value_or(""));
    for (std::string line; std::getline(lines, line);)
        if (std::string first = line.substr(0, line.find(' ')); !first.empty()) take(first, line);
}

std::string text_in(const fs::path& path) {
    return std::string(text::trim(files::read(path).value_or("")));
}

std::string bridge_of(const std::string& tap) {
    std::error_code none;
    return fs::read_symlink(sys_net / tap / "master", none).filename();
}

bool has_neighbour(const NetworkLook& look, const std::string& address, const Placement& placement) {
    const auto found = look.neighbours.find(address);
    return found != look.neighbours.end() && found->second.interface == placement.bridge &&
           found->second.mac == placement.mac.str();
}

} // namespace

NetworkLook kernel_look() {
    NetworkLook look;
    for_each_line(said_by_ip({"neigh", "show", "nud", "permanent"}),
                  [&](const std::string& address, const std::string& line) {
                      look.neighbours[address] = {word_behind(line, "dev"), word_behind(line, "lladdr")};
                  });
    for_each_line(said_by_ip({"-6", "route", "show"}), [&](const std::string& to, const std::string& line) {
        look.routes[to] = word_behind(line, "dev");
    });
    if (geteuid() == 0) look.rules = said_by({"/usr/sbin/ebtables", "/sbin/ebtables"}, {"-t", "nat", "-L"});
    return look;
}

std::string words_of(Gap gap, const Placement& placement, const Port& port) {
    switch (gap) {
    case Gap::bridge_gone:
        return "there is no bridge " + placement.bridge;
    case Gap::bridge_down:
        return "the bridge " + placement.bridge + " is down";
    case Gap::tap_gone:
        return "its tap " + port.tap + " is gone, and comes back only when the VM is killed and started";
    case Gap::tap_elsewhere:
        return "its tap " + port.tap + " is not connected to " + placement.bridge;
    case Gap::not_isolated:
        return "its port " + port.tap + " is not isolated";
    case Gap::lets_frames_pass_by:
        return "its port " + port.tap + " lets frames pass by the filter";
    case Gap::not_filtered:
        return "nothing filters what comes from its port " + port.tap;
    case Gap::neighbour:
        return "a permanent neighbour entry of it is missing on " + placement.bridge;
    case Gap::route:
        return "the route to " + (placement.ipv6 ? placement.ipv6->str() : "") + " is missing";
    }
    return "?";
}

std::vector<Gap> gaps_in_tables(const NetworkLook& look, const Placement& placement) {
    std::vector<Gap> gaps;
    const bool all = (!placement.ip || has_neighbour(look, placement.ip->str(), placement)) &&
                     (!placement.ipv6 || has_neighbour(look, placement.ipv6->str(), placement));
    if (!all) gaps.push_back(Gap::neighbour);
    if (!placement.ipv6) return gaps;
    const auto route = look.routes.find(placement.ipv6->str());
    if (route == look.routes.end() || route->second != placement.bridge) gaps.push_back(Gap::route);
    return gaps;
}

std::vector<Gap> kernel_gaps(const NetworkLook& look, const Placement& placement, const Port& port) {
    std::error_code ignored;
    if (!fs::is_directory(sys_net / placement.bridge / "bridge", ignored)) return {Gap::bridge_gone};
    std::vector<Gap> gaps = gaps_in_tables(look, placement);
    if (!is_up(placement.bridge)) gaps.push_back(Gap::bridge_down);
    if (port.tap.empty()) return gaps;
    const fs::path as_port = sys_net / port.tap / "brport";
    if (!fs::exists(sys_net / port.tap, ignored)) {
        gaps.push_back(Gap::tap_gone);
        return gaps;
    }
    if (bridge_of(port.tap) != placement.bridge) gaps.push_back(Gap::tap_elsewhere);
    if (port.isolated && text_in(as_port / "isolated") != "1") gaps.push_back(Gap::not_isolated);
    if (text_in(as_port / "group_fwd_mask") != "0xfffd") gaps.push_back(Gap::lets_frames_pass_by);
    if (port.filtered && look.rules && !rules_guard(*look.rules, port.tap)) gaps.push_back(Gap::not_filtered);
    return gaps;
}

bool rules_guard(const std::string& listing, const std::string& tap) {
    const std::string chain = "libvirt-I-" + tap;
    const auto jump = listing.find("-i " + tap + " -j " + chain);
    const auto begin = listing.find("Bridge chain: " + chain + ",");
    if (jump == std::string::npos || begin == std::string::npos) return false;
    const auto end = listing.find("Bridge chain:", begin + 1);
    return listing.substr(begin, end == std::string::npos ? end : end - begin).find("\n-j DROP") !=
           std::string::npos;
}

bool is_up(const std::string& interface) {
    const std::string flags = text_in(sys_net / interface / "flags");
    return !flags.empty() && (std::strtoul(flags.c_str(), nullptr, 16) & IFF_UP) != 0;
}

} // namespace blockhost::host
