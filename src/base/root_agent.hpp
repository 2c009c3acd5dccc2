// SPDX-License-Identifier: MIT
#pragma once
/// Client of the root agent: one request per connection, 4-byte big-endian length and UTF-8 JSON both ways.

#include <boost/json/object.hpp>
#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

namespace blockhost {

/// The parameter that tells this program's root actions how long their caller waits: a time in milliseconds
/// since the host's boot, after which the action is not begun.
inline constexpr const char* root_action_end = "not_after";

/// Calls `action`; returns the whole reply object when it says ok. Throws Error{denied} when the socket
/// cannot be reached, Error{no_answer} when the agent does not answer in time. When the agent refuses, throws
/// the Error that this program met when run as root, if the reply names its code; else Error{hypervisor} with
/// the agent's message. Refuses replies beyond 20 MiB.
boost::json::object call_root_agent(const std::filesystem::path& socket, std::string_view action,
                                    const boost::json::object& parameters,
                                    std::chrono::milliseconds deadline);

/// The reply's text as an object that says ok; throws like call_root_agent.
boost::json::object checked_reply(const std::string& reply, std::string_view action);

} // namespace blockhost
