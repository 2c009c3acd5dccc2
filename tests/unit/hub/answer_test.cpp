// SPDX-License-Identifier: MIT
// What a hub says: read strictly, and for one host.
#include "base/error.hpp"
#include "hub/answer.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::hub;
using std::chrono::seconds;

namespace {

const std::string digest(64, 'a');

Answer answer(const std::string& more) {
    return parse_answer(R"({"version": 1, "host": "host-a")" + more + "}", "host-a");
}
std::string refusal(const std::string& text) {
    try {
        parse_answer(text, "host-a");
    } catch (const Error& error) {
        CHECK(error.code() == Code::invalid);
        return error.message();
    }
    return "";
}
std::string refused(const std::string& more) {
    return refusal(R"({"version": 1, "host": "host-a")" + more + "}");
}

} // namespace

TEST_CASE("an answer says what is wanted, and nothing by being silent") {
    const Answer empty = answer("");
    CHECK_FALSE(empty.poll);
    CHECK_FALSE(empty.desired);
    CHECK(empty.signed_mark == "");
    CHECK_FALSE(empty.is_blocked);
    CHECK(empty.acknowledged == 0);
    CHECK(empty.audit.empty());
    const Answer full = answer(R"(, "poll_s": 300, "desired": {"generation": 8, "digest": ")" + digest +
                               R"("}, "signed": "x", "blocked": true, "acknowledged": 43, "audit": "7:)" +
                               digest + R"(", "colour": 1)");
    CHECK(full.poll == seconds(300));
    CHECK(full.desired == Announced{8, digest});
    CHECK(full.signed_mark == "x");
    CHECK(full.is_blocked);
    CHECK(full.acknowledged == 43);
    CHECK(full.audit == "7:" + digest);
}

TEST_CASE("a poll is brought into its bounds") {
    CHECK(answer(R"(, "poll_s": 0)").poll == seconds(60));
    CHECK(answer(R"(, "poll_s": 59)").poll == seconds(60));
    CHECK(answer(R"(, "poll_s": 61)").poll == seconds(61));
    CHECK(answer(R"(, "poll_s": 9007199254740991)").poll == seconds(3600));
}

TEST_CASE("an answer for another host counts for nothing") {
    CHECK(refusal(R"({"version": 1, "host": "host-b"})") ==
          R"(the answer: member "host" is host-b, another host's)");
    CHECK_THROWS_AS(parse_signed_set(R"({"version": 1, "host": "host-b", "operations": []})", "host-a"),
                    Error);
}

TEST_CASE("what makes no sense is refused as a whole") {
    for (const char* more :
         {R"(, "poll_s": "300")", R"(, "poll_s": -1)", R"(, "poll_s": 1.5)", R"(, "poll_s": null)",
          R"(, "desired": 8)", R"(, "desired": {})", R"(, "desired": {"generation": -1})",
          R"(, "desired": {"generation": 9007199254740992})",
          R"(, "desired": {"generation": 1, "digest": "aa"})", R"(, "signed": "")", R"(, "signed": "a b")",
          R"(, "signed": 1)", R"(, "blocked": "yes")", R"(, "acknowledged": -1)", R"(, "audit": "x")",
          R"(, "audit": "0:x")", R"(, "host": "host-a")"}) {
        CAPTURE(more);
        CHECK_FALSE(refused(more).empty());
    }
    for (const char* text : {"", "[]", "{", R"({"version": 2, "host": "host-a"})", R"({"host": "host-a"})",
                             R"({"version": 1})"}) {
        CAPTURE(text);
        CHECK_FALSE(refusal(text).empty());
    }
    CHECK_FALSE(refused(R"(, "signed": ")" + std::string(129, 'x') + "\"").empty());
    CHECK_FALSE(refused(R"(, "x": ")" + std::string(largest_answer, 'x') + "\"").empty());
}

TEST_CASE("signed operations keep the bytes that were signed") {
    const auto all = parse_signed_set(
        R"({"version": 1, "host": "host-a", "operations": [{"version": 1, "envelope": "{\"a\": 1}\n", "signatures": ["s"]}, {}]})",
        "host-a");
    REQUIRE(all.size() == 2);
    CHECK(all[0] == R"({"version":1,"envelope":"{\"a\": 1}\n","signatures":["s"]})");
    for (const char* text :
         {R"({"version": 1, "host": "host-a"})", R"({"version": 1, "host": "host-a", "operations": {}})",
          R"({"version": 1, "host": "host-a", "operations": [1]})",
          R"({"version": 1, "host": "host-a", "operations": [], "more": 1})"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(parse_signed_set(text, "host-a"), Error);
    }
}

TEST_CASE("heads of an audit are told from other texts") {
    CHECK(line_of_head("7:" + digest) == 7);
    for (const std::string& text : {std::string(), digest, ":" + digest, "0:" + digest, "-1:" + digest,
                                    "07:" + digest, "7:" + digest + "a", "9999999999999999999:" + digest}) {
        CAPTURE(text);
        CHECK_FALSE(line_of_head(text));
    }
}
