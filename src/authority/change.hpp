// SPDX-License-Identifier: MIT
#pragma once
/// What the gate decides about: an action of a platform, or a change of who may sign.

#include "platform/action.hpp"

#include <boost/json/object.hpp>
#include <string>
#include <vector>

namespace blockhost::authority {

/// Puts other files in the place of those that say who may sign. Named by the SHA-256 of their bytes, as 64
/// lower-case hex digits.
struct RotateKeys {
    std::string allowed_signers_sha256;
    std::string revoked_sha256; ///< empty: there is no revocation list
};

using Change = std::variant<platform::Action, RotateKeys>;

/// "destroy", "rotate-keys": the words by which roles and the classifier's table know a change.
std::string_view name_of(const Change& change);
/// Each once: those of the platform's actions in their order, then "rotate-keys".
std::vector<std::string_view> change_names();

/// As platform::to_json; a RotateKeys has the kind "rotate-keys". action_from_json's refusals.
boost::json::object to_json(const Change& change);
Change change_from_json(const boost::json::value& value, const std::string& where);
/// One line of JSON; two changes with all parameters equal have the same, and others have not.
std::string canonical(const Change& change);
/// The SHA-256 of canonical().
std::string digest_of(const Change& change);
/// "destroy", "delete-snapshot s1", "set-config digest=d cpus=4": for people; printable, one line.
std::string described(const Change& change);

} // namespace blockhost::authority
