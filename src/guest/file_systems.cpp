// SPDX-License-Identifier: MIT
#include "guest/file_systems.hpp"

#include "base/error.hpp"
#include "guest/message.hpp"

namespace blockhost::guest {

namespace {

std::int64_t count_of(const AgentCall& call, std::string_view command) {
    const auto returned = ask(call, command);
    const std::int64_t* count = returned.if_int64();
    if (count != nullptr && *count >= 0) return *count;
    throw Error(Code::guest, "the guest agent's reply to " + std::string(command) + " makes no sense");
}

} // namespace

std::int64_t freeze(const AgentCall& call) {
    return count_of(call, "guest-fsfreeze-freeze");
}

void thaw(const AgentCall& call) {
    count_of(call, "guest-fsfreeze-thaw");
}

} // namespace blockhost::guest
