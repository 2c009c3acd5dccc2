// SPDX-License-Identifier: MIT
#pragma once
/// Who holds POSIX locks on a file.

#include "base/files/files.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace blockhost::store {

/// "process 4711 (blockhost-libvirt)" for each process that holds a write lock on one of the files `names` in
/// `folder`, as /proc/locks tells (proc_locks(5)). Files are not opened: closing them would drop this
/// process's own locks. Empty where nothing can be learnt.
std::vector<std::string> lock_holders(const Folder& folder, const std::vector<std::string>& names);

/// One line of /proc/locks.
struct HeldLock {
    int pid = 0;
    unsigned major = 0, minor = 0;
    unsigned long long inode = 0;
};
/// Nothing unless the line tells of a POSIX write lock that is held, not waited for, by a process of this PID
/// namespace.
std::optional<HeldLock> held_write_lock(std::string_view line);

} // namespace blockhost::store
