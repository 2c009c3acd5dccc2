// SPDX-License-Identifier: MIT
// Events wait in their order until they are acknowledged; what is too much is dropped, details first.
#include "base/text/json.hpp"
#include "hub/memory.hpp"
#include "hub/outbox.hpp"
#include "store/private_folder.hpp"
#include "tests/unit/temporary_folder.hpp"

using namespace blockhost;
using namespace blockhost::hub;

namespace {

struct Bench {
    TemporaryFolder folder;
    store::Database database = open();

    store::Database open() const {
        static const std::string_view all[] = {tables};
        static const store::Schema schema{"a database", all};
        return store::Database::open(
            store::make_private_folder(std::move(*Folder::open(folder.path)), "agent"), "agent.db", schema);
    }
    static boost::json::object event(const std::string& kind) { return {{"kind", kind}}; }
};

std::vector<std::string> kinds(const Outbox::Batch& batch) {
    std::vector<std::string> all;
    for (const auto& each : batch.events)
        all.push_back(std::to_string(each.at("sequence").as_int64()) + json::string_or(each, "kind", ""));
    return all;
}

using Kinds = std::vector<std::string>;

} // namespace

TEST_CASE("events come in their order until they are acknowledged, also to a later process") {
    Bench bench;
    Outbox outbox(bench.database, {.batch = 2});
    CHECK(outbox.is_empty());
    CHECK(outbox.next().last == 0);
    for (const char* kind : {"a", "b", "c"}) outbox.add(Rank::detail, Bench::event(kind), Instant{});
    CHECK(kinds(outbox.next()) == Kinds{"1a", "2b"});
    CHECK(outbox.next().more);
    CHECK(outbox.next().last == 2);
    auto later = bench.open();
    CHECK(kinds(Outbox(later).next()) == Kinds{"1a", "2b", "3c"});
    Outbox(later).acknowledge(2);
    CHECK(kinds(outbox.next()) == Kinds{"3c"});
    CHECK_FALSE(outbox.next().more);
    outbox.acknowledge(3);
    CHECK(outbox.is_empty());
    outbox.add(Rank::detail, Bench::event("d"), Instant{});
    CHECK(kinds(outbox.next()) == Kinds{"4d"});
    CHECK(json::python_line(outbox.next().events[0]) ==
          R"({"sequence": 4, "at": "1970-01-01T00:00:00+00:00", "kind": "d"})");
}

TEST_CASE("a report holds so many bytes of events, and at least one") {
    Bench bench;
    Outbox outbox(bench.database, {.batch_bytes = 10});
    for (const char* kind : {"a", "b"}) outbox.add(Rank::detail, Bench::event(kind), Instant{});
    CHECK(kinds(outbox.next()) == Kinds{"1a"});
    CHECK(outbox.next().more);
}

TEST_CASE("details are dropped before ends, old ones before new ones, and both are counted") {
    Bench bench;
    Outbox outbox(bench.database, {.most = 3});
    const auto add = [&](Rank rank, const char* kind) { outbox.add(rank, Bench::event(kind), Instant{}); };
    add(Rank::end, "E");
    add(Rank::detail, "d");
    add(Rank::detail, "e");
    add(Rank::end, "F");
    CHECK(kinds(outbox.next()) == Kinds{"1E", "3e", "4F"});
    add(Rank::end, "G");
    CHECK(kinds(outbox.next()) == Kinds{"1E", "4F", "5G"});
    CHECK(outbox.dropped() == Dropped{.details = 2, .ends = 0});
    add(Rank::end, "H");
    CHECK(kinds(outbox.next()) == Kinds{"4F", "5G", "6H"});
    CHECK(outbox.dropped() == Dropped{.details = 2, .ends = 1});
    add(Rank::detail, "f"); // nothing but ends is there: it goes itself
    CHECK(kinds(outbox.next()) == Kinds{"4F", "5G", "6H"});
    CHECK(outbox.dropped() == Dropped{.details = 3, .ends = 1});
}

TEST_CASE("bytes are bounded, too") {
    Bench bench;
    Outbox outbox(bench.database, {.most_bytes = 150});
    for (const char* kind : {"a", "b", "c"}) outbox.add(Rank::end, Bench::event(kind), Instant{});
    CHECK(kinds(outbox.next()) == Kinds{"2b", "3c"});
}

TEST_CASE("who was seen further on goes on behind that, and loses nothing that waits") {
    Bench bench;
    Outbox outbox(bench.database);
    for (const char* kind : {"a", "b"}) outbox.add(Rank::detail, Bench::event(kind), Instant{});
    outbox.go_on_behind(500);
    CHECK(kinds(outbox.next()) == Kinds{"501a", "502b"});
    outbox.add(Rank::detail, Bench::event("c"), Instant{});
    CHECK(kinds(outbox.next()) == Kinds{"501a", "502b", "503c"});
    outbox.go_on_behind(7);
    CHECK(outbox.last_sequence() == 503);
}

TEST_CASE("numbers of reports are never used twice") {
    Bench bench;
    Memory memory(bench.database);
    CHECK(memory.reserve_numbers(1000) == 1);
    CHECK(memory.reserve_numbers(10) == 1001);
    auto later = bench.open();
    CHECK(Memory(later).reserve_numbers(1) == 1011);
}

TEST_CASE("of heads the one of the highest line is remembered") {
    Bench bench;
    Memory memory(bench.database);
    const std::string hash = ":" + std::string(64, 'a');
    CHECK(memory.known_audit().empty());
    memory.note_audit("");
    memory.note_audit("9" + hash);
    memory.note_audit("10" + hash);
    memory.note_audit("8" + hash);
    memory.note_audit("");
    CHECK(memory.known_audit() == "10" + hash);
}

TEST_CASE("what was dealt with of a set is forgotten with the set") {
    Bench bench;
    Memory memory(bench.database);
    for (const char* digest : {"a", "b", "b"}) memory.note_dealt_with(digest);
    memory.note_signed_set("mark", {"b", "c"});
    CHECK_FALSE(memory.is_dealt_with("a"));
    CHECK(memory.is_dealt_with("b"));
    CHECK_FALSE(memory.is_dealt_with("c"));
    CHECK(memory.signed_mark() == "mark");
}

TEST_CASE("an announcement that was refused is known by generation and digest") {
    Bench bench;
    Memory memory(bench.database);
    memory.note_refused({3, "d"});
    CHECK(memory.was_refused({3, "d"}));
    CHECK_FALSE(memory.was_refused({3, "e"}));
    CHECK_FALSE(memory.was_refused({4, "d"}));
    memory.forget_refused();
    CHECK_FALSE(memory.was_refused({3, "d"}));
}
