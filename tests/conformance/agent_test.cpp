// SPDX-License-Identifier: MIT
// What every driver says of a guest agent that cannot be asked.

#include "stage.hpp"

using namespace blockhost;
using namespace conformance;

namespace {

constexpr const char* ping = R"({"execute":"guest-ping"})";
constexpr const char* channel =
    "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>";

/// What the driver says when that domain's agent is asked.
std::string words(Stage& stage, const std::string& name, int seconds) {
    try {
        stage.hypervisor().agent(name, ping, seconds, std::chrono::seconds(10));
    } catch (const Error& error) {
        return error.message();
    }
    return "no error";
}

} // namespace

TEST_CASE("an agent that is not connected is not responding, however long it is waited for") {
    if (driver() == Driver::test) return skip("the test driver has no guest agent");
    Stage stage;
    auto name = stage.name("quiet");
    stage.define(stage.tiny_domain(name, Uuid::random().str(), channel));
    stage.hypervisor().start(name);
    for (int seconds : {1, 2, 2, 30})
        CHECK_THAT(words(stage, name, seconds),
                   Catch::Contains("is not responding") && Catch::Contains("not connected"));
}

TEST_CASE("a domain that has no channel for an agent is told from one whose agent is silent") {
    if (driver() == Driver::test) return skip("the test driver has no guest agent");
    Stage stage;
    auto name = stage.name("without");
    stage.define(stage.tiny_domain(name, Uuid::random().str()));
    stage.hypervisor().start(name);
    CHECK_THAT(words(stage, name, 1), Catch::Contains("not configured"));
}
