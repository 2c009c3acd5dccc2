// SPDX-License-Identifier: MIT
// Reads interfaces from getifaddrs(3), /sys/class/net and /proc/net/route.
#include "host/interfaces.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "host/network_look.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <bit>
#include <charconv>
#include <ifaddrs.h>
#include <memory>
#include <sstream>

namespace blockhost::host {

namespace {

namespace fs = std::filesystem;

const fs::path sys_net = "/sys/class/net";

/// Neither loopback (RFC 1122) nor link-local (RFC 3927).
bool is_global(Ipv4 address) {
    return address.value() >> 24 != 127 && address.value() >> 16 != (169u << 8 | 254u);
}

Ipv4 address_in(const sockaddr* address) {
    return Ipv4(ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr));
}

using AddressList = std::unique_ptr<ifaddrs, void (*)(ifaddrs*)>;
AddressList address_list() {
    ifaddrs* first = nullptr;
    if (getifaddrs(&first) != 0) throw errno_error("cannot read", "the host's addresses", errno);
    return {first, freeifaddrs};
}

std::optional<std::uint32_t> hex(const std::string& text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// Reads lines of "Iface Destination Gateway Flags RefCnt Use Metric Mask …" (proc(5)). Each number is an
/// address in network byte order, printed as an integer of the host's byte order.
void add_gateways(std::map<std::string, Interface>& all) {
    std::istringstream lines(files::read("/proc/net/route").value_or(""));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string name, destination, gateway, flags, count, use, metric, mask;
        words >> name >> destination >> gateway >> flags >> count >> use >> metric >> mask;
        const auto through = hex(gateway);
        if (hex(destination) != 0u || hex(mask) != 0u || !through || *through == 0) continue;
        const auto found = all.find(name);
        if (found != all.end() && !found->second.gateway) found->second.gateway = Ipv4(ntohl(*through));
    }
}

std::size_t entries_in(const fs::path& folder) {
    std::error_code ignored;
    std::size_t count = 0;
    for (fs::directory_iterator each(folder, ignored), end; !ignored && each != end; each.increment(ignored))
        ++count;
    return count;
}

std::vector<Interface> in_order(std::map<std::string, Interface> all) {
    std::vector<Interface> list;
    for (auto& [name, interface] : all) {
        interface.name = name;
        list.push_back(std::move(interface));
    }
    return list;
}

std::optional<HostAddress> parse_address(std::string_view text) {
    const auto slash = text.find('/');
    const auto address = Ipv4::try_parse(text.substr(0, slash));
    const auto network = Ipv4Network::try_parse(text);
    if (!address || !network) return std::nullopt;
    return HostAddress{*address, network->prefix_length()};
}

Interface parse_interface(const boost::json::value& value) {
    Interface interface;
    interface.bridge = json::is_true(value, "bridge");
    if (json::member(value, "up")) interface.up = json::is_true(value, "up");
    if (const auto ports = json::integer_in(value, "ports"))
        interface.ports = static_cast<std::size_t>(*ports);
    interface.gateway = Ipv4::try_parse(json::string_or(value, "gateway", ""));
    for (const std::string& each : json::strings_in(value, "addresses"))
        if (const auto address = parse_address(each)) interface.addresses.push_back(*address);
    return interface;
}

} // namespace

std::map<std::string, std::vector<HostAddress>> kernel_addresses() {
    std::map<std::string, std::vector<HostAddress>> all;
    const AddressList list = address_list();
    for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
        if (!entry->ifa_addr || entry->ifa_addr->sa_family != AF_INET) continue;
        const int length = entry->ifa_netmask ? std::popcount(address_in(entry->ifa_netmask).value()) : 32;
        all[entry->ifa_name].push_back({address_in(entry->ifa_addr), length});
    }
    return all;
}

std::optional<HostAddress> first_global(const std::vector<HostAddress>& addresses) {
    for (const HostAddress& each : addresses)
        if (is_global(each.address)) return each;
    return std::nullopt;
}

std::vector<Interface> kernel_interfaces() {
    std::map<std::string, Interface> all;
    std::error_code failure;
    for (const auto& entry : fs::directory_iterator(sys_net, failure)) all[entry.path().filename().string()];
    if (failure) throw errno_error("cannot read", sys_net.string(), failure.value());
    for (auto& [name, addresses] : kernel_addresses()) all[name].addresses = std::move(addresses);
    add_gateways(all);
    for (auto& [name, interface] : all) {
        std::error_code ignored;
        interface.bridge = fs::is_directory(sys_net / name / "bridge", ignored);
        interface.up = is_up(name);
        if (interface.bridge) interface.ports = entries_in(sys_net / name / "brif");
    }
    return in_order(std::move(all));
}

std::vector<Ipv6> kernel_addresses6() {
    std::vector<Ipv6> addresses;
    const AddressList list = address_list();
    for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
        if (!entry->ifa_addr || entry->ifa_addr->sa_family != AF_INET6) continue;
        const auto* socket_address = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
        std::array<unsigned char, 16> bytes;
        std::copy_n(socket_address->sin6_addr.s6_addr, bytes.size(), bytes.begin());
        addresses.emplace_back(bytes);
    }
    return addresses;
}

std::vector<Interface> simulated_interfaces(const fs::path& world) {
    constexpr std::string_view usual = R"({"br0": {"bridge": true, "addresses": ["192.168.1.5/24"]}})";
    const fs::path file = world / "interfaces.json";
    const auto value = json::parse(files::read(file).value_or(std::string(usual)), file.string());
    std::map<std::string, Interface> all;
    if (value.is_object())
        for (const auto& [name, interface] : value.get_object()) all[name] = parse_interface(interface);
    return in_order(std::move(all));
}

} // namespace blockhost::host
