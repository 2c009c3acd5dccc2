// SPDX-License-Identifier: MIT
// The operations' journal.
#include "execution/journal.hpp"
#include "platform/action_json.hpp"
#include "tests/unit/execution/support.hpp"

using namespace blockhost;
using namespace blockhost::execution;
using namespace blockhost::execution::test;
using namespace blockhost::platform;
using namespace std::chrono_literals;

namespace {

struct Kept {
    TemporaryFolder folder{quick_place()};
    std::optional<Journal> journal{std::in_place, open_database(folder.path)};

    Journal* operator->() { return &*journal; }
    void reopen() {
        journal.reset();
        journal.emplace(open_database(folder.path));
    }
    Id submit(const Request& request = wish(Start{})) { return journal->submit(request).operation.id; }
    State state(const Id& id) { return journal->find(id).value().state; }
};

std::vector<Id> ids(const std::vector<Operation>& operations) {
    std::vector<Id> all;
    for (const Operation& each : operations) all.push_back(each.id);
    return all;
}

} // namespace

TEST_CASE("what was asked for is all there when the journal is opened again") {
    Kept kept;
    Request request = wish(Stop{7s, true}, {"140", "vmgenid:1"});
    request.key = "job-7";
    request.begin_before = *parse_instant("2030-01-01T00:00:00.000001Z");
    const Id id = kept.submit(request);
    kept->noted(id, "a note", true);
    kept->begun(id, "a handle");
    kept.reopen();
    Operation told = kept->find(id).value();
    CHECK(told.source == Source{Source::Kind::hub, "job-1"});
    CHECK(told.target == Target{"140", "vmgenid:1"});
    CHECK(std::get<Stop>(told.action).patience == 7s);
    CHECK(told.key == "job-7");
    CHECK(told.begin_before == request.begin_before);
    CHECK(told.state == State::begun);
    CHECK(told.note == "a note");
    CHECK(told.handle == "a handle");
    CHECK(told.was_free);
    CHECK((told.noted_at && told.begun_at && !told.ended_at));
    kept->ended(id, {.state = State::failed,
                     .warnings = {"one", "two"},
                     .error = Error(Code::guest, "it did not", "do this"),
                     .detail = "the log",
                     .made = {"141", "vmgenid:2"}});
    kept.reopen();
    told = kept->find(id).value();
    CHECK(told.state == State::failed);
    CHECK(told.warnings == std::vector<std::string>{"one", "two"});
    CHECK(told.error->code() == Code::guest);
    CHECK(std::string(told.error->what()) == "it did not; do this");
    CHECK(told.detail == "the log");
    CHECK(told.made == Target{"141", "vmgenid:2"});
    CHECK(told.ended_at);
    CHECK(kept->open().empty());
    CHECK_FALSE(kept->find("nobody"));
}

TEST_CASE("the same wish twice is one operation, however it stands by then") {
    Kept kept;
    Request request = wish(Start{});
    request.key = "job-7";
    const Submitted first = kept->submit(request);
    CHECK(first.is_new);
    kept->noted(first.operation.id, "note");
    kept->begun(first.operation.id, "handle");
    kept->ended(first.operation.id, {.state = State::done});
    kept.reopen();
    const Submitted second = kept->submit(request);
    CHECK_FALSE(second.is_new);
    CHECK(second.operation.id == first.operation.id);
    CHECK(second.operation.state == State::done);
    CHECK(kept->latest(10).size() == 1);
}

TEST_CASE("a key is of one wish alone, and wishes without a key are each of their own") {
    Kept kept;
    Request request = wish(Start{});
    request.key = "job-7";
    kept.submit(request);
    Request other = request;
    other.action = Resume{};
    CHECK_THROWS_WITH(kept->submit(other),
                      Catch::Contains("the key job-7 was used for another wish already"));
    other = request;
    other.target.incarnation = "made:1";
    CHECK_THROWS_AS(kept->submit(other), Error);
    CHECK(kept.submit(wish(Start{})) != kept.submit(wish(Start{})));
    CHECK(kept->latest(10).size() == 3);
}

TEST_CASE("an id that a signature names is the operation's, and a key") {
    Kept kept;
    Request request = wish(Destroy{});
    request.id = "op-1.a_b";
    request.signed_operation = "{signed}";
    CHECK(kept.submit(request) == "op-1.a_b");
    CHECK(kept->find("op-1.a_b")->signed_operation == "{signed}");
    CHECK_FALSE(kept->submit(request).is_new);
    request.key = "job-7"; // a key that the first delivery did not have
    CHECK_FALSE(kept->submit(request).is_new);
    request.target.guest = "other";
    CHECK_THROWS_WITH(kept->submit(request), Catch::Contains("the id op-1.a_b was used for another wish"));
    Request keyed = wish(Destroy{});
    keyed.key = "job-8";
    kept.submit(keyed);
    keyed.id = "op-1.a_b";
    CHECK_THROWS_AS(kept->submit(keyed), Error); // the id is one's, the key another one's
    for (const std::string id : {"Op", "a b", "a/b", "\n"}) {
        Request bad = wish(Destroy{});
        bad.id = id;
        CHECK_THROWS_WITH(kept->submit(bad), Catch::Contains("cannot have the id"));
    }
    Request bad = wish(Destroy{});
    bad.id = std::string(65, 'a');
    CHECK_THROWS_AS(kept->submit(bad), Error);
}

TEST_CASE("each state leads where the table says, and nowhere else") {
    const auto in_state = [](Kept& kept, State state) {
        const Id id = kept.submit();
        if (state == State::waiting) kept->waits(id, "a signature");
        if (state == State::rejected) kept->ended(id, {.state = state});
        if (state == State::cancelled) kept->cancel(id, "it was not wanted");
        if (state == State::noted || state == State::begun) kept->noted(id, "note");
        if (state == State::begun) kept->begun(id, "handle");
        if (state == State::done || state == State::failed || state == State::unknown) {
            kept->noted(id, "note");
            kept->ended(id, {.state = state});
        }
        REQUIRE(kept.state(id) == state);
        return id;
    };
    Kept kept;
    for (const State from : states())
        for (const State to : states()) {
            INFO(to_string(from) << " to " << to_string(to));
            const Id id = in_state(kept, from);
            const auto move = [&] {
                if (to == State::waiting)
                    kept->waits(id, "a signature");
                else if (to == State::noted)
                    kept->noted(id, "another note");
                else if (to == State::begun)
                    kept->begun(id, "handle");
                else if (to == State::queued && from == State::waiting)
                    kept->approved(id, "signed");
                else if (to == State::queued)
                    kept->put_back(id, "a lock");
                else
                    kept->ended(id, {.state = to});
            };
            const std::int64_t position = kept->position();
            if (may_become(from, to)) {
                CHECK_NOTHROW(move());
                CHECK(kept.state(id) == to);
                CHECK(kept->position() > position);
            } else {
                CHECK_THROWS_AS(move(), Overtaken);
                CHECK(kept.state(id) == from);
                CHECK(kept->position() == position);
            }
        }
}

TEST_CASE("what is put back keeps its place, and what was approved arrives anew") {
    Kept kept;
    const Id first = kept.submit(), second = kept.submit(), third = kept.submit();
    kept->noted(first, "note");
    kept->put_back(first, "a lock");
    CHECK(kept->find(first)->note.empty());
    CHECK(kept->find(first)->detail == "a lock");
    kept->waits(second, "a signature");
    CHECK(ids(kept->open()) == std::vector<Id>{first, second, third});
    kept->approved(second, "signed");
    CHECK(ids(kept->open()) == std::vector<Id>{first, third, second});
    CHECK(kept->find(second)->signed_operation == "signed");
    CHECK(ids(kept->latest(2)) == std::vector<Id>{second, third});
}

TEST_CASE("what is cancelled before it was begun has ended, and of the rest it is noted") {
    Kept kept;
    const Id queued = kept.submit(), begun = kept.submit(), done = kept.submit();
    CHECK(kept->cancel(queued, "its owner left").state == State::cancelled);
    CHECK(kept->find(queued)->detail == "its owner left");
    kept->noted(begun, "note");
    kept->begun(begun, "handle");
    const Operation wished = kept->cancel(begun, "its owner left");
    CHECK(wished.state == State::begun);
    CHECK(wished.cancel_wished);
    const std::int64_t position = kept->position();
    kept->cancel(begun, "once more");
    kept->noted(done, "note");
    CHECK(kept->position() == position + 1);
    kept->ended(done, {.state = State::done});
    CHECK(kept->cancel(done, "too late").state == State::done);
    CHECK_THROWS_AS(kept->cancel("nobody", ""), Error);
}

TEST_CASE("changes are read in their order, each operation as it is now") {
    Kept kept;
    const Id first = kept.submit(), second = kept.submit();
    const std::int64_t position = kept->position();
    CHECK(ids(kept->changed_since(0)) == std::vector<Id>{first, second});
    CHECK(ids(kept->changed_since(0, 1)) == std::vector<Id>{first});
    CHECK(kept->changed_since(position).empty());
    kept->tell(second, "waits for a lock");
    kept->tell(second, "waits for a lock");
    kept->noted(first, "note");
    CHECK(kept->position() == position + 2);
    CHECK(ids(kept->changed_since(position)) == std::vector<Id>{second, first});
    CHECK(ids(kept->changed_since(0)) == std::vector<Id>{second, first});
}

TEST_CASE("a position never goes back, also when what it counted is forgotten") {
    Kept kept;
    const Id first = kept.submit(), second = kept.submit();
    Request follows = wish(Start{});
    follows.after = second;
    kept.submit(follows);
    kept->cancel(first, "");
    kept->cancel(second, "");
    const std::int64_t position = kept->position();
    CHECK(kept->forget(now() + 1h) == 0); // not on record yet
    CHECK(ids(kept->unrecorded()) == std::vector<Id>{first, second});
    kept->recorded(first);
    kept->recorded(second);
    CHECK(kept->unrecorded().empty());
    CHECK(kept->forget(now() - 1h) == 0);
    CHECK(kept->forget(now() + 1h) == 1); // something follows the second one
    CHECK_FALSE(kept->find(first));
    kept.reopen();
    CHECK(kept->position() == position);
    kept.submit();
    CHECK(kept->position() == position + 1);
}

TEST_CASE("an operation follows one on the same guest, and none that is not there") {
    Kept kept;
    const Id first = kept.submit();
    Request next = wish(Start{});
    next.after = first;
    CHECK(kept->find(kept.submit(next))->after == first);
    next.target.guest = "other";
    CHECK_THROWS_WITH(kept->submit(next), Catch::Contains("on the same guest only"));
    next.after = "nobody";
    CHECK_THROWS_WITH(kept->submit(next), Catch::Contains("there is no operation nobody"));
    const Id unnamed = kept.submit(wish(Restore{"backup"}, {}));
    next = wish(Start{}, {});
    next.after = unnamed;
    CHECK_THROWS_AS(kept->submit(next), Error);
}

TEST_CASE("what waits for a signature beyond its time has failed") {
    Kept kept;
    Request request = wish(Destroy{});
    request.begin_before = now() + 1h;
    const Id late = kept.submit(request), patient = kept.submit(wish(Destroy{})),
             queued = kept.submit(request);
    kept->waits(late, "a signature");
    kept->waits(patient, "a signature");
    kept->end_overdue(now());
    CHECK(kept.state(late) == State::waiting);
    kept->end_overdue(now() + 2h);
    CHECK(kept.state(late) == State::failed);
    CHECK(kept->find(late)->error->message() == "its time was over before it was signed");
    CHECK(kept.state(patient) == State::waiting);
    CHECK(kept.state(queued) == State::queued); // its turn tells it what held it up
}

namespace {

Id made(Kept& kept, const Target& guest) {
    const Id id = kept.submit(wish(Create{"", {}}, {guest.guest, ""}));
    kept->noted(id, "note", true);
    kept->begun(id, "handle");
    kept->ended(id, {.state = State::done, .made = guest});
    return id;
}

} // namespace

TEST_CASE("what a create made is taken back once, as that incarnation") {
    Kept kept;
    const Id create = made(kept, {"new", "made:5"});
    Request next = wish(Grow{1}, {"new", "made:5"});
    next.after = create;
    const Id grow = kept.submit(next);
    kept->noted(grow, "note");
    kept->begun(grow, "handle");
    kept->ended(grow, {.state = State::failed});
    const Operation back = kept->take_back(create);
    CHECK(back.target == Target{"new", "made:5"});
    CHECK(kind_of(back.action) == ActionKind::destroy);
    CHECK(back.undoes == create);
    CHECK(back.source.kind == Source::Kind::take_back);
    CHECK(back.state == State::queued);
    CHECK(kept->take_back(create).id == back.id);
}

TEST_CASE("a destroy is no taking back") {
    Kept kept;
    const auto refused = [&](const Id& id, const char* why) {
        CHECK_THROWS_WITH(kept->take_back(id), Catch::Contains(why));
    };
    refused("nobody", "there is no operation nobody");
    refused(kept.submit(wish(Start{})), "it made no guest");
    refused(kept.submit(wish(Create{"", {}}, {"a", ""})), "it is queued");
    refused(made(kept, {"b", ""}), "nobody can tell its guest from a later one");
    const Id used = made(kept, {"c", "made:1"});
    const Id start = kept.submit(wish(Start{}, {"c", "made:1"}));
    CHECK(kept->take_back(made(kept, {"d", "made:2"})).state == State::queued);
    kept->noted(start, "note");
    kept->begun(start, "handle");
    refused(used, "changed its guest since");
}

TEST_CASE("a guest's operations are found, the last one first") {
    Kept kept;
    const Id first = kept.submit();
    kept.submit(wish(Start{}, {"other", "made:0"}));
    const Id last = kept.submit();
    CHECK(ids(kept->of_guest("web", 10)) == std::vector<Id>{last, first});
    CHECK(ids(kept->of_guest("web", 1)) == std::vector<Id>{last});
}

TEST_CASE("an action of every kind is kept as it was") {
    GuestConfig config;
    config.name = "web";
    config.cpus = 2;
    config.description = "line\nand \"quotes\"";
    config.tags = {"a", "b"};
    config.details = {{"net0", "virtio,bridge=vmbr0"}};
    SetConfig change;
    change.digest = "1";
    change.name = "";
    change.tags = std::set<std::string>{};
    const std::vector<Action> all{Start{},
                                  Stop{7s, true},
                                  Resume{},
                                  change,
                                  Grow{8192},
                                  Create{"local:backup/one.zst", config},
                                  TakeSnapshot{"before", "words"},
                                  RollBack{"before"},
                                  DeleteSnapshot{"before"},
                                  Backup{"local", "nightly\nand more", true},
                                  Restore{"local:backup/one.zst"},
                                  DeleteBackup{"local:backup/one.zst"},
                                  Destroy{},
                                  SetFeatures{{"keyctl"}},
                                  Mount{"/mnt/usb-1"},
                                  Unmount{"/mnt/usb-1"}};
    REQUIRE(all.size() == action_kinds().size());
    Kept kept;
    std::vector<Id> kept_as;
    for (const Action& action : all) kept_as.push_back(kept.submit(wish(action)));
    kept.reopen();
    for (std::size_t i = 0; i < all.size(); ++i)
        CHECK(to_json(kept->find(kept_as[i])->action) == to_json(all[i]));
}
