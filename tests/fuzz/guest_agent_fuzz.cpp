// SPDX-License-Identifier: MIT
/// A guest's agent, which belongs to somebody else: its replies, one part each, to what the first character
/// asks: r one reply, p ping, f a file, c cloud-init's state, e a program, s a command, S a long command,
/// v vitals, o vitals with a file left open.

#include "base/text/text.hpp"
#include "guest/boot_jobs.hpp"
#include "guest/exec.hpp"
#include "guest/login.hpp"
#include "guest/message.hpp"
#include "guest/vitals.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace blockhost;
using namespace std::chrono_literals;

namespace {

constexpr int most_calls = 200'000;

/// Gives the replies, the last one a few times, and then none.
class Agent {
  public:
    explicit Agent(std::vector<std::string> replies) : replies_(std::move(replies)) {}
    guest::AgentCall call() {
        return [this](const std::string& command) {
            fuzz::check(command.size() < 250'000, "libvirt never gets a longer message through");
            fuzz::check(++calls_ < most_calls, "no agent keeps us asking forever");
            if (next_ >= replies_.size() + 3)
                throw Error(Code::guest, "Guest agent " + std::string(guest::agent_silent));
            const std::size_t at = std::min(next_++, replies_.size() - 1);
            return replies_[at];
        };
    }

  private:
    std::vector<std::string> replies_;
    std::size_t next_ = 0;
    int calls_ = 0;
};

/// Time that passes only while somebody waits.
guest::Waiting waiting(std::chrono::steady_clock::time_point& now) {
    return {.now = [&] { return now; },
            .sleep =
                [&](std::chrono::milliseconds span) {
                    fuzz::check(span > 0ms && span <= 300ms, "looks are at most 300 ms apart");
                    now += span;
                }};
}

void check_outcome(const guest::Outcome& outcome) {
    fuzz::check(outcome.status() >= 0 && outcome.status() <= 255, "an exit status is a byte");
}

void check_vitals(const guest::Vitals& vitals) {
    for (const auto& value : {vitals.slow.disk_used_bytes, vitals.slow.connections, vitals.slow.uptime_s})
        fuzz::check(!value || *value >= 0, "vitals are not negative");
}

void look(char what, const guest::AgentCall& call) {
    std::chrono::steady_clock::time_point now{};
    switch (what) {
    case 'p':
        (void)guest::ping(call);
        return;
    case 'f':
        if (const auto content = guest::read_file(call, "/etc/hostname"))
            fuzz::check(content->size() <= 64 * 1024, "a file is 64 KiB at most");
        return;
    case 'c': {
        const auto state = guest::cloud_init_state(call);
        fuzz::check(state.detail.size() <= 640 && text::printable(state.detail, 640) == state.detail,
                    "what cloud-init says is one short line");
        return;
    }
    case 'e':
        return check_outcome(guest::exec(call, {"/bin/true", {"a", "b"}}, 5s, waiting(now)));
    case 's':
        return check_outcome(guest::shell(call, "echo hello", 5s, waiting(now)));
    case 'S':
        return check_outcome(
            guest::shell(call, std::string(guest::longest_argument + 1, 'x'), 5s, waiting(now)));
    case 'l': {
        const auto lacks = guest::lacking(call, {"admin", true, {"wallet=0xab"}, {"AAAAC3"}});
        fuzz::check(lacks.size() <= 400 && text::printable(lacks, 400) == lacks,
                    "what a login lacks is one short line");
        return;
    }
    case 'j':
        if (const auto jobs = guest::boot_jobs(call, waiting(now)))
            for (const std::string& unit : jobs->at_work)
                fuzz::check(text::printable(unit, 110) == unit, "a unit's name can be shown");
        return;
    case 'v':
        return check_vitals(guest::look_at(call, guest::Depth::all, {}));
    case 'o':
        return check_vitals(guest::look_at(call, guest::Depth::rest, 7));
    default:
        return;
    }
}

void guest_agent(std::string_view input) {
    const char what = fuzz::take_selector(input);
    if (what == 'r') {
        fuzz::answered([&] { (void)guest::returned_by(input, "guest-ping", 4096); });
        fuzz::answered([&] { (void)guest::returned_by(input, "guest-ping"); });
        return;
    }
    Agent agent(fuzz::parts_of(input));
    fuzz::answered([&] { look(what, agent.call()); });
}

} // namespace

FUZZ_TARGET(guest_agent)
