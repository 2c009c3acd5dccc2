// SPDX-License-Identifier: MIT
#pragma once
/// Who of the allowed signers may sign what.

#include "authority/change.hpp"
#include "authority/ssh_keygen.hpp"

#include <set>

namespace blockhost::authority {

struct Role {
    std::string name;
    std::vector<std::string> principals; ///< its members, as the allowed-signers file names them
    std::vector<std::string> changes;    ///< what they may sign, by name_of()
};

struct Roles {
    std::vector<Role> all;
    std::set<std::string> two_signers; ///< the changes that want two different signers
};

/// The roles without any configuration: `operator` may sign every change, `recovery` may only rotate keys;
/// the member of each is the principal of its name.
std::vector<Role> built_in_roles();

/// How many different signers a change wants.
std::size_t signers_for(const Roles& roles, const Change& change);

/// Throws Error{denied}, with a sentence of its own for each: nobody signed; one of the signers has no role,
/// or none that may sign this; two signatures are by one key (a certificate is its key's); fewer have signed
/// than the change wants.
void require_may_sign(const Roles& roles, const std::vector<Signer>& signers, const Change& change);

} // namespace blockhost::authority
