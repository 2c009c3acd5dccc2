#pragma once
#include "lifecycle/world.hpp"
namespace blockhost {
void forbid_start(World& world, const VmName& name, const std::string& uuid, Instant since);
void allow_start(World& world, const VmName& name);
bool start_forbidden(const World& world, const VmName& name);
} // namespace blockhost
