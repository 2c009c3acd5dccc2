#pragma once
/// Working on many VMs at once: a few threads, each with a world of its own.

#include "lifecycle/world.hpp"

#include <functional>
#include <mutex>

namespace blockhost {

/// Talk that several threads may use: each line is passed on whole.
class SharedTalk : public Talk {
  public:
    explicit SharedTalk(Talk& talk) : talk_(talk) {}
    void stage(std::string_view text) override;
    void detail(std::string_view) override {} ///< live details of several VMs would overwrite each other
    void warn(std::string_view text) override;

  private:
    std::mutex mutex_;
    Talk& talk_;
};

/// Calls `work(world, index)` once for each index below `count`, on up to `jobs` threads. With one job, or
/// one index, all happens on this thread, in `world`; each other thread opens a world like it. `work` must
/// not throw. SIGINT and SIGTERM keep what was not begun from beginning.
void for_each_index(World& world, std::size_t count, unsigned jobs,
                    const std::function<void(World&, std::size_t)>& work);

} // namespace blockhost
