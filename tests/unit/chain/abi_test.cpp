// SPDX-License-Identifier: MIT
// ABI: calls as Solidity's specification has them, and reasons of reverts. More by cast:
// tests/mint/test_oracle.py.
#include "chain/evm/abi.hpp"
#include "chain/mint_call.hpp"

#include <catch2/catch.hpp>

using namespace blockhost::chain;

namespace {

std::string word(const std::string& digits) {
    return std::string(64 - digits.size(), '0') + digits;
}
std::string filled(std::string digits) {
    return digits + std::string(64 - digits.size(), '0');
}
Address wallet() {
    return Address::parse("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "it");
}
constexpr const char* wallet_word = "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";

} // namespace

TEST_CASE("well-known selectors") {
    CHECK(hex(total_supply_call()) == "0x18160ddd");
    CHECK(hex(owner_of_call(1)) == "0x6352211e" + word("1"));
}

TEST_CASE("the mint of two arguments") {
    const auto call = MintCall::current(wallet(), Bytes{0x01, 0x02, 0x03});
    const std::string data = hex(call.data);
    CHECK(data.substr(10) == word(wallet_word) + word("40") + word("3") + filled("010203"));
    CHECK(hex(MintCall::current(wallet(), {}).data).substr(10) == word(wallet_word) + word("40") + word("0"));
}

TEST_CASE("the mint of seven arguments") {
    const std::string data = hex(MintCall::legacy(wallet(), {}, "secret").data);
    CHECK(data.substr(10) == word(wallet_word) + word("e0") + word("100") + word("140") + word("180") +
                                 word("1a0") + word("0") +            // the number
                                 word("0") +                          // userEncrypted
                                 word("6") + filled("736563726574") + // publicSecret
                                 word("5") + filled("49594b594b") +   // IYKYK
                                 word("0") + word("0"));
}

TEST_CASE("reasons of reverts") {
    const auto reason = [](const std::string& data) { return abi::reason_of(*parse_hex("0x" + data)); };
    CHECK(reason("") == "without a reason");
    CHECK(reason("08c379a0" + word("20") + word("5") + filled("736f727279")) == "sorry");
    CHECK(reason("08c379a0" + word("20") + word("5") + filled("736f72720a")) == "sorr\\x0a");
    CHECK(reason("4e487b71" + word("11")) == "a number overflowed (panic 0x11)");
    CHECK(reason("deadbeef") == "by its own error 0xdeadbeef");
    for (const std::string& torn : {std::string("08c379a0"), "08c379a0" + word("20"), "08c379a0" + word("21"),
                                    "08c379a0" + word("20") + word("6"), "08c379a0" + std::string(64, 'f')})
        CHECK(reason(torn) == "by its own error 0x08c379a0");
}

TEST_CASE("answers of one word") {
    CHECK(abi::number_in(to_word(7)) == U256(7));
    CHECK_FALSE(abi::number_in(Bytes(31)));
    CHECK_FALSE(abi::address_in(Bytes(32, 1)));
}
