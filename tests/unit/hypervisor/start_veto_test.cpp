// SPDX-License-Identifier: MIT
/// The file that keeps a suspended VM off: both sides agree about it, and nothing else counts as one.

#include "hypervisor/files/start_veto.hpp"

#include "config/paths.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;

TEST_CASE("a start veto is read as it was written") {
    const StartVeto veto{InstanceId::random(), GENERATE(std::string(), Uuid::random().str()),
                         *parse_instant("2026-01-02T03:04:05.000006+00:00")};
    const std::string text = render_start_veto(veto);
    CHECK(text == "{\"instance\": \"" + veto.instance.str() + "\", \"uuid\": \"" + veto.uuid +
                      "\", \"since\": \"2026-01-02T03:04:05.000006+00:00\"}\n");
    const auto back = parse_start_veto(text);
    REQUIRE(back);
    CHECK(back->instance == veto.instance);
    CHECK(back->uuid == veto.uuid);
    CHECK(back->since == veto.since);
}

TEST_CASE("what is no start veto is not taken for one") {
    const std::string id = InstanceId::random().str();
    CHECK(parse_start_veto(R"({"instance": ")" + id + R"(", "since": "2026-01-02"})"));
    CHECK_FALSE(parse_start_veto(R"({"instance": ")" + id + R"("})"));
    CHECK_FALSE(parse_start_veto(R"({"instance": ")" + id + R"(x", "since": "2026-01-02"})"));
    CHECK_FALSE(parse_start_veto(R"({"instance": ")" + id + R"(", "since": "2026-02-30"})"));
    CHECK_FALSE(parse_start_veto(R"({"instance": ")" + id + R"(", "since": 5})"));
    for (const char* text : {"", "{", "{}", "[]", "null", "\"x\"", "\xff"})
        CHECK_FALSE(parse_start_veto(text));
}

TEST_CASE("only what comes before a start may be refused") {
    CHECK(precedes_start("prepare"));
    for (const char* operation : {"start", "started", "stopped", "release", "migrate", "reconnect", "attach",
                                  "define", "", "prepared"})
        CHECK_FALSE(precedes_start(operation));
}

TEST_CASE("both sides look in the same folder") {
    CHECK(std::filesystem::path(paths_from_environment().suspended.string()).filename() == suspended_folder);
}
