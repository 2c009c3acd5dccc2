// SPDX-License-Identifier: MIT
#pragma once
/// Bytes and numbers in the spelling of Ethereum's nodes (JSON-RPC, "Hex value encoding").

#include <array>
#include <boost/multiprecision/cpp_int.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::chain {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

/// An unsigned number of 256 bits; arithmetic that leaves this range throws std::range_error.
using U256 = boost::multiprecision::checked_uint256_t;

/// Any 32 bytes that are compared as a whole: the hash of a transaction, of a block, of what is signed.
using Hash = std::array<std::uint8_t, 32>;

/// "0x" and two lower-case digits a byte.
std::string hex(View bytes);
/// Takes digits of both cases; nothing for anything else, an odd number of digits included.
std::optional<Bytes> parse_hex(std::string_view text);
/// The same for exactly 32 bytes.
std::optional<Hash> parse_hash(std::string_view text);

/// Reads a "quantity": "0x" and one digit or more, up to 2^256 - 1. Leading zeros are accepted.
std::optional<U256> parse_quantity(std::string_view text);
/// "0x0", "0x1a".
std::string quantity(const U256& number);
std::optional<std::uint64_t> as_u64(const U256& number);

/// The sum, or the largest number where the sum is larger.
U256 bounded_sum(const U256& one, const U256& other);

/// Big endian.
Hash to_word(const U256& number);
U256 from_word(View word);

/// An amount of wei in ether, exactly: "1.5 ETH", "0.000000000000000001 ETH".
std::string ether(const U256& wei);
/// A price in wei as gwei: "1.5 gwei".
std::string gwei(const U256& wei);

} // namespace blockhost::chain
