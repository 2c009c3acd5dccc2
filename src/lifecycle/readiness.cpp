/// Waiting for a guest: events first, then a look, always with a deadline and with evidence when it ends
/// badly.

#include "lifecycle/readiness.hpp"

#include "base/text.hpp"
#include "guest/agent.hpp"

#include <fmt/format.h>

namespace blockhost {

namespace {

using namespace std::chrono_literals;
using guest::CloudInitState;

constexpr auto look_again_after = 3s; ///< without an event, the agent is tried this often
constexpr auto interruption_period = 200ms;
constexpr int agent_seconds = 3;
constexpr std::size_t evidence_lines = 5;
/// Idle for this long at the end of the wait: no stage of cloud-init is going to run any more.
constexpr auto idle_means_over = 10s;

class ReadyWait {
  public:
    ReadyWait(World& world, const VmName& name, const std::filesystem::path& console,
              std::chrono::seconds limit, const Interruption& interruption)
        : world_(world), name_(name), console_(console), limit_(limit), deadline_(Deadline::in(limit)),
          interruption_(interruption) {}

    void run() {
        await_agent();
        await_cloud_init();
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
        const auto tail = console_tail(console_, evidence_lines);
        for (const std::string& line : tail) world_.talk.warn("console | " + line);
        return text +
               (tail.empty() ? "; its console showed nothing" : "; its console's last lines are shown above");
    }

    [[noreturn]] void fail(std::string_view what, std::string_view stage) const {
        throw Error(Code::guest, fmt::format("{}: {} {}", name_.str(), what, evidence(stage)));
    }

    /// One pause of at most `span`, ended early by an event; notices death and interruption.
    Wake pause(std::chrono::milliseconds span, std::string_view stage) const {
        const Deadline end = Deadline::in(span).sooner(deadline_);
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

    void await_agent() const {
        constexpr std::string_view stage = "its guest agent to answer";
        world_.talk.stage("waiting for the guest agent");
        while (!agent_answers()) {
            if (deadline_.passed()) fail(fmt::format("not ready within {} s,", limit_.count()), stage);
            pause(look_again_after, stage);
        }
    }

    /// An agent that goes quiet in between (it may be restarted by cloud-init) is no verdict; it is asked
    /// again.
    CloudInitState look() const {
        try {
            return guest::cloud_init_state(agent());
        } catch (const Error& error) {
            if (error.code() != Code::guest && error.code() != Code::wrong_state) throw;
            return {};
        }
    }

    void await_cloud_init() const {
        constexpr std::string_view stage = "cloud-init to finish";
        world_.talk.stage("waiting for cloud-init");
        auto busy_at = Deadline::clock::now();
        while (true) {
            const CloudInitState seen = look();
            switch (seen.kind) {
            case CloudInitState::Kind::done:
                if (!seen.detail.empty())
                    world_.talk.warn(
                        fmt::format("cloud-init of {} finished with errors: {}", name_.str(), seen.detail));
                return;
            case CloudInitState::Kind::disabled:
                fail("cloud-init is disabled in this guest,", stage);
            case CloudInitState::Kind::failed:
                fail("cloud-init failed (" + seen.detail + "),", stage);
            default:
                break;
            }
            if (!seen.idle) busy_at = Deadline::clock::now();
            if (deadline_.passed()) {
                if (seen.idle && Deadline::clock::now() - busy_at > idle_means_over)
                    fail("cloud-init failed (its final stage never ran),", stage);
                world_.talk.warn(fmt::format("the guest agent of {} answers, but cloud-init had not finished "
                                             "after {} s; its login may not be there yet",
                                             name_.str(), limit_.count()));
                return;
            }
            pause(1s, stage);
        }
    }

    World& world_;
    const VmName& name_;
    const std::filesystem::path& console_;
    std::chrono::seconds limit_;
    Deadline deadline_;
    const Interruption& interruption_;
};

} // namespace

void await_ready(World& world, const VmName& name, const std::filesystem::path& console,
                 std::chrono::seconds limit, const Interruption& interruption) {
    ReadyWait(world, name, console, limit, interruption).run();
}

std::vector<std::string> console_tail(const std::filesystem::path& console, std::size_t lines) {
    const auto folder = Folder::open(console.parent_path());
    std::optional<std::string> log;
    try {
        if (folder) log = folder->read(console.filename().string());
    } catch (const Error&) {
        // Evidence that cannot be read is evidence we do without.
    }
    return text::last_lines(log.value_or(""), lines, 160);
}

} // namespace blockhost
