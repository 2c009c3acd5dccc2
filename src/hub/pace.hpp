// SPDX-License-Identifier: MIT
#pragma once
/// When a host asks its hub again. Hosts that failed together do not come back together.

#include "hub/answer.hpp"

#include <functional>

namespace blockhost::hub {

class Pace {
  public:
    using Span = std::chrono::milliseconds;
    /// `random` gives numbers from 0 to below 1.
    Pace(std::chrono::seconds poll, std::function<double()> random);

    /// Until the first exchange: up to a tenth of the poll.
    Span first();
    /// Until the next one, after one that succeeded: the poll, a tenth more or less, within its bounds.
    /// `poll`: what the answer said.
    Span after_success(const std::optional<std::chrono::seconds>& poll);
    /// After one that failed: ten seconds, doubled with each further one up to an hour, of which a random
    /// half to the whole; never before `asked` is over, which counts up to six hours.
    Span after_failure(std::chrono::seconds asked = {});

  private:
    std::chrono::seconds poll_;
    std::function<double()> random_;
    int failures_ = 0;
};

} // namespace blockhost::hub
