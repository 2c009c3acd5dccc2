// SPDX-License-Identifier: MIT
#pragma once
/// Permits without a gate, for tests alone.

#include "platform/permit.hpp"

namespace blockhost::platform {

struct PermitForTests {
    static Permit make(Target target, ActionKind kind) { return Permit(std::move(target), kind); }
};

} // namespace blockhost::platform
