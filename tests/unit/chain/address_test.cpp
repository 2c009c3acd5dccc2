// SPDX-License-Identifier: MIT
// Addresses: the examples of EIP-55, and what is refused.
#include "chain/evm/address.hpp"

#include "base/error.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::chain;

TEST_CASE("the examples of EIP-55") {
    for (const std::string text :
         {"0x52908400098527886E0F7030069857D2E4169EE7", "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
          "0xde709f2102306220921060314715629080e2fb77", "0x27b1fdb04752bbc536007a920d24acb045561c26",
          "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
          "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"})
        CHECK(Address::parse(text, "it").str() == text);
    CHECK(Address::parse("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", "it").str() ==
          "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");
}

TEST_CASE("a wrong checksum is refused, and so is what is no address") {
    const auto refusal = [](std::string_view text) -> std::string {
        try {
            Address::parse(text, "--owner-wallet");
            return "";
        } catch (const Error& error) {
            CHECK(error.code() == Code::invalid);
            return error.message();
        }
    };
    CHECK(refusal("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD") ==
          "--owner-wallet: 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD has a wrong checksum: a digit of it is "
          "not as it "
          "should be");
    for (auto text :
         {"", "0x", "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae",
          "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaedd", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaeg"})
        CHECK(refusal(text).find("is no address") != std::string::npos);
}

TEST_CASE("a word of the ABI holds an address behind zeros") {
    Hash word{};
    word[31] = 1;
    CHECK(Address::of_word(word)->str() == "0x0000000000000000000000000000000000000001");
    word[11] = 1;
    CHECK_FALSE(Address::of_word(word));
}
