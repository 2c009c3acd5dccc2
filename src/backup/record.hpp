// SPDX-License-Identifier: MIT
#pragma once
/// What a backup says of the VM beside its disks: the file record.json in each snapshot. A restore makes the
/// VM's definition anew from it, and from nothing else.

#include "model/vm.hpp"

#include <string>
#include <string_view>

namespace blockhost::backup {

struct Record {
    VmName name;
    Mac mac;
    std::int64_t cpus = 1, memory_mib = 0;
    RecordStatus status = RecordStatus::active;
    std::string owner;                     ///< a wallet, as spelt
    std::optional<Username> username = {}; ///< nothing: the VM database had none
    std::string network_mode = {};
    std::optional<Ipv4> ip = {};
    std::optional<Ipv6> ipv6 = {};
    std::optional<Instant> created_at = {}, expires_at = {};
};

/// The largest text that is read.
inline constexpr std::size_t largest_record = 64u << 10;

std::string render(const Record& record);

/// Reads one that anybody may have written. Throws Error{invalid}, naming `name` and what is wrong: unknown
/// members, another format, names and addresses that are none, figures that no VM may have.
Record parse_record(std::string_view text, std::string_view name);

} // namespace blockhost::backup
