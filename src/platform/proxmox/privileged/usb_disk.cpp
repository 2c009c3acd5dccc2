// SPDX-License-Identifier: MIT
#include "platform/proxmox/privileged/usb_disk.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/files/lock.hpp"
#include "base/text/text.hpp"
#include "platform/proxmox/privileged/fstab.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>

namespace blockhost::platform::proxmox::privileged {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t largest_file = 1 << 20;

/// One line of /proc/self/mountinfo (proc(5)); paths of ours have nothing that would be escaped there.
struct MountedHere {
    std::string point, source;
};

std::vector<MountedHere> mounts_in(const fs::path& file) {
    std::vector<MountedHere> mounts;
    for (const std::string& line : text::split(files::read(file, largest_file).value_or(""), '\n')) {
        const auto fields = text::split(line, ' ');
        const auto separator = std::ranges::find(fields, "-");
        if (fields.size() > 4 && fields.end() - separator > 2)
            mounts.push_back({fields[4], *(separator + 2)});
    }
    return mounts;
}

/// What is mounted there, on top of what else may be.
const MountedHere* on(const std::vector<MountedHere>& mounts, const MountPoint& point) {
    const auto found = std::find_if(mounts.rbegin(), mounts.rend(),
                                    [&](const MountedHere& mount) { return mount.point == point.str(); });
    return found == mounts.rend() ? nullptr : &*found;
}

/// /etc/fstab, held against other processes of this program.
class Fstab {
  public:
    Fstab(const fs::path& folder, std::chrono::milliseconds patience)
        : file_(folder / "fstab"), lock_(locked(folder, patience)) {
        text_ = files::read(file_, largest_file).value_or("");
    }
    const std::string& text() const { return text_; }
    void write(const std::string& changed) {
        if (changed != text_) files::replace(file_, changed, {.mode = 0644, .uid = {}, .gid = {}});
        text_ = changed;
    }

  private:
    static FileLock locked(const fs::path& folder, std::chrono::milliseconds patience) {
        Fd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!fd) throw errno_error("cannot open", folder.string(), errno);
        auto lock = FileLock::take(std::move(fd), FileLock::Mode::exclusive, Deadline::in(patience));
        if (!lock) throw Error(Code::busy, "another process edits /etc/fstab", "try again later");
        return std::move(*lock);
    }

    fs::path file_;
    FileLock lock_;
    std::string text_;
};

enum class OurLine { missing, there };

/// Whether fstab has our line for this pair. Throws when a line pairs one of them otherwise.
OurLine our_line(const Fstab& fstab, const FilesystemUuid& disk, const MountPoint& point) {
    OurLine found = OurLine::missing;
    for (const FstabLine& line : lines_of_fstab(fstab.text())) {
        const bool is_disk = line.uuid == disk.str(), is_point = line.mount_point == point.str();
        if (!is_disk && !is_point) continue;
        const std::string about = is_disk ? "disk " + disk.str() : point.str();
        if (!line.is_ours)
            throw Error(Code::foreign, "a line of /etc/fstab that is not ours is about " + about,
                        "remove that line, or name another disk or mount point");
        if (!is_disk || !is_point)
            throw Error(Code::exists,
                        "/etc/fstab has " + about + " already: " + line.uuid + " on " +
                            text::printable(line.mount_point),
                        "unmount that first");
        found = OurLine::there;
    }
    return found;
}

/// "/dev/sdb1": the device that udev names by that UUID; empty when none is plugged in.
std::string device_of(const fs::path& by_uuid, const FilesystemUuid& disk) {
    std::error_code missing;
    const fs::path target = fs::read_symlink(by_uuid / disk.str(), missing);
    return missing ? "" : (fs::path("/dev/disk/by-uuid") / target).lexically_normal().string();
}

/// The kernel's own path of a block device leads through its bus: "…/usb1/1-2/…/block/sdb/sdb1".
bool is_on_usb(const fs::path& blocks, const std::string& device) {
    std::error_code missing;
    const fs::path way = fs::read_symlink(blocks / fs::path(device).filename(), missing);
    return !missing && way.string().find("/usb") != std::string::npos;
}

enum class MadeFolder { no, yes };

/// Makes the folder to mount on. One that is there has to be an empty folder: the mount would hide its files.
MadeFolder prepare_folder(const fs::path& folder, const MountPoint& point) {
    if (::mkdir(folder.c_str(), 0755) == 0) return MadeFolder::yes;
    if (errno != EEXIST) throw errno_error("cannot make", folder.string(), errno);
    std::error_code unseen;
    if (fs::symlink_status(folder, unseen).type() != fs::file_type::directory)
        throw Error(Code::wrong_state, point.str() + " is no folder", "remove it, or name another");
    if (!fs::is_empty(folder, unseen) || unseen)
        throw Error(Code::wrong_state, point.str() + " holds files, which the mount would hide",
                    "move them away, or name another folder");
    return MadeFolder::no;
}

} // namespace

void UsbDisk::mount(const Permit& permit) const {
    const auto* wanted = std::get_if<Mount>(&permit.action());
    if (wanted == nullptr) throw Error(Code::internal, "this permit is not for a mount");
    const FilesystemUuid disk(filesystem_of(permit.target()));
    const MountPoint point(wanted->point);
    fence_.require("mounting a disk", {mount_program, umount_program});
    Fstab fstab(fence_.at("/etc"), fence_.patience());
    const OurLine line = our_line(fstab, disk, point);
    const std::string device = device_of(fence_.at("/dev/disk/by-uuid"), disk);
    if (device.empty())
        throw Error(Code::not_found, "no disk with the file system " + disk.str() + " is plugged in",
                    "plug it in; see ls /dev/disk/by-uuid");
    if (!is_on_usb(fence_.at("/sys/class/block"), device))
        throw Error(Code::wrong_state, device + ", which has that file system, is no USB disk",
                    "only USB disks are mounted");
    const auto mounts = mounts_in(fence_.at("/proc/self/mountinfo"));
    const MountedHere* there = on(mounts, point);
    if (there != nullptr && there->source != device)
        throw Error(Code::wrong_state,
                    text::printable(there->source) + " is mounted on " + point.str() + " already",
                    "name another mount point");
    const auto elsewhere = std::ranges::find(mounts, device, &MountedHere::source);
    if (there == nullptr && elsewhere != mounts.end())
        throw Error(Code::wrong_state, "the disk is mounted already, on " + text::printable(elsewhere->point),
                    "unmount it there");
    if (there == nullptr) mount_now(device, point);
    if (line == OurLine::there) return;
    try {
        fstab.write(with_disk(fstab.text(), disk, point));
    } catch (const Error&) {
        if (there == nullptr) fence_.perform("unmount the disk again", umount_program, {point.str()});
        throw;
    }
}

void UsbDisk::mount_now(const std::string& device, const MountPoint& point) const {
    const fs::path folder = fence_.at(point.str());
    const MadeFolder made = prepare_folder(folder, point);
    try {
        fence_.perform("mount the disk", mount_program, {"-o", "nosuid,nodev", device, point.str()});
        const auto mounts = mounts_in(fence_.at("/proc/self/mountinfo"));
        const MountedHere* there = on(mounts, point);
        if (there == nullptr || there->source != device)
            throw Error(Code::program,
                        "mount ended well, and " + device + " is not mounted on " + point.str(),
                        "look at what is there: findmnt " + point.str());
    } catch (const Error&) {
        std::error_code busy; // it is mounted after all, where mount was cut off
        if (made == MadeFolder::yes) fs::remove(folder, busy);
        throw;
    }
}

UsbDisk::State UsbDisk::look(const FilesystemUuid& disk, const MountPoint& point) const {
    fence_.require_node("looking at a disk");
    State state;
    const auto fstab = files::read(fence_.at("/etc/fstab"), largest_file).value_or("");
    for (const FstabLine& line : lines_of_fstab(fstab))
        if (line.is_ours && line.uuid == disk.str() && line.mount_point == point.str()) state.has_line = true;
    const std::string device = device_of(fence_.at("/dev/disk/by-uuid"), disk);
    const auto mounts = mounts_in(fence_.at("/proc/self/mountinfo"));
    const MountedHere* there = on(mounts, point);
    state.is_mounted = there != nullptr && !device.empty() && there->source == device;
    return state;
}

void UsbDisk::unmount(const Permit& permit) const {
    const auto* wanted = std::get_if<Unmount>(&permit.action());
    if (wanted == nullptr) throw Error(Code::internal, "this permit is not for an unmount");
    const FilesystemUuid disk(filesystem_of(permit.target()));
    const MountPoint point(wanted->point);
    fence_.require("unmounting a disk", {umount_program});
    Fstab fstab(fence_.at("/etc"), fence_.patience());
    const OurLine line = our_line(fstab, disk, point);
    const std::string device = device_of(fence_.at("/dev/disk/by-uuid"), disk);
    const auto mounts = mounts_in(fence_.at("/proc/self/mountinfo"));
    if (const MountedHere* there = on(mounts, point)) {
        // A disk that was pulled out has no device any more; then our line says whose mount point it is.
        const bool is_this = device.empty() ? line == OurLine::there : there->source == device;
        if (!is_this)
            throw Error(Code::wrong_state,
                        "what is mounted on " + point.str() + " is not that disk, but " +
                            text::printable(there->source),
                        "look at it");
        fence_.perform("unmount the disk", umount_program, {point.str()});
    }
    if (line == OurLine::there) fstab.write(without_disk(fstab.text(), disk, point));
}

} // namespace blockhost::platform::proxmox::privileged
