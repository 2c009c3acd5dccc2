// SPDX-License-Identifier: MIT
#pragma once
/// The guests' agents that one session speaks to.

#include "hypervisor/rpc/domains.hpp"

#include <map>

namespace blockhost::rpc {

/// How libvirt's greeting of an agent is bounded, and what that costs others, is said in libvirt/agent.hpp,
/// which does the same. A connection that broke leaves the greetings it set.
class Agents {
  public:
    /// One command and its reply; `seconds` bounds greeting and answer, each. Throws a Trouble, whose `doing`
    /// says whether the agent was asked already; and Error{not_found}.
    std::string ask(Session& session, const std::string& name, const std::string& command, int seconds,
                    const Deadline& deadline);
    /// Every domain's greeting as libvirt would have it. Never throws.
    void restore(Session& session, const Deadline& deadline) noexcept;

  private:
    /// Who a domain is, as of its last command, and the greeting set for it (0: none).
    struct Known {
        Domain domain;
        int greeting = 0;
    };
    Known& known(Session& session, const std::string& name, const Deadline& deadline);
    std::string ask_known(Session& session, Known& known, const std::string& command, int seconds,
                          const Deadline& deadline);

    std::map<std::string, Known> known_;
};

} // namespace blockhost::rpc
