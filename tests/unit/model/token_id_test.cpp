// SPDX-License-Identifier: MIT
// Token ids have 256 bits.
#include "base/error.hpp"
#include "model/token_id.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;

namespace {

const std::string largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

} // namespace

TEST_CASE("every token id of a contract is one, and keeps its digits") {
    for (const std::string& text :
         {std::string("0"), std::string("7"), std::string("18446744073709551616"), largest})
        CHECK(TokenId(text).str() == text);
    CHECK(TokenId("007").str() == "7");
    CHECK(TokenId("000").str() == "0");
    CHECK(TokenId(std::string(100, '0') + largest).str() == largest);
}

TEST_CASE("what is no token id is refused") {
    std::string beyond = largest;
    beyond.back() = '6';
    for (const std::string& text : {std::string(), std::string("-1"), std::string("+1"), std::string("1.0"),
                                    std::string("1e3"), std::string("0x7"), std::string(" 7"),
                                    std::string("7\n"), std::string("x"), beyond, largest + "0"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(TokenId(text), Error);
    }
}

TEST_CASE("a number that some reader of JSON would round is told from others") {
    CHECK(TokenId("9007199254740991").is_exact_number());
    CHECK_FALSE(TokenId("9007199254740992").is_exact_number());
    CHECK_FALSE(TokenId(largest).is_exact_number());
}
