// SPDX-License-Identifier: MIT
// Hexadecimal text, words of 256 bits, and amounts for people.
#include "chain/evm/bytes.hpp"

#include "base/text/text.hpp"

#include <algorithm>
#include <limits>

namespace blockhost::chain {

namespace {

constexpr std::string_view prefix = "0x";
constexpr unsigned bits_a_digit = 4;
constexpr std::size_t ether_decimals = 18, gwei_decimals = 9;

int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// The hex digits behind "0x"; nothing when the text is anything else.
std::optional<std::string_view> digits_of(std::string_view text) {
    if (!text.starts_with(prefix)) return std::nullopt;
    text.remove_prefix(prefix.size());
    const bool good = std::ranges::all_of(text, [](char c) { return digit_of(c) >= 0; });
    return good ? std::optional(text) : std::nullopt;
}

/// `number` with a point before its last `decimals` digits, without trailing zeros.
std::string with_point(const U256& number, std::size_t decimals) {
    std::string digits = number.str();
    if (digits.size() <= decimals) digits.insert(0, decimals + 1 - digits.size(), '0');
    digits.insert(digits.size() - decimals, ".");
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') digits.pop_back();
    return digits;
}

} // namespace

std::string hex(View bytes) {
    return std::string(prefix) + text::to_hex(bytes);
}

std::optional<Bytes> parse_hex(std::string_view text) {
    const auto digits = digits_of(text);
    if (!digits || digits->size() % 2 != 0) return std::nullopt;
    Bytes bytes;
    bytes.reserve(digits->size() / 2);
    for (std::size_t i = 0; i < digits->size(); i += 2)
        bytes.push_back(
            static_cast<std::uint8_t>(digit_of((*digits)[i]) << bits_a_digit | digit_of((*digits)[i + 1])));
    return bytes;
}

std::optional<Hash> parse_hash(std::string_view text) {
    const auto bytes = parse_hex(text);
    Hash hash{};
    if (!bytes || bytes->size() != hash.size()) return std::nullopt;
    std::ranges::copy(*bytes, hash.begin());
    return hash;
}

std::optional<U256> parse_quantity(std::string_view text) {
    constexpr std::size_t most_digits = 64;
    const auto digits = digits_of(text);
    if (!digits || digits->empty()) return std::nullopt;
    const auto first = std::min(digits->find_first_not_of('0'), digits->size());
    const std::string_view significant = digits->substr(first);
    if (significant.size() > most_digits) return std::nullopt;
    U256 number = 0;
    for (char c : significant) number = (number << bits_a_digit) | static_cast<unsigned>(digit_of(c));
    return number;
}

std::string quantity(const U256& number) {
    const std::string digits = text::to_hex(to_word(number));
    const auto first = digits.find_first_not_of('0');
    return std::string(prefix) + (first == std::string::npos ? "0" : digits.substr(first));
}

std::optional<std::uint64_t> as_u64(const U256& number) {
    if (number > std::numeric_limits<std::uint64_t>::max()) return std::nullopt;
    return static_cast<std::uint64_t>(number);
}

U256 bounded_sum(const U256& one, const U256& other) {
    return one > ~other ? ~U256(0) : one + other;
}

Hash to_word(const U256& number) {
    Hash word{};
    U256 rest = number;
    for (std::size_t i = word.size(); i-- > 0; rest >>= 8) word[i] = static_cast<std::uint8_t>(rest & 0xff);
    return word;
}

U256 from_word(View word) {
    U256 number = 0;
    for (std::uint8_t byte : word) number = (number << 8) | static_cast<unsigned>(byte);
    return number;
}

std::string ether(const U256& wei) {
    return with_point(wei, ether_decimals) + " ETH";
}

std::string gwei(const U256& wei) {
    return with_point(wei, gwei_decimals) + " gwei";
}

} // namespace blockhost::chain
