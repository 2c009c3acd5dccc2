// SPDX-License-Identifier: MIT
#pragma once
/// The agent as a service: it asks its hub, looks at the host, asks for what is wanted, has it carried out,
/// and tells. It decides nothing: what may be done the gate says, what is done the runner does, and all that
/// has to outlive this process is in the agent's database.
///
/// Two threads: the caller's exchanges, looks and plans; another one carries out, so that an action that
/// takes hours keeps no report from being sent. They share the database alone, and a wish to look.

#include "agent/service/report.hpp"
#include "agent/service/settings.hpp"
#include "base/service_manager.hpp"
#include "hub/courier.hpp"
#include "hub/pace.hpp"

#include <memory>

namespace blockhost::agent {

/// What the service stands on. All of it outlives the service.
struct ServiceParts {
    const Paths& paths;
    std::string version; ///< of this program
    /// Makes an engine, which tells what speaks against the clock. Any thread calls it.
    std::function<Engine(const std::function<void(const Error&)>& doubtful_clock)> engine;
    /// Reads agent.json and the environment. Throws Error{config}.
    std::function<ServiceSettings()> settings;
    /// Whether this process is to end. Any thread calls it.
    std::function<bool()> is_asked_to_end;
    /// Whether the configuration is to be read anew, since this was asked last.
    std::function<bool()> is_asked_to_reload;
    /// Tells a person: the systemd journal. In the caller's thread alone.
    std::function<void(const std::string&)> say, warn;
    ServiceManager& manager;
};

/// One at a time on a host.
class Service {
  public:
    /// Throws Error{busy} when another process is this host's agent, and what `settings` throws;
    /// Error{config} where there is no hub.
    explicit Service(ServiceParts parts);
    ~Service();
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;

    /// Goes on until it is asked to end. Nothing that is away ends it: hub, platform, database, room on the
    /// disk; it tells so, and tries again.
    void run();

    enum class Outcome {
        done,    ///< nothing is left to do
        waiting, ///< something waits for a signature, for a person or for its time, or is not known
        failed,  ///< the hub was not reached, or something could not be done
    };
    /// One whole turn: asks the hub, carries out what is wanted until nothing changes any more, and reports.
    /// Throws what keeps it from that.
    Outcome once();

    /// A report and an answer, which changes nothing here: no event is sent or acknowledged, and nothing is
    /// fetched. Throws what the transport throws.
    hub::Answer try_hub();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace blockhost::agent
