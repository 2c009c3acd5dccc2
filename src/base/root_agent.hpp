#pragma once
/// Client of the root agent: one request a connection, 4-byte big-endian length and UTF-8 JSON both ways.

#include <boost/json/object.hpp>
#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

namespace blockhost {

/// The parameter that tells our actions until when their caller waits, in milliseconds since the host's boot:
/// what is taken up later is not carried out.
inline constexpr const char* root_action_end = "not_after";

/// Calls `action`; returns the whole reply object when it says ok. Throws Error{denied} when the socket
/// cannot be reached, Error{no_answer} when it does not answer in time. When it refuses: the Error that our
/// own binary met on the other side, where the reply names its code; else Error{hypervisor} with the agent's
/// own words. Replies beyond 20 MiB are refused.
boost::json::object call_root_agent(const std::filesystem::path& socket, std::string_view action,
                                    const boost::json::object& parameters,
                                    std::chrono::milliseconds deadline);

/// The reply's text as an object that says ok; throws as call_root_agent.
boost::json::object checked_reply(const std::string& reply, std::string_view action);

} // namespace blockhost
