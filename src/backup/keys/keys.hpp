// SPDX-License-Identifier: MIT
#pragma once
/// A repository's keys: a second one lets an admin read it without the host's password.

#include "backup/repositories/restic.hpp"
#include "config/paths.hpp"

namespace blockhost::backup {

/// Adds a key that `password` opens; the new key. The password goes to restic through a pipe that only its
/// user may read. Throws Error{exists} for the password that opened the repository; as Restic.
Key add_key(const Paths& paths, const Restic& restic, const std::string& password);

/// Removes the one key whose id begins with `digits`. Throws Error{invalid} for what is no id,
/// Error{not_found} when there is none, Error{usage} for digits that several begin with; Error{wrong_state}
/// for the key of this host's password.
void remove_key(const Restic& restic, const std::string& digits);

} // namespace blockhost::backup
