#pragma once
/// Where secrets are used: on a stack that leaves nothing behind.

#include <functional>

namespace blockhost::chain {

/// How much stack `work` of in_vault has, in bytes. Below the 64 KiB that older kernels let anybody lock.
constexpr std::size_t vault_size = 48 << 10;

/// Runs `work` to its end on a thread of its own, whose stack is locked in memory (mlock(2)), left out of
/// core dumps and of child processes (madvise(2)), lies between guard pages, and is wiped afterwards: what
/// `work`, and every function below it, leaves in its frames goes with it. No core is dumped meanwhile
/// (PR_SET_DUMPABLE). What `work` throws comes out; nothing secret may be in that, nor on the heap.
/// Throws Error{denied} when the memory cannot be locked.
void in_vault(const std::function<void()>& work);

} // namespace blockhost::chain
