// SPDX-License-Identifier: MIT
// IPv4, IPv6 and hardware addresses.
#include "model/address.hpp"

#include "base/text/text.hpp"
#include "base/time.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <span>

namespace blockhost {

namespace {

/// `text` as a C string for inet_pton; nothing when it contains a NUL, which would hide the rest.
std::optional<std::string> c_text(std::string_view text) {
    if (text.find('\0') != text.npos) return std::nullopt;
    return std::string(text);
}

struct Cidr {
    std::string_view address;
    int length;
};

/// "ADDRESS/LENGTH" with a plain decimal length from 0 to `max`.
std::optional<Cidr> split_cidr(std::string_view text, int max) {
    auto slash = text.rfind('/');
    if (slash == text.npos) return std::nullopt;
    std::string_view digits = text.substr(slash + 1);
    auto length = text::parse_int(digits);
    bool plain = length && *length >= 0 && *length <= max && (digits == "0" || digits.front() > '0');
    if (!plain) return std::nullopt;
    return Cidr{text.substr(0, slash), static_cast<int>(*length)};
}

std::uint32_t mask_of(int length) {
    return length == 0 ? 0 : ~std::uint32_t{0} << (32 - length);
}

std::string hex(std::uint64_t value) {
    std::array<char, 16> digits;
    auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16).ptr;
    return std::string(digits.data(), end);
}

std::array<unsigned, 8> groups_of(const std::array<unsigned char, 16>& bytes) {
    std::array<unsigned, 8> groups{};
    for (std::size_t i = 0; i < 8; ++i) groups[i] = bytes[2 * i] << 8 | bytes[2 * i + 1];
    return groups;
}

struct Run {
    std::size_t start = 8, length = 0;
};

/// The zero groups that "::" replaces: the longest run of at least two; of equal runs the first (RFC 5952,
/// 4.2).
Run zeros_to_compress(const std::array<unsigned, 8>& groups) {
    Run best;
    for (std::size_t i = 0; i < 8; ++i) {
        Run run{i, 0};
        while (i < 8 && groups[i] == 0) ++i, ++run.length;
        if (run.length >= 2 && run.length > best.length) best = run;
    }
    return best;
}

std::array<unsigned char, 16> keep_bits(std::array<unsigned char, 16> bytes, int length) {
    for (int i = 0; i < 16; ++i) {
        int kept = std::clamp(length - 8 * i, 0, 8);
        bytes[static_cast<std::size_t>(i)] &= static_cast<unsigned char>(0xff00 >> kept);
    }
    return bytes;
}

} // namespace

std::optional<Ipv4> Ipv4::try_parse(std::string_view text) {
    auto c = c_text(text);
    in_addr address{};
    if (!c || inet_pton(AF_INET, c->c_str(), &address) != 1) return std::nullopt;
    return Ipv4(ntohl(address.s_addr));
}

std::string Ipv4::str() const {
    std::string out;
    for (int shift = 24; shift >= 0; shift -= 8) {
        out += std::to_string(value_ >> shift & 255);
        if (shift > 0) out += '.';
    }
    return out;
}

Ipv4Network::Ipv4Network(Ipv4 address, int prefix_length)
    : network_(address.value() & mask_of(prefix_length)), length_(prefix_length) {}

std::optional<Ipv4Network> Ipv4Network::try_parse(std::string_view cidr) {
    auto parts = split_cidr(cidr, 32);
    if (!parts) return std::nullopt;
    auto address = Ipv4::try_parse(parts->address);
    if (!address) return std::nullopt;
    return Ipv4Network(*address, parts->length);
}

Ipv4 Ipv4Network::broadcast() const {
    return Ipv4(network_.value() | ~mask_of(length_));
}

bool Ipv4Network::contains(Ipv4 address) const {
    return (address.value() & mask_of(length_)) == network_.value();
}

std::string Ipv4Network::str() const {
    return network_.str() + "/" + std::to_string(length_);
}

std::optional<Ipv6> Ipv6::try_parse(std::string_view text) {
    auto c = c_text(text);
    std::array<unsigned char, 16> bytes{};
    if (!c || inet_pton(AF_INET6, c->c_str(), bytes.data()) != 1) return std::nullopt;
    return Ipv6(bytes);
}

std::string Ipv6::str() const {
    auto groups = groups_of(bytes_);
    Run zeros = zeros_to_compress(groups);
    std::string out;
    for (std::size_t i = 0; i < 8; ++i) {
        if (i == zeros.start) {
            out += "::";
            i += zeros.length - 1;
            continue;
        }
        if (!out.empty() && out.back() != ':') out += ':';
        out += hex(groups[i]);
    }
    return out;
}

std::string Ipv6::interface_hex() const {
    std::uint64_t low = 0;
    for (unsigned char byte : std::span(bytes_).subspan(8)) low = low << 8 | byte;
    return hex(low);
}

std::optional<Ipv6> Ipv6::plus(std::uint64_t n) const {
    auto bytes = bytes_;
    std::uint64_t carry = 0;
    for (std::size_t i = 16; i-- > 0; n >>= 8) {
        std::uint64_t sum = bytes[i] + (n & 0xff) + carry;
        bytes[i] = static_cast<unsigned char>(sum);
        carry = sum >> 8;
    }
    if (carry != 0) return std::nullopt;
    return Ipv6(bytes);
}

std::optional<Ipv6Prefix> Ipv6Prefix::try_parse(std::string_view cidr) {
    auto parts = split_cidr(cidr, 128);
    if (!parts) return std::nullopt;
    auto address = Ipv6::try_parse(parts->address);
    if (!address) return std::nullopt;
    return Ipv6Prefix(Ipv6(keep_bits(address->bytes(), parts->length)), parts->length);
}

bool Ipv6Prefix::contains(const Ipv6& address) const {
    return keep_bits(address.bytes(), length_) == network_.bytes();
}

std::optional<Ipv6> Ipv6Prefix::at(std::uint64_t n) const {
    auto address = network_.plus(n);
    return address && contains(*address) ? address : std::nullopt;
}

std::string Ipv6Prefix::str() const {
    return network_.str() + "/" + std::to_string(length_);
}

Mac Mac::random_qemu() {
    std::string digits = random_hex(6);
    return *try_parse("52:54:00:" + digits.substr(0, 2) + ":" + digits.substr(2, 2) + ":" +
                      digits.substr(4, 2));
}

std::optional<Mac> Mac::try_parse(std::string_view text) {
    if (text.size() != 17) return std::nullopt;
    Mac mac;
    mac.text_ = text::lower(text);
    for (std::size_t i = 0; i < 17; ++i) {
        const char c = mac.text_[i];
        if (i % 3 == 2 ? c != ':' : !text::is_hex(c)) return std::nullopt;
    }
    return mac;
}

} // namespace blockhost
