// SPDX-License-Identifier: MIT
#pragma once
/// SHA-2 digests (FIPS 180-4), as lower-case hex.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace blockhost {

std::string sha256(std::string_view bytes);

enum class Sha2 { sha256, sha512 };

/// The digest of an open file, from its start. `each` is called every few MiB with the number of bytes read
/// so far; it may throw. Throws Error{io}.
std::string digest_of(int fd, Sha2 which, std::string_view name_for_errors,
                      const std::function<void(std::uint64_t)>& each = {});

/// A SHA-512 digest (128 hex digits in either case) in lower case; empty for anything else.
std::string as_sha512(std::string_view text);

} // namespace blockhost
