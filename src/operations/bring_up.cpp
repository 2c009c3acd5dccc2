// SPDX-License-Identifier: MIT
/// See bring_up.hpp.

#include "operations/bring_up.hpp"

#include "safety/adopt.hpp"
#include "safety/isolation.hpp"
#include "safety/start.hpp"
#include "vm/guest_line.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;

constexpr auto step = 200ms;
/// How long libvirt may take to tell of disk trouble, for a message.
constexpr auto disk_look = 2s;

/// The error for a domain that is off or paused: why, and where to look.
Error does_not_run(World& world, const std::string& name, const Power& power, std::string_view after) {
    const bool io_error = power.reason == reason::io_error;
    return Error(Code::wrong_state,
                 fmt::format("{}, {}", power_sentence(world.hypervisor(), name, power), after),
                 io_error ? fmt::format("make room in {}, then start it again", world.storage.string())
                          : fmt::format("look at {} and /var/log/libvirt/qemu/{}.log",
                                        world.paths.consoles.string(name + ".log"), name));
}

/// The power of a domain that must exist.
Power must_look(World& world, const std::string& name) {
    if (auto power = world.hypervisor().power(name)) return *std::move(power);
    throw Error(Code::not_found, fmt::format("libvirt has no domain {} any more", name),
                "'blockhost-libvirt recover --all' and 'status' tell what is left of it");
}

/// Waits for an event of the domain, but only briefly.
void wait_a_little(World& world, const Deadline& deadline, const Interruption& interruption) {
    interruption.check();
    world.hypervisor().wait(std::min<std::chrono::milliseconds>(deadline.left(), step));
}

/// Waits while the domain is on its way to another state; returns that state.
Power await_settled(World& world, const std::string& name, const Deadline& deadline,
                    const Interruption& interruption) {
    for (;;) {
        Power power = must_look(world, name);
        if (!is_passing(power)) return power;
        if (deadline.passed())
            throw Error(
                Code::busy, power_sentence(world.hypervisor(), name, power) + ", and stays so",
                fmt::format("try again when it is off; 'blockhost-libvirt kill {}' forces it off", name));
        wait_a_little(world, deadline, interruption);
    }
}

/// Does what the state needs, and guards the domain; true when anything had to be done.
bool push(World& world, const Observation& seen, const Power& power) {
    Hypervisor& hypervisor = world.hypervisor();
    const std::string& name = seen.name.str();
    switch (power.state) {
    case PowerState::running:
    case PowerState::unknown:
        safety::guard_running(world, seen);
        return false;
    case PowerState::paused:
        safety::guard_running(world, seen);
        hypervisor.unpause(name);
        return true;
    case PowerState::crashed:
        hypervisor.power_off(name);
        break;
    default:
        break;
    }
    safety::open_way_to_disks(world, seen.facts);
    safety::start_domain(world, seen.name);
    safety::guard_running(world, seen);
    return true;
}

/// A guest that was woken or let run shows its old state for a moment.
Power await_change(World& world, const std::string& name, const Power& before,
                   const Interruption& interruption) {
    Power power = must_look(world, name);
    for (const auto end = Deadline::in(world.settle_window); power == before && !end.passed();) {
        wait_a_little(world, end, interruption);
        power = must_look(world, name);
    }
    return power;
}

/// Watches for as long as a guest that was let run takes to fail again; returns the last look.
Power watch_over(World& world, const std::string& name, Look look, const Interruption& interruption) {
    Power power = must_look(world, name);
    const Deadline deadline = Deadline::in(look == Look::twice ? world.settle_window : 0ms);
    while (power.state == PowerState::running && !deadline.passed()) {
        wait_a_little(world, deadline, interruption);
        power = must_look(world, name);
    }
    return power;
}

/// Whether the guest's agent answers; in a shutdown it ends early.
bool agent_answers(World& world, const VmName& name) {
    try {
        AgentLine(world.hypervisor(), name, Deadline::in(3s)).greet();
        return true;
    } catch (const Error& error) {
        if (is_lost_connection(error)) {
            world.reconnect(5s);
            world.hypervisor().watch(name.str());
        }
        return false;
    }
}

/// libvirt calls a guest running until it has shut down. A running guest that answers now and in a moment
/// stays. One that falls silent is shutting down, and is waited for. One that was silent all the time may run
/// without an agent.
Power judge_running(World& world, const VmName& vm, const Deadline& deadline,
                    const Interruption& interruption) {
    const std::string& name = vm.str();
    const bool answered = agent_answers(world, vm);
    Power power = watch_over(world, name, Look::twice, interruption);
    if (power.state != PowerState::running || agent_answers(world, vm)) return power;
    const Deadline end = answered ? deadline : Deadline::in(world.settle_window * 12).sooner(deadline);
    while (power.state == PowerState::running && !end.passed()) {
        wait_a_little(world, end, interruption);
        power = must_look(world, name);
    }
    if (power.state != PowerState::running || agent_answers(world, vm)) return power;
    if (answered)
        throw Error(
            Code::busy,
            fmt::format("{} is going down: its guest agent answered a moment ago and has ended", name),
            fmt::format("start it when it is off; 'blockhost-libvirt kill {}' forces it off", name));
    world.progress.warn(
        fmt::format("{} runs, but its guest agent does not answer: if its guest is going down, start it "
                    "again when it is off",
                    name));
    return power;
}

} // namespace

std::string reason_of(Observer& hypervisor, const std::string& name, const Power& power,
                      std::chrono::milliseconds limit) {
    if (power.reason != reason::io_error) return power.reason;
    try {
        const std::string trouble = hypervisor.disk_trouble(name, limit);
        return trouble.empty() ? power.reason : fmt::format("{} ({})", power.reason, trouble);
    } catch (const Error&) {
        return power.reason; // the reason stands without it
    }
}

std::string power_sentence(Observer& hypervisor, const std::string& name, const Power& power) {
    const std::string why = reason_of(hypervisor, name, power, disk_look);
    return fmt::format("{} is {}{}", name, to_string(power.state), why.empty() ? "" : ": " + why);
}

Brought bring_up(World& world, const Observation& seen, Look look, std::chrono::milliseconds patience,
                 const Interruption& interruption) {
    const std::string& name = seen.name.str();
    const Deadline deadline = Deadline::in(patience);
    world.hypervisor().watch(name);
    Power power = await_settled(world, name, deadline, interruption);
    if (power.state == PowerState::running && look == Look::twice)
        power = judge_running(world, seen.name, deadline, interruption);
    if (is_passing(power)) power = await_settled(world, name, deadline, interruption);
    if (!push(world, seen, power)) return Brought::ran_already;
    await_change(world, name, power, interruption);
    power = watch_over(world, name, look, interruption);
    if (is_passing(power)) power = await_settled(world, name, deadline, interruption);
    if (power.state == PowerState::running) return Brought::up;
    throw does_not_run(world, name, power, "although it was started just now");
}

void keep_definition(World& world, const Observation& seen) {
    if (!seen.domain || seen.domain->persistent || seen.proof == Proof::none) return;
    const std::string& name = seen.name.str();
    try {
        safety::adopt_domain(world, seen, OperationId::make(world.instance));
        world.hypervisor().redefine(name);
    } catch (const Error& error) {
        if (is_lost_connection(error) || error.code() == Code::not_found) throw;
        throw Error(
            error.code(),
            fmt::format("{} runs without a definition and would be lost when it goes off, and it cannot be "
                        "defined again: {}",
                        name, error.message()),
            fmt::format("it was left running; 'blockhost-libvirt destroy {}' removes it for good", name));
    }
    world.progress.warn(fmt::format("{} ran without a definition (virsh undefine?); it has one again", name));
}

} // namespace blockhost::operations
