#pragma once
/// What this host can do.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>

namespace blockhost::host {

/// True when KVM can run guests: /dev/kvm is there and the CPU shows vmx or svm (/dev/kvm alone proves
/// nothing). `root` is where the host's file system begins: "/" but in tests.
bool kvm_works(const std::filesystem::path& root = "/");

/// What a CPU weight is on this host: cgroup v2 counts from 1 and gives everybody 100, v1 from 2 and 1024.
struct CpuWeightScale {
    std::int64_t least, usual;
};
CpuWeightScale cpu_weight_scale(const std::filesystem::path& root = "/");

/// The file that a loop device shows; nothing for anything else.
std::optional<std::filesystem::path> file_below(const std::filesystem::path& device);

struct Account {
    uid_t uid;
    gid_t gid;
};
/// The user QEMU runs as (libvirt-qemu), from the system's user database files; nothing when there is none.
std::optional<Account> qemu_account();
/// The blockhost user.
std::optional<Account> blockhost_account();
/// A group's id by name, from /etc/group.
std::optional<gid_t> group_id(const std::string& name);

} // namespace blockhost::host
