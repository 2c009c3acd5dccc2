// SPDX-License-Identifier: MIT
#pragma once
/// An NFT's token id: 256 bits, as in contracts.

#include <compare>
#include <string>
#include <string_view>

namespace blockhost {

class TokenId {
  public:
    /// Decimal digits, up to 2^256 - 1; throws Error{invalid} for anything else.
    explicit TokenId(std::string_view text);
    /// Without leading zeros.
    const std::string& str() const { return text_; }
    /// Whether every JSON reader keeps the number exact: up to 2^53 - 1 (RFC 8259, 6).
    bool is_exact_number() const;
    auto operator<=>(const TokenId&) const = default;

  private:
    std::string text_;
};

} // namespace blockhost
