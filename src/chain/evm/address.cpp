// SPDX-License-Identifier: MIT
// Addresses and their checksums (EIP-55).
#include "chain/evm/address.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"
#include "chain/evm/keccak.hpp"

#include <algorithm>

namespace blockhost::chain {

namespace {

constexpr std::size_t longest_quoted = 60;

bool is_upper(char c) {
    return c >= 'A' && c <= 'F';
}
bool is_lower(char c) {
    return c >= 'a' && c <= 'f';
}

} // namespace

Address Address::parse(std::string_view text, std::string_view what) {
    const auto address = of_node(text);
    const std::string about = std::string(what) + ": ";
    if (!address)
        throw Error(Code::invalid, about + "'" + text::printable(text, longest_quoted) + "' is no address",
                    "an address is 0x and 40 hex digits");
    const std::string_view digits = text.substr(2);
    const bool mixed = std::ranges::any_of(digits, is_upper) && std::ranges::any_of(digits, is_lower);
    if (mixed && address->str() != text)
        throw Error(Code::invalid,
                    about + std::string(text) + " has a wrong checksum: a digit of it is not as it should be",
                    "copy the address anew");
    return *address;
}

std::optional<Address> Address::of_node(std::string_view text) {
    const auto bytes = parse_hex(text);
    if (!bytes || bytes->size() != size) return std::nullopt;
    Address address;
    std::ranges::copy(*bytes, address.bytes_.begin());
    return address;
}

std::optional<Address> Address::of_word(View word) {
    const View front = word.first(word.size() - size), back = word.last(size);
    if (std::ranges::any_of(front, [](std::uint8_t byte) { return byte != 0; })) return std::nullopt;
    Address address;
    std::ranges::copy(back, address.bytes_.begin());
    return address;
}

std::string Address::str() const {
    std::string digits = text::to_hex(bytes_);
    const Hash hash = keccak256(digits);
    for (std::size_t i = 0; i < digits.size(); ++i) {
        const int nibble = i % 2 == 0 ? hash[i / 2] >> 4 : hash[i / 2] & 15;
        if (is_lower(digits[i]) && nibble >= 8) digits[i] = static_cast<char>(digits[i] - 'a' + 'A');
    }
    return "0x" + digits;
}

} // namespace blockhost::chain
