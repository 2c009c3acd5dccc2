// SPDX-License-Identifier: MIT
#pragma once
/// Base64 (RFC 4648, section 4), the encoding of bytes in guest agent messages.

#include <optional>
#include <string>
#include <string_view>

namespace blockhost::base64 {

/// With padding, without line breaks.
std::string encode(std::string_view bytes);

/// The bytes; nothing unless the whole text is base64 with its padding. Bits beyond the last byte are
/// ignored.
std::optional<std::string> decode(std::string_view text);

} // namespace blockhost::base64
