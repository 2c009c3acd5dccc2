/// Start, stop and kill.

#include "lifecycle/power.hpp"

#include "lifecycle/recover.hpp"
#include "lifecycle/starting.hpp"
#include "lifecycle/steps.hpp"
#include "lifecycle/veto.hpp"

#include <array>
#include <fmt/format.h>

namespace blockhost {

namespace {

using namespace std::chrono_literals;

struct PowerOperation {
    World& world;
    const Observation& seen;
    const Interruption& interruption;
    std::chrono::seconds patience{};
    Stopped stopped = Stopped::still_running;

    const std::string& name() const { return seen.name.str(); }
};

void set_routes(PowerOperation& op) {
    place_routes(op.world, op.seen);
}

void make_filters(PowerOperation& op) {
    ensure_filters(op.world, op.seen);
}

/// Its record says that it is paid for: a veto that is left from another time goes.
void start_domain(PowerOperation& op) {
    allow_start(op.world, op.seen.name);
    bring_up(op.world, op.seen);
    keep_off_no_more(op.world, op.seen.name);
}

/// Before the guest is off: a host that goes down meanwhile leaves it off. A full disk keeps no VM running.
void note_wish(PowerOperation& op) {
    try {
        keep_off(op.world, op.seen.name);
    } catch (const Error& error) {
        forget_half_kept_off(op.world, op.seen.name);
        op.world.talk.warn(
            fmt::format("{} will be started again after a reboot of the host: {}", op.name(), error.what()));
    }
}

/// A wish that did not come true is none that boot should know of.
void forget_wish_of_running(PowerOperation& op) {
    try {
        const auto state = op.world.hypervisor().state(op.name());
        if (state && is_alive(*state)) keep_off_no_more(op.world, op.seen.name);
    } catch (const Error& error) {
        op.world.talk.warn(error.what());
    }
}

void signal_shutdown(PowerOperation& op) {
    op.world.hypervisor().watch(op.name());
    op.world.hypervisor().shutdown(op.name());
}

void await_off(PowerOperation& op) {
    const Deadline deadline = Deadline::in(op.patience);
    while (true) {
        const auto state = op.world.hypervisor().state(op.name());
        if (!state || !is_alive(*state)) {
            op.stopped = Stopped::off;
            return;
        }
        if (deadline.passed()) return;
        op.interruption.check();
        op.world.hypervisor().wait(std::min<std::chrono::milliseconds>(deadline.left(), 200ms));
    }
}

void power_off(PowerOperation& op) {
    op.world.hypervisor().power_off(op.name());
}

using PowerStep = Step<PowerOperation>;
constexpr std::array<PowerStep, 3> start_steps{{
    {"set-routes", "setting routes and neighbour entries", set_routes},
    {"make-filters", "checking the network filter", make_filters},
    {"start-domain", "starting the domain", start_domain},
}};
constexpr std::array<PowerStep, 2> unpause_steps{{
    {"set-routes", "setting routes and neighbour entries", set_routes},
    {"unpause", "letting the domain run on", start_domain},
}};
constexpr std::array<PowerStep, 3> stop_steps{{
    {"keep-off", "noting that it shall stay off", note_wish},
    {"signal-shutdown", "asking the guest to shut down", signal_shutdown},
    {"await-off", "waiting for the guest to be off", await_off},
}};
constexpr std::array<PowerStep, 2> kill_steps{{
    {"keep-off", "noting that it shall stay off", note_wish},
    {"power-off", "forcing the domain off", power_off},
}};

std::span<const PowerStep> plan_of(std::string_view plan) {
    if (plan == "start") return start_steps;
    if (plan == "unpause") return unpause_steps;
    if (plan == "stop") return stop_steps;
    if (plan == "kill") return kill_steps;
    throw Error(Code::internal, fmt::format("there is no plan '{}'", plan));
}

/// What a single wish found and did.
struct WishEnd {
    Outcome outcome;
    Stopped stopped = Stopped::was_off;
    bool kept_off = false; ///< nothing was done, since an admin wants it off
};

/// Whether a start is somebody's wish for this VM, or boot's for all.
enum class Asked { by_name, by_boot };

/// A wish that ends badly, or is interrupted, is closed: nobody carries it out later.
WishEnd carry_out(World& world, const VmName& name, Verb verb, Journal::Manner manner,
                  std::chrono::seconds patience, Asked asked = Asked::by_name) {
    JournalEntry entry = take_entry(world, name, manner, Interruption());
    const Observation seen = observe(world, name);
    if (asked == Asked::by_boot && seen.state == VmState::stopped && is_kept_off(world, name))
        return {Outcome::nothing_to_do, Stopped::was_off, true};
    const Verdict& verdict = decide(seen, verb);
    if (verdict.kind == Verdict::Kind::nothing) {
        if (verb == Verb::start) keep_off_no_more(world, name);
        if (verb != Verb::start && seen.state == VmState::stopped) keep_off(world, name);
        return {Outcome::nothing_to_do};
    }
    const Interruption interruption([&entry] { return entry.asked_to_give_up(); });
    PowerOperation op{world, seen, interruption, patience};
    entry.begin(OperationId::make(world.instance), std::string(to_string(verb)), {});
    try {
        run_forward<PowerOperation>(plan_of(verdict.plan), op, entry, interruption, world);
    } catch (const Error&) {
        if (verb != Verb::start) forget_wish_of_running(op);
        entry.end();
        throw;
    }
    if (verb == Verb::stop && op.stopped == Stopped::still_running) forget_wish_of_running(op);
    entry.end();
    return {Outcome::done, op.stopped};
}

} // namespace

Outcome start(World& world, const VmName& name) {
    return carry_out(world, name, Verb::start, Journal::Manner::wait, 0s).outcome;
}

std::optional<Outcome> start_unless_kept_off(World& world, const VmName& name) {
    const WishEnd end = carry_out(world, name, Verb::start, Journal::Manner::wait, 0s, Asked::by_boot);
    return end.kept_off ? std::nullopt : std::optional(end.outcome);
}

Stopped stop(World& world, const VmName& name, std::chrono::seconds patience) {
    return carry_out(world, name, Verb::stop, Journal::Manner::wait, patience).stopped;
}

Outcome kill(World& world, const VmName& name) {
    return carry_out(world, name, Verb::kill, Journal::Manner::ask_to_give_up, 0s).outcome;
}

} // namespace blockhost
