// SPDX-License-Identifier: MIT
// Fees and gas.
#include "chain/fees.hpp"

#include "base/error.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::chain;

namespace {

const U256 one_gwei = 1'000'000'000;

} // namespace

TEST_CASE("the base fee may double, the cap not be passed") {
    const Fees plenty = fees_for(one_gwei * 10, one_gwei * 2, one_gwei * 100);
    CHECK(plenty.max == one_gwei * 22);
    CHECK(plenty.priority == one_gwei * 2);
    CHECK(fees_for(one_gwei * 10, one_gwei * 2, one_gwei * 15).max == one_gwei * 15);
    CHECK(fees_for(one_gwei * 10, std::nullopt, one_gwei * 100).priority == one_gwei);
}

TEST_CASE("what is asked for above the cap is refused, and so is a chain without a base fee") {
    CHECK_THROWS_WITH(
        fees_for(one_gwei * 10, one_gwei * 2, one_gwei * 11),
        "the chain asks for 10 gwei and 2 gwei per gas, which is above the cap of 11 gwei; call again "
        "when fees are lower, or raise --max-fee");
    CHECK_THROWS_AS(fees_for(~U256(0), ~U256(0), one_gwei), Error);
    CHECK_THROWS_AS(fees_for(one_gwei, ~U256(0), one_gwei), Error);
    CHECK_THROWS_WITH(fees_for(std::nullopt, one_gwei, one_gwei), Catch::Contains("no base fee"));
}

TEST_CASE("gas has a fifth to spare, and no more than a block holds") {
    const U256 plenty = U256(1) << 50;
    CHECK(gas_for(100'000, plenty) == 120'000);
    for (const U256& odd : {U256(0), U256(30'000'001), ~U256(0)})
        CHECK_THROWS_AS(gas_for(odd, plenty), Error);
    CHECK(gas_for(100'000, 110'000) == 110'000);
    CHECK(gas_for(100'000, 100'000) == 100'000);
    CHECK_THROWS_AS(gas_for(100'001, 100'000), Error);
}
