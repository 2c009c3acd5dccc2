// SPDX-License-Identifier: MIT
/// The looking half of metrics.hpp: one stats call and one conversation with each agent, all with a deadline.

#include "metrics/compute.hpp"

#include "base/error.hpp"
#include "base/patience.hpp"
#include "base/time.hpp"
#include "operations/bring_up.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>

namespace blockhost::metrics {

namespace {

using namespace std::chrono_literals;

/// For all calls to one agent, or to all agents together.
constexpr auto agent_span = 1000ms;
/// For the stats call of one VM, and what each further VM adds.
constexpr auto stats_span = 1000ms, stats_span_each = 20ms;
/// For stats and agents together; the agents always get the least span.
constexpr auto whole_span = 1400ms, least_agent_span = 300ms;
/// How long a monitor that is busy with another caller's look is waited for, and how often it is asked.
constexpr auto busy_span = 150ms, busy_pause = 10ms;
constexpr int agent_seconds = 1; ///< libvirt counts in whole seconds
constexpr std::size_t most_threads = 16;

std::uint64_t wall_clock_s() {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch()).count());
}

using StatsByName = std::map<std::string, DomainStats>;

void put(StatsByName& all, std::vector<DomainStats> more) {
    for (DomainStats& stats : more) all[stats.name] = std::move(stats);
}

std::vector<std::string> incomplete(const StatsByName& all) {
    std::vector<std::string> names;
    for (const auto& [name, stats] : all)
        if (!stats.complete) names.push_back(name);
    return names;
}

/// Asks for `names`; false when the call was given up, which leaves a new connection in `observer`.
bool put_stats(StatsByName& all, std::unique_ptr<Observer>& observer, const OpenObserver& open,
               const std::vector<std::string>& names) {
    try {
        put(all, observer->stats(names, stats_span + stats_span_each * (names.size() - 1)));
        return true;
    } catch (const Error& error) {
        if (error.code() != Code::no_answer) throw;
        observer = open();
        return false;
    }
}

/// The figures of `names`. A call that a hanging QEMU holds up is left behind with its connection. On a new
/// one libvirt tells what it knows of that domain without QEMU, since the call left behind holds its monitor.
/// A monitor that another caller's look holds, or the call left behind on its way through the other domains,
/// is free again in a moment.
StatsByName fetch(std::unique_ptr<Observer>& observer, const OpenObserver& open,
                  const std::vector<std::string>& names) {
    StatsByName all;
    if (!put_stats(all, observer, open, names) && !put_stats(all, observer, open, names))
        throw Error(Code::no_answer, "libvirt does not tell the figures of its domains",
                    "look at `systemctl status libvirtd` and `journalctl -u libvirtd`");
    auto busy = incomplete(all);
    for (const auto deadline = Deadline::in(busy_span); !busy.empty() && !deadline.passed();) {
        pause_for(busy_pause);
        if (!put_stats(all, observer, open, busy)) break; // the figures told so far stand
        busy = incomplete(all);
    }
    return all;
}

/// The deadline of the agents' part, for a reading whose deadline is `whole`.
Deadline agents_end(const Deadline& whole) {
    return Deadline::in(std::clamp<std::chrono::milliseconds>(whole.left(), least_agent_span, agent_span));
}

/// Calls to the agent of that VM; all of them end at the deadline.
guest::AgentCall agent_until(Observer& observer, const std::string& name, const Deadline& deadline) {
    return [&observer, name, deadline](const std::string& command) {
        const auto left = deadline.left();
        if (left <= 0ms) throw Error(Code::no_answer, "no time is left to ask the guest agent of " + name);
        return observer.agent(name, command, agent_seconds, left);
    };
}

/// One VM on its way from stats to its row.
struct Subject {
    VmName name;
    DomainStats stats;
    std::optional<Sample> before;
    guest::Vitals vitals{};
};

Subject subject_of(const VmName& name, const DomainStats& stats, const StatePlace& samples,
                   const SampleMoment& now) {
    Subject subject{name, stats, read_sample(samples, name)};
    // A file left open in another run of the domain is gone with that run.
    if (subject.before && is_same_run(*subject.before, stats, now))
        subject.vitals.left_open = subject.before->left_open;
    return subject;
}

/// Makes the row, and keeps the sample for the next one.
Reading conclude(const StatePlace& samples, const Subject& subject, const SampleMoment& now) {
    const auto& [name, stats, before, vitals] = subject;
    const Rates rates = stats.complete ? rates_since(before, stats, now) : Rates{};
    Reading reading{name, stats,
                    metrics_of(stats, rates, word_of(stats, before, vitals, now), wall_clock_s()), ""};
    try {
        if (const auto sample = next_sample(stats, before, vitals, now)) write_sample(samples, name, *sample);
    } catch (const Error& error) {
        reading.sample_problem = error.message();
    }
    return reading;
}

/// Asks many agents on several threads. All agents are first asked whether they answer, so that each gets its
/// turn in time; then for what is due.
class Round {
  public:
    Round(std::vector<Subject>& subjects, const SampleMoment& now, const OpenObserver& open,
          const Deadline& deadline)
        : subjects_(subjects), open_(open), deadline_(deadline) {
        for (std::size_t i = 0; i < subjects.size(); ++i)
            if (const auto depth = depth_for(subjects[i].stats, subjects[i].before, now))
                pings_.push_back({i, *depth});
    }

    void run() {
        std::vector<std::thread> threads;
        const std::size_t count = std::min(most_threads, pings_.size());
        try {
            while (threads.size() < count) threads.emplace_back([this] { work(); });
        } catch (const std::system_error&) {
            if (threads.empty()) work(); // fewer threads than wanted, or none, take longer
        }
        for (std::thread& thread : threads) thread.join();
    }

  private:
    struct Task {
        std::size_t subject;
        guest::Depth depth; ///< of the whole conversation
        bool answered = false;
    };

    /// The next task; nothing when none is left and none can come.
    std::optional<Task> take() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !pings_.empty() || !due_.empty() || pinging_ == 0; });
        auto& queue = pings_.empty() ? due_ : pings_;
        if (queue.empty()) return std::nullopt;
        const Task task = queue.front();
        queue.pop_front();
        if (!task.answered) ++pinging_;
        return task;
    }

    void pinged(Task task, bool answers) {
        std::lock_guard lock(mutex_);
        --pinging_;
        task.answered = true;
        if (answers && task.depth == guest::Depth::all) due_.push_back(task);
        changed_.notify_all();
    }

    /// The connection that is still good, or a new one; nothing when none can be had.
    Observer* connected(std::unique_ptr<Observer>& observer) const {
        try {
            if (!observer && !deadline_.passed()) observer = open_();
        } catch (const std::exception&) {
            return nullptr; // the row then says that this guest does not answer
        }
        return observer.get();
    }

    void ask(std::unique_ptr<Observer>& observer, const Task& task) {
        Subject& subject = subjects_[task.subject];
        Observer* connection = connected(observer);
        if (!connection) return;
        bool gone = false;
        const auto agent = agent_until(*connection, subject.name.str(), deadline_);
        const guest::AgentCall noticing = [&](const std::string& command) {
            try {
                return agent(command);
            } catch (const Error& error) {
                gone = error.code() == Code::no_answer;
                throw;
            }
        };
        const auto depth = task.answered ? guest::Depth::rest : guest::Depth::ping;
        subject.vitals = guest::look_at(noticing, depth, subject.vitals.left_open);
        if (gone) observer.reset();
    }

    void work() {
        std::unique_ptr<Observer> observer;
        while (const auto task = take()) {
            ask(observer, *task);
            if (!task->answered) pinged(*task, subjects_[task->subject].vitals.answers);
        }
    }

    std::vector<Subject>& subjects_; ///< each is touched by one thread at a time
    const OpenObserver& open_;
    const Deadline deadline_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Task> pings_, due_;
    std::size_t pinging_ = 0;
};

/// Adds what libvirt knows of the cause of an I/O error. Comes last: a QEMU that does not tell costs the
/// connection.
void add_disk_trouble(std::unique_ptr<Observer>& observer, const OpenObserver& open, Reading& reading) {
    constexpr auto longest = 300ms;
    if (!reading.stats || !reading.stats->complete || reading.stats->reason != reason::io_error) return;
    try {
        if (!observer) observer = open();
        reading.metrics.state_reason = operations::reason_of(
            *observer, reading.name.str(), {reading.stats->state, reading.stats->reason}, longest);
    } catch (const std::exception&) {
        observer.reset();
    }
}

} // namespace

Reading read_metrics(const StatePlace& samples, const OpenObserver& open, const VmName& name) {
    const auto whole = Deadline::in(whole_span);
    auto observer = open();
    const auto all = fetch(observer, open, {name.str()});
    const SampleMoment now = SampleMoment::now();
    const auto found = all.find(name.str());
    if (found == all.end()) throw Error(Code::not_found, "there is no VM named " + name.str());
    Subject subject = subject_of(name, found->second, samples, now);
    if (const auto depth = depth_for(subject.stats, subject.before, now)) {
        const auto agent = agent_until(*observer, name.str(), agents_end(whole));
        subject.vitals = guest::look_at(agent, *depth, subject.vitals.left_open);
    }
    Reading reading = conclude(samples, subject, now);
    add_disk_trouble(observer, open, reading);
    return reading;
}

std::vector<Reading> read_all_metrics(const StatePlace& samples, const OpenObserver& open,
                                      const std::vector<VmName>& names) {
    if (names.empty()) return {};
    std::vector<std::string> asked;
    for (const VmName& name : names) asked.push_back(name.str());
    const auto whole = Deadline::in(whole_span);
    auto observer = open();
    const auto all = fetch(observer, open, asked);
    const SampleMoment now = SampleMoment::now();

    std::vector<Subject> subjects;
    for (const VmName& name : names)
        if (const auto found = all.find(name.str()); found != all.end())
            subjects.push_back(subject_of(name, found->second, samples, now));
    Round(subjects, now, open, agents_end(whole)).run();

    std::vector<Reading> readings;
    auto subject = subjects.begin();
    for (const VmName& name : names)
        if (subject != subjects.end() && subject->name == name)
            readings.push_back(conclude(samples, *subject++, now));
        else
            readings.push_back({name, {}, {}, ""});
    for (Reading& reading : readings) add_disk_trouble(observer, open, reading);
    return readings;
}

} // namespace blockhost::metrics
