// SPDX-License-Identifier: MIT
#pragma once
/// Addresses of accounts and contracts of an EVM chain.

#include "chain/evm/bytes.hpp"

namespace blockhost::chain {

class Address {
  public:
    static constexpr std::size_t size = 20;
    Address() = default; ///< the zero address
    explicit Address(const std::array<std::uint8_t, size>& bytes) : bytes_(bytes) {}
    /// "0x" and 40 hex digits, all of one case or with EIP-55's checksum. Throws Error{invalid} whose message
    /// begins with `what` ("--owner-wallet").
    static Address parse(std::string_view text, std::string_view what);
    /// As nodes spell it: the checksum is not looked at.
    static std::optional<Address> of_node(std::string_view text);
    /// The last 20 bytes of an ABI word; nothing when the bytes before them are not zero.
    static std::optional<Address> of_word(View word);

    View bytes() const { return bytes_; }
    /// With EIP-55's checksum.
    std::string str() const;
    bool is_zero() const { return *this == Address(); }
    auto operator<=>(const Address&) const = default;

  private:
    std::array<std::uint8_t, size> bytes_{};
};

} // namespace blockhost::chain
