// SPDX-License-Identifier: MIT
#pragma once
/// Signatures by OpenSSH's ssh-keygen; no cryptography of ours. Every key type that it verifies is taken.

#include "base/time.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::authority {

/// The one namespace of operations: a signature that was made for anything else is none.
inline constexpr std::string_view name_space = "operation@blockhost-libvirt";

/// Who may sign at all, as ssh-keygen(1) has it: the bytes of an allowed-signers file, whose options
/// (namespaces, valid-after, valid-before, cert-authority) hold, and of a revocation list: a KRL, or public
/// keys one a line.
struct TrustFiles {
    std::string allowed_signers;
    std::string revoked; ///< empty: nothing is revoked
};

/// Reads both. Throws Error{config} when one that is named is missing, unreadable or writable by users other
/// than root and this process's user. `revoked` may be empty: there is no such list.
TrustFiles read_trust_files(const std::filesystem::path& allowed_signers,
                            const std::filesystem::path& revoked);

/// Who signed.
struct Signer {
    std::vector<std::string> principals; ///< by which the allowed-signers file knows the key
    std::string key;                     ///< "SHA256:…"; of a certificate: of the key in it
    std::string key_type;                ///< "ED25519", "RSA-CERT", "ECDSA-SK"
    bool operator==(const Signer&) const = default;
};

/// Finds out by the key's material who signed exactly `bytes` in our namespace, when `at` it was. Throws
/// Error{invalid} for a signature that is none; Error{denied} with a sentence of its own for another
/// namespace, other bytes, a security key that nobody touched, an unknown signer, one that is not allowed at
/// that time, a revoked key, one that is not allowed for our namespace. Throws Error{program} when ssh-keygen
/// cannot be run.
Signer signer_of(std::string_view bytes, const std::string& signature, const TrustFiles& trust, Instant at);

/// Signs by the key in the file `key`; by the agent when that is a public key. `told` is called with what
/// ssh-keygen says meanwhile (a security key wants to be touched). Passphrases and PINs are asked for by the
/// program in SSH_ASKPASS alone. Throws Error{program} with ssh-keygen's reason.
std::string sign(std::string_view bytes, const std::filesystem::path& key,
                 const std::function<void(std::string_view)>& told, const std::function<void()>& check);

} // namespace blockhost::authority
