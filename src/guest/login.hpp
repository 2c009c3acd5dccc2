// SPDX-License-Identifier: MIT
#pragma once
/// The login that user-data declares, and whether the guest has it, so that the VM's owner can log in.

#include "guest/agent.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace blockhost::guest {

struct Login {
    std::string name;
    /// The user-data lists that user. False also when it cannot be told: a script, a Jinja template.
    bool declared = false;
    std::vector<std::string> owner; ///< the parts of its GECOS field that name its owner ("wallet=0x…")
    std::vector<std::string> keys;  ///< the base64 texts of its public SSH keys
};

/// What `user_data` declares for the user `name` (cloud-init, "Users and Groups"), in its list of users or as
/// its default user.
Login login_in(std::string_view user_data, const std::string& name);

/// What the guest lacks of that login, in words ("the guest has no user alice"); empty when it lacks nothing.
/// Compares the guest's passwd and the user's authorized_keys, read by the agent's file calls. Throws
/// Error{guest} when it cannot be told.
std::string lacking(const AgentCall& call, const Login& login);

} // namespace blockhost::guest
