// SPDX-License-Identifier: MIT
/// See xdr.hpp.

#include "hypervisor/rpc/xdr.hpp"

#include <algorithm>

namespace blockhost::rpc {
namespace {

constexpr std::size_t step = 4;

std::size_t padded(std::size_t size) {
    return (size + step - 1) / step * step;
}

} // namespace

Writer& Writer::number(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes_ += static_cast<char>(value >> shift & 0xff);
    return *this;
}

Writer& Writer::text(std::string_view value) {
    if (value.size() > longest_text) throw Surprise("a text longer than the protocol permits was to be sent");
    number(static_cast<std::uint32_t>(value.size()));
    bytes_ += value;
    bytes_.append(padded(value.size()) - value.size(), '\0');
    return *this;
}

Writer& Writer::raw(const Uuid128& value) {
    bytes_.append(value.begin(), value.end());
    return *this;
}

std::string_view Reader::take(std::size_t bytes) {
    if (bytes > left_.size()) throw Surprise("an answer ends too early");
    const auto taken = left_.substr(0, bytes);
    left_.remove_prefix(bytes);
    return taken;
}

std::uint32_t Reader::number() {
    std::uint32_t value = 0;
    for (const char byte : take(step)) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
}

std::uint64_t Reader::wide() {
    const std::uint64_t high = number();
    return high << 32 | number();
}

std::string_view Reader::text(std::size_t most) {
    const std::size_t size = number();
    if (size > most) throw Surprise("a text in an answer is longer than the protocol permits");
    const auto value = take(padded(size)).substr(0, size);
    if (value.find('\0') != value.npos) throw Surprise("a text in an answer has a zero in it");
    return value;
}

std::optional<std::string_view> Reader::optional_text() {
    const auto there = number();
    if (there > 1) throw Surprise("an answer is neither there nor missing");
    return there == 1 ? std::optional(text()) : std::nullopt;
}

Uuid128 Reader::raw() {
    Uuid128 value{};
    const auto bytes = take(value.size());
    std::copy(bytes.begin(), bytes.end(), value.begin());
    return value;
}

std::size_t Reader::count(std::size_t most, std::size_t least_each) {
    const std::size_t elements = number();
    if (elements > most) throw Surprise("a list in an answer is longer than the protocol permits");
    if (elements * least_each > left_.size()) throw Surprise("a list in an answer is longer than the answer");
    return elements;
}

void Reader::expect_end() const {
    if (!left_.empty()) throw Surprise("an answer is longer than it should be");
}

} // namespace blockhost::rpc
