// SPDX-License-Identifier: MIT
// JSON with places: the tree is Boost's, each place is where the thing stands, and what is refused is told
// there.
#include "base/error.hpp"
#include "base/text/located_json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/stream_parser.hpp>
#include <catch2/catch.hpp>

using namespace blockhost;
using json::Located;
using json::LocatedJson;

namespace {

boost::json::value plain(const Located& value) {
    if (value.kind == Located::Kind::list) {
        boost::json::array all;
        for (const Located& each : value.items) all.push_back(plain(each));
        return all;
    }
    if (value.kind == Located::Kind::object) {
        boost::json::object all;
        for (const auto& each : value.members) all[each.key] = plain(each.value);
        return all;
    }
    return value.scalar;
}

/// Each value begins where it is said to: the text from there on parses to it.
void check_places(std::string_view text, const Located& value) {
    boost::json::error_code error;
    boost::json::stream_parser parser;
    const std::string_view rest = text.substr(value.at);
    const bool is_number = value.kind == Located::Kind::number;
    parser.write_some(rest.data(), is_number ? rest.find_first_of(",]} \n") : rest.size(), error);
    if (!error && !parser.done()) parser.finish(error);
    REQUIRE_FALSE(error);
    CHECK(parser.release() == plain(value));
    for (const Located& each : value.items) check_places(text, each);
    for (const auto& each : value.members) {
        CHECK(text[each.at] == '"');
        const std::string_view key = text.substr(each.at, text.find('"', each.at + 1) - each.at + 1);
        CHECK(boost::json::parse(key).as_string() == each.key);
        check_places(text, each.value);
    }
}

std::string complaint(std::string_view text, const json::Bounds& bounds = {}) {
    try {
        LocatedJson::parse(text, "d.json", bounds);
    } catch (const Error& error) {
        CHECK(error.code() == Code::config);
        CHECK_FALSE(error.hint().empty());
        return error.message();
    }
    return "";
}

std::string repeated(std::string_view text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
}

} // namespace

TEST_CASE("a document is what it is, and each thing in it stands where it is said to") {
    for (const std::string_view text :
         {R"({"version": 1, "a": {"b": [1, -2.5e3, "x", true, false, null, {}, []]}, "c": "d\"e\\"} )",
          "{\n  \"a\":\t[ 18446744073709551615 , 1.5 ]\r\n, \"b\" :\"\" }\n",
          R"(["\u00e4", "\ud83d\ude00ü"])", "{}", R"([[[1],[2,{"x":0}]],3])"}) {
        CAPTURE(text);
        const auto document = LocatedJson::parse(text, "d.json");
        CHECK(plain(document.root()) == boost::json::parse(text));
        check_places(text, document.root());
    }
}

TEST_CASE("a document that is one value alone is read") {
    CHECK(LocatedJson::parse(" 12 \n", "d").root().scalar == 12);
    CHECK(LocatedJson::parse("12", "d").root().scalar == 12);
    CHECK(LocatedJson::parse("null", "d").root().kind == Located::Kind::null);
}

TEST_CASE("a place is file, line and column") {
    const auto document = LocatedJson::parse("{\"a\": 1,\n \"b\": {\n\"c\": 2}}", "d.json");
    const Located& root = document.root();
    CHECK(document.place(root.at) == "d.json:1:1");
    CHECK(document.place(root.member("b")->at) == "d.json:2:2");
    CHECK(document.place(root.member("b")->value.at) == "d.json:2:7");
    CHECK(document.place(root.member("b")->value.member("c")->value.at) == "d.json:3:6");
    CHECK(root.member("d") == nullptr);
}

TEST_CASE("what is no JSON is refused where it ceases to be") {
    CHECK(complaint("{\"a\": tru}").starts_with("d.json:1:10: this is no JSON"));
    CHECK(complaint("{\"a\": 1,\n}").starts_with("d.json:2:1: this is no JSON"));
    CHECK(complaint("{\"a\" 1}").starts_with("d.json:1:6: this is no JSON"));
    CHECK(complaint("{'a': 1}").starts_with("d.json:1:2: this is no JSON"));
    CHECK(complaint("{\"a\": \"\t\"}").starts_with("d.json:1:8: this is no JSON"));
    CHECK(complaint("[1 2]").starts_with("d.json:1:4: this is no JSON"));
    CHECK(complaint("[\"\xff\"]").starts_with("d.json:1:3: this is no JSON"));
    CHECK(complaint("// no\n{}").starts_with("d.json:1:1: this is no JSON"));
    CHECK(complaint("{} x") == "d.json:1:4: there is more text behind the document");
    CHECK(complaint("1 2") == "d.json:1:3: there is more text behind the document");
    for (const char* cut : {"", " ", "{", "[1", "[1,", "\"a", "{\"a\":", "tr", "-"})
        CHECK(complaint(cut) == "d.json:1:" + std::to_string(std::string_view(cut).size() + 1) +
                                    ": the document ends too early");
}

TEST_CASE("a key that stands twice is refused at its second place, however it is spelt") {
    CHECK(complaint("{\"a\": 1,\n\"\\u0061\": 2}") == "d.json:2:1: \"a\" stands here a second time");
    CHECK(complaint(R"({"b": {"z": 1, "a": 1, "z": 2, "a": 2}})") ==
          "d.json:1:24: \"z\" stands here a second time");
    CHECK(complaint(R"({"a": {"a": 1}, "b": {"a": 1}})") == "");
}

TEST_CASE("size, depth and the number of values have bounds") {
    CHECK(complaint(std::string((4 << 20) + 1, ' ')) == "d.json:1:1: the document is larger than 4 MiB");
    CHECK(complaint(repeated("[", 32) + repeated("]", 32)) == "");
    CHECK(complaint(repeated("[", 33) + repeated("]", 33))
              .starts_with("d.json:1:33: lists and objects stand more than 32"));
    CHECK(complaint(repeated(R"({"a":)", 33))
              .starts_with("d.json:1:161: lists and objects stand more than 32"));
    CHECK(complaint("[1,2,3]", {.bytes = 100, .depth = 2, .values = 4}) == "");
    CHECK(complaint("[1,2,3,4]", {.bytes = 100, .depth = 2, .values = 4}) ==
          "d.json:1:8: the document has more than 4 values");
}
