// SPDX-License-Identifier: MIT
#pragma once
/// The third fenced command: how the node's disks and chips are. It reads, and changes nothing.

#include "platform/proxmox/privileged/arguments.hpp"
#include "platform/proxmox/privileged/fence.hpp"

#include <cstdint>
#include <optional>

namespace blockhost::platform::proxmox::privileged {

/// What a disk says of itself; texts are outside text.
struct Smart {
    std::string model, serial;
    std::optional<bool> passed; ///< its own verdict; nothing when it gives none
    std::optional<int> temperature_c;
    std::optional<std::int64_t> power_on_hours;
    std::vector<std::string> warnings; ///< a sentence for each thing that smartctl(8) found
};

/// One measured value of a chip.
struct Reading {
    std::string chip, sensor; ///< "coretemp-isa-0000", "Package id 0"; outside text
    std::string kind;         ///< "temp" in °C, "fan" in rpm, "in" in V, "power" in W, "curr" in A
    double value = 0;
};

class Health {
  public:
    explicit Health(LocalNode node) : fence_(std::move(node)) {}
    /// Throws as Fence says, and Error{program} when smartctl could not ask the disk.
    Smart smart(const Device& device) const;
    /// Throws as Fence says.
    std::vector<Reading> sensors() const;

  private:
    Fence fence_;
};

} // namespace blockhost::platform::proxmox::privileged
