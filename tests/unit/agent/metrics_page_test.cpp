// SPDX-License-Identifier: MIT
// The agent's figures: what cannot be seen is absent, and never zero.
#include "agent/service/metrics_page.hpp"

#include <boost/json/array.hpp>
#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::agent;

namespace {

bool has(const std::string& page, std::string_view words) {
    return page.find(words) != page.npos;
}

const boost::json::object whole{
    {"host", "host-a"},
    {"agent", boost::json::object{{"version", "1"}}},
    {"facts", boost::json::object{{"platform", "libvirt"}, {"cpus", 2}, {"memory_mib", 1}}},
    {"guests", boost::json::array{boost::json::object{
                   {"id", "vm-1"}, {"name", "a\"b"}, {"kind", "vm"}, {"power", "running"}}}},
    {"pending", boost::json::array{}},
    {"operations", boost::json::array{1, 2}},
    {"troubles", boost::json::array{}}};

} // namespace

TEST_CASE("figures that are known are there") {
    const std::string page =
        metrics_page(whole, {.exchange = Instant(std::chrono::seconds(5)), .look = {}, .dropped_events = 0},
                     {{.guest = "vm-1", .last = Instant(std::chrono::seconds(7)), .drill = {}}});
    CHECK(has(page, "blockhost_host_memory_bytes 1048576\n"));
    CHECK(has(page, "blockhost_guest_up{guest=\"vm-1\",name=\"a\\\"b\",kind=\"vm\"} 1\n"));
    CHECK(has(page, "blockhost_signatures_pending 0\n"));
    CHECK(has(page, "blockhost_operations_open 2\n"));
    CHECK(has(page, "blockhost_hub_last_exchange_seconds 5\n"));
    CHECK(has(page, "blockhost_backup_last_seconds{guest=\"vm-1\"} 7\n"));
    CHECK(has(page, "blockhost_events_dropped_total 0\n"));
    CHECK_FALSE(has(page, "blockhost_last_look_seconds"));
    CHECK_FALSE(has(page, "blockhost_drill_passed{"));
}

TEST_CASE("of a host that cannot be seen only what the agent knows of itself is there") {
    const std::string page = metrics_page(
        {{"troubles", boost::json::array{boost::json::object{{"what", "platform"}}}}}, LoopFigures{}, {});
    CHECK(has(page, "blockhost_trouble{what=\"platform\"} 1\n"));
    CHECK(has(page, "blockhost_blocked 0\n"));
    for (const char* figure : {"agent_info", "guest", "signatures_pending", "operations_open", "desired",
                               "events_dropped", "last_exchange"}) {
        INFO(figure);
        CHECK_FALSE(has(page, std::string("blockhost_") + figure));
    }
}
