// SPDX-License-Identifier: MIT
// Members read by their types: what is wrong is told with its place, all at once; what is unknown is warned
// of.
#include "base/text/json_members.hpp"

#include <array>
#include <catch2/catch.hpp>

using namespace blockhost;
using json::Findings;
using json::LocatedJson;
using json::Members;

namespace {

struct Read {
    explicit Read(std::string_view text)
        : document(LocatedJson::parse(text, "d")), findings(document),
          members(findings, document.root(), "") {}
    LocatedJson document;
    Findings findings;
    Members members;

    std::vector<BadField> refused() const {
        try {
            findings.throw_if_refused();
        } catch (const FieldError& error) {
            CHECK(error.code() == Code::config);
            return error.fields();
        }
        return {};
    }
    std::string first() const { return refused().empty() ? "" : refused().front().message; }
};

constexpr std::array<std::string_view, 2> colours{"red", "green"};

} // namespace

TEST_CASE("members are read by their types") {
    Read read(R"({"t": "x", "i": 7, "b": true, "c": "green", "l": ["a", "b"], "o": {"i": 1}})");
    CHECK(read.members.text("t", 10) == "x");
    CHECK(read.members.integer("i", 0, 7) == 7);
    CHECK(read.members.boolean("b") == true);
    CHECK(read.members.choice("c", colours) == 1);
    CHECK(read.members.texts("l", 1) == std::vector<std::string>{"a", "b"});
    CHECK(read.members.object("o")->integer("i", 0, 7) == 1);
    CHECK(read.first() == "");
}

TEST_CASE("what is absent is neither there nor refused") {
    Read read("{}");
    CHECK_FALSE(read.members.text("t", 10));
    CHECK_FALSE(read.members.integer("i", 0, 7));
    CHECK_FALSE(read.members.object("o"));
    CHECK(read.first() == "");
}

TEST_CASE("a member of another type is refused at its place, with what is expected") {
    Read read(
        "{\"t\": 1,\n\"i\": \"7\", \"n\": null, \"o\": [], \"c\": \"blue\", \"l\": [1], \"b\": \"true\"}");
    CHECK_FALSE(read.members.text("t", 10));
    CHECK_FALSE(read.members.integer("i", 0, 9));
    CHECK_FALSE(read.members.boolean("n"));
    CHECK_FALSE(read.members.object("o"));
    CHECK_FALSE(read.members.choice("c", colours));
    CHECK_FALSE(read.members.texts("l", 4));
    CHECK_FALSE(read.members.boolean("b"));
    const auto refused = read.refused();
    REQUIRE(refused.size() == 7);
    CHECK(refused[0].message == "d:1:7: t is 1, where a text is expected");
    CHECK(refused[0].field == "t");
    CHECK(refused[1].message == "d:2:6: i is \"7\", where a whole number from 0 to 9 is expected");
    CHECK(refused[2].message == "d:2:16: n is null, where true or false is expected");
    CHECK(refused[2].hint == "leave out what is not to be said");
    CHECK(refused[3].message == "d:2:27: o is a list, where an object is expected");
    CHECK(refused[4].message == "d:2:36: c is \"blue\", where one of red, green is expected");
    CHECK(refused[5].message == "d:2:50: l is 1, where a text of at most 4 bytes is expected");
}

TEST_CASE("numbers outside of their bounds, fractions and huge ones are refused") {
    for (const char* bad : {"-1", "10", "1.5", "1.0", "18446744073709551615", "1e300", "true"}) {
        Read read(std::string(R"({"i": )") + bad + "}");
        CHECK_FALSE(read.members.integer("i", 0, 9));
        CHECK(read.first().ends_with("where a whole number from 0 to 9 is expected"));
    }
}

TEST_CASE("a text that is too long is refused by its length alone") {
    Read read(R"({"t": "aaaaa"})");
    CHECK_FALSE(read.members.text("t", 4));
    CHECK(read.first() == "d:1:7: t has 5 bytes");
}

TEST_CASE("what is no object has no members and is refused") {
    Read read("[1]");
    read.members.require("version", "write it");
    CHECK(read.first() == "d:1:1: the document is a list, where an object is expected");
    CHECK(read.refused().size() == 1);
}

TEST_CASE("a required member that is missing is told at its object") {
    Read read(R"({"o": {}})");
    const auto object = read.members.object("o");
    object->require("x", "write x");
    CHECK(read.first() == "d:1:7: o.x is missing");
    CHECK(read.refused().front().hint == "write x");
}

TEST_CASE("members that nobody read are warned of, with the nearest known one") {
    Read read("{\"memory\": 1,\n \"memori\": 2, \"zzzzzzzz\": {}}");
    CHECK(read.members.integer("memory", 0, 9) == 1);
    read.members.warn_of_unread();
    CHECK(read.findings.warnings() ==
          std::vector<std::string>{"d:2:2: memori is not known, and ignored; did you mean memory?",
                                   "d:2:15: zzzzzzzz is not known, and ignored"});
    CHECK(read.first() == "");
}

TEST_CASE("of a flood of refusals and warnings some are told, and that there are more") {
    std::string text = "{";
    for (int i = 0; i < 300; ++i) text += (i > 0 ? ",\"k" : "\"k") + std::to_string(i) + "\": 0";
    Read read(text + "}");
    read.members.warn_of_unread();
    CHECK(read.findings.warnings().size() == 101);
    for (int i = 0; i < 300; ++i) read.members.refuse("k" + std::to_string(i), "is bad", "mend it");
    CHECK(read.refused().size() == 10);
    CHECK(read.refused().back().message.ends_with("k9 is bad (and 290 more)"));
}

TEST_CASE("what is quoted is fit for a terminal") {
    Read read("{\"i\": \"\\u001b[31m\", \"\\u001bx\": 1}");
    CHECK_FALSE(read.members.integer("i", 0, 9));
    read.members.warn_of_unread();
    CHECK(read.first().find('\033') == std::string::npos);
    CHECK(read.findings.warnings().front().find('\033') == std::string::npos);
}
