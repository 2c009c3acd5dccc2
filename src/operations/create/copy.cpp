// SPDX-License-Identifier: MIT
#include "operations/create/copy.hpp"

#include "guest/identity.hpp"
#include "operations/wait_for_guest.hpp"
#include "safety/isolation.hpp"

#include <fmt/format.h>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view set_name =
    "echo \"$1\" >/etc/hostname; hostnamectl set-hostname \"$1\" 2>/dev/null || hostname \"$1\"";

guest::AgentCall agent_of(World& world, const VmName& name, const Interruption& interruption) {
    return [&](const std::string& command) {
        constexpr int seconds = 10;
        interruption.check();
        return world.hypervisor().agent(name.str(), command, seconds);
    };
}

} // namespace

void renew_copy(World& world, const VmName& name, const Mac& mac, std::chrono::seconds limit,
                const Interruption& interruption) {
    await_agent(world, name, world.paths.consoles, limit, interruption);
    world.progress.stage("giving the guest an identity of its own");
    guest::renew_identity(agent_of(world, name, interruption), 2min);
    safety::plug_in(world, name, mac);
}

void rename_copy(World& world, const VmName& name, const Interruption& interruption) {
    const auto end = guest::exec(agent_of(world, name, interruption),
                                 {"/bin/sh", {"-c", std::string(set_name), "sh", name.str()}}, 30s);
    if (end.status() != 0)
        world.progress.warn(fmt::format("the guest of {} keeps its old host name", name.str()));
}

} // namespace blockhost::operations
