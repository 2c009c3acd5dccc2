// SPDX-License-Identifier: MIT
// What is remembered of attempts, chores, and VMs that are gone.
#include "backup/ledger.hpp"

#include "tests/unit/backup/support.hpp"

using namespace blockhost;
using namespace blockhost::backup;
using namespace std::chrono_literals;

namespace {

struct State {
    TemporaryFolder folder;
    Paths paths;
    State() { paths.state = StateFolder(folder.path / "state"); }
    Ledger open(const std::string& repository = "one") { return Ledger::open(paths, repository); }
};

const Instant noon = *parse_instant("2026-01-01T12:00:00.000123");
const VmName vm("web-001");

} // namespace

TEST_CASE("an attempt is remembered, and the last good one besides later failures") {
    State state;
    CHECK_FALSE(Ledger::existing(state.paths, "one"));
    auto ledger = state.open();
    CHECK_FALSE(ledger.last(vm));
    const Attempt good{vm, noon, noon + 5s, std::string(64, 'a'), 1 << 20, 7, ""},
        bad{vm, noon + 1h, noon + 1h, "", 0, 0, "the repository is full"};
    ledger.note(good);
    ledger.note(bad);
    CHECK(ledger.last(vm) == bad);
    CHECK(ledger.last_good(vm) == good);
    CHECK(ledger.is_whole(good.snapshot));
    CHECK(ledger.of(vm, good.snapshot) == good);
    CHECK_FALSE(ledger.of(vm, std::string(64, 'b')));
    CHECK_FALSE(ledger.of(VmName("web-002"), good.snapshot));
    CHECK_FALSE(ledger.last(VmName("web-002")));
    CHECK_FALSE(state.open("another").last(vm));
    CHECK_FALSE(state.open("another").is_whole(good.snapshot));
    for (int i = 0; i < 150; ++i) ledger.note(bad);
    CHECK(ledger.last_good(vm) == good);
    CHECK(ledger.all_last_good() == std::vector{std::pair(vm, noon)});
    CHECK(Ledger::existing(state.paths, "one")->last(vm) == bad);
}

TEST_CASE("a chore that fails does not forget when it went well last") {
    State state;
    auto ledger = state.open();
    CHECK_FALSE(ledger.last(Chore::check));
    ledger.note(Chore::check, {noon, ""});
    ledger.note(Chore::check, {noon + 1h, "damaged"});
    CHECK(ledger.last(Chore::check) == ChoreRun{noon + 1h, "damaged"});
    CHECK(ledger.last_good(Chore::check) == noon);
    CHECK_FALSE(ledger.last_good(Chore::prune));
    ledger.note(Chore::check, {noon + 2h, ""});
    CHECK(ledger.last_good(Chore::check) == noon + 2h);
}

TEST_CASE("a VM is gone since it was first seen to be, until it is there again") {
    State state;
    auto ledger = state.open();
    const Uuid uuid = Uuid::random();
    CHECK_FALSE(ledger.known_gone_since(uuid));
    CHECK(ledger.gone_since(uuid, noon) == noon);
    CHECK(ledger.gone_since(uuid, noon + 24h) == noon);
    ledger.note_live(uuid);
    CHECK_FALSE(ledger.known_gone_since(uuid));
    CHECK(ledger.gone_since(uuid, noon + 48h) == noon + 48h);
}
