// SPDX-License-Identifier: MIT
#pragma once
/// What a VM is asked to be, what the registry says about it, and what the hypervisor shows.

#include "base/time.hpp"
#include "model/address.hpp"
#include "model/names.hpp"
#include "model/token_id.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace blockhost {

/// `status` in the registry. The reader refuses a record with any other status.
enum class RecordStatus { active, suspended, destroyed };
std::string_view to_string(RecordStatus status);
std::optional<RecordStatus> record_status(std::string_view text);

/// The power state of a domain (virDomainState, with states merged that this program treats alike).
enum class PowerState {
    running,  ///< running or blocked
    stopping, ///< in shutdown
    paused,   ///< paused or pm-suspended: memory is held, nothing runs
    off,      ///< shut off
    crashed,  ///< crashed, kept by on_crash=preserve
    unknown,  ///< no state
};
std::string_view to_string(PowerState state);
/// Whether a QEMU process may still hold the disk: true for anything but off, unknown included.
bool is_alive(PowerState state);

/// The word for `status` and `list` (docs/contract.md, "status"), which is one of: active suspended destroyed
/// unknown. Nothing: libvirt has no such domain.
std::string_view contract_status(std::optional<PowerState> state);

/// One record of the VM database. Only the fields that this program uses; other keys stay in the file.
struct VmRecord {
    VmName name;
    RecordStatus status = RecordStatus::active;
    std::optional<Ipv4> ip = {};
    std::optional<Ipv6> ipv6 = {};
    std::string ip_text = {};               ///< as spelt in the file, for list
    std::string created_text = {};          ///< as spelt in the file
    std::optional<Instant> created_at = {}; ///< nothing when absent or unreadable
    std::optional<Instant> expires_at = {};
    std::optional<Instant> suspended_at = {};
    std::string owner = {};    ///< as spelt in the file
    std::string username = {}; ///< empty when absent
    std::string network_mode = {};
};

/// Bounds of what a caller may ask for; the host's resources narrow them further.
namespace limits {
inline constexpr std::int64_t cpus_min = 1, cpus_max = 512;
inline constexpr std::int64_t memory_min_mib = 64;
inline constexpr std::int64_t disk_max_gib = 65'536; // 64 TiB
inline constexpr std::int64_t expiry_days_min = 1, expiry_days_max = 3650;
inline constexpr std::int64_t cloud_init_max_bytes = 1 << 20;
} // namespace limits

/// What a create asks for, after validation. The names give the units of sizes.
struct VmRequest {
    VmName name;
    Wallet wallet;
    Username username;
    std::int64_t cpus = 1;
    std::int64_t memory_mib = 2048;
    std::int64_t disk_gib = 20;
    std::int64_t expiry_days = 30;
    std::optional<TokenId> nft_token_id;
};

} // namespace blockhost
