// SPDX-License-Identifier: MIT
#pragma once
/// Pins: the certificates that a server may show, by digest, in place of an authority's word.

#include "http/attempt.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace blockhost::http {

/// SHA-256 of a certificate, or of its public key. A renewal that keeps the key keeps the second alone.
struct Pin {
    enum class Of { leaf, key } of = Of::leaf;
    std::array<unsigned char, 32> digest{};
    bool operator==(const Pin&) const = default;
};

/// Reads "sha256:" and 64 hex digits, with or without ":" between bytes, as openssl x509 -fingerprint and
/// Proxmox show a certificate; or "sha256//" and base64, as curl's --pinnedpubkey takes a public key. Nothing
/// for anything else.
std::optional<Pin> parse_pin(std::string_view text);
/// The pin in the form that parse_pin reads.
std::string to_string(const Pin& pin);

/// Whether one of the pins fits: a set holds the current one and the next.
bool fits(const std::vector<Pin>& pins, const Certificate& certificate);

} // namespace blockhost::http
