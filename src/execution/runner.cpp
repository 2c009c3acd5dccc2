// SPDX-License-Identifier: MIT
#include "execution/runner.hpp"

#include "base/exceptions.hpp"
#include "base/patience.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <set>
#include <thread>
#include <unistd.h>

namespace blockhost::execution {

namespace {

using std::chrono::milliseconds;

constexpr const char* lock_file = "runner.lock";

Lanes::Time time_now() {
    return std::chrono::duration_cast<milliseconds>(Deadline::clock::now().time_since_epoch());
}

/// Another process holds the journal for long; the next try may get it.
bool passes_by(const Error& error) {
    const auto* store = dynamic_cast<const store::StoreError*>(&error);
    return store != nullptr && store->trouble() == store::Trouble::locked;
}

} // namespace

Ownership Ownership::take(const Folder& folder, milliseconds patience) {
    auto lock = FileLock::take_named(folder, lock_file, 0600, Deadline::in(patience));
    if (!lock) {
        const std::string holder = folder.read(lock_file).value_or("");
        throw Error(
            Code::busy,
            "this host's operations are carried out by another process" +
                (holder.empty() ? "" : ", " + text::printable(text::trim(holder))),
            "what is queued in the journal is carried out there: look with 'blockhost-libvirt operations'");
    }
    const std::string name = "process " + std::to_string(::getpid()) + "\n";
    if (::ftruncate(lock->fd(), 0) != 0 ||
        ::pwrite(lock->fd(), name.data(), name.size(), 0) != static_cast<ssize_t>(name.size()))
        throw errno_error("cannot write", lock_file, errno);
    return Ownership(std::move(*lock));
}

/// What run's thread and its workers share.
struct Runner::Work {
    explicit Work(Runner& the_runner) : runner(the_runner), lanes(the_runner.settings_.bounds) {}
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;
    ~Work() { join(); }

    struct Result {
        Id id;
        Turn turn = Turn::held;
        std::exception_ptr trouble; ///< with the journal
    };

    Runner& runner;
    Lanes lanes;               ///< run's thread's alone
    std::int64_t position = 0; ///< of the journal, up to which it was read
    std::vector<std::thread> workers;

    std::mutex mutex; ///< of what follows
    std::condition_variable for_workers, for_run;
    std::deque<Id> turns;
    std::vector<Result> results;
    std::set<Id> cancelled;
    bool is_over = false;
    std::atomic<bool> leave = false; ///< what runs is not waited for any more

    void start();
    void join();
    void work();
    Result take_turn(std::unique_ptr<platform::Platform>& platform, const Id& id);
    void recover();
    void read_journal();
    void take_up(const Operation& operation);
    void hand_out();
    std::exception_ptr take_results();
    void wait();
};

void Runner::Work::start() {
    const unsigned count = runner.settings_.bounds.others + runner.settings_.bounds.backups;
    for (unsigned i = 0; i < count; ++i) workers.emplace_back([this] { work(); });
}

void Runner::Work::join() {
    {
        const std::lock_guard lock(mutex);
        is_over = true;
        leave = true;
    }
    for_workers.notify_all();
    for (std::thread& worker : workers) worker.join();
    workers.clear();
}

void Runner::Work::work() {
    std::unique_ptr<platform::Platform> platform; // this thread's
    for (std::unique_lock lock(mutex);;) {
        for_workers.wait(lock, [this] { return is_over || !turns.empty(); });
        if (is_over) return;
        const Id id = std::move(turns.front());
        turns.pop_front();
        lock.unlock();
        Result result = take_turn(platform, id);
        lock.lock();
        results.push_back(std::move(result));
        for_run.notify_one();
    }
}

Runner::Work::Result Runner::Work::take_turn(std::unique_ptr<platform::Platform>& platform, const Id& id) {
    const auto stop_when_left = [this] {
        if (leave) throw Error(Code::interrupted, "this process stops");
    };
    const Wishes wishes{.pause = [&](milliseconds span) { pause_for(span, stop_when_left); },
                        .is_cancelled =
                            [this](const Id& asked) {
                                const std::lock_guard lock(mutex);
                                return cancelled.contains(asked);
                            }};
    try {
        if (!platform) platform = runner.open_platform_();
        return {id, runner.executor_.turn(*platform, id, wishes), {}};
    } catch (const store::StoreError& error) {
        return {id, Turn::held, passes_by(error) ? nullptr : std::current_exception()};
    } catch (const std::exception& thrown) {
        // The platform could not be opened, or something unforeseen: the operation stays as it is on disk.
        try {
            runner.journal_.tell(id, text::printable(as_error(thrown).what(), 500));
            return {id, Turn::held, {}};
        } catch (const Error& error) {
            return {id, Turn::held, passes_by(error) ? nullptr : std::current_exception()};
        }
    }
}

void Runner::Work::recover() {
    position = runner.journal_.position(); // what changes from now on is read as a change
    for (const Operation& operation : runner.journal_.open()) take_up(operation);
}

void Runner::Work::take_up(const Operation& operation) {
    if (is_end(operation.state)) {
        lanes.withdraw(operation.id); // its own thread tells of one that runs
        return;
    }
    if (operation.cancel_wished) {
        const std::lock_guard lock(mutex);
        cancelled.insert(operation.id);
    }
    if (operation.state == State::waiting)
        lanes.arrive_aside(ticket_of(operation));
    else if (operation.state == State::queued && lanes.is_aside(operation.id))
        lanes.come_back(operation.id);
    else
        lanes.arrive(ticket_of(operation));
}

void Runner::Work::read_journal() {
    runner.journal_.end_overdue(now());
    for (;;) {
        auto changes = runner.journal_.changed_since(position);
        if (changes.empty()) break;
        position = changes.back().changed;
        std::ranges::stable_sort(changes, {}, &Operation::arrival);
        for (const Operation& operation : changes) {
            take_up(operation);
            if (runner.told_) runner.told_(operation);
        }
    }
    if (!runner.record_) return;
    for (const Operation& ended : runner.journal_.unrecorded()) {
        runner.record_(ended);
        runner.journal_.recorded(ended.id);
    }
}

void Runner::Work::hand_out() {
    const auto due = lanes.due(time_now());
    if (due.empty()) return;
    const std::lock_guard lock(mutex);
    turns.insert(turns.end(), due.begin(), due.end());
    for_workers.notify_all();
}

/// What the journal could not do, if there is something.
std::exception_ptr Runner::Work::take_results() {
    std::vector<Result> taken;
    {
        const std::lock_guard lock(mutex);
        taken.swap(results);
        for (const Result& result : taken)
            if (result.turn == Turn::ended) cancelled.erase(result.id);
    }
    std::exception_ptr trouble;
    for (const Result& result : taken) {
        if (result.trouble) trouble = result.trouble;
        switch (result.turn) {
        case Turn::ended:
            lanes.ended(result.id);
            break;
        case Turn::aside:
            lanes.stand_aside(result.id);
            // Approved before this was heard of: that change was read already.
            if (const auto found = runner.journal_.find(result.id)) take_up(*found);
            break;
        case Turn::held:
        case Turn::left:
            lanes.hold(result.id, time_now() + runner.settings_.patience.again);
            break;
        }
    }
    return trouble;
}

void Runner::Work::wait() {
    std::unique_lock lock(mutex);
    for_run.wait_for(lock, runner.settings_.look_every, [this] { return !results.empty(); });
}

Runner::Runner(const Ownership&, Journal& journal, OpenPlatform open_platform, Door door,
               RunnerSettings settings, Told told, Record record)
    : journal_(journal), open_platform_(std::move(open_platform)), settings_(settings),
      told_(std::move(told)), record_(std::move(record)),
      executor_(journal, std::move(door), settings.patience) {}

void Runner::run(Until until, const std::function<bool()>& stop) {
    Work work(*this);
    work.recover();
    work.start();
    std::optional<Deadline> stops;
    std::exception_ptr trouble;
    while (true) {
        try {
            if (const auto found = work.take_results()) trouble = found;
            work.read_journal();
        } catch (const Error& error) {
            if (!passes_by(error)) trouble = std::current_exception();
        }
        if (!stops && (trouble || stop())) stops = Deadline::in(settings_.grace);
        if (!stops) work.hand_out();
        if (work.lanes.running() == 0 && (stops || (until == Until::idle && work.lanes.is_empty()))) break;
        if (stops && stops->passed()) work.leave = true;
        work.wait();
    }
    work.join();
    if (trouble) std::rethrow_exception(trouble);
    work.read_journal();
}

} // namespace blockhost::execution
