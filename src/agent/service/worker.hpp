// SPDX-License-Identifier: MIT
#pragma once
/// The thread that carries out what the journal has, beside the one that speaks to the hub.

#include "agent/engine.hpp"
#include "agent/service/troubles.hpp"

#include <atomic>
#include <condition_variable>
#include <thread>

namespace blockhost::agent {

class Worker {
  public:
    /// `engine` makes one, in the worker's thread; `is_asked_to_end` is called there, too. `troubles`
    /// outlives it.
    Worker(std::function<Engine()> engine, std::function<bool()> is_asked_to_end, Troubles& troubles);
    /// Stops, and waits for what runs for as long as the runner's grace.
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// There may be something to do. It looks by itself now and then, too.
    void kick();
    /// What is being carried out goes on with another engine, which knows what is in the database by now.
    void renew();
    /// While it is blocked, and before it was told that it is not, it begins nothing more; what runs goes on
    /// without it, and is found again.
    void set_blocked(bool blocked) { blocked_ = blocked; }
    /// Whether an operation ended or began to wait since this was asked last.
    bool take_news() { return news_.exchange(false); }
    /// Whether its thread has shown life within that time.
    bool is_alive(std::chrono::steady_clock::duration within) const;

  private:
    void go_on();
    void work();
    bool is_over() const { return stopped_ || is_asked_to_end_(); }
    void show_life();

    std::function<Engine()> engine_;
    std::function<bool()> is_asked_to_end_;
    Troubles& troubles_;
    std::atomic<bool> stopped_ = false, blocked_ = true, kicked_ = true, renewed_ = false, news_ = false;
    std::atomic<std::chrono::steady_clock::rep> last_life_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::thread thread_;
};

} // namespace blockhost::agent
