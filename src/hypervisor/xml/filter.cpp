// SPDX-License-Identifier: MIT
/// The two network filters that keep a guest to the addresses it was given.
///
/// Every rule sits in the interface's own ebtables chain, in the order of its priority; direction "out" is
/// what the guest sends. What no rule accepts, the last one drops: tagged frames, RARP, spanning tree, and
/// IPv6 where the guest has none.
///
/// IPv4 redirects need no rule: a host takes one only from its gateway's address, and that is not the
/// guest's. From link-local addresses a guest may send only the messages named here, which are matched
/// positively: a router advertisement or redirect hidden behind fragments or extension headers matches none
/// of them, and receivers refuse one from any other address (RFC 4861, sections 6.1.2 and 8.1).

#include "hypervisor/xml/domain.hpp"
#include "hypervisor/xml/print.hpp"

namespace blockhost {
namespace {

using Match = std::initializer_list<std::pair<const char*, const char*>>;

/// Rules in the order they are added; each gets the next priority.
class Rules {
  public:
    explicit Rules(pugi::xml_node filter) : filter_(filter) {}

    /// `protocol` empty: every frame.
    void add(const char* action, const char* direction, const char* protocol, Match match = {}) {
        auto rule = filter_.append_child("rule");
        rule.append_attribute("action") = action;
        rule.append_attribute("direction") = direction;
        rule.append_attribute("priority") = priority_ += 10;
        if (!*protocol) return;
        auto what = rule.append_child(protocol);
        for (const auto& [key, value] : match) what.append_attribute(key) = value;
    }

  private:
    pugi::xml_node filter_;
    int priority_ = 0;
};

/// ICMPv6 types a guest may send from a link-local address: router and neighbour solicitation, neighbour
/// advertisement (RFC 4861), and multicast listener messages (RFC 2710, RFC 3810).
constexpr const char* link_local_types[] = {"133", "135", "136", "131", "132", "143"};
/// And from the unspecified address: duplicate address detection (RFC 4862) and listener reports before it
/// ended (RFC 3590).
constexpr const char* unspecified_types[] = {"135", "143"};

void add_ipv4(Rules& rules) {
    rules.add("accept", "out", "arp", {{"arpsrcmacaddr", "$MAC"}, {"arpsrcipaddr", "$IP"}});
    rules.add("drop", "out", "ip", {{"protocol", "udp"}, {"srcportstart", "67"}});
    rules.add("drop", "out", "ip", {{"protocol", "udp"}, {"dstportstart", "68"}});
    rules.add("accept", "out", "ip", {{"srcipaddr", "$IP"}});
    rules.add("accept", "in", "mac", {{"protocolid", "arp"}});
    rules.add("accept", "in", "mac", {{"protocolid", "ipv4"}});
}

void add_ipv6(Rules& rules) {
    rules.add("drop", "out", "ipv6", {{"protocol", "icmpv6"}, {"type", "134"}});
    rules.add("drop", "out", "ipv6", {{"protocol", "icmpv6"}, {"type", "137"}});
    rules.add("drop", "out", "ipv6", {{"protocol", "udp"}, {"srcportstart", "547"}});
    rules.add("drop", "out", "ipv6", {{"protocol", "udp"}, {"dstportstart", "546"}});
    rules.add("accept", "out", "ipv6", {{"srcipaddr", "$IPV6"}});
    for (const char* type : link_local_types)
        rules.add("accept", "out", "ipv6",
                  {{"srcipaddr", "fe80::"}, {"srcipmask", "10"}, {"protocol", "icmpv6"}, {"type", type}});
    for (const char* type : unspecified_types)
        rules.add("accept", "out", "ipv6",
                  {{"srcipaddr", "::"}, {"srcipmask", "128"}, {"protocol", "icmpv6"}, {"type", type}});
    rules.add("accept", "in", "mac", {{"protocolid", "ipv6"}});
}

/// An RFC 9562 version 8 uuid made of the name alone (two FNV-1a sums): not secret, only always the same.
std::string uuid_of(std::string_view name) {
    static constexpr char digits[] = "0123456789abcdef";
    std::uint64_t sums[2] = {0xcbf29ce484222325, 0x84222325cbf29ce4};
    for (auto& sum : sums)
        for (unsigned char c : name) sum = (sum ^ c) * 0x100000001b3;
    sums[0] = (sums[0] & ~0xf000ULL) | 0x8000ULL;
    sums[1] = (sums[1] & ~(3ULL << 62)) | 2ULL << 62;
    std::string out;
    for (auto sum : sums)
        for (int shift = 60; shift >= 0; shift -= 4) {
            if (out.size() == 8 || out.size() == 13 || out.size() == 18 || out.size() == 23) out += '-';
            out += digits[(sum >> shift) & 15];
        }
    return out;
}

} // namespace

std::string filter_name(FilterKind kind, bool default_root, const InstanceId& instance) {
    std::string name = kind == FilterKind::ipv4 ? "blockhost-guest-ipv4" : "blockhost-guest-ipv4-ipv6";
    return default_root ? name : name + "-" + instance.tag();
}

std::string render_filter(const FilterSpec& spec) {
    pugi::xml_document document;
    auto filter = document.append_child("filter");
    filter.append_attribute("name") = spec.name.c_str();
    filter.append_attribute("chain") = "root";
    filter.append_child("uuid").text() = uuid_of(spec.name).c_str();
    Rules rules(filter);
    rules.add("drop", "out", "mac", {{"match", "no"}, {"srcmacaddr", "$MAC"}});
    add_ipv4(rules);
    if (spec.kind == FilterKind::ipv4_and_ipv6) add_ipv6(rules);
    rules.add("drop", "inout", "");
    return print_xml(document);
}

} // namespace blockhost
