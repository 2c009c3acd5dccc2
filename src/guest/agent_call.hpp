// SPDX-License-Identifier: MIT
#pragma once
/// One conversation with a guest agent, over any transport.

#include "base/error.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace blockhost::guest {

/// The part of an Error{guest} message that tells that nobody answered the agent's command; libvirt's words.
inline constexpr std::string_view agent_silent = "is not responding";

/// Nobody answers as long as the guest is paused; it may go on.
class Paused : public Error {
  public:
    using Error::Error;
};

/// Sends one command and returns the reply's text. Throws Error{guest} when nobody answers (agent_silent is
/// in the message) or the agent refuses; Paused.
using AgentCall = std::function<std::string(const std::string& command)>;

} // namespace blockhost::guest
