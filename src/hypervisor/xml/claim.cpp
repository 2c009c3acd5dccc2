// SPDX-License-Identifier: MIT
/// See claim.hpp.

#include "hypervisor/xml/claim.hpp"

#include "base/text/text.hpp"
#include "hypervisor/views.hpp"

namespace blockhost {

Claim::Claim(std::string name, std::string uuid, std::optional<DomainMark> mark)
    : name_(std::move(name)), uuid_(std::move(uuid)), mark_(std::move(mark)) {}

bool Claim::has_its_name() const {
    return mark_ && mark_->name == name_;
}

bool Claim::has_its_uuid() const {
    return mark_ && !mark_->uuid.empty() && text::lower(mark_->uuid) == text::lower(uuid_);
}

Standing Claim::standing(const InstanceId& instance) const {
    if (!mark_) return Standing::unmarked;
    if (mark_->instance != instance.str()) return Standing::another_instance;
    if (genuine() != nullptr) return Standing::ours;
    if (made() != nullptr) return Standing::renamed;
    return has_its_name() ? Standing::remade : Standing::copy;
}

const DomainMark* Claim::ours(const InstanceId& instance) const {
    return standing(instance) == Standing::ours ? &*mark_ : nullptr;
}

const DomainMark* Claim::genuine() const {
    return has_its_name() && (has_its_uuid() || mark_->uuid.empty()) ? &*mark_ : nullptr;
}

const DomainMark* Claim::made() const {
    return has_its_uuid() ? &*mark_ : genuine();
}

std::string Claim::words(const InstanceId& instance) const {
    const auto named = [&] {
        return mark_->name.empty() ? "a VM without a name" : text::printable(mark_->name, 80);
    };
    switch (standing(instance)) {
    case Standing::ours:
        return "a VM of this BlockHost";
    case Standing::renamed:
        return "what was " + named() + " until it was renamed in libvirt";
    case Standing::remade:
        return "a domain that was defined anew with another uuid than create gave it (" +
               text::printable(mark_->uuid, 80) + ")";
    case Standing::copy:
        return "a copy of " + named();
    default:
        return "a domain that this BlockHost did not make";
    }
}

Claim claim_of(const DomainUse& use) {
    return {use.name, use.uuid, read_mark(use.metadata)};
}

} // namespace blockhost
