// SPDX-License-Identifier: MIT
#pragma once
/// Domains in a simulated world that no spec of ours says.

#include "hypervisor/simulated/store.hpp"

/// Defines one as somebody does who writes XML.
inline void define_as_others(const std::filesystem::path& world, const std::string& xml) {
    const blockhost::simulated::Store store(world);
    const auto entered = store.enter();
    store.define(xml);
}
