// SPDX-License-Identifier: MIT
#pragma once
/// Where an operation's time goes, stage by stage.

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost {

struct StageTime {
    std::string name;
    std::chrono::microseconds took{};
    std::chrono::microseconds asking{}; ///< the part in calls to the hypervisor by this thread
};

/// The stages of one thread's work, one after another.
class Stages {
  public:
    /// The first stage began when this program was loaded.
    explicit Stages(std::string_view first);
    /// Ends the stage under way, if there is one.
    void begin(std::string_view name);
    void end();
    /// The stages that have ended. A stage that was begun several times is there as often.
    const std::vector<StageTime>& ended() const { return ended_; }

  private:
    std::vector<StageTime> ended_;
    std::string name_; ///< empty: none is under way
    std::chrono::steady_clock::time_point began_;
    std::chrono::nanoseconds asked_;
};

} // namespace blockhost
