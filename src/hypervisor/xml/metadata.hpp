// SPDX-License-Identifier: MIT
#pragma once
/// Our metadata in a domain: what it says. claim.hpp tells whether that is true of the domain.

#include "model/address.hpp"
#include "model/names.hpp"

#include <optional>
#include <string>

namespace blockhost {

/// As far as it can be read.
struct DomainMark {
    std::string instance, operation, state_folder;
    std::string name; ///< of the VM
    std::string uuid; ///< of the domain that its create made; empty: written by an earlier build
    std::optional<Ipv4> ip;
    std::optional<Ipv6> ipv6;
    std::string wallet, username, network_mode, expires_at, created_at;
    bool operator==(const DomainMark&) const = default;
};

/// The mark in a domain's definition, or in its metadata element alone; nothing when there is none.
std::optional<DomainMark> read_mark(const std::string& xml);
/// The metadata element that says so much.
std::string render_mark(const DomainMark& mark);

/// Metadata namespace of tags, which may change. A domain's mark is set once and has another one.
inline constexpr const char* tags_namespace = "https://blockhost.io/ns/blockhost-libvirt/tags/1";
inline constexpr const char* tags_prefix = "blockhost-tags";

} // namespace blockhost
