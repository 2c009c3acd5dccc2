// SPDX-License-Identifier: MIT
#pragma once
/// The handle of a Proxmox task, as its nodes write it (pve-common, src/PVE/Tools.pm, upid_decode).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost::platform::proxmox {

/// "UPID:NODE:PID:PSTART:START:TYPE:ID:USER:". Backup Server has one more field, the task's number in its
/// process.
struct Upid {
    std::string text; ///< the whole handle, to ask with; the colon at its end belongs to it
    std::string node; ///< the node to ask: no other one knows the task
    std::uint32_t pid = 0;
    std::uint64_t process_start = 0;     ///< in clock ticks since the node's start
    std::optional<std::uint64_t> number; ///< only from Backup Server
    std::int64_t started = 0;            ///< Unix time, in seconds
    std::string type;                    ///< "qmstart", "vzdump" …
    std::string subject;                 ///< the guest's id, a storage, "210@local"; may be empty
    std::string user;                    ///< "user@realm" or "user@realm!token"
    bool operator==(const Upid&) const = default;
};

/// Whether `text` claims to be a handle. A call that may return other texts ("local:backup/…") is told apart
/// by this alone.
bool is_upid(std::string_view text);

/// Reads a handle; nothing when it is malformed, longer than 512 bytes, or holds anything but printable
/// ASCII.
std::optional<Upid> parse_upid(std::string_view text);

/// The path of the task in the API: "/nodes/NODE/tasks/UPID".
std::string path_of(const Upid& task);

} // namespace blockhost::platform::proxmox
