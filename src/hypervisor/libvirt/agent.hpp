// SPDX-License-Identifier: MIT
#pragma once
/// Guest agent commands on one connection. All throw Failed; they run on the connection's worker.

#include <libvirt/libvirt.h>
#include <map>
#include <string>

namespace blockhost::libvirt {

/// The agents that one connection speaks to.
///
/// Before a command libvirt greets the agent (guest-sync), and waits 5 s for that whatever the command's own
/// limit; only the domain's agent response timeout shortens it. That setting lives in the daemon and is
/// everybody's: it is also how long libvirt waits for the replies to its own agent commands (freezing file
/// systems, say), by default without end. So a shorter greeting is set with the first command that wants one,
/// and the default is set again when the conversation is over, by restore(). What somebody else had set there
/// cannot be read and is lost. A process that is killed in between leaves its setting until the domain's next
/// conversation or restart.
class Agents {
  public:
    /// One command and its reply. `seconds` bounds greeting and answer, each.
    std::string ask(virConnectPtr connection, const std::string& name, const std::string& command,
                    int seconds);
    /// Every domain's greeting as libvirt would have it. Never throws.
    void restore(virConnectPtr connection) noexcept;

  private:
    void bound_greeting(virDomainPtr domain, const std::string& name, int seconds);

    std::map<std::string, int> greetings_; ///< seconds set, by domain
};

} // namespace blockhost::libvirt
