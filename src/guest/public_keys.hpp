// SPDX-License-Identifier: MIT
#pragma once
/// Public SSH keys in files (sshd(8), "AUTHORIZED_KEYS FILE FORMAT").

#include <string>
#include <string_view>
#include <vector>

namespace blockhost::guest {

/// The keys of a public key file, one per line, read like OpenSSH: empty lines and lines that begin with '#'
/// are skipped, blanks and tabs separate words, options may precede the key and a comment may follow it.
/// Returns at least one key. Throws Error{invalid}, naming the line and never its content, for a file without
/// a key, a line that is not a key, a body that is cut off or of another type than the line says, a
/// certificate, a private key, and a byte order mark.
std::vector<std::string> public_keys(std::string_view content);

} // namespace blockhost::guest
