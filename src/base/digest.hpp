#pragma once
/// SHA-2 digests (FIPS 180-4), as lower-case hex.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace blockhost {

std::string sha256(std::string_view bytes);

enum class Sha2 { sha256, sha512 };

/// Of an open file, from its start. `each` is called with the bytes so far, every few MiB; it may throw.
/// Throws Error{io}.
std::string digest_of(int fd, Sha2 which, std::string_view name_for_errors,
                      const std::function<void(std::uint64_t)>& each = {});

/// 128 hex digits in either case, as lower case; empty for anything else.
std::string as_sha512(std::string_view text);

} // namespace blockhost
