// SPDX-License-Identifier: MIT
#pragma once
/// XDR (RFC 4506), as much of it as libvirt's protocol uses: everything in steps of four bytes, big end
/// first. A reader believes no length: each is checked against what is there and against the most that field
/// may have.

#include "hypervisor/rpc/trouble.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost::rpc {

using Uuid128 = std::array<unsigned char, 16>;

/// The longest text the protocol permits (REMOTE_STRING_MAX).
inline constexpr std::size_t longest_text = 4u << 20;

class Writer {
  public:
    Writer& number(std::uint32_t value);
    Writer& number(std::int32_t value) { return number(static_cast<std::uint32_t>(value)); }
    Writer& text(std::string_view value);
    /// A text that could be missing, and is not.
    Writer& present(std::string_view value) { return number(std::uint32_t{1}).text(value); }
    Writer& raw(const Uuid128& value);
    const std::string& bytes() const { return bytes_; }

  private:
    std::string bytes_;
};

/// Reads one payload from its beginning. Throws Surprise for what it cannot be. The texts are parts of the
/// payload, which must outlive them.
class Reader {
  public:
    explicit Reader(std::string_view bytes) : left_(bytes) {}

    std::uint32_t number();
    std::int32_t signed_number() { return static_cast<std::int32_t>(number()); }
    std::uint64_t wide();
    std::string_view text(std::size_t most = longest_text);
    /// A text that may be missing.
    std::optional<std::string_view> optional_text();
    Uuid128 raw();
    void skip(std::size_t bytes) { take(bytes); }
    /// The number of elements that follow, each of at least `least_each` bytes.
    std::size_t count(std::size_t most, std::size_t least_each);
    /// Throws unless all was read: a longer answer is another one than we know.
    void expect_end() const;

  private:
    std::string_view take(std::size_t bytes);
    std::string_view left_;
};

} // namespace blockhost::rpc
