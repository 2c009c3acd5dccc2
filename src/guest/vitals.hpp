// SPDX-License-Identifier: MIT
#pragma once
/// How a guest is, from one conversation with its agent. All that the agent says is outside text.

#include "guest/agent.hpp"

#include <cstdint>

namespace blockhost::guest {

/// Values that change slowly. An empty field: the guest did not tell, or told nonsense.
struct SlowVitals {
    std::optional<std::int64_t> disk_used_bytes; ///< of the file system mounted at "/"
    std::optional<std::int64_t> connections;     ///< established TCP connections, either way, IPv4 and IPv6
    std::optional<std::int64_t> uptime_s;
    bool operator==(const SlowVitals&) const = default;
};

struct Vitals {
    bool answers = false;
    SlowVitals slow;
    /// True when all slow values were asked for; false also when only a ping was wanted.
    bool looked = false;
    /// A file that is still open in the guest, because the conversation ended before it could be closed.
    std::optional<std::int64_t> left_open;
};

/// What to ask for.
enum class Depth {
    ping, ///< whether it answers
    all,  ///< that, then the slow values
    rest, ///< the slow values of a guest that has just answered
};

/// Asks the agent. Never throws an Error: an agent that is absent, slow or sends garbage leaves its fields
/// empty. An Error with a code other than guest (a call given up, a connection gone) ends the conversation.
/// Closes the file that an earlier conversation left open. Refuses replies beyond usual_reply, and does not
/// read a file beyond 1 MiB to its end.
Vitals look_at(const AgentCall& call, Depth depth, std::optional<std::int64_t> left_open);

} // namespace blockhost::guest
