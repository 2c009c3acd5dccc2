// SPDX-License-Identifier: MIT
/// Start, stop and kill. Each ends with a look at the domain.

#include "operations/power.hpp"

#include "base/patience.hpp"
#include "operations/bring_up.hpp"
#include "operations/lost_records.hpp"
#include "operations/recover.hpp"
#include "safety/isolation.hpp"
#include "safety/start.hpp"
#include "vm/stay_off_marks.hpp"

#include <array>
#include <fmt/format.h>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;

/// How long a start waits for a guest that is shutting down.
constexpr std::chrono::seconds patience_with_the_guest{25};

struct PowerOperation {
    World& world;
    const Observation& seen;
    const Interruption& interruption;
    std::chrono::seconds patience{};
    Look look = Look::twice;
    Brought brought = Brought::up;
    Stopped stopped = Stopped::still_running;
    bool was_let_run = false; ///< paused or asleep until this stop

    const std::string& name() const { return seen.name.str(); }
    Hypervisor& hypervisor() const { return world.hypervisor(); }
};

void set_routes(PowerOperation& op) {
    safety::place_routes(op.world, op.seen);
}

/// A domain that runs without a definition has none to guard, and would be lost when it goes off.
void guard(PowerOperation& op) {
    keep_definition(op.world, op.seen);
    safety::guard_definition(op.world, op.seen);
}

/// The record says that the VM is paid for: a start veto that was left is removed.
void start_domain(PowerOperation& op) {
    allow_start(op.world, op.seen.name);
    for (const std::string& lost : lost_records(op.world, op.seen)) op.world.progress.warn(lost);
    op.brought = bring_up(op.world, op.seen, op.look, within(op.world.end, op.patience), op.interruption);
    safety::keep_off_no_more(op.world, op.seen.name);
}

/// Done before the guest is off, so that a host that goes down meanwhile leaves it off. A full disk must not
/// keep a VM running.
void note_wish(PowerOperation& op) {
    try {
        safety::keep_off(op.world, op.seen.name);
    } catch (const Error& error) {
        safety::forget_half_kept_off(op.world, op.seen.name);
        op.world.progress.warn(
            fmt::format("{} will be started again after a reboot of the host: {}", op.name(), error.what()));
    }
}

/// Boot must not act on a wish that failed: the mark goes again.
void forget_wish_of_running(PowerOperation& op) {
    try {
        const auto state = op.world.hypervisor().state(op.name());
        if (state && is_alive(*state)) safety::keep_off_no_more(op.world, op.seen.name);
    } catch (const Error& error) {
        op.world.progress.warn(error.what());
    }
}

/// A guest that an error paused hears no request, and would be paused again: the caller decides what becomes
/// of it.
Error cannot_shut_down(PowerOperation& op, const Power& power) {
    const bool io_error = power.reason == reason::io_error;
    return Error(
        Code::wrong_state,
        fmt::format("{}; its guest cannot shut down", power_sentence(op.hypervisor(), op.name(), power)),
        fmt::format("{}'blockhost-libvirt kill {}' forces it off",
                    io_error ? fmt::format("make room in {} and start it, then stop it; or ",
                                           op.world.storage.string())
                             : "",
                    op.name()));
}

/// A paused guest hears of a shutdown only once it runs on, a sleeping one once it is woken.
void let_run(PowerOperation& op, const Power& power) {
    if (is_trouble(power)) throw cannot_shut_down(op, power);
    try {
        op.hypervisor().unpause(op.name());
    } catch (const Error& error) {
        if (is_lost_connection(error)) throw;
        if (op.hypervisor().power(op.name()) != power) return; // it was on its way already
        throw Error(error.code(),
                    fmt::format("{}, and cannot be let run on to shut down: {}",
                                power_sentence(op.hypervisor(), op.name(), power), error.message()),
                    fmt::format("'blockhost-libvirt kill {}' forces it off", op.name()));
    }
}

/// Presses the power button of a running guest; true while that must be tried again.
bool press(PowerOperation& op) {
    const auto power = op.hypervisor().power(op.name());
    if (!power || power->state == PowerState::off || power->state == PowerState::stopping) return false;
    if (power->state == PowerState::crashed) { // nothing is left to shut down
        op.hypervisor().power_off(op.name());
        return false;
    }
    if (power->state == PowerState::paused) {
        if (!is_passing(*power)) let_run(op, *power);
        op.was_let_run = true;
        return true;
    }
    op.hypervisor().shutdown(op.name());
    return false;
}

void signal_shutdown(PowerOperation& op) {
    keep_definition(op.world, op.seen);
    op.hypervisor().watch(op.name());
    for (const Deadline deadline = Deadline::in(within(op.world.end, op.patience)); press(op);) {
        if (deadline.passed())
            throw Error(Code::busy,
                        power_sentence(op.hypervisor(), op.name(), *op.hypervisor().power(op.name())),
                        "try again when libvirt is done with it");
        op.interruption.check();
        op.hypervisor().wait(std::min<std::chrono::milliseconds>(deadline.left(), 200ms));
    }
}

/// A guest that was just let run may miss the button while it wakes.
void press_again(PowerOperation& op) {
    try {
        press(op);
    } catch (const Error& error) {
        if (is_lost_connection(error)) throw; // otherwise the next look tells: it may be off by now
    }
}

void await_off(PowerOperation& op) {
    constexpr auto between_presses = 5s;
    const Deadline deadline = Deadline::in(within(op.world.end, op.patience));
    Deadline next_press = Deadline::in(between_presses);
    while (true) {
        const auto power = op.hypervisor().power(op.name());
        if (!power || power->state == PowerState::off) {
            op.stopped = Stopped::off;
            return;
        }
        if (is_trouble(*power)) throw cannot_shut_down(op, *power);
        if (deadline.passed()) return;
        if (op.was_let_run && next_press.passed()) {
            press_again(op);
            next_press = Deadline::in(between_presses);
        }
        op.interruption.check();
        op.hypervisor().wait(std::min<std::chrono::milliseconds>(deadline.left(), 200ms));
    }
}

void power_off(PowerOperation& op) {
    keep_definition(op.world, op.seen);
    op.hypervisor().power_off(op.name());
    const auto power = op.hypervisor().power(op.name());
    if (power && power->state != PowerState::off)
        throw Error(Code::hypervisor,
                    power_sentence(op.hypervisor(), op.name(), *power) +
                        ", although it was forced off just now",
                    "look at 'virsh dominfo " + op.name() + "' and at who starts it");
}

using PowerStep = Step<PowerOperation>;
constexpr std::array<PowerStep, 3> start_steps{{
    {"set-routes", "setting routes and neighbour entries", set_routes},
    {"make-filters", "checking the network filter", guard},
    {"start-domain", "making sure that it runs", start_domain},
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
    if (plan == "stop") return stop_steps;
    if (plan == "kill") return kill_steps;
    throw Error(Code::internal, fmt::format("there is no plan '{}'", plan));
}

/// What a single wish found and did.
struct WishEnd {
    Outcome outcome;
    Stopped stopped = Stopped::was_off;
    bool kept_off = false; ///< an admin wants it off, so nothing was done
};

/// Whether somebody asked to start this VM, or boot starts all.
enum class Asked { by_name, by_boot };

/// A wish that fails or is interrupted is closed: it is never carried out later.
WishEnd carry_out(World& world, const VmName& name, Verb verb, Journal::Manner manner,
                  std::chrono::seconds patience, Asked asked = Asked::by_name) {
    JournalEntry entry = take_entry(world, name, manner, Interruption());
    const Observation seen = observe(world, name);
    if (asked == Asked::by_boot && seen.state == VmState::stopped && safety::is_kept_off(world, name))
        return {Outcome::nothing_to_do, Stopped::was_off, true};
    const Verdict& verdict = decide(seen, verb);
    if (asked == Asked::by_boot && seen.state == VmState::active) {
        safety::keep_off_no_more(world, name);
        safety::place_routes(world, seen);
        safety::guard_running(world, seen);
        return {Outcome::nothing_to_do};
    }
    if (verdict.kind == Verdict::Kind::nothing) {
        if (verb != Verb::start && seen.state == VmState::stopped) safety::keep_off(world, name);
        return {Outcome::nothing_to_do};
    }
    const Interruption interruption([&entry] { return entry.asked_to_give_up(); });
    PowerOperation op{world, seen, interruption, patience,
                      asked == Asked::by_boot ? Look::once : Look::twice};
    entry.begin(world.next_operation(), std::string(to_string(verb)), {});
    try {
        run_forward<PowerOperation>(plan_of(verdict.plan), op, entry, interruption, world);
    } catch (const Error&) {
        if (verb != Verb::start) forget_wish_of_running(op);
        entry.end();
        throw;
    }
    if (verb == Verb::stop && op.stopped == Stopped::still_running) forget_wish_of_running(op);
    entry.end();
    return {verb == Verb::start && op.brought == Brought::ran_already ? Outcome::nothing_to_do
                                                                      : Outcome::done,
            op.stopped};
}

/// A start whose process died may still be carried out; the next operation must not take silence for its end.
void await_late_start(World& world, const EntryView& left) {
    if (left.in_flight() != "start-domain") return;
    const Deadline over = late_end(world, left);
    while (!over.passed()) {
        const auto state = world.hypervisor().state(left.name.str());
        if (!state || is_alive(*state)) return;
        pause_for(100ms);
    }
}

void abandon(World& world, JournalEntry& entry, const EntryView& left) {
    await_late_start(world, left);
    safety::forget_half_kept_off(world, left.name);
    entry.end();
}

} // namespace

constinit const OperationRow start_operation{Verb::start, Direction::abandon, names_of<start_steps>, abandon};
constinit const OperationRow stop_operation{Verb::stop, Direction::abandon, names_of<stop_steps>, abandon};
constinit const OperationRow kill_operation{Verb::kill, Direction::abandon, names_of<kill_steps>, abandon};

Outcome start(World& world, const VmName& name) {
    return carry_out(world, name, Verb::start, Journal::Manner::wait, patience_with_the_guest).outcome;
}

std::optional<Outcome> start_unless_kept_off(World& world, const VmName& name) {
    const WishEnd end =
        carry_out(world, name, Verb::start, Journal::Manner::wait, patience_with_the_guest, Asked::by_boot);
    return end.kept_off ? std::nullopt : std::optional(end.outcome);
}

Stopped stop(World& world, const VmName& name, std::chrono::seconds patience) {
    return carry_out(world, name, Verb::stop, Journal::Manner::wait, patience).stopped;
}

Outcome kill(World& world, const VmName& name) {
    return carry_out(world, name, Verb::kill, Journal::Manner::ask_to_give_up, 0s).outcome;
}

} // namespace blockhost::operations
