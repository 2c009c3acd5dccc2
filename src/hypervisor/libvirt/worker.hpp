// SPDX-License-Identifier: MIT
#pragma once
/// The thread on which all calls of one connection are made, so that each has an end for the one who asks
/// even when libvirt has none.

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>

namespace blockhost::libvirt {

/// Runs functions one after another on a thread of its own. A function that outlives its deadline is given
/// up: it goes on alone with what it captured (so it captures by value), the worker takes no more work, and
/// its thread keeps nobody from exiting.
class Worker {
  public:
    Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    /// Ends the thread after the work it has. Never waits for it.
    ~Worker();

    /// A call of ours was given up earlier.
    bool stuck() const { return stuck_; }

    /// The function's result, or its exception; nothing when it was given up. After `span`, and each second
    /// from then on, `more` is asked whether to go on waiting.
    template<class Result>
    std::optional<Result> run(std::chrono::milliseconds span, std::function<Result()> function,
                              const std::function<bool()>& more = {}) {
        struct Outcome {
            std::optional<Result> result;
            std::exception_ptr error;
        };
        auto outcome = std::make_shared<Outcome>();
        bool done = finish(
            span,
            [outcome, function = std::move(function)] {
                try {
                    outcome->result = function();
                } catch (...) {
                    outcome->error = std::current_exception();
                }
            },
            more);
        if (!done) return std::nullopt;
        if (outcome->error) std::rethrow_exception(outcome->error);
        return std::move(outcome->result);
    }

  private:
    struct Shared {
        std::mutex mutex;
        std::condition_variable changed;
        std::queue<std::function<void()>> work;
        std::size_t asked = 0, done = 0;
        bool quit = false;
    };
    static void serve(const std::shared_ptr<Shared>& shared);
    bool finish(std::chrono::milliseconds span, std::function<void()> function,
                const std::function<bool()>& more);

    std::shared_ptr<Shared> shared_;
    bool stuck_ = false;
};

/// Starts a detached thread that takes no signals: they are for the program's own threads.
void start_thread(std::function<void()> body);

} // namespace blockhost::libvirt
