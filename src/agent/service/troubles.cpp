// SPDX-License-Identifier: MIT
#include "agent/service/troubles.hpp"

#include <utility>

namespace blockhost::agent {

void Troubles::begin(const std::string& what, const std::string& why, Instant now) {
    const std::lock_guard lock(mutex_);
    const auto [found, is_new] = all_.try_emplace(what, Trouble{what, why, now});
    if (!is_new && found->second.why == why) return;
    found->second.why = why;
    changes_.push_back({found->second, false});
}

void Troubles::end(const std::string& what) {
    const std::lock_guard lock(mutex_);
    const auto found = all_.find(what);
    if (found == all_.end()) return;
    changes_.push_back({found->second, true});
    all_.erase(found);
}

std::vector<Trouble> Troubles::now() const {
    const std::lock_guard lock(mutex_);
    std::vector<Trouble> all;
    for (const auto& [what, trouble] : all_) all.push_back(trouble);
    return all;
}

bool Troubles::has(const std::string& what) const {
    const std::lock_guard lock(mutex_);
    return all_.contains(what);
}

std::vector<Troubles::Change> Troubles::take_changes() {
    const std::lock_guard lock(mutex_);
    return std::exchange(changes_, {});
}

} // namespace blockhost::agent
