// SPDX-License-Identifier: MIT
/// See first_use.hpp.

#include "vm/first_use.hpp"

#include "base/text/text.hpp"
#include "config/config.hpp"
#include "hypervisor/xml/claim.hpp"

#include <fmt/format.h>

namespace blockhost {

void require_first_use(Observer& observer, const Paths& paths) {
    for (const DomainUse& use : observer.uses()) {
        const Claim claim = claim_of(use);
        const DomainMark* mark = claim.made();
        if (mark == nullptr || !paths.state.is(mark->state_folder)) continue;
        if (existing_instance_id(paths))
            return; // another process was first, and has defined its domain already
        throw Error(
            Code::config,
            fmt::format(
                "{} was made with the state folder {}, which has no instance-id now; nothing was touched",
                text::printable(use.name), paths.state.string()),
            "mount its file system, or restore the file instance-id: VMs are recognised by it");
    }
}

} // namespace blockhost
