// SPDX-License-Identifier: MIT
// Spellings of bytes, numbers and amounts.
#include "chain/evm/bytes.hpp"

#include <catch2/catch.hpp>

using namespace blockhost::chain;

TEST_CASE("bytes are hexadecimal, in pairs, behind 0x") {
    CHECK(parse_hex("0x") == Bytes{});
    CHECK(parse_hex("0x00fF") == Bytes{0x00, 0xff});
    for (auto text : {"", "0", "00", "0x0", "0X00", "0xgg", "0x 0", "-0x00", "0x00\n"})
        CHECK_FALSE(parse_hex(text));
    CHECK_FALSE(parse_hash("0x00"));
    CHECK(parse_hash("0x" + std::string(64, '0')) == Hash{});
}

TEST_CASE("a quantity is a number of 256 bits at most") {
    CHECK(parse_quantity("0x0") == U256(0));
    CHECK(parse_quantity("0x41") == U256(65));
    CHECK(parse_quantity("0x0041") == U256(65));
    CHECK(parse_quantity("0x" + std::string(64, 'f')) == ~U256(0));
    CHECK(parse_quantity("0x" + std::string(100, '0') + "1") == U256(1));
    for (const std::string& text :
         {std::string("0x"), std::string("41"), "0x1" + std::string(64, '0'), std::string("0x-1")})
        CHECK_FALSE(parse_quantity(text));
    for (std::uint64_t number : {0ull, 1ull, 15ull, 16ull, 0xfedcba9876543210ull})
        CHECK(parse_quantity(quantity(number)) == U256(number));
    CHECK(quantity(0) == "0x0");
    CHECK(quantity(1024) == "0x400");
    CHECK_FALSE(as_u64(U256(1) << 64));
}

TEST_CASE("a sum that is too large is the largest number") {
    CHECK(bounded_sum(2, 3) == 5);
    CHECK(bounded_sum(~U256(0), 0) == ~U256(0));
    CHECK(bounded_sum(~U256(0) - 1, 2) == ~U256(0));
    CHECK(bounded_sum(~U256(0), ~U256(0)) == ~U256(0));
}

TEST_CASE("amounts are told exactly") {
    CHECK(ether(0) == "0 ETH");
    CHECK(ether(1) == "0.000000000000000001 ETH");
    CHECK(ether(U256("1500000000000000000")) == "1.5 ETH");
    CHECK(ether(U256("20000000000000000000")) == "20 ETH");
    CHECK(gwei(1'500'000'000) == "1.5 gwei");
}
