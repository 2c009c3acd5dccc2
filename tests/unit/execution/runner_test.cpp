// SPDX-License-Identifier: MIT
// Many operations at once, on threads.
#include "execution/runner.hpp"
#include "tests/unit/execution/support.hpp"

#include <algorithm>
#include <condition_variable>
#include <set>

using namespace blockhost;
using namespace blockhost::execution;
using namespace blockhost::execution::test;
using namespace blockhost::platform;
using namespace std::chrono_literals;
using Phase = ActionState::Phase;

namespace {

/// What all threads' platforms do together.
struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::set<std::string> running;            ///< guests
    std::vector<std::string> order;           ///< guest and action, as they were begun
    std::size_t most_at_once = 0, wanted = 0; ///< an action ends when so many ran at once
    std::map<Handle, std::string> guests;
    bool is_endless = false;
    std::atomic<int> interrupts = 0;
};

/// One thread's platform.
class Crowd final : public Platform {
  public:
    explicit Crowd(Shared& shared) : shared_(shared) {}
    Host host() override { return {}; }
    std::vector<Lack> preflight() override { return {}; }
    Guests guests() override { return {}; }
    std::optional<Guest> guest(const GuestId&) override { return std::nullopt; }
    Note note(const Target&, const Action&) override { return random_hex(8); }
    void begin_permitted(const Permit& permit, const Note& note,
                         const std::function<void(const Handle&)>& accepted) override {
        const Target& target = permit.target();
        {
            const std::lock_guard lock(shared_.mutex);
            const bool is_alone = shared_.running.insert(target.guest).second;
            shared_.order.push_back(target.guest + (is_alone ? " " : " not alone ") +
                                    std::string(to_string(permit.kind())));
            shared_.most_at_once = std::max(shared_.most_at_once, shared_.running.size());
            shared_.guests[note] = target.guest;
            shared_.changed.notify_all();
        }
        accepted(note);
    }
    Trace trace(const Target&, const Action&, const Note&) override { return {}; }
    ActionState look(const Handle& handle) override {
        std::unique_lock lock(shared_.mutex);
        ActionState state;
        if (shared_.is_endless && shared_.interrupts == 0) return state;
        shared_.changed.wait(lock, [&] { return shared_.most_at_once >= shared_.wanted; });
        shared_.running.erase(shared_.guests[handle]);
        state.phase = Phase::done;
        return state;
    }
    void interrupt(const Handle&) override { ++shared_.interrupts; }

  private:
    Shared& shared_;
};

RunnerSettings settings(Bounds bounds = {.others = 3, .backups = 1}) {
    return {.bounds = bounds, .patience = impatient(), .look_every = 5ms, .grace = 0ms};
}

bool never() {
    return false;
}

/// A runner on a journal of its own; other processes' journals are opened beside it.
struct Crew {
    TemporaryFolder folder{quick_place()};
    Journal journal{open_database(folder.path)};
    Ownership ownership = Ownership::take(database_folder(folder.path));
    Shared shared;

    Id submit(const std::string& guest, Action action = Start{}) {
        return journal.submit(wish(std::move(action), {guest, "made:0"})).operation.id;
    }
    State state(const Id& id) { return journal.find(id).value().state; }
    Runner runner(RunnerSettings how = settings(), Door door = permit, Runner::Told told = {},
                  Runner::Record record = {}) {
        return Runner(
            ownership, journal, [this] { return std::make_unique<Crowd>(shared); }, std::move(door), how,
            std::move(told), std::move(record));
    }
    std::vector<std::string> begun_of(const std::string& guest) {
        std::vector<std::string> all;
        for (const std::string& each : shared.order)
            if (each.starts_with(guest + " ")) all.push_back(each);
        return all;
    }
};

} // namespace

TEST_CASE("guests are worked on at the same time, and each one in order, never by two") {
    Crew crew;
    crew.shared.wanted = 3;
    for (const char* guest : {"a", "b", "c", "d"}) {
        crew.submit(guest, Start{});
        crew.submit(guest, Resume{});
        crew.submit(guest, Grow{1});
    }
    crew.runner().run(Runner::Until::idle, never);
    CHECK(crew.journal.open().empty());
    CHECK(crew.shared.most_at_once == 3);
    for (const std::string guest : {"a", "b", "c", "d"})
        CHECK(crew.begun_of(guest) ==
              std::vector<std::string>{guest + " start", guest + " resume", guest + " grow"});
}

TEST_CASE("backups have a place of their own beside the others") {
    Crew crew;
    crew.shared.wanted = 4;
    for (const char* guest : {"a", "b", "c", "d"}) crew.submit(guest, Start{});
    for (const char* guest : {"e", "f"}) crew.submit(guest, Backup{});
    crew.runner().run(Runner::Until::idle, never);
    CHECK(crew.shared.most_at_once == 4);
    CHECK(crew.journal.open().empty());
}

TEST_CASE("what another process asks for, approves and cancels is heard") {
    Crew crew;
    Journal other(open_database(crew.folder.path));
    const Id waits = crew.submit("a", Destroy{}), unwanted = crew.submit("b", Destroy{});
    bool is_approved = false;
    std::vector<std::string> told;
    Id late;
    const Door door = [&](const Operation& operation) -> Verdict {
        if (kind_of(operation.action) != ActionKind::destroy || is_approved) return permit(operation);
        return Waits{"a signature"};
    };
    auto runner = crew.runner(settings(), door, [&](const Operation& operation) {
        told.push_back(operation.target.guest + " " + std::string(to_string(operation.state)));
    });
    int round = 0;
    runner.run(Runner::Until::stopped, [&] {
        if (round == 0 && other.find(waits)->state == State::waiting &&
            other.find(unwanted)->state == State::waiting) {
            round = 1;
            late = other.submit(wish(Start{}, {"c", "made:0"})).operation.id;
            other.cancel(unwanted, "not wanted");
            is_approved = true;
            other.approved(waits, "signed");
        }
        return round == 1 && is_end(other.find(late)->state) && is_end(other.find(waits)->state);
    });
    CHECK(crew.state(waits) == State::done);
    CHECK(crew.state(unwanted) == State::cancelled);
    CHECK(crew.state(late) == State::done);
    CHECK(std::ranges::find(told, "b cancelled") != told.end());
    CHECK(std::ranges::find(told, "b begun") == told.end());
}

TEST_CASE("what was approved before its waiting was heard of is carried out all the same") {
    Crew crew;
    Journal other(open_database(crew.folder.path));
    const Id id = crew.submit("a", Destroy{});
    int asked = 0;
    const Door door = [&](const Operation& operation) -> Verdict {
        if (++asked > 1) return permit(operation);
        return Waits{"a signature"};
    };
    auto runner = crew.runner(settings(), door);
    runner.run(Runner::Until::stopped, [&] {
        if (other.find(id)->state == State::waiting) other.approved(id, "signed");
        return is_end(other.find(id)->state);
    });
    CHECK(crew.state(id) == State::done);
}

TEST_CASE("what runs is asked to stop when it is cancelled") {
    Crew crew;
    crew.shared.is_endless = true;
    const Id id = crew.submit("a");
    auto runner = crew.runner();
    runner.run(Runner::Until::idle, [&] {
        if (crew.state(id) == State::begun) crew.journal.cancel(id, "not wanted");
        return false;
    });
    CHECK(crew.shared.interrupts > 0);
    CHECK(is_end(crew.state(id)));
}

TEST_CASE("a stop begins nothing more, leaves what runs, and the next runner finishes both") {
    Crew crew;
    crew.shared.is_endless = true;
    const Id runs = crew.submit("a"), queued = crew.submit("a", Grow{1});
    crew.runner().run(Runner::Until::stopped, [&] { return crew.state(runs) == State::begun; });
    CHECK(crew.state(runs) == State::begun);
    CHECK(crew.state(queued) == State::queued);
    crew.shared.is_endless = false;
    crew.runner().run(Runner::Until::idle, never);
    CHECK(crew.state(runs) == State::done);
    CHECK(crew.state(queued) == State::done);
    CHECK(crew.shared.order == std::vector<std::string>{"a start", "a grow"});
}

TEST_CASE("within the grace what runs may end") {
    Crew crew;
    crew.shared.wanted = 1;
    const Id id = crew.submit("a");
    RunnerSettings how = settings();
    how.grace = 1h;
    bool stop = false;
    crew.runner(how).run(Runner::Until::stopped,
                         [&] { return stop = stop || crew.state(id) != State::queued; });
    CHECK(crew.state(id) == State::done);
}

TEST_CASE("what waits for a signature keeps nobody at work") {
    Crew crew;
    const Id id = crew.submit("a", Destroy{});
    Request follows = wish(Start{}, {"a", "made:0"});
    follows.after = id;
    const Id next = crew.journal.submit(follows).operation.id;
    const Id other = crew.submit("a");
    const Door door = [&](const Operation& operation) -> Verdict {
        if (operation.id == id) return Waits{"a signature"};
        return permit(operation);
    };
    crew.runner(settings(), door).run(Runner::Until::idle, never);
    CHECK(crew.state(id) == State::waiting);
    CHECK(crew.state(next) == State::queued);
    CHECK(crew.state(other) == State::done);
    crew.runner(settings(), door).run(Runner::Until::idle, never); // another process knows as much
    CHECK(crew.state(next) == State::queued);
    crew.journal.cancel(id, "not wanted");
    crew.runner(settings(), door).run(Runner::Until::idle, never);
    CHECK(crew.state(next) == State::cancelled);
}

TEST_CASE("each end is put on record, also one that a dead process left") {
    Crew crew;
    const Id first = crew.submit("a"), second = crew.submit("b");
    crew.journal.cancel(first, "not wanted"); // nobody recorded that
    std::vector<std::string> record;
    const auto add = [&](const Operation& operation) {
        if (operation.id == second && record.size() == 1) {
            record.emplace_back("it fails");
            throw Error(Code::io, "the record's disk is full");
        }
        record.push_back(operation.id + " " + std::string(to_string(operation.state)));
    };
    CHECK_THROWS_WITH(crew.runner(settings(), permit, {}, add).run(Runner::Until::idle, never),
                      Catch::Contains("disk is full"));
    crew.runner(settings(), permit, {}, add).run(Runner::Until::idle, never);
    crew.runner(settings(), permit, {}, add).run(Runner::Until::idle, never);
    CHECK(record == std::vector<std::string>{first + " cancelled", "it fails", second + " done"});
}

TEST_CASE("one process carries out a host's operations") {
    Crew crew;
    try {
        Ownership::take(database_folder(crew.folder.path));
        FAIL("it was taken twice");
    } catch (const Error& error) {
        CHECK(error.code() == Code::busy);
        CHECK(error.message() == "this host's operations are carried out by another process, process " +
                                     std::to_string(::getpid()));
    }
}

TEST_CASE("a platform that cannot be opened begins nothing, and is told") {
    Crew crew;
    const Id id = crew.submit("a");
    Runner runner(
        crew.ownership, crew.journal,
        []() -> std::unique_ptr<Platform> { throw Error(Code::config, "agent.json has no platform"); },
        permit, settings());
    runner.run(Runner::Until::stopped, [&] { return !crew.journal.find(id)->detail.empty(); });
    CHECK(crew.state(id) == State::queued);
    CHECK(crew.journal.find(id)->detail == "agent.json has no platform");
}

TEST_CASE("a journal that cannot be read ends the work, and says so") {
    Crew crew;
    crew.submit("a");
    store::Database other = open_database(crew.folder.path);
    const auto break_it = [&, done = false]() mutable {
        if (!done) other.run("DROP TABLE operations_position");
        done = true;
        return false;
    };
    CHECK_THROWS_AS(crew.runner().run(Runner::Until::stopped, break_it), Error);
}
