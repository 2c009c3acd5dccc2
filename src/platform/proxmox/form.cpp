// SPDX-License-Identifier: MIT
#include "platform/proxmox/form.hpp"

namespace blockhost::platform::proxmox {

namespace {

bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

} // namespace

std::string percent_encoded(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;
    encoded.reserve(text.size());
    for (const char c : text) {
        if (is_unreserved(c)) {
            encoded += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        encoded += '%';
        encoded += digits[byte >> 4];
        encoded += digits[byte & 15];
    }
    return encoded;
}

std::string form_of(const Parameters& parameters) {
    std::string form;
    for (const auto& [key, value] : parameters)
        form += (form.empty() ? "" : "&") + percent_encoded(key) + "=" + percent_encoded(value);
    return form;
}

} // namespace blockhost::platform::proxmox
