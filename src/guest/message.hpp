// SPDX-License-Identifier: MIT
#pragma once
/// Sends one command to the guest agent and parses its reply, in the only place that parses replies. The
/// guest belongs to somebody else, so every reply is bounded in size, depth and the memory it may take.

#include "base/error.hpp"
#include "guest/agent_call.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstddef>

namespace blockhost::guest {

/// Most replies have a few hundred bytes; a file's are the longest.
inline constexpr std::size_t usual_reply = std::size_t{256} * 1024;

/// What an agent's reply to `command` returned. Throws Error{guest} saying what is wrong with it: larger than
/// `most` bytes, not JSON, cut off, nested too deep, too many parts, no result, or the agent's own refusal.
boost::json::value returned_by(std::string_view reply, std::string_view command,
                               std::size_t most = usual_reply);

/// Sends one command and returns what its reply returned.
boost::json::value ask(const AgentCall& call, std::string_view command, boost::json::object arguments = {},
                       std::size_t most = usual_reply);

/// Whether an Error{guest} says that nobody answered, rather than that the agent refused or sent a reply that
/// makes no sense. Asking again may then succeed.
bool is_silence(const Error& error);

} // namespace blockhost::guest
