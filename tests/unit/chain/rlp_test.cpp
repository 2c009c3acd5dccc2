// SPDX-License-Identifier: MIT
// RLP: the examples of Ethereum's documentation, and lengths around the borders of its prefixes.
#include "chain/evm/rlp.hpp"

#include <catch2/catch.hpp>

using namespace blockhost::chain;

namespace {

Bytes text(std::string_view words) {
    return rlp::text(View(reinterpret_cast<const std::uint8_t*>(words.data()), words.size()));
}

} // namespace

TEST_CASE("the documentation's examples") {
    CHECK(hex(text("dog")) == "0x83646f67");
    CHECK(hex(rlp::list({text("cat"), text("dog")})) == "0xc88363617483646f67");
    CHECK(hex(text("")) == "0x80");
    CHECK(hex(rlp::list({})) == "0xc0");
    CHECK(hex(rlp::number(0)) == "0x80");
    CHECK(hex(rlp::number(15)) == "0x0f");
    CHECK(hex(rlp::number(1024)) == "0x820400");
    const Bytes none = rlp::list({}), one = rlp::list({none});
    CHECK(hex(rlp::list({none, one, rlp::list({none, one})})) == "0xc7c0c1c0c3c0c1c0");
    CHECK(hex(text("Lorem ipsum dolor sit amet, consectetur adipisicing elit")).starts_with("0xb8384c6f"));
}

TEST_CASE("a byte below 0x80 stands for itself") {
    CHECK(hex(rlp::text(Bytes{0x00})) == "0x00");
    CHECK(hex(rlp::text(Bytes{0x7f})) == "0x7f");
    CHECK(hex(rlp::text(Bytes{0x80})) == "0x8180");
}

TEST_CASE("lengths around the borders") {
    const auto prefix = [](std::size_t length) { return hex(rlp::text(Bytes(length, 0x01))).substr(0, 8); };
    CHECK(prefix(55) == "0xb70101");
    CHECK(prefix(56) == "0xb83801");
    CHECK(prefix(255) == "0xb8ff01");
    CHECK(prefix(256) == "0xb90100");
    CHECK(hex(rlp::list({Bytes(55, 0x01)})).substr(0, 6) == "0xf701");
    CHECK(hex(rlp::list({Bytes(56, 0x01)})).substr(0, 8) == "0xf83801");
}

TEST_CASE("numbers have no leading zeros") {
    CHECK(hex(rlp::number(0x80)) == "0x8180");
    CHECK(hex(rlp::number(U256(1) << 255)) == "0xa080" + std::string(62, '0'));
}
