#pragma once
/// After the host has started: VMs that should run do, and the kernel knows their addresses again.

#include "lifecycle/world.hpp"

#include <functional>
#include <string>
#include <vector>

namespace blockhost {

/// One VM, and what boot made of it.
struct BootItem {
    VmName name;
    enum class End {
        started,
        running,  ///< it ran already; its routes were set
        kept_off, ///< an admin stopped or killed it
        failed,
    } end;
    std::string detail; ///< why it failed
};
std::string_view to_string(BootItem::End end);

enum class BootManner {
    once,  ///< a VM that was seen to in this run of the host is left alone
    again, ///< all of them
};

/// Finishes what was interrupted when the host went down. Then starts each VM whose record is active and
/// whose domain is off, unless an admin stopped it, and sets the routes of those that run; several at a time;
/// `told` is called for each as it ends, by one thread at a time. Waits up to `patience` for libvirt. What
/// was seen to is remembered with the kernel's boot id in `<state>/boot.json`. Throws when registry or
/// libvirt cannot be read.
std::vector<BootItem> boot(World& world, BootManner manner, unsigned jobs, std::chrono::seconds patience,
                           const std::function<void(const BootItem&)>& told);

} // namespace blockhost
