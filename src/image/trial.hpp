// SPDX-License-Identifier: MIT
#pragma once
/// Boots an image once, from a throw-away disk, in a domain that ends with this process.

#include "image/programs.hpp"

#include "base/files/files.hpp"
#include "config/config.hpp"
#include "hypervisor/hypervisor.hpp"

#include <optional>

namespace blockhost::image {

/// What the domain gets; empty and automatic where there is no db.yaml.
struct TrialSettings {
    DomainType domain_type = DomainType::automatic;
    std::string boot_kernel = {}, boot_initrd = {}, boot_arguments = {};
};

/// Boots an overlay on `image` until its guest agent answers. Throws Error{guest} with the console's last
/// lines when the agent does not answer in time (3 minutes, 10 without KVM), or the guest stops before that.
void boot_once(const Run& run, Hypervisor& hypervisor, const Folder& bench,
               const std::filesystem::path& image, const TrialSettings& settings);

/// Ends trials on `bench` that nobody waits for: libvirt ends a trial with its build's connection, but not
/// when libvirtd itself dies. The caller holds `bench`, so that none of its trials is under way.
void end_lost_trials(Hypervisor& hypervisor, const Folder& bench, Progress& progress);

} // namespace blockhost::image
