// SPDX-License-Identifier: MIT
#pragma once
/// Works on many VMs at once: a few threads, each with a World of its own.

#include "vm/context.hpp"

#include <functional>
#include <string>
#include <vector>

namespace blockhost::expiry {

/// Calls `work(world, index)` once for each of `names`, on up to `jobs` threads. With one job or one name,
/// everything happens on this thread, in `world`. Otherwise each thread opens a World like it, whose progress
/// puts the VM's name before each line. `work` must not throw. `ended(index)` follows each `work`, in one
/// thread at a time and never within a line of talk. Its first exception is thrown from here after all work
/// is done: a failure to tell must not stop the work. After SIGINT or SIGTERM no further VM is begun.
void for_each_vm(World& world, const std::vector<std::string>& names, unsigned jobs,
                 const std::function<void(World&, std::size_t)>& work,
                 const std::function<void(std::size_t)>& ended);

} // namespace blockhost::expiry
