// SPDX-License-Identifier: MIT
// Puts length prefixes before texts and lists.
#include "chain/evm/rlp.hpp"

#include <algorithm>

namespace blockhost::chain::rlp {

namespace {

constexpr std::uint8_t of_text = 0x80, of_list = 0xc0;
constexpr std::size_t longest_short = 55;

Bytes without_leading_zeros(const U256& number) {
    const Hash word = to_word(number);
    return {std::ranges::find_if(word, [](std::uint8_t byte) { return byte != 0; }), word.end()};
}

Bytes prefixed(std::uint8_t kind, View content) {
    Bytes item;
    if (content.size() <= longest_short) {
        item.push_back(static_cast<std::uint8_t>(kind + content.size()));
    } else {
        const Bytes length = without_leading_zeros(content.size());
        item.push_back(static_cast<std::uint8_t>(kind + longest_short + length.size()));
        item.insert(item.end(), length.begin(), length.end());
    }
    item.insert(item.end(), content.begin(), content.end());
    return item;
}

} // namespace

Bytes text(View bytes) {
    if (bytes.size() == 1 && bytes[0] < of_text) return {bytes[0]};
    return prefixed(of_text, bytes);
}

Bytes number(const U256& number) {
    return text(without_leading_zeros(number));
}

Bytes list(const std::vector<Bytes>& items) {
    Bytes content;
    for (const Bytes& item : items) content.insert(content.end(), item.begin(), item.end());
    return prefixed(of_list, content);
}

} // namespace blockhost::chain::rlp
