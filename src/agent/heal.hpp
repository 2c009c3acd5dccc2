// SPDX-License-Identifier: MIT
#pragma once
/// Starts guests again that should run and crashed: what a timer and the agent's loop call.

#include "agent/engine.hpp"
#include "config/agent_json.hpp"
#include "execution/episodes.hpp"

namespace blockhost::agent {

/// What `<etc>/agent.json` says in its member "healing", in seconds: "off_for_s", "between_s", "longest_s",
/// "steady_s"; and "most_starts". The defaults are those of HealingRules. Throws Error{config}, naming file
/// and member.
execution::HealingRules healing_rules_of(const Paths& paths);
execution::HealingRules healing_rules_in(const AgentJson& agent);

/// What a round found of one guest, and did.
struct Tended {
    platform::Target target;
    enum class Stand {
        runs,
        left,     ///< it does not run, and that is not healing's business: `why`
        waits,    ///< it crashed, and is started again at `due`
        starts,   ///< it crashed: `operation` starts it, and is queued; in a mere look, would be now
        given_up, ///< it crashed too often in a row: a person has to look
        unknown,  ///< it could not be read, `why`; nothing follows from that
    } stand = Stand::unknown;
    std::string why = {};            ///< one clause; empty for `runs`
    bool is_wanted = false;          ///< it should run, as far as is known
    bool is_news = false;            ///< of `given_up`: it was decided in this round
    std::optional<Instant> due = {}; ///< of `waits`
    execution::Id operation = {};    ///< of `starts`; empty in a mere look
};
std::string_view to_string(Tended::Stand stand);

/// Looks at the host's guests, and heals. A guest should run when the accepted desired state says so; where
/// that does not speak of its power, when the platform's own records do (platform::Outage). One that somebody
/// switched off, that is locked or that an operation works on is left alone; so is one of which nobody can
/// tell why it is off. For one thread; the engine outlives it.
class Healer {
  public:
    Healer(Engine& engine, const Paths& paths, execution::HealingRules rules);

    enum class Manner {
        look, ///< changes nothing, and remembers nothing
        act,  ///< remembers what was seen, and queues the starts that are due; nothing is carried out yet
    };
    /// One round over those guests, or all when none is named. In order of their ids. Throws
    /// Error{not_found} for one that is not there; what Platform::guests throws; store::StoreError: what is
    /// counted is on disk before it is queued.
    std::vector<Tended> round(const std::vector<platform::GuestId>& only, Manner manner, Instant now);

  private:
    Tended tend(const platform::Guest& listed, Manner manner, Instant now);
    Tended tend_running(const platform::Guest& guest, bool is_named, Manner manner, Instant now);
    Tended tend_off(const platform::Guest& guest, std::optional<WantedPower> wish, Manner manner,
                    Instant now);
    execution::Sight sight_of(const platform::Guest& guest, const platform::Outage& outage,
                              const execution::Episode& episode);
    void keep(const platform::GuestId& id, const execution::Episode& before, const execution::Episode& after,
              Manner manner);

    Engine& engine_;
    execution::Episodes episodes_;
    execution::HealingRules rules_;
};

} // namespace blockhost::agent
