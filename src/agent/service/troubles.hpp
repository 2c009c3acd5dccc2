// SPDX-License-Identifier: MIT
#pragma once
/// What keeps the agent from its work, since when: told as it begins and ends, and in each report between.

#include "base/time.hpp"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace blockhost::agent {

struct Trouble {
    std::string what; ///< a word: "hub", "platform", "database"
    std::string why;  ///< one sentence
    Instant since;
};

/// Any thread may call it.
class Troubles {
  public:
    /// It is there. One that is there already keeps its beginning; its reason is the newest.
    void begin(const std::string& what, const std::string& why, Instant now);
    /// It is over, if it was there.
    void end(const std::string& what);

    std::vector<Trouble> now() const; ///< by their words
    bool has(const std::string& what) const;

    struct Change {
        Trouble trouble;
        bool is_over = false;
    };
    /// What began, has another reason, or ended since this was asked last; in its order.
    std::vector<Change> take_changes();

  private:
    mutable std::mutex mutex_;
    std::map<std::string, Trouble> all_;
    std::vector<Change> changes_;
};

} // namespace blockhost::agent
