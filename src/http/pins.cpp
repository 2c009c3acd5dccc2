// SPDX-License-Identifier: MIT
#include "http/pins.hpp"

#include "base/text/base64.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <charconv>

namespace blockhost::http {

namespace {

constexpr std::string_view leaf_mark = "sha256:", key_mark = "sha256//";

/// 64 hex digits, a ":" between each two bytes or between none.
std::optional<Pin> leaf_pin(std::string_view text) {
    Pin pin{Pin::Of::leaf, {}};
    const bool spaced = text.size() == pin.digest.size() * 3 - 1;
    if (!spaced && text.size() != pin.digest.size() * 2) return std::nullopt;
    for (std::size_t i = 0; i < pin.digest.size(); ++i) {
        const std::string_view byte = text.substr(i * (spaced ? 3 : 2), 2);
        if (spaced && i > 0 && text[i * 3 - 1] != ':') return std::nullopt;
        const auto read = std::from_chars(byte.data(), byte.data() + 2, pin.digest[i], 16);
        if (read.ec != std::errc() || read.ptr != byte.data() + 2) return std::nullopt;
    }
    return pin;
}

std::optional<Pin> key_pin(std::string_view text) {
    const auto bytes = base64::decode(text);
    Pin pin{Pin::Of::key, {}};
    if (!bytes || bytes->size() != pin.digest.size()) return std::nullopt;
    std::ranges::copy(*bytes, pin.digest.begin());
    return pin;
}

} // namespace

std::optional<Pin> parse_pin(std::string_view text) {
    if (text.starts_with(key_mark)) return key_pin(text.substr(key_mark.size()));
    if (text.starts_with(leaf_mark)) return leaf_pin(text.substr(leaf_mark.size()));
    return std::nullopt;
}

std::string to_string(const Pin& pin) {
    if (pin.of == Pin::Of::leaf) return std::string(leaf_mark) + text::to_hex(pin.digest);
    return std::string(key_mark) +
           base64::encode({reinterpret_cast<const char*>(pin.digest.data()), pin.digest.size()});
}

bool fits(const std::vector<Pin>& pins, const Certificate& certificate) {
    return std::ranges::any_of(pins, [&](const Pin& pin) {
        return pin.digest == (pin.of == Pin::Of::leaf ? certificate.leaf : certificate.key);
    });
}

} // namespace blockhost::http
