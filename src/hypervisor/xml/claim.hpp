// SPDX-License-Identifier: MIT
#pragma once
/// Whose a domain is, by its metadata. The metadata alone proves nothing: a copy of a domain carries it too.
/// Its name and its uuid must be those that the metadata says.

#include "hypervisor/xml/metadata.hpp"

#include <optional>
#include <string>

namespace blockhost {

struct DomainUse;

enum class Standing {
    unmarked,         ///< it has no metadata of ours
    another_instance, ///< its metadata is another instance's, genuine or not
    ours,             ///< the domain that a create of this instance made, under its name
    renamed,          ///< the same under another name
    remade,           ///< another domain under the name that its metadata says
    copy,             ///< another domain, under another name
};

/// What a domain's metadata says, held against the domain. Everything that wants to know whose a domain is
/// asks this class. Metadata of earlier builds names no uuid: then the name alone tells.
class Claim {
  public:
    Claim() = default;
    /// `name` and `uuid`: the domain's, as libvirt has them.
    Claim(std::string name, std::string uuid, std::optional<DomainMark> mark);

    Standing standing(const InstanceId& instance) const;
    /// The metadata of a domain that stands as `ours`; else null. Lives as long as this.
    const DomainMark* ours(const InstanceId& instance) const;
    /// The same of any instance's domain.
    const DomainMark* genuine() const;
    /// Of a domain that is genuine, or was until it was renamed: what it runs is the VM that the metadata
    /// names.
    const DomainMark* made() const;
    /// What the metadata says, true or not.
    const std::optional<DomainMark>& unproven() const { return mark_; }
    /// What the domain is for this instance, for messages: "a copy of web-001".
    std::string words(const InstanceId& instance) const;

  private:
    bool has_its_name() const;
    bool has_its_uuid() const;

    std::string name_, uuid_;
    std::optional<DomainMark> mark_;
};

Claim claim_of(const DomainUse& use);

} // namespace blockhost
