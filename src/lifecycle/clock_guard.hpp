#pragma once
/// A wrong clock destroys paid VMs: what keeps gc from believing one.

#include "lifecycle/world.hpp"

#include <optional>
#include <string>

namespace blockhost {

/// Why this host's clock cannot tell now who has paid; nothing when nothing speaks against it. What is looked
/// at: the kernel's own word, the newest time that the database, our journal or an earlier gc wrote (now must
/// not lie before it), and how long ago gc ran last (35 days at most).
std::optional<std::string> clock_doubt(const World& world);

/// Remembers that gc ran at `when`, in `<state>/gc.json`. Throws Error{io}.
void remember_gc_run(const World& world, Instant when);

} // namespace blockhost
