// SPDX-License-Identifier: MIT
#pragma once
/// What `<etc>/agent.json` says about who may approve what: its member "authority".

#include "authority/gate.hpp"

#include <boost/json/value.hpp>

namespace blockhost::authority {

struct AuthoritySettings {
    GateSettings gate;                     ///< without its host
    std::filesystem::path allowed_signers; ///< empty: nobody may sign, and what is destructive waits for ever
    std::filesystem::path revoked;         ///< empty: there is no such list
};

/// Reads the object, of which each member may be absent:
///   "allowed_signers", "revoked"  absolute paths, as for ssh-keygen(1)
///   "require_signatures"          "destructive" (default) or "all"
///   "window_hours"                how long a signature is waited for, 1 to 720; 72
///   "roles"                       {"NAME": {"principals": […], "changes": […]}}: further ones, or the
///   members
///                                 of `operator` and `recovery`, whose changes are fixed
///   "two_signers"                 a list of changes that want two different signers
/// Throws Error{config}, naming `where` and the member, for anything else.
AuthoritySettings authority_settings(const boost::json::value& section, const std::string& where);

} // namespace blockhost::authority
