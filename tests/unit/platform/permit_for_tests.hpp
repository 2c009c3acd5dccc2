// SPDX-License-Identifier: MIT
#pragma once
/// Permits without a gate, for tests alone.

#include "platform/permit.hpp"

namespace blockhost::platform {

struct PermitForTests {
    static Permit make(Target target, Action action) { return Permit(std::move(target), std::move(action)); }
};

} // namespace blockhost::platform
