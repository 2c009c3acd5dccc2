// SPDX-License-Identifier: MIT
#pragma once
/// A repository's key that restic derives quickly.
///
/// restic makes its own keys so that deriving one from its password takes half a second or more, each time
/// that it starts: that is what keeps people's passwords from being guessed. Nobody guesses 256 random bits,
/// however quickly each guess is tried. So a password that was made up here gets a key with the same
/// encryption, and scrypt's parameters for interactive use (N 16384, r 8, p 1). Source of the format:
/// restic's "References: Design", section "Keys, Encryption and MAC".

#include "backup/repositories/restic.hpp"

#include <string>
#include <string_view>

namespace blockhost::backup {

/// Whether it has the form of a password that was made up here, 64 hex digits: no person chooses such a one.
bool is_made_up(std::string_view password);

/// A file of a repository's folder `keys`.
struct KeyFile {
    std::string id; ///< its name: the SHA-256 of its content
    std::string content;
};

/// The key that `password` opens. `master_key` is the repository's, as Restic.master_key; restic lists
/// `host` and `when` as where and when it was made. The same call gives another file each time. Throws
/// Error{program} for a master key that is none, and when no key can be derived.
KeyFile make_key_file(const std::string& master_key, const std::string& password, const std::string& host,
                      Instant when);

/// Puts such a key in the place of the one that opened the repository; the key's id. The key of before is
/// removed once restic opens the repository with the new one. Empty, and nothing changed, for a repository
/// elsewhere, whose files only restic reaches, and for a password that was not made up here. Throws as
/// Restic; whatever it throws, the password still opens the repository.
std::string put_quick_key(const Restic& restic);

} // namespace blockhost::backup
