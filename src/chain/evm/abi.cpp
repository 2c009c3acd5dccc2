// SPDX-License-Identifier: MIT
// Encodes arguments as heads and tails; reads the reasons of reverts.
#include "chain/evm/abi.hpp"

#include "base/text/text.hpp"
#include "chain/evm/keccak.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::chain::abi {

namespace {

constexpr std::size_t word_size = 32, selector_size = 4;
constexpr std::size_t longest_reason = 200;

void append(Bytes& to, View bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
}

/// The content's length, and its bytes filled up with zeros to whole words.
Bytes tail_of(View content) {
    Bytes tail;
    append(tail, to_word(content.size()));
    append(tail, content);
    tail.resize((tail.size() + word_size - 1) / word_size * word_size);
    return tail;
}

View view_of(const Bytes& bytes) {
    return bytes;
}
View view_of(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// Writes a static argument as a word of the head; a dynamic one as an offset there, and as a tail.
struct Writer {
    Bytes head, tail;
    std::size_t head_size;

    void operator()(const Address& address) {
        head.resize(head.size() + word_size - Address::size);
        append(head, address.bytes());
    }
    void operator()(const U256& number) { append(head, to_word(number)); }
    template<class Dynamic>
    void operator()(const Dynamic& content) {
        append(head, to_word(head_size + tail.size()));
        append(tail, tail_of(view_of(content)));
    }
};

bool begins_with(View data, std::string_view signature) {
    const Hash hash = keccak256(signature);
    return data.size() >= selector_size &&
           std::equal(data.begin(), data.begin() + selector_size, hash.begin());
}

/// The string that is the only argument.
std::optional<std::string> string_in(View arguments) {
    const auto length_at = number_in(arguments);
    if (!length_at || *length_at > arguments.size()) return std::nullopt;
    const View from_length = arguments.subspan(static_cast<std::size_t>(*length_at));
    const auto length = number_in(from_length);
    if (!length || *length > from_length.size() - word_size) return std::nullopt;
    const View content = from_length.subspan(word_size, static_cast<std::size_t>(*length));
    return std::string(content.begin(), content.end());
}

/// What a panic's code means (Solidity, "Panic via assert and Error via require").
std::string_view panic_words(const U256& code) {
    if (code == 0x01) return "an assertion failed";
    if (code == 0x11) return "a number overflowed";
    if (code == 0x12) return "a division by zero";
    if (code == 0x32) return "an index out of bounds";
    if (code == 0x41) return "too much memory";
    return "an error of the compiler's";
}

} // namespace

Bytes call(std::string_view signature, const std::vector<Argument>& arguments) {
    const Hash hash = keccak256(signature);
    Writer writer{{}, {}, arguments.size() * word_size};
    for (const Argument& argument : arguments) std::visit(writer, argument);
    Bytes data(hash.begin(), hash.begin() + selector_size);
    append(data, writer.head);
    append(data, writer.tail);
    return data;
}

std::optional<U256> number_in(View answer) {
    if (answer.size() < word_size) return std::nullopt;
    return from_word(answer.first(word_size));
}

std::optional<Address> address_in(View answer) {
    if (answer.size() < word_size) return std::nullopt;
    return Address::of_word(answer.first(word_size));
}

std::string reason_of(View data) {
    if (data.size() < selector_size) return "without a reason";
    const View arguments = data.subspan(selector_size);
    if (begins_with(data, "Error(string)"))
        if (const auto words = string_in(arguments)) return text::printable(*words, longest_reason);
    if (begins_with(data, "Panic(uint256)"))
        if (const auto code = number_in(arguments))
            return fmt::format("{} (panic {})", panic_words(*code), quantity(*code));
    return "by its own error " + hex(data.first(selector_size));
}

} // namespace blockhost::chain::abi
