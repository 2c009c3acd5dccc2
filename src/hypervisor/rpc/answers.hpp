// SPDX-License-Identifier: MIT
#pragma once
/// What the answers have in them. Each function reads one whole answer, or throws Surprise.

#include "hypervisor/hypervisor.hpp"
#include "hypervisor/rpc/xdr.hpp"

#include <vector>

namespace blockhost::rpc {

/// remote_nonnull_domain. libvirt finds a domain by the uuid alone.
struct Domain {
    std::string name;
    Uuid128 uuid{};
    std::int32_t id = -1; ///< -1: off
};
std::string uuid_text(const Uuid128& uuid);
Writer& operator<<(Writer& writer, const Domain& domain);

struct RawState {
    int state = 0, reason = 0; ///< virDomainState and its reason
};

std::vector<std::int32_t> auth_types(Reader answer);
Domain domain(Reader answer);
std::vector<Domain> domains(Reader answer);
RawState raw_state(Reader answer);
/// Of the many procedures that answer with one number, or with one text.
std::int32_t one_number(Reader answer);
std::string one_text(Reader answer);
/// The most memory it may have, in KiB.
std::uint64_t info_memory(Reader answer);
HostView node_info(Reader answer);
std::string agent_reply(Reader answer);
/// Of a bulk answer: the states alone, or everything we show.
std::vector<DomainState> stats_states(Reader answer);
std::vector<DomainStats> stats_figures(Reader answer);

} // namespace blockhost::rpc
