// SPDX-License-Identifier: MIT
#pragma once
/// What a create is asked for, and the user-data that its guest gets.

#include "operations/admission.hpp"
#include "operations/create/settings.hpp"
#include "operations/wait_for_guest.hpp"
#include "vm/clock_check.hpp"

#include <filesystem>
#include <functional>

namespace blockhost::operations {

/// What a VM is made from that was there before, in place of a new identity and the template's content.
struct Origin {
    Uuid uuid;
    Mac mac;
    std::optional<Ipv4> ip;   ///< taken again where it is this host's and free
    std::optional<Ipv6> ipv6; ///< likewise
    Instant expires_at;
    std::uint64_t disk_bytes = 0;
    std::uint64_t data_bytes = 0; ///< how much `fill` writes at most
    std::string base;             ///< the version of the template that the disk stood on; empty: not known
    std::string told;             ///< for the journal: where it comes from
    /// Fills the new disk, a qcow2 image that shows zeros, or the template's content.
    std::function<void(const std::filesystem::path& image, bool on_template, const Interruption&)> fill;
    enum class Then { run, stay_off } then = Then::run;
    /// What to do with what the disk says of who the guest is. A copy beside the VM that it was is given a
    /// machine-id, SSH host keys and a host name of its own, and has no link to the network before.
    enum class Guest { as_before, renewed } guest = Guest::as_before;
};

struct CreateRequest {
    VmRequest vm;
    std::optional<std::string> user_data; ///< used verbatim instead of the template
    std::string ssh_key;                  ///< only for hosts without an engine; empty: none
    std::chrono::seconds ready_timeout{180};
    ClockTrust clock = ClockTrust::judged;
    /// Of `vm`, the days and the disk's size then count for nothing but the room.
    std::optional<Origin> origin = {};

    DiskFrom disk_from() const { return origin ? DiskFrom::elsewhere : DiskFrom::the_template; }
};

Claimed claimed_by(const CreateRequest& request);

/// What the new disk stands on; empty: on nothing. The caller holds the templates. Throws as template_for and
/// safety::require_template.
std::filesystem::path backing_of(const World& world, const CreateRequest& request);

/// The guest's user-data. Throws Error{invalid} or {config} for what would leave it without a login; warns of
/// YAML that cloud-init could not read.
std::string user_data(const World& world, const CreateRequest& request, const Settings& settings,
                      const Addresses& addresses);

/// The login that the user-data makes. Our own user-data and an engine's template promise one; a text of the
/// caller's own need not, and the owner of a disk that comes back may have taken the login away.
ExpectedLogin login_of(const CreateRequest& request, const std::string& text);

} // namespace blockhost::operations
