// SPDX-License-Identifier: MIT
// Values set in YAML that people wrote: nothing but the values changes.
#include "config/yaml_merge.hpp"

#include "base/error.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using Type = YamlSetting::Type;

namespace {

const std::string conffile = "# BlockHost\n"
                             "db_file: /var/lib/blockhost/vms.json   # the database\n"
                             "bridge: \"vmbr0\" # quoted\n"
                             "\n"
                             "ip_pool:\n"
                             "    network: 192.168.122.0/24\n"
                             "    start: '200'   # from here\n"
                             "    end: 250\n"
                             "# below the pool\n"
                             "ipv6_pool: {start: 2, end: 254}\n"
                             "fields: [a, 'b', {c: 1.10}]\n";

std::string merged(const std::string& text, const std::vector<YamlSetting>& settings) {
    const MergedYaml result = merge_yaml(text, "db.yaml", settings);
    CHECK(result.comments_kept);
    return result.text;
}

std::string with(std::string text, const std::string& old, const std::string& fresh) {
    const auto at = text.find(old);
    REQUIRE(at != std::string::npos);
    return text.replace(at, old.size(), fresh);
}

} // namespace

TEST_CASE("a value is replaced where it stands, and its comment stays") {
    CHECK(merged(conffile, {{"", "bridge", "br0"}}) == with(conffile, "\"vmbr0\"", "br0"));
    CHECK(merged(conffile, {{"", "db_file", "/srv/x.json"}}) ==
          with(conffile, "/var/lib/blockhost/vms.json", "/srv/x.json"));
    CHECK(merged(conffile, {{"ip_pool", "start", "2", Type::number}}) == with(conffile, "'200'", "2"));
    CHECK(merged(conffile, {{"ipv6_pool", "start", "9", Type::number}}) ==
          with(conffile, "{start: 2", "{start: 9"));
}

TEST_CASE("a value that is there already leaves the text as it is, however it is quoted") {
    CHECK(merged(conffile, {{"", "bridge", "vmbr0"}, {"ip_pool", "start", "200", Type::number}}) == conffile);
    CHECK(merged(conffile, {}) == conffile);
}

TEST_CASE("a new key becomes a line of its own: of a section behind its last, else at the end") {
    CHECK(merged(conffile, {{"ip_pool", "gateway", "192.168.122.1"}}) ==
          with(conffile, "    end: 250\n", "    end: 250\n    gateway: 192.168.122.1\n"));
    CHECK(merged(conffile, {{"ipv6_pool", "more", "1", Type::number}}) ==
          with(conffile, "end: 254}", "end: 254, more: 1}"));
    CHECK(merged(conffile, {{"", "storage_pool", "fast"}}) == conffile + "storage_pool: fast\n");
    CHECK(merged("a: 1", {{"", "b", "2", Type::number}}) == "a: 1\nb: 2\n");
    CHECK(merged("a: 1\r\n", {{"", "b", "2", Type::number}}) == "a: 1\r\nb: 2\r\n");
}

TEST_CASE("a section that is missing is made, also in a file of comments alone") {
    CHECK(merged("# nothing\n",
                 {{"ip_pool", "start", "2", Type::number}, {"ip_pool", "end", "9", Type::number}}) ==
          "# nothing\nip_pool:\n  start: 2\n  end: 9\n");
}

TEST_CASE("of a repeated key the last is set, which is the one that counts") {
    CHECK(merged("bridge: a\nbridge: b\n", {{"", "bridge", "c"}}) == "bridge: a\nbridge: c\n");
}

TEST_CASE("text that other readers would take for something else is quoted") {
    for (const std::string value :
         {"yes", "on", "null", "12", "1e3", "a: b", "#a", "a b", "*a", "-", "\"", "\\"}) {
        const std::string text = merged("a: 1\n", {{"", "pool", value}});
        INFO(text);
        CHECK(text.find("pool: \"") != std::string::npos);
        CHECK(merged(text, {{"", "pool", value}}) == text);
    }
    CHECK(merged("a: 1\n", {{"", "n", "10.0.0.0/24"}}) == "a: 1\nn: 10.0.0.0/24\n");
}

TEST_CASE("what cannot be edited in place is written anew, with every key and value in its order") {
    const auto rewritten = [](const std::string& text, const YamlSetting& setting) {
        const MergedYaml result = merge_yaml(text, "db.yaml", {setting});
        CHECK_FALSE(result.comments_kept);
        return result.text;
    };
    CHECK(rewritten("{b: 'yes', a: 1.10}\n", {"", "c", "2", Type::number}) == "b: \"yes\"\na: 1.10\nc: 2\n");
    CHECK(rewritten("z: 1\nip_pool: # to come\ny: [1, two]\n", {"ip_pool", "start", "2", Type::number}) ==
          "z: 1\nip_pool:\n  start: 2\ny:\n  - 1\n  - two\n");
    CHECK(rewritten("bridge: >\n  folded\n  text\nb: 1\n", {"", "bridge", "br0"}) == "bridge: br0\nb: 1\n");
    CHECK(rewritten("a: &x {s: 1}\nip_pool: *x\n", {"ip_pool", "s", "2", Type::number}) ==
          "a:\n  s: 1\nip_pool:\n  s: 2\n");
}

TEST_CASE("what is no YAML mapping is refused") {
    for (const std::string text : {"- a\n", "a: [\n", "just text\n", "a: 1\n---\nb: 2\n"})
        CHECK_THROWS_AS(merge_yaml(text, "db.yaml", {{"", "bridge", "br0"}}), Error);
}

TEST_CASE("a list or mapping that has itself in it is refused, not followed") {
    for (const char* text : {"a: &a [*a]\n", "a: &a {b: *a}\n", "a: &a {<<: *a}\n"})
        CHECK_THROWS_AS(merge_yaml(text, "db.yaml", {{"", "bridge", "br0"}}), Error);
}

TEST_CASE("several documents are refused, also where yaml-cpp finds them without end") {
    for (const std::string text : {"bridge: br0\n---\nbridge: br1\n", ", bridge: br0\n"})
        CHECK_THROWS_AS(merge_yaml(text, "db.yaml", {{"", "bridge", "br2"}}), Error);
}
