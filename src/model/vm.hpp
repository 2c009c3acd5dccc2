#pragma once
/// The nouns: what a VM is asked to be, what the registry says of it, what the hypervisor shows of it.

#include "base/time.hpp"
#include "model/address.hpp"
#include "model/names.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace blockhost {

/// What the registry says (`status`). A record with another status is refused by the reader.
enum class RecordStatus { active, suspended, destroyed };
std::string_view to_string(RecordStatus status);
std::optional<RecordStatus> record_status(std::string_view text);

/// What the hypervisor says of a domain (virDomainState, less what nobody here tells apart).
enum class PowerState {
    running,  ///< running or blocked
    stopping, ///< in shutdown
    paused,   ///< paused or pm-suspended: memory is held, nothing runs
    off,      ///< shut off
    crashed,  ///< crashed, kept by on_crash=preserve
    unknown,  ///< no state
};
std::string_view to_string(PowerState state);
/// True where a QEMU process may still hold the disk: anything but off. Unknown counts as alive.
bool is_alive(PowerState state);

/// The four words consumers read: active suspended destroyed unknown (docs/contract.md, "status").
std::string_view contract_status(PowerState state);

/// One record of the VM database, its own fields only; foreign keys stay in the file.
struct VmRecord {
    VmName name;
    RecordStatus status = RecordStatus::active;
    std::optional<Ipv4> ip = {};
    std::optional<Ipv6> ipv6 = {};
    std::string ip_text = {};               ///< as the file spells it, for list
    std::string created_text = {};          ///< as the file spells it
    std::optional<Instant> created_at = {}; ///< nothing when absent or unreadable
    std::optional<Instant> expires_at = {};
    std::optional<Instant> suspended_at = {};
    std::string owner = {};    ///< as the file spells it
    std::string username = {}; ///< empty when absent
    std::string network_mode = {};
};

/// Bounds of what a caller may ask for; the host's own figures narrow them further.
namespace limits {
inline constexpr std::int64_t cpus_min = 1, cpus_max = 512;
inline constexpr std::int64_t memory_min_mib = 64;
inline constexpr std::int64_t disk_max_gib = 65'536; // 64 TiB
inline constexpr std::int64_t expiry_days_min = 1, expiry_days_max = 3650;
inline constexpr std::int64_t cloud_init_max_bytes = 1 << 20;
} // namespace limits

/// What a create asks for, after validation. Sizes in the units their names say.
struct VmRequest {
    VmName name;
    Wallet wallet;
    Username username;
    std::int64_t cpus = 1;
    std::int64_t memory_mib = 2048;
    std::int64_t disk_gib = 20;
    std::int64_t expiry_days = 30;
    std::optional<std::int64_t> nft_token_id;
};

} // namespace blockhost
