// SPDX-License-Identifier: MIT
#pragma once
/// After a start of the host: starts the VMs that should run, and tells the kernel their addresses again.

#include "vm/context.hpp"

#include <functional>
#include <string>
#include <vector>

namespace blockhost::expiry {

/// What boot did with one VM.
struct BootItem {
    VmName name;
    enum class End {
        started,
        running,  ///< it ran already; its guards were mended
        kept_off, ///< an admin stopped or killed it
        failed,
    } end;
    std::string detail; ///< why it failed
};
std::string_view to_string(BootItem::End end);

enum class BootManner {
    once,  ///< leaves alone the VMs that boot handled since the host started
    again, ///< handles all VMs
};

/// Finishes what was interrupted when the host went down. Then starts each VM whose record is active and
/// whose domain is off, unless an admin stopped it, and sets the routes of VMs that run. Several VMs are
/// handled at a time; `told` is called for each as it ends, by one thread at a time. Waits up to `patience`
/// for libvirt. The handled VMs are remembered with the kernel's boot id in `<state>/boot.json`. Throws when
/// the registry or libvirt cannot be read.
std::vector<BootItem> boot(World& world, BootManner manner, unsigned jobs, std::chrono::seconds patience,
                           const std::function<void(const BootItem&)>& told);

} // namespace blockhost::expiry
