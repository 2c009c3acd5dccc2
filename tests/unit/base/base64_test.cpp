// SPDX-License-Identifier: MIT
// Base64 against RFC 4648's own vectors and every byte value.
#include "base/text/base64.hpp"

#include <catch2/catch.hpp>
#include <utility>

using namespace blockhost;

TEST_CASE("base64 spells RFC 4648's vectors, and reads them back") {
    const std::pair<const char*, const char*> vectors[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (auto [bytes, text] : vectors) {
        CHECK(base64::encode(bytes) == text);
        CHECK(base64::decode(text) == std::string(bytes));
    }
}

TEST_CASE("base64 brings every byte value back, at every length") {
    std::string bytes;
    for (int i = 0; i < 259; ++i) {
        CHECK(base64::decode(base64::encode(bytes)) == bytes);
        bytes += static_cast<char>(i);
    }
}

TEST_CASE("what is not base64 is nothing") {
    const auto* text =
        GENERATE("A", "AA", "AAA", "AAA*", "AA=A", "=AAA", "A===", "====", "AAAA\n", "AA AA===", "-_-_");
    CHECK(base64::decode(text) == std::nullopt);
}
