// SPDX-License-Identifier: MIT
/// Chooses the addresses of a new VM.

#include "operations/create/addresses.hpp"

#include "vm/cleanup.hpp"

#include <fmt/format.h>

namespace blockhost::operations {

namespace {

using Claims = Journal::Claims;

void add(Claims& all, const Claims& more) {
    all.ip.insert(all.ip.end(), more.ip.begin(), more.ip.end());
    all.ipv6.insert(all.ipv6.end(), more.ipv6.begin(), more.ipv6.end());
}

/// What there is to choose from.
struct Choice {
    const Database* database;
    const Claims* taken;
    Ipv4Pool pool;
    std::optional<Ipv6Prefix> prefix;
    std::uint64_t first6, last6;

    Addresses first_free() const {
        return choose_addresses(*database, pool, taken->ip, taken->ipv6, prefix, first6, last6);
    }
};

/// The same with that IPv4 address alone; nothing when it is not among them.
std::optional<Choice> with_only(Choice choice, const Ipv4& ip) {
    if (ip < choice.pool.first || ip > choice.pool.last) return std::nullopt;
    choice.pool.first = choice.pool.last = ip;
    return choice;
}

/// Where in the prefix the address is.
std::optional<std::uint64_t> offset_in(const Ipv6Prefix& prefix, const Ipv6& ip) {
    constexpr std::size_t half = 8;
    std::uint64_t lower = 0, base = 0;
    for (std::size_t i = half; i < 2 * half; ++i) {
        lower = lower << 8 | ip.bytes()[i];
        base = base << 8 | prefix.network().bytes()[i];
    }
    const std::uint64_t offset = lower - base;
    return prefix.at(offset) == ip ? std::optional(offset) : std::nullopt;
}

std::optional<Choice> with_only(Choice choice, const Ipv6& ip) {
    const auto at = choice.prefix ? offset_in(*choice.prefix, ip) : std::nullopt;
    if (!at || *at < choice.first6 || *at > choice.last6) return std::nullopt;
    choice.first6 = choice.last6 = *at;
    return choice;
}

bool has_a_free_ipv4(const Choice& choice) {
    try {
        choice.first_free();
        return true;
    } catch (const Error& error) {
        if (error.code() == Code::no_room) return false;
        throw;
    }
}

} // namespace

Claims claimed_elsewhere(World& world, const VmName& name) {
    Claims claims = world.journal.claims_of_others(name);
    add(claims, claims_of_domains(world, name));
    return claims;
}

Addresses choose(const World& world, const VmName& name, const Settings& settings, const Database& database,
                 const Claims& elsewhere, const FormerAddresses& former) {
    Claims taken{world.network->own_addresses(), world.network->own_addresses6()};
    taken.ip.push_back(settings.gateway);
    add(taken, elsewhere);
    add(taken, world.journal.claims_of_others(name));
    Choice choice{&database,
                  &taken,
                  world.config.ipv4,
                  settings.broker ? std::optional(settings.broker->prefix) : std::nullopt,
                  world.config.ipv6_first,
                  world.config.ipv6_last};
    if (former.ip && !former.ipv6) choice.prefix.reset(); // it never had one
    if (former.ip)
        if (const auto only = with_only(choice, *former.ip); only && has_a_free_ipv4(*only)) choice = *only;
    if (former.ipv6)
        if (const auto only = with_only(choice, *former.ipv6); only && only->first_free().ipv6)
            choice = *only;
    return choice.first_free();
}

void warn_of_a_used_up_pool(const World& world, const Settings& settings, const Addresses& chosen) {
    if (!settings.broker || chosen.ipv6) return;
    world.progress.warn(
        fmt::format("no IPv6 address is free: {} has none left at {} to {} (ipv6_pool in db.yaml); "
                    "the VM gets IPv4 alone",
                    settings.broker->prefix.str(), world.config.ipv6_first, world.config.ipv6_last));
}

} // namespace blockhost::operations
