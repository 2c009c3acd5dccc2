// SPDX-License-Identifier: MIT
#pragma once
/// Network addresses, canonical by construction.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost {

class Ipv4 {
  public:
    explicit Ipv4(std::uint32_t host_order) : value_(host_order) {}
    static std::optional<Ipv4> try_parse(std::string_view text); ///< four decimal octets, nothing else
    std::uint32_t value() const { return value_; }
    std::string str() const;
    auto operator<=>(const Ipv4&) const = default;

  private:
    std::uint32_t value_;
};

/// An IPv4 network; host bits are cleared.
class Ipv4Network {
  public:
    Ipv4Network(Ipv4 address, int prefix_length);
    static std::optional<Ipv4Network> try_parse(std::string_view cidr);
    Ipv4 network() const { return network_; }
    Ipv4 broadcast() const;
    int prefix_length() const { return length_; }
    bool contains(Ipv4 address) const;
    std::string str() const;
    auto operator<=>(const Ipv4Network&) const = default;

  private:
    Ipv4 network_;
    int length_;
};

class Ipv6 {
  public:
    explicit Ipv6(const std::array<unsigned char, 16>& bytes) : bytes_(bytes) {}
    static std::optional<Ipv6> try_parse(std::string_view text);
    const std::array<unsigned char, 16>& bytes() const { return bytes_; }
    /// Compressed and lower case (RFC 5952), in hex throughout like Python's ipaddress.
    std::string str() const;
    /// The lower 64 bits in hex without leading zeros ("0" for zero): the host label in a VM's FQDN.
    std::string interface_hex() const;
    /// This address plus `n`; nothing on overflow.
    std::optional<Ipv6> plus(std::uint64_t n) const;
    auto operator<=>(const Ipv6&) const = default;

  private:
    std::array<unsigned char, 16> bytes_;
};

/// An IPv6 network; host bits are cleared.
class Ipv6Prefix {
  public:
    static std::optional<Ipv6Prefix> try_parse(std::string_view cidr);
    Ipv6 network() const { return network_; }
    int length() const { return length_; }
    bool contains(const Ipv6& address) const;
    /// network() plus `n`, if that lies inside.
    std::optional<Ipv6> at(std::uint64_t n) const;
    std::string str() const;

  private:
    Ipv6Prefix(Ipv6 network, int length) : network_(network), length_(length) {}
    Ipv6 network_;
    int length_;
};

/// A 48-bit hardware address, lower case with colons.
class Mac {
  public:
    /// 52:54:00 and three random bytes from the kernel.
    static Mac random_qemu();
    static std::optional<Mac> try_parse(std::string_view text);
    const std::string& str() const { return text_; }
    auto operator<=>(const Mac&) const = default;

  private:
    Mac() = default;
    std::string text_;
};

} // namespace blockhost
