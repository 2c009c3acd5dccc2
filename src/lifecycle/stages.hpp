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
    std::chrono::microseconds asking{}; ///< of that, in calls to the hypervisor by this thread
};

/// The stages of one thread's work, one after another.
class Stages {
  public:
    /// The first stage begins when this program was loaded.
    explicit Stages(std::string_view first);
    /// Ends the stage under way, if there is one.
    void begin(std::string_view name);
    void end();
    /// Those that have ended. One that was begun in several pieces is there as often.
    const std::vector<StageTime>& ended() const { return ended_; }

  private:
    std::vector<StageTime> ended_;
    std::string name_; ///< empty: none is under way
    std::chrono::steady_clock::time_point began_;
    std::chrono::nanoseconds asked_;
};

} // namespace blockhost
