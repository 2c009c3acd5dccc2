// SPDX-License-Identifier: MIT
/// The journal: what is written is read back, who died is told from who lives, and outside text does no harm.

#include "vm/journal.hpp"

#include "base/error.hpp"

#include <boost/json/object.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace blockhost;
using namespace std::chrono_literals;

namespace {

class Scratch {
  public:
    Scratch() {
        std::string made = (std::filesystem::temp_directory_path() / "journal-test-XXXXXX").string();
        REQUIRE(mkdtemp(made.data()));
        path = made;
    }
    ~Scratch() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
};

const InstanceId instance = InstanceId::random();
const VmName name{"vm-1"};

JournalEntry take(const Journal& journal, std::chrono::milliseconds patience = 1s,
                  Journal::Manner manner = Journal::Manner::wait) {
    return journal.take(name, manner, Deadline::in(patience), Interruption());
}

/// Runs `work` in a child that then dies without cleaning up; returns when it is dead.
template<class Work>
void in_dying_child(Work work) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        work();
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WEXITSTATUS(status) == 0);
}

void append(const std::filesystem::path& file, const std::string& text) {
    std::ofstream(file, std::ios::app | std::ios::binary) << text;
}

} // namespace

TEST_CASE("an entry that is ended leaves no file") {
    const Scratch scratch;
    const Journal journal(scratch.path / "journal");
    {
        JournalEntry entry = take(journal);
        entry.begin(OperationId::make(instance), "create", {});
        CHECK(journal.names() == std::vector{name});
        entry.end();
    }
    CHECK(journal.names().empty());
}

TEST_CASE("an entry that was taken and never begun leaves no file") {
    const Scratch scratch;
    const Journal journal(scratch.path / "journal");
    { JournalEntry entry = take(journal); }
    CHECK(journal.names().empty());
}

TEST_CASE("what a dead owner left is read back by the next") {
    const Scratch scratch;
    const Journal journal(scratch.path / "journal");
    const OperationId operation = OperationId::make(instance);
    in_dying_child([&] {
        JournalEntry entry = take(journal);
        entry.begin(operation, "create", {{"bridge", "br9"}});
        entry.step_started("one");
        entry.note_addresses(*Ipv4::try_parse("10.0.0.7"), Ipv6::try_parse("fd00::7"));
        entry.step_done("one");
        entry.step_started("two");
        _exit(0);
    });
    JournalEntry entry = take(journal);
    REQUIRE(entry.left());
    CHECK(entry.left()->operation == operation);
    CHECK(entry.left()->verb == "create");
    CHECK(entry.left()->parameters.at("bridge") == "br9");
    CHECK(entry.left()->started == std::vector<std::string>{"one", "two"});
    CHECK(entry.left()->done == std::vector<std::string>{"one"});
    CHECK(entry.left()->in_flight() == "two");
    CHECK(entry.left()->ip() == Ipv4::try_parse("10.0.0.7"));
    CHECK(entry.left()->ipv6() == Ipv6::try_parse("fd00::7"));
}

TEST_CASE("an entry dropped without its end stays for recovery") {
    const Scratch scratch;
    const Journal journal(scratch.path / "journal");
    {
        JournalEntry entry = take(journal);
        entry.begin(OperationId::make(instance), "destroy", {});
    }
    CHECK_FALSE(journal.held(name));
    CHECK(take(journal).left());
}

TEST_CASE("a last line that was being written when its owner died is not read") {
    const Scratch scratch;
    const Journal journal(scratch.path / "journal");
    const auto file = scratch.path / "journal/vm-1.journal";
    {
        JournalEntry entry = take(journal);
        entry.begin(OperationId::make(instance), "create", {});
        entry.step_started("one");
    }
    append(file, "{\"done\":\"on");
    {
        JournalEntry entry = take(journal);
        REQUIRE(entry.left());
        CHECK(entry.left()->done.empty());
        CHECK(entry.left()->in_flight() == "one");
        entry.step_done("one"); // must overwrite the torn line
    }
    CHECK(take(journal).left()->done == std::vector<std::string>{"one"});
}

TEST_CASE("an entry whose header was never completed counts as clean") {
    const Scratch scratch;
    std::filesystem::create_directories(scratch.path / "journal");
    for (const char* text :
         {"", "give-up 0\n", "give-up 0\n{\"operation\":", "garbage", "give-up 0\n[]\n",
          "give-up 0\n{\"operation\":\"../../x\",\"name\":\"vm-1\",\"since\":\"now\"}\n"}) {
        append(scratch.path / "journal/vm-1.journal", text);
        const Journal journal(scratch.path / "journal");
        {
            JournalEntry entry = take(journal);
            CHECK_FALSE(entry.left());
        }
        CHECK(journal.names().empty());
    }
}

TEST_CASE("an entry that speaks of another VM is not believed") {
    const Scratch scratch;
    std::filesystem::create_directories(scratch.path / "journal");
    const std::string header =
        "give-up 0\n{\"operation\":\"" + OperationId::make(instance).str() +
        "\",\"verb\":\"destroy\",\"name\":\"other\",\"since\":\"2026-01-01T00:00:00+00:00\"}\n";
    append(scratch.path / "journal/vm-1.journal", header);
    CHECK_FALSE(take(Journal(scratch.path / "journal")).left());
}

TEST_CASE("a link planted in place of an entry is not followed") {
    const Scratch scratch;
    std::filesystem::create_directories(scratch.path / "journal");
    append(scratch.path / "victim", "precious");
    std::filesystem::create_symlink(scratch.path / "victim", scratch.path / "journal/vm-1.journal");
    CHECK_THROWS_AS(take(Journal(scratch.path / "journal")), Error);
    std::ifstream victim(scratch.path / "victim");
    CHECK(std::string(std::istreambuf_iterator<char>(victim), {}) == "precious");
}

TEST_CASE("a second taker waits, then says who is busy with what") {
    const Scratch scratch;
    const Journal journal(scratch.path / "journal");
    JournalEntry entry = take(journal);
    entry.begin(OperationId::make(instance), "create", {});
    CHECK(journal.held(name));
    try {
        take(journal, 50ms);
        FAIL("it was taken twice");
    } catch (const Error& error) {
        CHECK(error.code() == Code::busy);
        CHECK(error.message().find("vm-1 is busy: create since ") == 0);
        CHECK(error.message().find(std::to_string(getpid())) != std::string::npos);
    }
    CHECK_FALSE(entry.asked_to_give_up());
}

TEST_CASE("a taker that asks makes the holder see it, and follows when it ends") {
    const Scratch scratch;
    const Journal journal(scratch.path / "journal");
    JournalEntry entry = take(journal);
    entry.begin(OperationId::make(instance), "create", {});
    std::thread other([&] {
        JournalEntry taken = take(journal, 10s, Journal::Manner::ask_to_give_up);
        CHECK_FALSE(taken.left());
        CHECK_FALSE(taken.asked_to_give_up());
    });
    while (!entry.asked_to_give_up()) std::this_thread::sleep_for(1ms);
    entry.end();
    { const JournalEntry gone = std::move(entry); }
    other.join();
    CHECK(journal.names().empty());
}

TEST_CASE("an address noted by another open entry is claimed") {
    const Scratch scratch;
    const Journal journal(scratch.path / "journal");
    JournalEntry entry = take(journal);
    entry.begin(OperationId::make(instance), "create", {});
    entry.note_addresses(*Ipv4::try_parse("10.0.0.7"), std::nullopt);
    CHECK(journal.claims_of_others(VmName("vm-2")).ip == std::vector{*Ipv4::try_parse("10.0.0.7")});
    CHECK(journal.claims_of_others(VmName("vm-2")).ipv6.empty());
    CHECK(journal.claims_of_others(name).ip.empty());
    entry.end();
}

TEST_CASE("the history knows what was rolled back, and only that") {
    const Scratch scratch;
    const Journal journal(scratch.path / "journal");
    const OperationId undone = OperationId::make(instance);
    CHECK_FALSE(journal.was_rolled_back(undone));
    const Ipv4 ip = *Ipv4::try_parse("10.0.0.7");
    CHECK_FALSE(journal.given_back_at(ip));
    journal.remember_rolled_back(undone, name, ip);
    journal.remember_rolled_back(OperationId::make(instance), name, std::nullopt);
    CHECK(journal.was_rolled_back(undone));
    REQUIRE(journal.given_back_at(ip));
    CHECK(*journal.given_back_at(ip) <= now());
    CHECK_FALSE(journal.given_back_at(*Ipv4::try_parse("10.0.0.70")));
    CHECK_FALSE(journal.was_rolled_back(OperationId::make(instance)));
}

TEST_CASE("an entry that has ended is clean even where its file could not be removed") {
    const Scratch scratch;
    const Journal journal(scratch.path / "journal");
    in_dying_child([&] {
        JournalEntry entry = take(journal);
        entry.begin(OperationId::make(instance), "create", {});
        entry.step_started("one");
        entry.end();
        _exit(0);
    });
    REQUIRE(journal.names() == std::vector{name});
    CHECK_FALSE(journal.peek(name));
    CHECK_FALSE(take(journal).left());
    CHECK(journal.names().empty());
}

TEST_CASE("an entry remembers what it started until it ends") {
    const Scratch scratch;
    const Journal journal(scratch.path / "journal");
    JournalEntry entry = take(journal);
    entry.begin(OperationId::make(instance), "create", {});
    entry.step_started("one");
    CHECK(entry.started() == std::vector<std::string>{"one"});
    entry.end();
    CHECK(entry.started().empty());
}
