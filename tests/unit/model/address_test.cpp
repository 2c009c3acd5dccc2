// SPDX-License-Identifier: MIT
// Addresses: what is read, what is refused, and the one spelling that comes out.
#include "model/address.hpp"

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <set>

using namespace blockhost;

namespace {

std::string v4(std::string_view text) {
    auto a = Ipv4::try_parse(text);
    return a ? a->str() : "refused";
}

std::string v6(std::string_view text) {
    auto a = Ipv6::try_parse(text);
    return a ? a->str() : "refused";
}

std::string network(std::string_view text) {
    auto n = Ipv4Network::try_parse(text);
    return n ? n->str() : "refused";
}

std::string prefix(std::string_view text) {
    auto p = Ipv6Prefix::try_parse(text);
    return p ? p->str() : "refused";
}

std::string spelt(const std::optional<Ipv6>& a) {
    return a ? a->str() : "nothing";
}

} // namespace

TEST_CASE("an IPv4 address is four decimal octets and nothing else") {
    CHECK(v4("0.0.0.0") == "0.0.0.0");
    CHECK(v4("255.255.255.255") == "255.255.255.255");
    CHECK(Ipv4::try_parse("192.168.122.5")->value() == 0xc0a87a05);
    for (std::string_view bad :
         {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.-4", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4\n",
          "1..3.4", "0x1.2.3.4", "1.2.3.4/24", "::1", "1.2.3.1e1"}) {
        CAPTURE(bad);
        CHECK(v4(bad) == "refused");
    }
    CHECK(v4(std::string_view("1.2.3.4\0x", 9)) == "refused");
}

TEST_CASE("IPv4 addresses are ordered as numbers") {
    CHECK(*Ipv4::try_parse("9.0.0.0") < *Ipv4::try_parse("10.0.0.0"));
}

TEST_CASE("an IPv4 network clears host bits and knows its bounds") {
    CHECK(network("192.168.122.77/24") == "192.168.122.0/24");
    CHECK(network("10.1.2.3/0") == "0.0.0.0/0");
    CHECK(network("10.1.2.3/32") == "10.1.2.3/32");
    Ipv4Network n = *Ipv4Network::try_parse("192.168.122.128/25");
    CHECK(n.network().str() == "192.168.122.128");
    CHECK(n.broadcast().str() == "192.168.122.255");
    CHECK(n.contains(*Ipv4::try_parse("192.168.122.128")));
    CHECK(n.contains(*Ipv4::try_parse("192.168.122.255")));
    CHECK_FALSE(n.contains(*Ipv4::try_parse("192.168.122.127")));
    CHECK_FALSE(n.contains(*Ipv4::try_parse("192.168.123.128")));
    CHECK(Ipv4Network::try_parse("0.0.0.0/0")->contains(*Ipv4::try_parse("255.0.0.1")));
    CHECK(Ipv4Network::try_parse("0.0.0.0/0")->broadcast().str() == "255.255.255.255");
    for (std::string_view bad :
         {"10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/00",
          "10.0.0.0/8/8", "10.0.0/8", "/8", "10.0.0.0/255.0.0.0", "10.0.0.0/8 "}) {
        CAPTURE(bad);
        CHECK(network(bad) == "refused");
    }
}

TEST_CASE("an IPv6 address is spelt as RFC 5952 says") {
    CHECK(v6("2001:DB8:0:0:0:0:0:1") == "2001:db8::1");
    CHECK(v6("2001:0db8::0001") == "2001:db8::1");
    CHECK(v6("2001:db8:0:1:1:1:1:1") == "2001:db8:0:1:1:1:1:1"); // one zero group is not compressed
    CHECK(v6("2001:0:0:1:0:0:0:1") == "2001:0:0:1::1");          // the longest run
    CHECK(v6("2001:db8:0:0:1:0:0:1") == "2001:db8::1:0:0:1");    // the first of equals
    CHECK(v6("::") == "::");
    CHECK(v6("::1") == "::1");
    CHECK(v6("1::") == "1::");
    CHECK(v6("1:0:0:0:0:0:0:0") == "1::");
    CHECK(v6("0:0:1:2:3:4:5:6") == "::1:2:3:4:5:6");
    CHECK(v6("1:2:3:4:5:6:0:0") == "1:2:3:4:5:6::");
    CHECK(v6("0:1:2:3:4:5:6:7") == "0:1:2:3:4:5:6:7");
    CHECK(v6("::ffff:1.2.3.4") == "::ffff:102:304"); // hex throughout
    CHECK(v6("::1.2.3.4") == "::102:304");
    CHECK(v6("2a11:6c7:f04:276::2") == "2a11:6c7:f04:276::2");
}

TEST_CASE("the spelling agrees with inet_ntop for every pattern of zero groups") {
    for (unsigned pattern = 0; pattern < 256; ++pattern) {
        std::array<unsigned char, 16> bytes{};
        for (std::size_t i = 0; i < 8; ++i)
            if (pattern >> i & 1) bytes[2 * i + 1] = static_cast<unsigned char>(i + 0xa0);
        char text[INET6_ADDRSTRLEN];
        REQUIRE(inet_ntop(AF_INET6, bytes.data(), text, sizeof text));
        if (std::string_view(text).find('.') != std::string_view::npos) continue; // it embeds IPv4, we don't
        CHECK(Ipv6(bytes).str() == text);
        CHECK(v6(text) == text);
    }
}

TEST_CASE("what is no IPv6 address is refused") {
    for (std::string_view bad : {"", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::",
                                 "g::", "::1%eth0", "[::1]", "::1/128", " ::1", "::1\n", "1.2.3.4"}) {
        CAPTURE(bad);
        CHECK(v6(bad) == "refused");
    }
}

TEST_CASE("adding carries through all groups and never wraps") {
    CHECK(spelt(Ipv6::try_parse("::ff")->plus(1)) == "::100");
    CHECK(spelt(Ipv6::try_parse("fd00::ffff:ffff:ffff:ffff")->plus(1)) == "fd00:0:0:1::");
    CHECK(spelt(Ipv6::try_parse("::")->plus(UINT64_MAX)) == "::ffff:ffff:ffff:ffff");
    CHECK(spelt(Ipv6::try_parse("::1")->plus(UINT64_MAX)) == "0:0:0:1::");
    CHECK(spelt(Ipv6::try_parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe")->plus(1)) ==
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    CHECK(spelt(Ipv6::try_parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")->plus(1)) == "nothing");
    CHECK(spelt(Ipv6::try_parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")->plus(0)) ==
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

TEST_CASE("the host label is the lower half in hex") {
    CHECK(Ipv6::try_parse("2a11:6c7:f04:276::2")->interface_hex() == "2");
    CHECK(Ipv6::try_parse("2a11:6c7:f04:276::")->interface_hex() == "0");
    CHECK(Ipv6::try_parse("::1:0:0:abcd")->interface_hex() == "100000000abcd");
    CHECK(Ipv6::try_parse("::ffff:ffff:ffff:ffff")->interface_hex() == "ffffffffffffffff");
}

TEST_CASE("an IPv6 prefix clears host bits and hands out only what lies inside") {
    CHECK(prefix("2a11:6c7:f04:276::1ff/120") == "2a11:6c7:f04:276::100/120");
    CHECK(prefix("fd00::1/128") == "fd00::1/128");
    CHECK(prefix("fd00::1/0") == "::/0");
    CHECK(prefix("2001:db8:ffff::/33") == "2001:db8:8000::/33");
    Ipv6Prefix p = *Ipv6Prefix::try_parse("2a11:6c7:f04:276::/120");
    CHECK(spelt(p.at(0)) == "2a11:6c7:f04:276::");
    CHECK(spelt(p.at(254)) == "2a11:6c7:f04:276::fe");
    CHECK(spelt(p.at(255)) == "2a11:6c7:f04:276::ff");
    CHECK(spelt(p.at(256)) == "nothing");
    CHECK(spelt(p.at(UINT64_MAX)) == "nothing");
    CHECK(spelt(Ipv6Prefix::try_parse("ffff:ffff:ffff:ffff::/64")->at(UINT64_MAX)) ==
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    CHECK(p.contains(*Ipv6::try_parse("2a11:6c7:f04:276::42")));
    CHECK_FALSE(p.contains(*Ipv6::try_parse("2a11:6c7:f04:276::1:42")));
    for (std::string_view bad :
         {"", "fd00::", "fd00::/129", "fd00::/-1", "fd00::/064", "fd00::/", "10.0.0.0/8", "fd00::/64 "}) {
        CAPTURE(bad);
        CHECK(prefix(bad) == "refused");
    }
}

TEST_CASE("a hardware address is six hex pairs, kept in lower case") {
    CHECK(Mac::try_parse("52:54:00:AB:cd:0F")->str() == "52:54:00:ab:cd:0f");
    for (std::string_view bad :
         {"", "52:54:00:ab:cd", "52-54-00-ab-cd-0f", "52:54:00:ab:cd:0g",
          "52:54:00:ab:cd:0f:", "525400abcd0f", "52:54:00:ab:cd:0f\n", "5:254:00:ab:cd:0f"}) {
        CAPTURE(bad);
        CHECK_FALSE(Mac::try_parse(bad));
    }
}

TEST_CASE("random hardware addresses lie in QEMU's range and differ") {
    std::set<std::string> seen;
    for (int i = 0; i < 20; ++i) {
        Mac mac = Mac::random_qemu();
        CHECK(mac.str().starts_with("52:54:00:"));
        CHECK(seen.insert(mac.str()).second);
    }
}
