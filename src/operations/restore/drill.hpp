// SPDX-License-Identifier: MIT
#pragma once
/// A drill: a backup is restored beside its VM, booted without a network, looked at by its guest agent, and
/// thrown away. Neither the VM nor anything else of this host is touched.

#include "backup/extract.hpp"
#include "backup/last_drill.hpp"
#include "base/interrupt.hpp"
#include "vm/context.hpp"

#include <chrono>

namespace blockhost::operations {

/// A file of the guest's and the SHA-256 that it must have, in hex.
struct ExpectedFile {
    std::string path, sha256;
};

/// The lines of sha256sum(1): digest, two characters, absolute path. Throws Error{invalid}, naming `name`.
std::vector<ExpectedFile> parse_expected_files(std::string_view text, std::string_view name);

struct DrillRequest {
    std::vector<ExpectedFile> files = {};
    std::optional<std::string> command = {}; ///< of the guest's shell, which has to end with status 0
    std::chrono::seconds boot_timeout{600};
};

/// Restores the backup and boots it until its agent answers. Then no file system of a disk may be read-only,
/// the root must take a file, the kernel must have found nothing wrong with them, and what the request names
/// must hold. What of that fails is the verdict, which is remembered. The domain has no network and no seed:
/// nobody hears of it, and cloud-init runs nothing.
///
/// Throws what says nothing of the backup: Error{busy} while another drill runs, {no_room}, {interrupted},
/// and whatever keeps libvirt from being asked. A drill that was killed is cleared away by the next.
backup::LastDrill drill(World& world, const backup::Restic& restic, const backup::Backup& backup,
                        const DrillRequest& request, const Interruption& interruption);

} // namespace blockhost::operations
