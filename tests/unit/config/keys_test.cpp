// SPDX-License-Identifier: MIT
// The table of db.yaml's keys and its reader: neither knows a key that the other does not.
#include "config/config.hpp"
#include "config/db_yaml_keys.hpp"
#include "config/yaml_section.hpp"
#include "tests/unit/config/root.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace blockhost;
using namespace blockhost::test;

TEST_CASE("every key of the table is read: a value of the wrong kind is refused by its name") {
    for (const ConfigKey& key : db_yaml_keys()) {
        const auto point = key.name.find('.');
        const std::string value = "{no: value}";
        const std::string name(key.name);
        Root root;
        put(root.paths.db_yaml(),
            point == std::string_view::npos
                ? name + ": " + value
                : name.substr(0, point) + ": {" + name.substr(point + 1) + ": " + value + "}");
        const std::string message = config_error([&] { read_db_config(root.paths); });
        INFO(key.name);
        CHECK(message.find(name + ": expected ") != std::string::npos);
    }
}

TEST_CASE("a key that is not in the table cannot be asked for") {
    const ConfigKey known[] = {{"ip_pool.start", "", "", ""}, {"bridge", "", "", ""}};
    const auto any = [](const std::string&) { return true; };
    const YamlSection file =
        YamlSection::parse("{bridge: a, brid: b, ip_pool: {start: 1, end: 2}}", "f", known);
    CHECK(file.text("bridge", "", any) == "a");
    CHECK(file.section("ip_pool").text("start", "", any) == "1");
    CHECK_THROWS_AS(file.text("brid", "", any), Error);
    CHECK_THROWS_AS(file.section("ip_pool").text("end", "", any), Error);
}

TEST_CASE("the table names each key once, with its meaning") {
    std::set<std::string_view> names;
    for (const ConfigKey& key : db_yaml_keys()) {
        CHECK(names.insert(key.name).second);
        CHECK_FALSE((key.type.empty() || key.default_text.empty() || key.meaning.empty()));
        CHECK_FALSE(key.meaning.ends_with('.'));
    }
}
