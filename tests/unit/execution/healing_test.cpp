// SPDX-License-Identifier: MIT
// Whether a guest that should run is started again.
#include "tests/unit/execution/support.hpp"

using namespace blockhost;
using namespace blockhost::execution;
using namespace blockhost::execution::test;
using namespace blockhost::platform;
using namespace std::chrono_literals;
using Do = Healing::Do;

namespace {

constexpr HealingRules rules{
    .off_for = 10s, .between = 30s, .longest = 100s, .most_starts = 4, .steady = 600s};
const Instant morning = *parse_instant("2026-11-29T06:00:00Z");

Sight sight(Power power) {
    Guest guest;
    guest.id = "web";
    guest.power = power;
    guest.incarnation = "made:1";
    return {.should_run = true, .guest = guest, .stopped_on_purpose = false, .is_busy = false};
}

/// A guest that crashes whenever it was started, looked at every second; when it was started.
std::vector<std::int64_t> starts_of_a_crash_loop(Episode& episode, std::chrono::seconds span, int& reports) {
    std::vector<std::int64_t> starts;
    for (std::chrono::seconds at{0}; at < span; at += 1s) {
        const Healing healing = heal(episode, sight(Power::stopped), rules, morning + at);
        if (healing.act == Do::start) starts.push_back(at.count());
        if (healing.act == Do::report) ++reports;
    }
    return starts;
}

} // namespace

TEST_CASE("a guest that should run and is off for a while is started once, then left time") {
    Episode episode;
    CHECK(heal(episode, sight(Power::running), rules, morning).act == Do::nothing);
    const Healing first = heal(episode, sight(Power::stopped), rules, morning + 100s);
    CHECK(first.act == Do::wait);
    CHECK(first.why == "it is off, and is started again in 10 s");
    CHECK(heal(episode, sight(Power::stopped), rules, morning + 109s).act == Do::wait);
    const Healing start = heal(episode, sight(Power::stopped), rules, morning + 110s);
    CHECK(start.act == Do::start);
    CHECK(start.why == "it should run, and is off: start 1 of 4");
    CHECK(heal(episode, sight(Power::stopped), rules, morning + 111s).act == Do::wait);
}

TEST_CASE("a crash loop is started at growing distances, reported once, and then left alone") {
    Episode episode;
    int reports = 0;
    CHECK(starts_of_a_crash_loop(episode, 3600s, reports) == std::vector<std::int64_t>{10, 40, 100, 200});
    CHECK(reports == 1);
    CHECK(episode.given_up);
}

TEST_CASE("a guest that is back for a moment is in the same loop, one that stays up is not") {
    Episode episode;
    int reports = 0;
    starts_of_a_crash_loop(episode, 110s, reports);
    CHECK(episode.starts == 3);
    heal(episode, sight(Power::running), rules, morning + 200s);
    heal(episode, sight(Power::running), rules, morning + 799s);
    CHECK(episode.starts == 3);
    heal(episode, sight(Power::running), rules, morning + 800s);
    CHECK(episode.starts == 0);
}

TEST_CASE("time is counted from the start of one run, not over crashes") {
    Episode episode{.incarnation = "made:1", .starts = 3, .last_start = morning};
    heal(episode, sight(Power::running), rules, morning + 100s);
    heal(episode, sight(Power::stopped), rules, morning + 400s);
    heal(episode, sight(Power::running), rules, morning + 500s);
    heal(episode, sight(Power::running), rules, morning + 900s);
    CHECK(episode.starts == 3);
}

TEST_CASE("a guest that was given up is healed again once it ran on, or once somebody switched it off") {
    const Episode given_up{.incarnation = "made:1", .starts = 4, .last_start = morning, .given_up = true};
    Episode episode = given_up;
    heal(episode, sight(Power::running), rules, morning);
    CHECK(episode.given_up);
    heal(episode, sight(Power::running), rules, morning + 600s);
    CHECK(episode == Episode{.incarnation = "made:1", .last_start = morning, .running_since = morning});
    episode = given_up;
    Sight off = sight(Power::stopped);
    off.stopped_on_purpose = true;
    CHECK(heal(episode, off, rules, morning).act == Do::nothing);
    CHECK(episode == Episode{.incarnation = "made:1"});
}

TEST_CASE("one that an operator stopped, or that need not run, is not started") {
    Episode episode;
    Sight purpose = sight(Power::stopped), unsaid = sight(Power::stopped);
    purpose.stopped_on_purpose = true;
    unsaid.should_run = false;
    for (std::chrono::seconds at{0}; at < 7200s; at += 60s) {
        CHECK(heal(episode, purpose, rules, morning + at).act == Do::nothing);
        CHECK(heal(episode, unsaid, rules, morning + at).act == Do::nothing);
    }
}

TEST_CASE("nothing is started on the strength of a failed look, or of one that shows something else") {
    Sight unread = sight(Power::stopped), gone = sight(Power::stopped), locked = sight(Power::stopped),
          busy = sight(Power::stopped);
    unread.guest->unreadable = "no answer";
    gone.guest.reset();
    locked.guest->lock = "backup";
    busy.is_busy = true;
    for (const Sight& seen : {unread, gone, locked, busy, sight(Power::unknown), sight(Power::paused),
                              sight(Power::suspended), sight(Power::running)}) {
        Episode episode{.incarnation = "made:1", .off_since = morning};
        for (std::chrono::seconds at{100}; at < 7200s; at += 60s)
            CHECK(heal(episode, seen, rules, morning + at).act == Do::nothing);
        CHECK(episode.starts == 0);
    }
}

TEST_CASE("a failed look changes nothing of what is remembered") {
    const Episode before{.incarnation = "made:1", .starts = 2, .last_start = morning, .off_since = morning};
    Episode episode = before;
    Sight unread = sight(Power::stopped);
    unread.guest->incarnation.clear();
    unread.guest->unreadable = "no answer";
    heal(episode, unread, rules, morning + 50s);
    CHECK(episode == before);
}

TEST_CASE("a guest that is worked on is off for a while from when it was last seen worked on") {
    Episode episode;
    Sight busy = sight(Power::stopped);
    busy.is_busy = true;
    heal(episode, sight(Power::stopped), rules, morning);
    heal(episode, busy, rules, morning + 60s);
    CHECK(heal(episode, sight(Power::stopped), rules, morning + 69s).act == Do::wait);
    CHECK(heal(episode, sight(Power::stopped), rules, morning + 70s).act == Do::start);
    Episode unseen; // nobody saw it run
    heal(unseen, busy, rules, morning);
    CHECK_FALSE(unseen.off_since);
}

TEST_CASE("a guest made anew has a past of its own") {
    Episode episode{.incarnation = "made:0", .starts = 4, .last_start = morning, .given_up = true};
    CHECK(heal(episode, sight(Power::stopped), rules, morning).act == Do::wait);
    CHECK(heal(episode, sight(Power::stopped), rules, morning + 10s).act == Do::start);
}

TEST_CASE("a clock that went back makes nobody wait for ever") {
    Episode episode{.incarnation = "made:1", .starts = 1, .last_start = morning, .off_since = morning};
    CHECK(heal(episode, sight(Power::stopped), rules, morning - 24h).act == Do::wait);
    CHECK(heal(episode, sight(Power::stopped), rules, morning - 24h + 30s).act == Do::start);
}

namespace {

Operation operation(Action action, State state, Source::Kind source = Source::Kind::shell) {
    Operation made{};
    made.target = {"web", "made:1"};
    made.action = std::move(action);
    made.state = state;
    made.source.kind = source;
    if (state != State::queued && state != State::cancelled) made.begun_at = morning;
    return made;
}

bool off(std::vector<Operation> newest_first) {
    return was_switched_off(newest_first, "made:1");
}

} // namespace

TEST_CASE("who stopped a guest wanted it off, until somebody wants it on") {
    const Operation stop = operation(Stop{}, State::done), start = operation(Start{}, State::done),
                    heal = operation(Start{}, State::done, Source::Kind::healing);
    CHECK_FALSE(off({}));
    CHECK(off({stop}));
    CHECK_FALSE(off({start, stop}));
    CHECK(off({stop, start}));
    CHECK(off({heal, stop})); // an operator was faster than the healing
    CHECK(off({operation(TakeSnapshot{}, State::done), stop}));
    CHECK(off({operation(Stop{}, State::unknown)}));
    CHECK(off({operation(Stop{}, State::begun)}));
    CHECK_FALSE(off({operation(Stop{}, State::failed)}));
    CHECK_FALSE(off({operation(Stop{}, State::cancelled)}));
    CHECK(off({operation(Start{}, State::queued), stop}));
    Operation earlier = stop;
    earlier.target.incarnation = "made:0";
    CHECK_FALSE(off({earlier}));
}

TEST_CASE("what is remembered of a guest is there for the next process") {
    const TemporaryFolder folder{quick_place()};
    const Episode one{.incarnation = "made:1",
                      .starts = 3,
                      .last_start = morning,
                      .running_since = morning + 1us,
                      .off_since = morning + 2s,
                      .given_up = true};
    Episodes(open_database(folder.path)).keep("web", one);
    Episodes next(open_database(folder.path));
    CHECK(next.find("web") == one);
    CHECK(next.find("other") == Episode{});
    next.keep("web", {.incarnation = "made:2"});
    CHECK(next.find("web") == Episode{.incarnation = "made:2"});
    next.forget("web");
    CHECK(next.find("web") == Episode{});
}
