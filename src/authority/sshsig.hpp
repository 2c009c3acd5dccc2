// SPDX-License-Identifier: MIT
#pragma once
/// The form of an SSH signature (PROTOCOL.sshsig of OpenSSH). Whether it is good, OpenSSH alone says
/// (ssh_keygen.hpp); what is read here serves refusals that say what is wrong.

#include <string>
#include <string_view>

namespace blockhost::authority {

/// What a signature says of itself.
struct SignatureForm {
    std::string key_type; ///< "ssh-ed25519", "sk-ssh-ed25519@openssh.com", …
    std::string name_space;
    bool untouched = false; ///< a security key ("sk-…") made it without anybody's touch
};

/// Throws Error{invalid} unless the text is one armored signature of version 1, and nothing else.
SignatureForm parse_signature(std::string_view armored);

} // namespace blockhost::authority
