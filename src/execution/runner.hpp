// SPDX-License-Identifier: MIT
#pragma once
/// Carries out what the journal has, on several threads: takes up what arrives there, from this process or
/// another one, and first what a dead process left.

#include "base/files/lock.hpp"
#include "execution/executor.hpp"
#include "execution/lanes.hpp"

#include <memory>

namespace blockhost::execution {

/// The right to carry out this host's operations: one process has it at a time.
class Ownership {
  public:
    /// Throws Error{busy}, naming the process, when another one has it until `patience` is over.
    static Ownership take(const Folder& folder, std::chrono::milliseconds patience = {});

  private:
    explicit Ownership(FileLock lock) : lock_(std::move(lock)) {}
    FileLock lock_;
};

struct RunnerSettings {
    Bounds bounds;
    Patience patience;
    /// How soon what another process wrote is seen.
    std::chrono::milliseconds look_every{200};
    /// How long actions may still run when this process is to stop; then they are left, to be found again.
    std::chrono::milliseconds grace{30'000};
};

class Runner {
  public:
    /// Opens a platform for one thread. Its waits must not end by a signal: a change that was sent is looked
    /// at to its end.
    using OpenPlatform = std::function<std::unique_ptr<platform::Platform>()>;
    /// Called in run's thread for each change in the journal, also one by another process.
    using Told = std::function<void(const Operation&)>;
    /// Puts an end on record elsewhere. Called in run's thread for each end at least once, also for those
    /// that a dead process left. What it throws ends the work as a journal's failure does.
    using Record = std::function<void(const Operation&)>;

    /// `ownership` and `journal` outlive it.
    Runner(const Ownership& ownership, Journal& journal, OpenPlatform open_platform, Door door,
           RunnerSettings settings, Told told = {}, Record record = {});

    enum class Until {
        stopped, ///< `stop` says so
        idle     ///< or nothing is left to do; what waits for a signature may be left
    };
    /// Works until then. Once `stop` says so nothing more is begun, and what runs may end within the grace.
    /// Throws what the journal threw when it cannot be read or written: nothing more is begun then, either.
    /// May be called once.
    void run(Until until, const std::function<bool()>& stop);

  private:
    struct Work;

    Journal& journal_;
    OpenPlatform open_platform_;
    RunnerSettings settings_;
    Told told_;
    Record record_;
    Executor executor_;
};

} // namespace blockhost::execution
