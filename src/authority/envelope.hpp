// SPDX-License-Identifier: MIT
#pragma once
/// What an operator signs: one change of one guest on one host, for a time. Docs: docs/authority.md.

#include "authority/change.hpp"
#include "base/time.hpp"

namespace blockhost::authority {

/// The signature is over the exact bytes of the envelope's text; nothing is written anew before it is
/// checked.
struct Envelope {
    std::string operation; ///< 1 to 64 of a-z 0-9 . _ -
    std::string host;      ///< 1 to 253 printable ASCII characters
    platform::Target target;
    Change change;
    Instant not_before, not_after;
    std::string nonce;        ///< 32 to 64 lower-case hex digits
    std::string guest_digest; ///< of the guest's configuration when the operation was asked for; or empty
};

inline constexpr std::size_t largest_envelope = 64u << 10;
/// The longest time from not_before to not_after.
inline constexpr std::chrono::days longest_window{31};

/// One line of JSON with a version. Instants are cut to whole seconds.
std::string to_text(const Envelope& envelope);
/// Throws Error{invalid} for anything that is not exactly such a document: as json::parse_strictly; for an
/// unknown version or member, a digest that is not the change's own, a window that is empty or too long.
Envelope parse_envelope(std::string_view text);

/// An envelope with signatures: what `pending` prints (without any), what `sign` adds to, what a hub carries.
struct SignedOperation {
    std::string envelope;                ///< the bytes that are signed
    std::vector<std::string> signatures; ///< armored, as ssh-keygen -Y sign writes them
};

inline constexpr std::size_t largest_signed_operation = 192u << 10, largest_signature = 16u << 10,
                             most_signatures = 4;

/// One line of JSON with a version.
std::string to_text(const SignedOperation& operation);
/// Throws Error{invalid}. The envelope inside is not parsed.
SignedOperation parse_signed_operation(std::string_view text);

} // namespace blockhost::authority
