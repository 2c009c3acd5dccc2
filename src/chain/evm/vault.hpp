// SPDX-License-Identifier: MIT
#pragma once
/// Uses secrets on a stack that leaves nothing behind.

#include <functional>

namespace blockhost::chain {

/// How much stack `work` of in_vault has, in bytes: less than the 64 KiB that older kernels let anybody lock.
constexpr std::size_t vault_size = 48 << 10;

/// Runs `work` to its end on a thread of its own. The thread's stack is locked in memory (mlock(2)), left out
/// of core dumps and child processes (madvise(2)), lies between guard pages, and is wiped afterwards with all
/// that `work` and the functions below it leave in their frames. No core is dumped meanwhile
/// (PR_SET_DUMPABLE). What `work` throws comes out; neither that nor the heap may hold anything secret.
/// Throws Error{denied} when the memory cannot be locked.
void in_vault(const std::function<void()>& work);

} // namespace blockhost::chain
