// SPDX-License-Identifier: MIT
#pragma once
/// What is asked about domains and the host, in libvirt's terms. Each function ends at the deadline it is
/// given and throws a Trouble.

#include "hypervisor/rpc/answers.hpp"
#include "hypervisor/rpc/session.hpp"

namespace blockhost::rpc {

/// Nothing when libvirt has none of that name.
std::optional<Domain> look_up(Session& session, const std::string& name, const Deadline& deadline);

std::optional<Power> power(Session& session, const std::string& name, const Deadline& deadline);
std::optional<DomainView> find(Session& session, const std::string& name, const Deadline& deadline);
std::vector<std::string> other_definitions(Session& session, const std::string& name,
                                           const Deadline& deadline);
std::vector<std::string> undefined(Session& session, const Deadline& deadline);
std::vector<DomainState> states(Session& session, const Deadline& deadline);
/// Asks for the states, which the next states() then fetches.
void expect_states(Session& session, const Deadline& deadline);
std::vector<DomainUse> uses(Session& session, const Deadline& deadline);
HostView host(Session& session, const Deadline& deadline);
std::vector<DomainStats> stats(Session& session, const std::vector<std::string>& names,
                               const Deadline& deadline);

} // namespace blockhost::rpc
