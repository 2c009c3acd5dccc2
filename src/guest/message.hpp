#pragma once
/// One command to the guest agent and its reply: the one place where what a guest says becomes a value. The
/// guest belongs to somebody else, so every reply is bounded in size, depth and the memory it may take.

#include "base/error.hpp"
#include "guest/agent.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstddef>

namespace blockhost::guest {

/// Replies to most commands are a few hundred bytes; a file's are the longest.
inline constexpr std::size_t usual_reply = 256 * 1024;

/// What an agent's reply to `command` returned. Throws Error{guest} saying what is wrong with it: larger than
/// `most` bytes, not JSON (or half of it), nested too deep, too many parts, no result, or the agent's own
/// refusal.
boost::json::value returned_by(std::string_view reply, std::string_view command,
                               std::size_t most = usual_reply);

/// Sends one command and returns what it returned.
boost::json::value ask(const AgentCall& call, std::string_view command, boost::json::object arguments = {},
                       std::size_t most = usual_reply);

/// The member when `value` is an object that has it; else null.
const boost::json::value* member(const boost::json::value& value, std::string_view key);
/// The string's text; empty for anything else.
std::string_view text_of(const boost::json::value* value);
/// True only for a true.
bool is_true(const boost::json::value* value);

/// Whether an Error{guest} says that nobody answered (rather than that the agent refused, or sent what makes
/// no sense): it may answer yet when it is asked again.
bool is_silence(const Error& error);

} // namespace blockhost::guest
