// SPDX-License-Identifier: MIT
// One operation, from its turn to its end.
#include "tests/unit/execution/support.hpp"

using namespace blockhost;
using namespace blockhost::execution;
using namespace blockhost::execution::test;
using namespace blockhost::platform;
using namespace std::chrono_literals;
using Phase = ActionState::Phase;

namespace {

ActionState at(Phase phase) {
    ActionState state;
    state.phase = phase;
    return state;
}

std::function<void()> throws(Code code, const char* words = "words") {
    return [=] { throw Error(code, words); };
}

Guest some_guest(const GuestId& id, const Incarnation& incarnation = "made:9", const char* digest = "1") {
    Guest guest;
    guest.id = id;
    guest.incarnation = incarnation;
    guest.digest = digest;
    return guest;
}

} // namespace

TEST_CASE("each state is on disk before what it announces") {
    Bench bench;
    const Id id = bench.submit();
    std::vector<std::string> seen;
    const auto note_state = [&](const char* where) {
        const Operation told = bench.told(id);
        seen.push_back(std::string(where) + ": " + std::string(to_string(told.state)) + " " + told.note +
                       " " + told.handle);
    };
    bench.door = [&](const Operation& operation) {
        note_state("gate");
        return permit(operation);
    };
    bench.platform.on_begin = [&] { note_state("begin"); };
    bench.platform.on_look = [&] {
        note_state("look");
        return at(Phase::done);
    };
    CHECK(bench.turn(id) == Turn::ended);
    CHECK(seen == std::vector<std::string>{"gate: queued  ", "begin: noted note-1 ",
                                           "look: begun note-1 handle of note-1"});
    CHECK(bench.told(id).state == State::done);
    CHECK(bench.turn(id) == Turn::ended);
    CHECK(bench.platform.begins == 1);
}

TEST_CASE("without a permit nothing is begun") {
    Bench bench;
    const Id id = bench.submit(wish(Destroy{}));
    bench.door = [](const Operation&) -> Verdict { return Waits{"an operator's signature"}; };
    CHECK(bench.turn(id) == Turn::aside);
    CHECK(bench.told(id).state == State::waiting);
    CHECK(bench.told(id).detail == "an operator's signature");
    CHECK(bench.turn(id) == Turn::aside);
    CHECK(bench.asked == 1);
    bench.journal.approved(id, "signed");
    bench.door = [](const Operation&) -> Verdict { return Error(Code::denied, "the key was revoked"); };
    CHECK(bench.turn(id) == Turn::ended);
    CHECK(bench.told(id).state == State::rejected);
    CHECK(bench.told(id).error->message() == "the key was revoked");
    CHECK(bench.platform.begins == 0);
}

TEST_CASE("a permit for a larger disk than was asked for begins nothing") {
    Bench bench;
    const Id id = bench.submit(wish(platform::Grow{10 * 1024}));
    for (const platform::Action& other :
         {platform::Action(platform::Grow{20 * 1024}), platform::Action(Destroy{})}) {
        bench.door = [&](const Operation& operation) -> Verdict {
            return platform::PermitForTests::make(operation.target, other);
        };
        const Id each = bench.submit(wish(platform::Grow{10 * 1024}));
        CHECK(bench.turn(each) == Turn::ended);
        CHECK(bench.told(each).state == State::rejected);
        CHECK(bench.told(each).error->message() == "what the gate permitted is another action");
    }
    bench.door = [](const Operation& operation) -> Verdict {
        return platform::PermitForTests::make({operation.target.guest, "made:1"}, operation.action);
    };
    CHECK(bench.turn(id) == Turn::ended);
    CHECK(bench.told(id).state == State::rejected);
    CHECK(bench.platform.begins == 0);
}

TEST_CASE("a gate that cannot decide permits nothing, and is asked again") {
    Bench bench({.begin = 1h, .again = 0ms, .trace = 0ms});
    const Id id = bench.submit();
    bench.door = [](const Operation&) -> Verdict { throw Error(Code::clock, "the clock went back"); };
    CHECK(bench.turn(id) == Turn::held);
    CHECK(bench.told(id).detail == "the clock went back");
    CHECK(bench.told(id).state == State::queued);
    bench.door = permit;
    CHECK(bench.turn(id) == Turn::ended);
    CHECK(bench.told(id).state == State::done);
}

TEST_CASE("what was approved waits again when the gate could not decide within its patience") {
    Bench bench;
    const Id approved = bench.submit(wish(Destroy{})), plain = bench.submit(wish(Start{}));
    bench.door = [](const Operation&) -> Verdict { return Waits{"an operator's signature"}; };
    bench.turn(approved);
    bench.journal.approved(approved, "signed");
    bench.door = [](const Operation&) -> Verdict { throw Error(Code::clock, "the clock went back"); };
    CHECK(bench.turn(approved) == Turn::aside);
    CHECK(bench.told(approved).state == State::waiting);
    CHECK(bench.told(approved).detail ==
          "a signature is needed; what was signed could not be judged: the clock went back");
    CHECK(bench.turn(plain) == Turn::ended);
    CHECK(bench.told(plain).state == State::failed);
    bench.journal.approved(approved, "signed");
    bench.door = permit;
    CHECK(bench.turn(approved) == Turn::ended);
    CHECK(bench.told(approved).state == State::done);
}

TEST_CASE("a lock is waited for with the permit in hand, and then begun") {
    Bench bench({.begin = 1h, .again = 0ms, .trace = 0ms});
    const Id id = bench.submit();
    bench.platform.on_begin = throws(Code::busy, "backup of root@pam runs");
    for (int i = 0; i < 3; ++i) {
        CHECK(bench.turn(id) == Turn::held);
        CHECK(bench.told(id).state == State::queued);
        CHECK(bench.told(id).note.empty());
        CHECK(bench.told(id).detail == "backup of root@pam runs");
    }
    bench.platform.on_begin = [] {};
    CHECK(bench.turn(id) == Turn::ended);
    CHECK(bench.told(id).state == State::done);
    CHECK(bench.told(id).detail.empty());
    CHECK(bench.asked == 1);
}

TEST_CASE("patience ends, and the operation fails with who holds the guest") {
    Bench bench;
    const Id id = bench.submit();
    bench.platform.on_begin = throws(Code::busy, "backup of root@pam runs");
    CHECK(bench.turn(id) == Turn::ended);
    CHECK(bench.told(id).state == State::failed);
    CHECK(bench.told(id).error->message() == "backup of root@pam runs");
}

TEST_CASE("a platform that is not reached is waited for, and a refusal is not") {
    for (const auto& [code, end] : {std::pair(Code::hypervisor_down, State::queued),
                                    {Code::busy, State::queued},
                                    {Code::wrong_state, State::failed},
                                    {Code::denied, State::failed},
                                    {Code::exists, State::failed}}) {
        Bench bench({.begin = 1h, .again = 0ms, .trace = 0ms});
        const Id by_begin = bench.submit(), by_note = bench.submit();
        bench.platform.on_begin = throws(code);
        bench.turn(by_begin);
        CHECK(bench.told(by_begin).state == end);
        bench.platform.on_note = [code = code]() -> Note { throw Error(code, "words"); };
        bench.turn(by_note);
        CHECK(bench.told(by_note).state == end);
        CHECK(bench.platform.traces == 0);
    }
}

TEST_CASE("a configuration that changed meanwhile is not waited for") {
    Bench bench({.begin = 1h, .again = 0ms, .trace = 0ms});
    SetConfig change;
    change.digest = "1";
    change.cpus = 2;
    const Id locked = bench.submit(wish(change)), changed = bench.submit(wish(change));
    bench.platform.on_begin = throws(Code::busy);
    bench.platform.on_guest = [](const GuestId& id) { return some_guest(id, "made:0", "1"); };
    CHECK(bench.turn(locked) == Turn::held);
    bench.platform.on_guest = [](const GuestId& id) { return some_guest(id, "made:0", "2"); };
    CHECK(bench.turn(changed) == Turn::ended);
    CHECK(bench.told(changed).state == State::failed);
}

TEST_CASE("an answer that got lost is looked up, and never is anything begun again") {
    for (const Code code : {Code::no_answer, Code::interrupted, Code::internal}) {
        Bench bench;
        const Id found = bench.submit(), not_found = bench.submit(), is_done = bench.submit();
        bench.platform.on_begin = throws(code, "the connection broke");
        bench.platform.on_trace = [] { return Trace{Trace::Kind::begun, "found", ""}; };
        CHECK(bench.turn(found) == Turn::ended);
        CHECK(bench.told(found).state == State::done);
        CHECK(bench.told(found).handle == "found");
        bench.platform.on_trace = [] { return Trace{}; };
        CHECK(bench.turn(not_found) == Turn::ended);
        CHECK(bench.told(not_found).state == State::unknown);
        CHECK(bench.told(not_found).error->message() == "the connection broke");
        CHECK(bench.told(not_found).detail == "nothing tells whether it was begun");
        bench.platform.on_trace = [] { return Trace{Trace::Kind::done, "", ""}; };
        CHECK(bench.turn(is_done) == Turn::ended);
        CHECK(bench.told(is_done).state == State::done);
        CHECK(bench.told(is_done).warnings.size() == 1);
        CHECK(bench.platform.begins == 3);
    }
}

TEST_CASE("one that runs longer than its traces are looked for is awaited all the same") {
    Bench bench;
    const Id id = bench.submit();
    int looks = 0;
    bench.platform.on_begin = throws(Code::no_answer);
    bench.platform.on_trace = [] { return Trace{Trace::Kind::begun, "found", ""}; };
    bench.platform.on_look = [&] { return at(++looks < 4 ? Phase::running : Phase::done); };
    CHECK(bench.turn(id) == Turn::ended);
    CHECK(bench.told(id).state == State::done);
}

TEST_CASE("of an action that the platform forgot the guest tells, where it can") {
    Bench bench;
    bench.platform.on_look = [] {
        ActionState state = at(Phase::unknown);
        state.detail = "the node does not know the task any more";
        return state;
    };
    const Id told = bench.submit(), not_told = bench.submit();
    bench.platform.on_trace = [] { return Trace{Trace::Kind::done, "", ""}; };
    bench.turn(told);
    CHECK(bench.told(told).state == State::done);
    CHECK(bench.told(told).warnings.size() == 1);
    bench.platform.on_trace = [] { return Trace{Trace::Kind::begun, "handle", ""}; };
    bench.turn(not_told);
    CHECK(bench.told(not_told).state == State::unknown);
    CHECK(bench.told(not_told).detail == "the node does not know the task any more");
}

TEST_CASE("how it ended is told with its warnings and its error") {
    Bench bench;
    const Id failed = bench.submit(), warned = bench.submit();
    bench.platform.on_look = [] {
        ActionState state = at(Phase::failed);
        state.error = Error(Code::guest, "it did not shut down");
        state.detail = "log";
        return state;
    };
    bench.turn(failed);
    CHECK(bench.told(failed).state == State::failed);
    CHECK(bench.told(failed).error->code() == Code::guest);
    CHECK(bench.told(failed).detail == "log");
    bench.platform.on_look = [] {
        ActionState state = at(Phase::done);
        state.warnings = {"with a warning"};
        return state;
    };
    bench.turn(warned);
    CHECK(bench.told(warned).state == State::done);
    CHECK(bench.told(warned).warnings == std::vector<std::string>{"with a warning"});
}

TEST_CASE("a process that stops leaves what runs to the next one, which begins nothing") {
    Bench bench;
    const Id id = bench.submit();
    bench.platform.on_look = [] { return at(Phase::running); };
    bench.wishes.pause = [](std::chrono::milliseconds) {
        throw Error(Code::interrupted, "this process stops");
    };
    CHECK(bench.turn(id) == Turn::left);
    CHECK(bench.told(id).state == State::begun);
    Executor next(bench.journal, permit, impatient());
    bench.platform.on_look = [] { return at(Phase::done); };
    CHECK(next.turn(bench.platform, id, no_wishes()) == Turn::ended);
    CHECK(bench.told(id).state == State::done);
    CHECK(bench.platform.begins == 1);
}

TEST_CASE("looks that are refused say nothing, and do not go on for ever") {
    Bench bench({.begin = 1h, .again = 0ms, .trace = 0ms, .end = 1h});
    const Id id = bench.submit();
    bench.platform.on_look = []() -> ActionState { throw Error(Code::denied, "the token may not look"); };
    CHECK(bench.turn(id) == Turn::held);
    CHECK(bench.told(id).state == State::begun);
    CHECK(bench.told(id).detail == "what became of it is not known yet: the token may not look");
    Executor impatient_one(bench.journal, permit, impatient());
    CHECK(impatient_one.turn(bench.platform, id, no_wishes()) == Turn::ended);
    CHECK(bench.told(id).state == State::unknown);
    CHECK(bench.told(id).error->message() == "the token may not look");
}

TEST_CASE("what does not end in a day is unknown, not failed") {
    Bench bench({.begin = 0ms, .again = 0ms, .trace = 0ms, .end = 0ms});
    const Id id = bench.submit();
    bench.platform.on_look = [] { return at(Phase::running); };
    CHECK(bench.turn(id) == Turn::ended);
    CHECK(bench.told(id).state == State::unknown);
    CHECK(bench.told(id).error->message() == "the action is still under way");
}

TEST_CASE("what is not wanted any more is not begun, and what runs is asked to stop") {
    Bench bench({.begin = 1h, .again = 0ms, .trace = 0ms, .end = 1h});
    const Id queued = bench.submit(), held = bench.submit(), running = bench.submit(), raced = bench.submit();
    bench.journal.cancel(queued, "not wanted");
    CHECK(bench.turn(queued) == Turn::ended);
    CHECK(bench.platform.begins == 0);

    bench.platform.on_begin = [&] {
        bench.journal.cancel(held, "not wanted");
        throw Error(Code::busy, "locked");
    };
    CHECK(bench.turn(held) == Turn::held);
    CHECK(bench.turn(held) == Turn::ended);
    CHECK(bench.told(held).state == State::cancelled);

    bench.platform.on_begin = [] {};
    bench.wishes.is_cancelled = [&](const Id& id) { return id == running; };
    bench.platform.on_look = [&] { return at(bench.platform.interrupts > 0 ? Phase::done : Phase::running); };
    CHECK(bench.turn(running) == Turn::ended);
    CHECK(bench.platform.interrupts == 1);

    const int begins = bench.platform.begins;
    bench.door = [&](const Operation& operation) {
        bench.journal.cancel(raced, "at the last moment");
        return permit(operation);
    };
    CHECK(bench.turn(raced) == Turn::ended);
    CHECK(bench.told(raced).state == State::cancelled);
    CHECK(bench.platform.begins == begins);
}

TEST_CASE("what follows one that is not done is cancelled, and says why") {
    Bench bench;
    const Id first = bench.submit();
    Request request = wish(Grow{2048});
    request.after = first;
    const Id next = bench.submit(request);
    bench.platform.on_begin = throws(Code::denied);
    bench.turn(first);
    CHECK(bench.turn(next) == Turn::ended);
    CHECK(bench.told(next).state == State::cancelled);
    CHECK(bench.told(next).detail == "it was to follow operation " + first + ", which is failed");
    CHECK(bench.platform.begins == 1);
}

TEST_CASE("what is late is not begun, and says what held it up") {
    Bench bench;
    Request request = wish(Start{});
    request.begin_before = now() - 1s;
    const Id id = bench.submit(request);
    bench.journal.tell(id, "backup of root@pam runs");
    CHECK(bench.turn(id) == Turn::ended);
    CHECK(bench.told(id).state == State::failed);
    CHECK(bench.told(id).error->message() ==
          "its time was over before it could be begun: backup of root@pam runs");
    CHECK(bench.asked == 0);
}

TEST_CASE("of a new guest it is noted which one it is") {
    Bench bench;
    const Id id = bench.submit(wish(Create{"", {}}, {"new", ""}));
    bool is_there = false;
    bench.platform.on_begin = [&] { is_there = true; };
    bench.platform.on_guest = [&](const GuestId& guest) {
        return is_there ? std::optional(some_guest(guest)) : std::nullopt;
    };
    bench.turn(id);
    CHECK(bench.told(id).was_free);
    CHECK(bench.told(id).made == Target{"new", "made:9"});
    CHECK(bench.told(id).warnings.empty());
}

TEST_CASE("a guest that was made before a crash may be another one by now, and is never taken back") {
    Bench bench;
    const Id id = bench.submit(wish(Create{"", {}}, {"new", ""}));
    bench.platform.on_look = [] { return at(Phase::running); };
    bench.wishes.pause = [](std::chrono::milliseconds) {
        throw Error(Code::interrupted, "this process stops");
    };
    CHECK(bench.turn(id) == Turn::left);
    bench.platform.on_look = [] { return at(Phase::done); };
    bench.platform.on_guest = [](const GuestId& guest) { return some_guest(guest); };
    CHECK(bench.turn(id) == Turn::ended);
    CHECK(bench.told(id).made == Target{"new", ""});
    CHECK_THROWS_WITH(bench.journal.take_back(id),
                      Catch::Contains("nobody can tell its guest from a later one"));
}

TEST_CASE("what a create that failed may have left is told, and is not touched") {
    Bench bench;
    const Id id = bench.submit(wish(Create{"", {}}, {"new", ""})),
             taken = bench.submit(wish(Create{"", {}}, {"new", ""}));
    bool is_there = false;
    bench.platform.on_begin = [&] { is_there = true; };
    bench.platform.on_look = [] {
        ActionState state = at(Phase::failed);
        state.error = Error(Code::hypervisor, "no room");
        return state;
    };
    bench.platform.on_guest = [&](const GuestId& guest) {
        return is_there ? std::optional(some_guest(guest)) : std::nullopt;
    };
    bench.turn(id);
    CHECK(bench.told(id).state == State::failed);
    CHECK(bench.told(id).warnings ==
          std::vector<std::string>{
              "there is a guest new now, which was not there before: remove it if this left it"});
    CHECK(bench.told(id).made.incarnation.empty());
    bench.turn(taken);
    CHECK(bench.told(taken).warnings.empty()); // it was there before
    CHECK_THROWS_AS(bench.journal.take_back(id), Error);
}

TEST_CASE("an id that somebody else took is left to him, and each note is on disk before it is used") {
    Bench bench;
    const Id id = bench.submit(wish(Restore{"backup"}, {}));
    std::vector<Note> notes;
    bench.platform.on_begin = [&] {
        notes.push_back(bench.told(id).note);
        if (notes.size() < 3) throw Error(Code::exists, "somebody has that id");
    };
    bench.platform.on_look = [] {
        ActionState state = at(Phase::done);
        state.guest = "142";
        return state;
    };
    CHECK(bench.turn(id) == Turn::ended);
    CHECK(notes == std::vector<Note>{"note-1", "note-2", "note-3"});
    CHECK(bench.told(id).handle == "handle of note-3");
    CHECK(bench.told(id).made.guest == "142");
    CHECK(bench.asked == 1);
}

TEST_CASE("a journal that cannot be written stops what was not begun, and loses nothing that was") {
    Bench bench;
    const Id before = bench.submit(), after = bench.submit();
    store::Database other = open_database(bench.folder.path);
    std::optional<store::Transaction> held;
    bench.door = [&](const Operation& operation) {
        if (operation.id == before) held.emplace(other);
        return permit(operation);
    };
    CHECK_THROWS_AS(bench.turn(before), store::StoreError);
    CHECK(bench.platform.begins == 0);
    held.reset();
    bench.platform.on_begin = [&] { held.emplace(other); };
    CHECK_THROWS_AS(bench.turn(after), store::StoreError);
    held.reset();
    CHECK(bench.told(after).state == State::noted);
    bench.platform.on_trace = [] { return Trace{Trace::Kind::begun, "found", ""}; };
    CHECK(bench.turn(after) == Turn::ended);
    CHECK(bench.told(after).state == State::done);
    CHECK(bench.platform.begins == 1);
}
