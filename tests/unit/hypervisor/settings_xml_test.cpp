// SPDX-License-Identifier: MIT
// What of a definition can be another after the domain was made.
#include "base/error.hpp"
#include "hypervisor/settings_json.hpp"
#include "hypervisor/xml/domain.hpp"

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

using namespace blockhost;

namespace {

const std::string plain = "<domain><name>web</name><uuid>0</uuid><metadata><other:x xmlns:other='urn:o'/>"
                          "</metadata><memory unit='KiB'>524288</memory><currentMemory>1</currentMemory>"
                          "<vcpu current='1'>2</vcpu></domain>";

DomainSettings from_json(const std::string& text) {
    return settings_from(boost::json::parse(text).as_object());
}

} // namespace

TEST_CASE("what is given is said, and nothing else changes") {
    const DomainSettings wanted{.cpus = 4,
                                .memory_mib = 1024,
                                .description = "a <b> & \"c\"\n d",
                                .tags = std::set<std::string>{"paid", "a+b"}};
    const std::string changed = with_settings(plain, wanted);
    CHECK(read_settings(changed) == wanted);
    CHECK(read_domain(changed).other_metadata);
    CHECK(read_domain(changed).name == "web");
    CHECK(with_settings(changed, {}) == changed);
    CHECK(read_settings(with_settings(changed, {.cpus = 1})).memory_mib == 1024);
    const DomainSettings now = read_settings(plain);
    CHECK(now ==
          DomainSettings{.cpus = 2, .memory_mib = 512, .description = "", .tags = std::set<std::string>()});
}

TEST_CASE("tags and description that are set anew take the place of the old ones, and empty ones go") {
    const std::string once = with_settings(plain, {.description = "one", .tags = std::set<std::string>{"a"}});
    const std::string twice = with_settings(once, {.description = "two", .tags = std::set<std::string>{"b"}});
    CHECK(read_settings(twice).tags == std::set<std::string>{"b"});
    CHECK(read_settings(twice).description == "two");
    const std::string none = with_settings(twice, {.description = "", .tags = std::set<std::string>()});
    CHECK(none.find("description") == std::string::npos);
    CHECK(none.find(tags_namespace) == std::string::npos);
}

TEST_CASE("tags as libvirt keeps them are read, and are no metadata of somebody else's") {
    const std::string kept =
        "<domain><name>web</name><metadata><blockhost-tags:tags xmlns:blockhost-tags='" +
        std::string(tags_namespace) +
        "'><blockhost-tags:tag>a</blockhost-tags:tag></blockhost-tags:tags></metadata></domain>";
    CHECK(read_settings(kept).tags == std::set<std::string>{"a"});
    CHECK_FALSE(read_domain(kept).other_metadata);
}

TEST_CASE("what no definition can hold is refused") {
    CHECK_FALSE(refusal_of({.description = "tab\tand\nline \xc3\xa9", .tags = std::set<std::string>{"a-1"}}));
    for (const char* bad : {"bell\a", "return\r", "\x7f", "not utf-8 \xff", "\xc2\x85"})
        CHECK(refusal_of({.description = bad}));
    CHECK(refusal_of({.description = std::string(longest_description + 1, 'x')}));
    for (const std::string& bad :
         {std::string(), std::string("a b"), std::string("\xc3\xa9"), std::string(65, 'x')})
        CHECK(refusal_of({.tags = std::set<std::string>{bad}}));
    std::set<std::string> many;
    for (std::size_t i = 0; i <= most_tags; ++i) many.insert(std::to_string(i));
    CHECK(refusal_of({.tags = many}));
}

TEST_CASE("settings outlive a journal, and what is none is refused") {
    const DomainSettings wanted{.cpus = 4, .description = "", .tags = std::set<std::string>{"a"}};
    CHECK(settings_from(to_json(wanted)) == wanted);
    CHECK(settings_from(to_json(DomainSettings())) == DomainSettings());
    for (const char* bad :
         {R"({"cpus": 0})", R"({"cpus": "1"})", R"({"memory_mib": 1.5})", R"({"description": 1})",
          R"({"tags": "a"})", R"({"tags": [1]})", R"({"tags": ["a b"]})", R"({"description": "\u0000"})"})
        CHECK_THROWS_AS(from_json(bad), Error);
}
