#pragma once
/// Seeing an image boot, on a throw-away disk, in a domain that cannot outlive us.

#include "image/programs.hpp"

#include "base/files.hpp"
#include "config/config.hpp"
#include "hypervisor/hypervisor.hpp"

#include <optional>

namespace blockhost::image {

/// How the domain is to be; empty and automatic where there is no db.yaml.
struct TrialSettings {
    DomainType domain_type = DomainType::automatic;
    std::string boot_kernel = {}, boot_initrd = {}, boot_arguments = {};
};

/// Boots an overlay on `image` until the guest agent in it answers. Throws Error{guest} with the console's
/// last lines when it has not within the time (3 minutes, 10 without KVM), or the guest stops before.
void boot_once(const Run& run, Hypervisor& hypervisor, const Folder& bench,
               const std::filesystem::path& image, const TrialSettings& settings);

/// Ends trials on that bench that nobody waits for: libvirt ends a trial with its build's connection, but one
/// that runs while its daemon dies goes on. The caller holds the bench, so that no trial of it is under way.
void end_lost_trials(Hypervisor& hypervisor, const Folder& bench, Talk& talk);

} // namespace blockhost::image
