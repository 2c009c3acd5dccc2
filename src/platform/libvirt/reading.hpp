// SPDX-License-Identifier: MIT
#pragma once
/// One look at this instance's VMs: one connection, and the VM database read once, however many guests are
/// looked at.

#include "platform/platform.hpp"
#include "vm/observation.hpp"

#include <map>

namespace blockhost::platform {

class LibvirtReading final : public Reading {
  public:
    /// Reads the VM database. `progress` outlives this object. Throws as World and Registry::read.
    LibvirtReading(const Paths& paths, Reality reality, Progress& progress);

    /// By their records alone.
    Guests list() override;
    /// Configuration as far as one call for all domains tells it: no disk, no description.
    Guests guests();
    std::optional<Guest> guest(const GuestId& id) override;

  private:
    std::string doubt() const;
    std::optional<VmRecord> record_of(const VmName& name) const;
    void tell_domain(const Observation& seen, Guest& guest);

    World world_;
    Database database_;
    std::vector<std::string> bad_; ///< records that cannot be read
    std::map<std::string, VmRecord> records_;
};

/// "uuid:" and the domain's; empty for none.
Incarnation incarnation_of(const std::string& uuid);
/// The domain's uuid; empty for an incarnation of another platform.
std::string uuid_of(const Incarnation& incarnation);

} // namespace blockhost::platform
