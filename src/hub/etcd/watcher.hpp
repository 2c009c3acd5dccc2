// SPDX-License-Identifier: MIT
#pragma once
/// Hears of changes below a key, in a thread of its own.

#include "hub/etcd/gateway.hpp"

#include <atomic>
#include <optional>
#include <thread>

namespace blockhost::hub::etcd {

class Watcher {
  public:
    /// From `revision` on. What goes wrong is no trouble of anybody: who polls notices it.
    Watcher(Access access, std::string prefix, std::int64_t revision);
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    /// Whether something may have changed since forget_news(). Any thread.
    bool has_news() const { return is_news_; }
    void forget_news() { is_news_ = false; }

  private:
    void run();
    void listen(Gateway& gateway);
    bool take(const boost::json::object& told);

    Access access_;
    const std::string prefix_;
    std::int64_t revision_;
    bool was_heard_ = false; ///< the watch that runs brought something
    std::atomic<bool> is_news_ = false, is_ending_ = false;
    std::thread thread_;
};

} // namespace blockhost::hub::etcd
