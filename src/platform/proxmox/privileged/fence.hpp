// SPDX-License-Identifier: MIT
#pragma once
/// The one place where the Proxmox platform starts programs: what needs root on the node itself, because no
/// call of its API can do it. Three commands have the key to it, and none of them speaks to a network.

#include <chrono>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace blockhost {
struct ProcessResult;
}

namespace blockhost::platform::proxmox::privileged {

/// The node that a command works on: this machine. A test's node is a folder with programs of its own.
struct LocalNode {
    std::string name = {}; ///< which node this machine has to be; empty: any
    std::filesystem::path root = "/";
    uid_t user = geteuid();
    std::chrono::milliseconds patience{60'000}; ///< for one program, which is killed then; and for a lock
    std::function<void()> check = {};           ///< called while one runs; what it throws ends the program
};

/// A program, and the Debian package that contains it.
struct Program {
    const char* path;
    const char* package;
};
inline constexpr Program pct{"/usr/sbin/pct", "pve-container"};
inline constexpr Program mount_program{"/usr/bin/mount", "mount"};
inline constexpr Program umount_program{"/usr/bin/umount", "mount"};
inline constexpr Program smartctl{"/usr/sbin/smartctl", "smartmontools"};
inline constexpr Program sensors_program{"/usr/bin/sensors", "lm-sensors"};

class Fence {
  private:
    friend class ContainerFeatures;
    friend class UsbDisk;
    friend class Health;

    explicit Fence(LocalNode node) : node_(std::move(node)) {}

    std::chrono::milliseconds patience() const { return node_.patience; }
    /// Where the node's file `absolute` lies.
    std::filesystem::path at(std::string_view absolute) const;
    /// Throws Error{wrong_state} where this is no Proxmox node or another one.
    void require_node(std::string_view doing) const;
    /// Throws unless `doing` ("mounting a disk") can be tried here: Error{denied} for another user than root,
    /// as require_node does, Error{program} where a program is
    /// missing.
    void require(std::string_view doing, std::initializer_list<Program> programs) const;
    /// Runs it to its end, with whatever status. Throws Error{no_answer} at the deadline, and Error{program}
    /// when it told more than a command reads.
    ProcessResult run(const Program& program, std::vector<std::string> arguments) const;
    /// The same, and throws Error{program} with its last words when it fails. `doing` completes "cannot …".
    void perform(std::string_view doing, const Program& program, std::vector<std::string> arguments) const;

    LocalNode node_;
};

} // namespace blockhost::platform::proxmox::privileged
