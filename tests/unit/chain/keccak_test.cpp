// SPDX-License-Identifier: MIT
// Keccak-256: published digests, and lengths around its block. More by cast: tests/mint/test_oracle.py.
#include "chain/evm/keccak.hpp"

#include <catch2/catch.hpp>

using namespace blockhost::chain;

TEST_CASE("texts have the digests that are published for them") {
    const auto digest = [](std::string_view text) { return hex(keccak256(text)); };
    CHECK(digest("") == "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    CHECK(digest("abc") == "0x4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
    CHECK(digest("The quick brown fox jumps over the lazy dog") ==
          "0x4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15");
    CHECK(digest("The quick brown fox jumps over the lazy dog.") ==
          "0x578951e24efd62a3d63a86f7cd19aaa53c898fe287d2552133220370240b572d");
    CHECK(digest("Transfer(address,address,uint256)") ==
          "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
}

TEST_CASE("every byte counts, at every length around a block") {
    for (std::size_t length : {1u, 134u, 135u, 136u, 137u, 271u, 272u, 273u}) {
        const std::string text(length, 'a');
        CHECK(keccak256(text) != keccak256(text + '\0'));
        CHECK(keccak256(text) != keccak256(text.substr(1)));
        CHECK(keccak256(text) != keccak256("b" + text.substr(1)));
    }
}
