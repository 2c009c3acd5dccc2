// SPDX-License-Identifier: MIT
/// Waits for a guest: events first, then a look, always with a deadline, and with evidence when it ends
/// badly.

#include "operations/wait_for_guest.hpp"

#include "base/patience.hpp"
#include "base/text/text.hpp"
#include "guest/agent.hpp"
#include "guest/boot_jobs.hpp"

#include <fmt/format.h>
#include <utility>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;
using guest::CloudInitState;

constexpr auto look_again_after = 3s; ///< without an event, the agent is tried this often
constexpr auto interruption_period = 200ms;
constexpr int agent_seconds = 3;
constexpr std::size_t evidence_lines = 5;
/// How long cloud-init may be idle past the limit before it is asked whether one of its stages will run at
/// all.
constexpr auto idle_is_odd = 10s;

/// What is known of a silent cloud-init.
enum class Outlook {
    goes_on, ///< a stage is at work, or systemd has yet to run one
    over,    ///< systemd has none left to run
    unknown, ///< nobody can be asked
};

class ReadyWait {
  public:
    ReadyWait(World& world, const VmName& name, const StatePlace& consoles, std::chrono::seconds limit,
              const ExpectedLogin& expected, const Interruption& interruption)
        : world_(world), name_(name), consoles_(consoles), limit_(limit), deadline_(Deadline::in(limit)),
          last_(Deadline::in(2 * limit)), expected_(expected), interruption_(interruption) {}

    void run() {
        await_agent();
        await_cloud_init();
    }

    void await_agent() const {
        constexpr std::string_view stage = "its guest agent to answer";
        world_.progress.stage("waiting for the guest agent");
        while (!agent_answers()) {
            if (deadline_.passed()) fail(fmt::format("not ready within {} s,", limit_.count()), stage);
            pause(look_again_after, stage);
        }
    }

  private:
    std::string evidence(std::string_view stage) const {
        std::string text = fmt::format("while waiting for {}", stage);
        try {
            const auto view = world_.hypervisor().find(name_.str());
            text += view ? fmt::format("; the domain is {}{}", to_string(view->state),
                                       view->reason.empty() ? "" : " (" + view->reason + ")")
                         : std::string("; the domain is gone");
        } catch (const Error& error) {
            text += fmt::format("; {}", error.message());
        }
        const auto tail = console_tail(consoles_, name_, evidence_lines);
        for (const std::string& line : tail) world_.progress.warn("console | " + line);
        return text +
               (tail.empty() ? "; its console showed nothing" : "; its console's last lines are shown above");
    }

    [[noreturn]] void fail(std::string_view what, std::string_view stage) const {
        throw Error(Code::guest, fmt::format("{}: {} {}", name_.str(), what, evidence(stage)));
    }

    /// Pauses for at most `span`, or until an event; notices death and interruption.
    Wake pause(std::chrono::milliseconds span, std::string_view stage) const {
        const Deadline end = Deadline::in(span).sooner(deadline_.passed() ? last_ : deadline_);
        while (!end.passed()) {
            interruption_.check();
            const Wake wake = world_.hypervisor().wait(
                std::min<std::chrono::milliseconds>(end.left(), interruption_period));
            if (wake == Wake::lifecycle) {
                const auto state = world_.hypervisor().state(name_.str());
                if (!state || !is_alive(*state)) fail("the guest stopped before it was ready,", stage);
            }
            if (wake == Wake::agent_connected) return wake;
        }
        return Wake::timeout;
    }

    guest::AgentCall agent() const {
        return [this](const std::string& command) {
            return world_.hypervisor().agent(name_.str(), command, agent_seconds);
        };
    }

    bool agent_answers() const {
        try {
            return guest::ping(agent());
        } catch (const Error& error) {
            if (error.code() == Code::guest || error.code() == Code::wrong_state) return false;
            throw;
        }
    }

    /// An agent that goes quiet meanwhile (cloud-init may restart it) decides nothing; it is asked again.
    CloudInitState look() const {
        try {
            return guest::cloud_init_state(agent());
        } catch (const Error& error) {
            if (error.code() != Code::guest && error.code() != Code::wrong_state) throw;
            return {};
        }
    }

    /// What the guest lacks of the login; nothing when that cannot be told now.
    std::optional<std::string> lacks() const {
        try {
            return guest::lacking(agent(), expected_.login);
        } catch (const Error& error) {
            if (error.code() != Code::guest && error.code() != Code::wrong_state) throw;
            return std::nullopt;
        }
    }

    guest::Waiting interruptible() const {
        guest::Waiting waiting;
        waiting.sleep = [this](std::chrono::milliseconds span) {
            pause_for(span, [this] { interruption_.check(); });
        };
        return waiting;
    }

    Outlook outlook(const CloudInitState& seen) {
        const bool odd = Deadline::clock::now() - busy_at_ >= idle_is_odd;
        if (!seen.idle || (std::exchange(asked_, true) && !odd)) return Outlook::goes_on;
        try {
            const auto jobs = guest::boot_jobs(agent(), interruptible());
            if (!jobs) return odd ? Outlook::unknown : Outlook::goes_on;
            if (!jobs->of_cloud_init) return odd ? Outlook::over : Outlook::goes_on;
            awaited_ = text::join(jobs->at_work, ", ");
        } catch (const Error& error) {
            if (error.code() != Code::guest && error.code() != Code::wrong_state) throw;
        }
        busy_at_ = Deadline::clock::now(); // asked again after a while
        return Outlook::goes_on;
    }

    void warn_of_errors(const CloudInitState& seen) const {
        if (!seen.detail.empty())
            world_.progress.warn(
                fmt::format("cloud-init of {} finished with errors: {}", name_.str(), seen.detail));
    }

    /// Whether the wait is over now that cloud-init is done.
    bool judge_done(const CloudInitState& seen) const {
        const auto lacking = lacks();
        if (lacking && !lacking->empty() && expected_.promised)
            fail(fmt::format("cloud-init has finished, and nobody can log in: {}{},", *lacking,
                             seen.detail.empty() ? "" : "; its errors: " + seen.detail),
                 login_stage);
        if (!lacking && expected_.promised) {
            if (last_.passed()) fail("nobody can tell whether the login is there,", login_stage);
            return false;
        }
        warn_of_errors(seen);
        if (lacking && !lacking->empty()) world_.progress.warn(fmt::format("{}: {}", name_.str(), *lacking));
        return true;
    }

    /// Whether the wait is over although cloud-init is not done at the limit.
    bool judge_undone(const CloudInitState& seen) {
        const auto lacking = lacks();
        const bool there = lacking && lacking->empty();
        const Outlook next = outlook(seen);
        const bool nothing_else_tells = !there && !expected_.promised;
        if (next == Outlook::over || (next == Outlook::unknown && nothing_else_tells))
            fail("cloud-init failed (its final stage never ran),", cloud_init_stage);
        if (there || !expected_.promised) {
            warn_of_lateness(there);
            return true;
        }
        if (last_.passed())
            fail(fmt::format("no login within {} s: {},", 2 * limit_.count(),
                             lacking.value_or("nobody can tell whether it is there")),
                 login_stage);
        if (!std::exchange(said_so_, true))
            world_.progress.warn(
                fmt::format("cloud-init of {} has not made the login {} within {} s; waiting for it "
                            "as long again",
                            name_.str(), expected_.login.name, limit_.count()));
        return false;
    }

    void warn_of_lateness(bool login_is_there) const {
        world_.progress.warn(fmt::format(
            "the guest agent of {} answers, but cloud-init had not finished after {} s{}; {}", name_.str(),
            limit_.count(), awaited_.empty() ? "" : " (it waits for " + awaited_ + ")",
            login_is_there ? "its login is there" : "its login may not be there yet"));
    }

    void await_cloud_init() {
        world_.progress.stage("waiting for cloud-init");
        busy_at_ = Deadline::clock::now();
        while (true) {
            const CloudInitState seen = look();
            if (seen.kind == CloudInitState::Kind::disabled)
                fail("cloud-init is disabled in this guest,", cloud_init_stage);
            if (seen.kind == CloudInitState::Kind::failed)
                fail("cloud-init failed (" + seen.detail + "),", cloud_init_stage);
            if (!seen.idle) busy_at_ = Deadline::clock::now();
            const bool done = seen.kind == CloudInitState::Kind::done;
            if (done ? judge_done(seen) : deadline_.passed() && judge_undone(seen)) return;
            pause(1s, cloud_init_stage);
        }
    }

    static constexpr std::string_view cloud_init_stage = "cloud-init to finish";
    static constexpr std::string_view login_stage = "its login";

    World& world_;
    const VmName& name_;
    const StatePlace& consoles_;
    std::chrono::seconds limit_;
    Deadline deadline_;
    Deadline last_; ///< end of the wait for the login
    const ExpectedLogin& expected_;
    const Interruption& interruption_;
    Deadline::clock::time_point busy_at_{}; ///< when cloud-init was last seen, or said, to have work
    std::string awaited_;                   ///< what cloud-init waits for, as far as systemd told
    bool asked_ = false;                    ///< whether systemd was asked
    bool said_so_ = false;                  ///< whether the late login was told
};

} // namespace

void await_ready(World& world, const VmName& name, const StatePlace& consoles, std::chrono::seconds limit,
                 const ExpectedLogin& login, const Interruption& interruption) {
    ReadyWait(world, name, consoles, limit, login, interruption).run();
}

void await_agent(World& world, const VmName& name, const StatePlace& consoles, std::chrono::seconds limit,
                 const Interruption& interruption) {
    const ExpectedLogin none{};
    ReadyWait(world, name, consoles, limit, none, interruption).await_agent();
}

std::vector<std::string> console_tail(const StatePlace& consoles, const VmName& name, std::size_t lines) {
    std::optional<std::string> log;
    try {
        const auto folder = consoles.open();
        if (folder) log = folder->read(name.str() + ".log");
    } catch (const Error&) {
        // The error goes without evidence that cannot be read.
    }
    return text::last_lines(log.value_or(""), lines, 160);
}

} // namespace blockhost::operations
