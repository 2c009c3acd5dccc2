#pragma once
/// Working on many VMs at once: a few threads, each with a world of its own.

#include "lifecycle/world.hpp"

#include <functional>
#include <string>
#include <vector>

namespace blockhost {

/// Calls `work(world, index)` once for each of `names`, on up to `jobs` threads. With one job, or one name,
/// all happens on this thread, in `world`; each other thread opens a world like it, whose talk comes out with
/// the VM's name before it. `work` must not throw. `ended(index)` follows each, in one thread at a time and
/// never within a line of talk; what it throws first is thrown here when all is done: telling must not keep
/// from doing. SIGINT and SIGTERM keep what was not begun from beginning.
void for_each_vm(World& world, const std::vector<std::string>& names, unsigned jobs,
                 const std::function<void(World&, std::size_t)>& work,
                 const std::function<void(std::size_t)>& ended);

} // namespace blockhost
