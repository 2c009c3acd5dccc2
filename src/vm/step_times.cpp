// SPDX-License-Identifier: MIT
/// See step_times.hpp.

#include "vm/step_times.hpp"

#include "hypervisor/hypervisor.hpp"

namespace blockhost {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::duration_cast;
using std::chrono::microseconds;

const clock::time_point loaded = clock::now();

} // namespace

Stages::Stages(std::string_view first) : name_(first), began_(loaded), asked_(0) {}

void Stages::begin(std::string_view name) {
    end();
    name_ = name;
    began_ = clock::now();
    asked_ = time_asking();
}

void Stages::end() {
    if (name_.empty()) return;
    ended_.push_back({std::move(name_), duration_cast<microseconds>(clock::now() - began_),
                      duration_cast<microseconds>(time_asking() - asked_)});
    name_.clear();
}

} // namespace blockhost
