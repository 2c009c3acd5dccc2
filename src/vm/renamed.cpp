// SPDX-License-Identifier: MIT
/// See renamed.hpp.

#include "vm/renamed.hpp"

#include "base/text/text.hpp"
#include "hypervisor/xml/claim.hpp"

#include <fmt/format.h>

namespace blockhost {

RenamedDomains renamed_domains(Observer& observer, const InstanceId& instance) {
    RenamedDomains found;
    for (const DomainUse& use : observer.uses()) {
        const Claim claim = claim_of(use);
        if (claim.standing(instance) == Standing::renamed) found[claim.unproven()->name] = use.name;
    }
    return found;
}

RenamedDomains renamed_domains_if_known(Observer& observer, const Paths& paths) noexcept {
    try {
        const auto instance = existing_instance_id(paths);
        return instance ? renamed_domains(observer, *instance) : RenamedDomains{};
    } catch (const std::exception&) {
        return {};
    }
}

Error renamed(const std::string& name, const std::string& now) {
    const std::string shown = text::printable(now, 80);
    return Error(
        Code::foreign,
        fmt::format("the domain of {} was renamed to {} in libvirt; neither name is touched", name, shown),
        fmt::format("'virsh domrename {} {}' gives it its name back", shown, name));
}

} // namespace blockhost
