// SPDX-License-Identifier: MIT
/// See domains.hpp.

#include "hypervisor/rpc/domains.hpp"

#include "hypervisor/common/states.hpp"
#include "hypervisor/xml/domain.hpp"

#include <algorithm>

namespace blockhost::rpc {
namespace {

namespace number = libvirt::number;

std::string of(const Domain& domain) {
    Writer writer;
    writer << domain;
    return writer.bytes();
}

template<class Number>
std::string of(const Domain& domain, Number flags) {
    Writer writer;
    (writer << domain).number(flags);
    return writer.bytes();
}

/// What `call` gives; nothing when the domain vanished since it was looked up.
template<class Call>
auto unless_gone(Call call) -> std::optional<decltype(call())> {
    try {
        return call();
    } catch (const Refusal& why) {
        if (why.code() == number::no_domain) return std::nullopt;
        throw;
    }
}

std::optional<RawState> raw_state_of(Session& session, const Domain& domain, const Deadline& deadline) {
    return unless_gone([&] {
        return raw_state(
            session
                .call("tell the state of domain " + domain.name, domain_get_state, of(domain, 0u), deadline)
                .reader());
    });
}

/// Of the procedures that tell yes or no; a domain that is gone, and a driver that knows no such thing, is
/// no.
bool is(Session& session, Procedure procedure, const std::string& name, const std::string& arguments,
        const Deadline& deadline) {
    try {
        return one_number(session.call("describe domain " + name, procedure, arguments, deadline).reader()) ==
               1;
    } catch (const Refusal& why) {
        if (!libvirt::means_none(why.code())) throw;
        return false;
    }
}

constexpr std::uint32_t of_every_kind = 0;

std::vector<Domain> all_domains(Session& session, const Deadline& deadline,
                                std::uint32_t kind = of_every_kind) {
    Writer arguments;
    arguments.number(1u).number(kind); // the domains themselves
    return domains(
        session.call("list the domains", connect_list_all_domains, arguments.bytes(), deadline).reader());
}

/// Domains of those names; names without a domain are left out.
std::vector<Domain> of_names(Session& session, std::vector<std::string> names, const Deadline& deadline) {
    std::vector<Domain> found;
    if (names.size() <= libvirt::few_names) {
        for (const std::string& name : names)
            if (auto domain = look_up(session, name, deadline)) found.push_back(std::move(*domain));
        return found;
    }
    std::sort(names.begin(), names.end());
    for (Domain& domain : all_domains(session, deadline))
        if (std::binary_search(names.begin(), names.end(), domain.name)) found.push_back(std::move(domain));
    return found;
}

/// The arguments of the bulk call of `asked`, or of all when that is empty.
std::string bulk(const std::vector<Domain>& asked, unsigned groups, unsigned flags) {
    Writer arguments;
    arguments.number(static_cast<std::uint32_t>(asked.size()));
    for (const Domain& domain : asked) arguments << domain;
    arguments.number(groups).number(flags);
    return arguments.bytes();
}

/// Our mark in a domain's definition; empty when there is none.
std::string mark_of(Session& session, const Domain& domain, const Deadline& deadline) {
    Writer arguments;
    (arguments << domain).number(metadata_element).present(metadata_namespace).number(0u);
    try {
        return one_text(session
                            .call("read the mark of domain " + domain.name, domain_get_metadata,
                                  arguments.bytes(), deadline)
                            .reader());
    } catch (const Refusal& why) {
        if (!libvirt::means_none(why.code())) throw;
        return {};
    }
}

} // namespace

std::optional<Domain> look_up(Session& session, const std::string& name, const Deadline& deadline) {
    Writer arguments;
    arguments.text(name);
    return unless_gone([&] {
        return domain(
            session.call("look up domain " + name, domain_lookup_by_name, arguments.bytes(), deadline)
                .reader());
    });
}

std::optional<Power> power(Session& session, const std::string& name, const Deadline& deadline) {
    const auto domain = look_up(session, name, deadline);
    const auto raw = domain ? raw_state_of(session, *domain, deadline) : std::nullopt;
    return raw ? std::optional(libvirt::power_of(raw->state, raw->reason)) : std::nullopt;
}

std::vector<std::string> undefined(Session& session, const Deadline& deadline) {
    std::vector<std::string> names;
    for (Domain& domain : all_domains(session, deadline, list_transient))
        names.push_back(std::move(domain.name));
    return names;
}

std::optional<DomainView> find(Session& session, const std::string& name, const Deadline& deadline) {
    const auto domain = look_up(session, name, deadline);
    const auto raw = domain ? raw_state_of(session, *domain, deadline) : std::nullopt;
    if (!raw) return std::nullopt;
    const std::string doing = "show the definition of domain " + name;
    return unless_gone([&] {
        DomainView view;
        view.name = name;
        view.uuid = uuid_text(domain->uuid);
        view.state = libvirt::power_state(raw->state);
        view.reason = libvirt::reason_words(raw->state, raw->reason);
        view.persistent =
            one_number(session.call(doing, domain_is_persistent, of(*domain), deadline).reader()) > 0;
        view.xml =
            one_text(session.call(doing, domain_get_xml_desc, of(*domain, xml_inactive), deadline).reader());
        return view;
    });
}

std::vector<std::string> other_definitions(Session& session, const std::string& name,
                                           const Deadline& deadline) {
    std::vector<std::string> found;
    const auto domain = look_up(session, name, deadline);
    if (!domain) return found;
    const auto take = [&](Procedure procedure) {
        auto xml = unless_gone([&] {
            return one_text(
                session.call("show what domain " + name + " runs with", procedure, of(*domain, 0u), deadline)
                    .reader());
        });
        if (xml) found.push_back(std::move(*xml));
    };
    if (is(session, domain_is_persistent, name, of(*domain), deadline) &&
        is(session, domain_is_active, name, of(*domain), deadline))
        take(domain_get_xml_desc);
    if (is(session, domain_has_managed_save_image, name, of(*domain, 0u), deadline))
        take(domain_managed_save_get_xml_desc);
    return found;
}

void expect_states(Session& session, const Deadline& deadline) {
    session.begin(connect_get_all_domain_stats, bulk({}, libvirt::state_group, 0), deadline);
}

std::vector<DomainState> states(Session& session, const Deadline& deadline) {
    return stats_states(session
                            .call("list the domains", connect_get_all_domain_stats,
                                  bulk({}, libvirt::state_group, 0), deadline)
                            .reader());
}

std::vector<DomainUse> uses(Session& session, const Deadline& deadline) {
    std::vector<DomainUse> all;
    for (const Domain& domain : all_domains(session, deadline)) {
        const auto memory_kib = unless_gone([&] {
            return info_memory(
                session.call("describe domain " + domain.name, domain_get_info, of(domain), deadline)
                    .reader());
        });
        if (memory_kib)
            all.push_back({domain.name, uuid_text(domain.uuid), *memory_kib / 1024,
                           mark_of(session, domain, deadline)});
    }
    return all;
}

HostView host(Session& session, const Deadline& deadline) {
    return node_info(session.call("describe the host", node_get_info, {}, deadline).reader());
}

std::vector<DomainStats> stats(Session& session, const std::vector<std::string>& names,
                               const Deadline& deadline) {
    const auto asked = of_names(session, names, deadline);
    if (asked.empty() && !names.empty()) return {};
    const auto ask = [&](unsigned flags) {
        return stats_figures(session
                                 .call("read the figures of the domains", connect_get_all_domain_stats,
                                       bulk(asked, libvirt::figure_groups, flags), deadline)
                                 .reader());
    };
    try {
        return ask(libvirt::stats_nowait);
    } catch (const Refusal& why) { // older ones know no such wish
        if (why.code() != number::invalid_argument && why.code() != number::no_support) throw;
    }
    return ask(0);
}

} // namespace blockhost::rpc
