// SPDX-License-Identifier: MIT
#pragma once
/// The arguments of the fenced commands. Each is checked when it is made, so that none can be taken for an
/// option, leave its folder, or end a line of /etc/fstab.

#include <string>
#include <string_view>
#include <vector>

namespace blockhost::platform::proxmox::privileged {

/// A container's number: 100 to 999999999.
class ContainerId {
  public:
    /// Throws Error{invalid}.
    explicit ContainerId(int number);
    explicit ContainerId(const std::string& number);
    std::string str() const { return std::to_string(number_); }

  private:
    int number_;
};

/// Features of a container that no API token may set: "fuse", "keyctl", "mknod", "mount=cifs", "mount=nfs"
/// (pct(1), --features). "nesting" may be among them, since setting features replaces all.
class Features {
  public:
    /// Throws Error{invalid} for another name, and where nothing but nesting is named: a token sets that.
    explicit Features(const std::vector<std::string>& names);
    /// "keyctl=1,mount=cifs;nfs,nesting=1".
    const std::string& str() const { return text_; }

  private:
    std::string text_;
};

/// A file system's UUID as udev spells it: "0b5c…-…" of ext4, XFS and Btrfs, "1A2B-3C4D" of FAT and exFAT,
/// sixteen hex digits of NTFS.
class FilesystemUuid {
  public:
    /// Throws Error{invalid}.
    explicit FilesystemUuid(std::string text);
    const std::string& str() const { return text_; }

  private:
    std::string text_;
};

/// "/mnt/NAME". NAME has up to 64 letters, digits, "-", "_" and ".", and begins with a letter or a digit.
/// /mnt/pve is Proxmox's own.
class MountPoint {
  public:
    /// Throws Error{invalid}.
    explicit MountPoint(std::string path);
    const std::string& str() const { return path_; }

  private:
    std::string path_;
};

/// A whole disk: "/dev/sda", "/dev/nvme0n1", "/dev/disk/by-id/NAME".
class Device {
  public:
    /// Throws Error{invalid}.
    explicit Device(std::string path);
    const std::string& str() const { return path_; }

  private:
    std::string path_;
};

} // namespace blockhost::platform::proxmox::privileged
