// SPDX-License-Identifier: MIT
// The service's second thread, before it was told that it may begin.
#include "agent/service/worker.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::agent;
using namespace std::chrono_literals;

TEST_CASE("a worker that is blocked makes no engine, and waits between its looks though it was kicked") {
    Troubles troubles;
    std::atomic<int> engines = 0, looks = 0;
    {
        Worker worker(
            [&]() -> Engine {
                ++engines;
                throw Error(Code::internal, "nobody may ask for an engine");
            },
            [&] { return ++looks, false; }, troubles);
        worker.kick();
        std::this_thread::sleep_for(500ms);
    }
    CHECK(engines == 0);
    CHECK(looks > 0);
    CHECK(looks < 100); // one that does not wait looks a million times
    CHECK(troubles.now().empty());
}
