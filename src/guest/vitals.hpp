#pragma once
/// How a guest is, in its own words: one conversation with its agent, every word of it outside text.

#include "guest/agent.hpp"

#include <cstdint>

namespace blockhost::guest {

/// What changes slowly. Nothing in a field: the guest did not tell, or told nonsense.
struct SlowVitals {
    std::optional<std::int64_t> disk_used_bytes; ///< of the filesystem mounted at "/"
    std::optional<std::int64_t> connections;     ///< TCP, established in either direction, IPv4 and IPv6
    std::optional<std::int64_t> uptime_s;
    bool operator==(const SlowVitals&) const = default;
};

struct Vitals {
    bool answers = false;
    SlowVitals slow;
    /// All of the slow ones were asked for; false also when only a ping was wanted.
    bool looked = false;
    /// A file that is still open in the guest, since the conversation ended before it could be closed.
    std::optional<std::int64_t> left_open;
};

/// What to ask for.
enum class Depth {
    ping, ///< whether it answers
    all,  ///< that, then the slow values
    rest, ///< the slow values, of a guest that has just answered
};

/// Asks. Never throws an Error: an agent that is absent, slow, or answers garbage leaves its fields empty. An
/// Error of another code than guest (a call given up, a connection gone) ends the conversation. `left_open`
/// of an earlier conversation is closed. A reply larger than 2 MiB is refused unread, a file larger than
/// 1 MiB is not read to its end.
Vitals look_at(const AgentCall& call, Depth depth, std::optional<std::int64_t> left_open);

} // namespace blockhost::guest
