// SPDX-License-Identifier: MIT
// The three fenced commands on a node that is a folder: its programs are scripts that write down how they
// were called.
#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/files/lock.hpp"
#include "platform/proxmox/privileged/container_features.hpp"
#include "platform/proxmox/privileged/fstab.hpp"
#include "platform/proxmox/privileged/health.hpp"
#include "platform/proxmox/privileged/usb_disk.hpp"
#include "tests/unit/platform/permit_for_tests.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <fcntl.h>
#include <fstream>
#include <map>
#include <sys/stat.h>

using namespace blockhost;
using namespace blockhost::platform::proxmox::privileged;
namespace fs = std::filesystem;

namespace {

const std::string uuid = "0b5c6a3e-1111-4222-8333-9f8e7d6c5b4a";
const std::string others = "# made by the installer\n/dev/pve/root / ext4 errors=remount-ro 0 1\n"
                           "UUID=1A2B-3C4D\t/boot/efi vfat defaults 0 1\n\nproc /proc proc defaults 0 0\n";

void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

std::string read(const fs::path& path) {
    return files::read(path).value_or("(nothing)");
}

/// A folder that looks like a node with one USB disk, /dev/sdb1.
struct FakeNode {
    TemporaryFolder folder;
    LocalNode node{.root = folder.path, .user = 0};

    FakeNode() {
        fs::create_directories(at("etc/pve/local"));
        fs::create_directories(at("mnt"));
        write(at("etc/fstab"), others);
        write(at("proc/self/mountinfo"), "22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/pve/root rw\n");
        fs::create_directories(at("dev/disk/by-uuid"));
        fs::create_directories(at("sys/class/block"));
        fs::create_symlink("../../sdb1", at("dev/disk/by-uuid/" + uuid));
        fs::create_symlink("../../devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/block/sdb/sdb1",
                           at("sys/class/block/sdb1"));
        program("usr/sbin/pct");
        program("usr/bin/mount", "echo \"40 22 8:17 / $4 rw,nosuid - ext4 /dev/sdb1 rw\" >>" + mountinfo());
        program("usr/bin/umount", "grep -v \" $1 \" " + mountinfo() + " >" + mountinfo() + ".new; mv " +
                                      mountinfo() + ".new " + mountinfo());
        program("usr/sbin/smartctl");
        program("usr/bin/sensors");
    }

    fs::path at(const std::string& path) const { return folder.path / path; }
    std::string mountinfo() const { return at("proc/self/mountinfo").string(); }

    /// Each call is a line of its arguments, each in brackets, in the file "calls".
    void program(const std::string& path, const std::string& script = "") const {
        write(at(path), "#!/bin/sh\n{ printf %s " + path + "; printf '[%s]' \"$@\"; echo; } >>" +
                            at("calls").string() + "\n" + script + "\n");
        fs::permissions(at(path), fs::perms::owner_all);
    }
    /// A program that prints the file of this text.
    void program_that_prints(const std::string& path, const std::string& text, int status = 0) const {
        write(at("printed"), text);
        program(path, "cat " + at("printed").string() + "; exit " + std::to_string(status));
    }
    std::string calls() const { return read(at("calls")); }

    /// All that a command may change, by path.
    std::map<std::string, std::string> state() const {
        std::map<std::string, std::string> found;
        for (const auto& entry : fs::recursive_directory_iterator(folder.path))
            found[entry.path().string()] = entry.is_regular_file() ? read(entry.path()) : "";
        return found;
    }
};

/// The error that `call` throws.
template<class Call>
Error thrown(Call&& call) {
    try {
        call();
    } catch (const Error& error) {
        return error;
    }
    FAIL("nothing was thrown");
    throw Error(Code::internal, "");
}

platform::Permit permit_for(const std::string& container, const std::set<std::string>& features) {
    return platform::PermitForTests::make({container, "device:1"}, platform::SetFeatures{features});
}
template<class Action>
platform::Permit permit_to(const std::string& filesystem, const std::string& point) {
    return platform::PermitForTests::make(platform::storage_target("usb-1", filesystem), Action{point});
}

/// The three commands, each as it is called.
void set_features(const LocalNode& node) {
    ContainerFeatures(node).set(permit_for("140", {"nesting", "keyctl"}));
}
void mount_disk(const LocalNode& node) {
    UsbDisk(node).mount(permit_to<platform::Mount>(uuid, "/mnt/backup-1"));
}
void unmount_disk(const LocalNode& node) {
    UsbDisk(node).unmount(permit_to<platform::Unmount>(uuid, "/mnt/backup-1"));
}
void read_smart(const LocalNode& node) {
    static_cast<void>(Health(node).smart(Device("/dev/sda")));
}
void read_sensors(const LocalNode& node) {
    static_cast<void>(Health(node).sensors());
}

struct CommandRow {
    const char* program;
    void (*call)(const LocalNode&);
};
constexpr CommandRow commands[] = {{"usr/sbin/pct", set_features},
                                   {"usr/bin/mount", mount_disk},
                                   {"usr/bin/umount", unmount_disk},
                                   {"usr/sbin/smartctl", read_smart},
                                   {"usr/bin/sensors", read_sensors}};

/// Mounted, and with its line.
void arrange_mounted(const FakeNode& fake) {
    mount_disk(fake.node);
    fs::remove(fake.at("calls"));
}

const std::string our_line =
    "UUID=" + uuid + " /mnt/backup-1 auto nofail,nosuid,nodev,x-blockhost-libvirt 0 0\n";

const std::string smart_document =
    R"({"smartctl":{"exit_status":0},"model_name":"WDC WD40","serial_number":"WD-1","smart_status":{"passed":true},)"
    R"("temperature":{"current":34},"power_on_time":{"hours":8123}})";

} // namespace

// -- arguments

TEST_CASE("a container's id is a guest's number") {
    CHECK(ContainerId(100).str() == "100");
    CHECK(ContainerId(999'999'999).str() == "999999999");
    for (const int wrong : {99, 0, -1, 1'000'000'000})
        CHECK(thrown([&] { ContainerId{wrong}; }).code() == Code::invalid);
}

TEST_CASE("features are those that are known, in one order, and one of them needs root") {
    CHECK(Features({"keyctl"}).str() == "keyctl=1");
    CHECK(Features({"nesting", "mount=nfs", "mknod", "mount=cifs", "keyctl", "fuse", "fuse"}).str() ==
          "fuse=1,keyctl=1,mknod=1,mount=cifs;nfs,nesting=1");
    CHECK(Features({"mount=nfs"}).str() == "mount=nfs");
    CHECK(Features({"mount=cifs"}).str() == "mount=cifs");
    for (const char* wrong :
         {"", "keyctl=1", "--features", "-f", "keyctl\n", "KEYCTL", "mount=nfs;ext4", "a,b"})
        CHECK(thrown([&] { Features({"keyctl", wrong}); }).code() == Code::invalid);
    CHECK(thrown([] { Features({}); }).code() == Code::invalid);
    CHECK(thrown([] { Features({"nesting"}); }).hint() == "set nesting with the API: a token may");
}

TEST_CASE("a file system's UUID has one of udev's three forms") {
    for (const char* good : {uuid.c_str(), "1A2B-3C4D", "01D9A2B3C4E5F607"})
        CHECK(FilesystemUuid(good).str() == good);
    for (const std::string& wrong :
         {std::string(), std::string("0B5C6A3E-1111-4222-8333-9F8E7D6C5B4A"), uuid + "0", uuid + "\n",
          uuid + "\n/ / x", std::string("../../sda"), std::string("-a"), std::string("1a2b-3c4d"),
          std::string("1A2B-3C4"), std::string("1A2B3C4D"), std::string("1A2B-"),
          std::string("0b5c6a3e-1111-4222-8333"), std::string("0b5c6a3e 1111-4222-8333-9f8e7d6c5b4a"),
          std::string("1A2B-3C4D\0", 10)})
        CHECK(thrown([&] { FilesystemUuid{wrong}; }).code() == Code::invalid);
}

TEST_CASE("a mount point is one folder in /mnt") {
    for (const char* good : {"/mnt/a", "/mnt/backup-1", "/mnt/USB_2.old"})
        CHECK(MountPoint(good).str() == good);
    for (const std::string& wrong : {std::string("/mnt"),
                                     std::string("/mnt/"),
                                     std::string("/mnt/a/b"),
                                     std::string("/mnt/a/"),
                                     std::string("/mnt/.."),
                                     std::string("/mnt/../etc"),
                                     std::string("/mnt/."),
                                     std::string("mnt/a"),
                                     std::string("/etc"),
                                     std::string("/mnt/pve"),
                                     std::string("/mnt/a b"),
                                     std::string("/mnt/a\nproc / x"),
                                     std::string("/mnt/a\tb"),
                                     std::string("/mnt/-o"),
                                     std::string("-o"),
                                     std::string("/mnt/a\\040b"),
                                     std::string("/mnt/#a"),
                                     std::string("/mnt/\xc3\xa4"),
                                     "/mnt/" + std::string(65, 'a'),
                                     std::string("/mnt/a\0b", 8)})
        CHECK(thrown([&] { MountPoint{wrong}; }).code() == Code::invalid);
}

TEST_CASE("a device is a whole disk") {
    for (const char* good : {"/dev/sda", "/dev/sdaa", "/dev/nvme0n1", "/dev/nvme10n2",
                             "/dev/disk/by-id/usb-WD_My_Passport_57-0:0", "/dev/disk/by-id/nvme-eui.0025"})
        CHECK(Device(good).str() == good);
    for (const std::string& wrong :
         {std::string(), std::string("/dev/sda1"), std::string("/dev/sd"), std::string("/dev/sdaaa"),
          std::string("/dev/sdA"), std::string("/dev/nvme0"), std::string("/dev/nvme0n1p1"),
          std::string("/dev/nvmen1"), std::string("/dev/dm-0"), std::string("/dev/disk/by-id/"),
          std::string("/dev/disk/by-id/../../sda"), std::string("/dev/disk/by-id/-d"),
          std::string("/dev/disk/by-id/a/b"), std::string("-d"), std::string("sda"),
          std::string("/dev/sda\n"), std::string("/dev/../etc/shadow"),
          "/dev/disk/by-id/" + std::string(129, 'a')})
        CHECK(thrown([&] { Device{wrong}; }).code() == Code::invalid);
}

// -- what every command refuses

TEST_CASE("each command says in one sentence what it needs, and changes nothing") {
    for (const auto& [program, call] : commands) {
        FakeNode fake;
        const auto before = fake.state();
        LocalNode other_user = fake.node;
        other_user.user = 1000;
        const Error unprivileged = thrown([&, call = call] { call(other_user); });
        CHECK(unprivileged.code() == Code::denied);
        CHECK(unprivileged.message().ends_with(" needs root on the node"));
        CHECK(fake.state() == before);

        fs::rename(fake.at(program), fake.at("aside"));
        const Error missing = thrown([&, call = call] { call(fake.node); });
        CHECK(missing.code() == Code::program);
        CHECK(missing.message().ends_with("needs /" + std::string(program) + ", which cannot be run here"));
        CHECK(missing.hint().starts_with("apt-get install "));
        fs::rename(fake.at("aside"), fake.at(program));
        CHECK(fake.state() == before);

        fs::rename(fake.at("etc/pve"), fake.at("etc/other"));
        const Error elsewhere = thrown([&, call = call] { call(fake.node); });
        CHECK(elsewhere.code() == Code::wrong_state);
        CHECK(elsewhere.message().ends_with("needs a node of Proxmox VE: /etc/pve/local is missing"));
        fs::rename(fake.at("etc/other"), fake.at("etc/pve"));
        CHECK(fake.state() == before);
    }
}

TEST_CASE("a program that hangs is killed at the deadline, and nobody claims to know what it did") {
    for (const auto& [program, call] : commands) {
        FakeNode fake;
        if (call == unmount_disk) arrange_mounted(fake);
        fake.program(program, "sleep 1000");
        fake.node.patience = std::chrono::milliseconds(300);
        const std::string fstab = read(fake.at("etc/fstab"));
        const Error error = thrown([&, call = call] { call(fake.node); });
        CHECK(error.code() == Code::no_answer);
        CHECK(error.message().ends_with(" did not end within 1 s"));
        CHECK(read(fake.at("etc/fstab")) == fstab);
    }
}

TEST_CASE("a program that floods its output is not kept in memory") {
    for (const auto& [program, call] : commands) {
        FakeNode fake;
        if (call == unmount_disk) arrange_mounted(fake);
        fake.program(program, "head -c 100000000 /dev/zero");
        const std::string fstab = read(fake.at("etc/fstab"));
        const Error error = thrown([&, call = call] { call(fake.node); });
        CHECK(error.code() == Code::program);
        CHECK(error.message().ends_with(" told more than 1 MiB: not read"));
        CHECK(read(fake.at("etc/fstab")) == fstab);
    }
}

TEST_CASE("a program that fails is quoted, in printable words") {
    const CommandRow changing[] = {commands[0], commands[1], commands[2]};
    for (const auto& [program, call] : changing) {
        FakeNode fake;
        if (call == unmount_disk) arrange_mounted(fake);
        fake.program(program, "echo out; printf 'it is \\033[31mbusy\\n\\n' >&2; exit 32");
        fs::remove(fake.at("calls"));
        const auto before = fake.state();
        const Error error = thrown([&, call = call] { call(fake.node); });
        CHECK(error.code() == Code::program);
        CHECK(error.message().ends_with(" ended with status 32: it is \\x1b[31mbusy"));
        fs::remove(fake.at("calls"));
        CHECK(fake.state() == before);
    }
}

TEST_CASE("an interrupted caller ends the program") {
    FakeNode fake;
    fake.program("usr/sbin/pct", "sleep 1000");
    fake.node.check = [] { throw Error(Code::interrupted, "enough"); };
    CHECK(thrown([&] { set_features(fake.node); }).code() == Code::interrupted);
}

// -- a container's features

TEST_CASE("features are set by pct, with these words exactly") {
    FakeNode fake;
    set_features(fake.node);
    CHECK(fake.calls() == "usr/sbin/pct[set][140][--features][keyctl=1,nesting=1]\n");
    ContainerFeatures(fake.node).set(permit_for("999999999", {"mount=nfs", "mount=cifs"}));
    CHECK(fake.calls().ends_with("\nusr/sbin/pct[set][999999999][--features][mount=cifs;nfs]\n"));
}

TEST_CASE("a permit for something else, or for nothing that a node has, starts no program") {
    FakeNode fake;
    const ContainerFeatures features(fake.node);
    const UsbDisk disk(fake.node);
    const auto make = [](const platform::Target& target, const platform::Action& action) {
        return platform::PermitForTests::make(target, action);
    };
    const platform::Target storage = platform::storage_target("usb-1", uuid), container{"140", "device:1"};
    const platform::Mount mount{"/mnt/backup-1"};
    for (const platform::Action& other :
         {platform::Action(platform::SetConfig{}), platform::Action(platform::Start{})}) {
        CHECK(thrown([&] { features.set(make(container, other)); }).code() == Code::internal);
        CHECK(thrown([&] { disk.mount(make(storage, other)); }).code() == Code::internal);
        CHECK(thrown([&] { disk.unmount(make(storage, other)); }).code() == Code::internal);
    }
    CHECK(thrown([&] { disk.mount(make(storage, platform::Unmount{mount.point})); }).code() ==
          Code::internal);
    CHECK(thrown([&] { disk.unmount(make(storage, mount)); }).code() == Code::internal);
    CHECK(thrown([&] { disk.mount(make(container, mount)); }).code() == Code::invalid);
    CHECK(thrown([&] {
              disk.mount(make({"storage:usb-1", "uuid:" + uuid}, mount));
          }).code() == Code::invalid);
    CHECK(thrown([&] { disk.mount(make(storage, platform::Mount{"/etc"})); }).code() == Code::invalid);
    for (const char* wrong : {"", "0140", "99", "140x", "--features", "storage:usb-1"})
        CHECK(thrown([&] { features.set(permit_for(wrong, {"keyctl"})); }).code() == Code::invalid);
    CHECK(thrown([&] { features.set(permit_for("140", {"nesting"})); }).code() == Code::invalid);
    CHECK(fake.calls() == "(nothing)");
}

TEST_CASE("what is for one node is not done on another") {
    FakeNode fake;
    fs::remove_all(fake.at("etc/pve/local"));
    fs::create_symlink("nodes/pve2", fake.at("etc/pve/local"));
    fs::create_directories(fake.at("etc/pve/nodes/pve2"));
    fake.node.name = "pve1";
    for (const CommandRow& command : commands)
        CHECK(thrown([&] { command.call(fake.node); })
                  .message()
                  .ends_with("needs the node pve1, and this machine is pve2"));
    CHECK(fake.calls() == "(nothing)");
    fake.node.name = "pve2";
    set_features(fake.node);
    CHECK(fake.calls() != "(nothing)");
}

TEST_CASE("how a USB disk stands is told by what is mounted and by our line") {
    FakeNode fake;
    const UsbDisk disk(fake.node);
    const auto look = [&] { return disk.look(FilesystemUuid(uuid), MountPoint("/mnt/backup-1")); };
    CHECK(look() == UsbDisk::State{});
    arrange_mounted(fake);
    CHECK(look() == UsbDisk::State{true, true});
    CHECK(disk.look(FilesystemUuid(uuid), MountPoint("/mnt/other")) == UsbDisk::State{});
    CHECK(disk.look(FilesystemUuid("1A2B-3C4D"), MountPoint("/mnt/backup-1")) == UsbDisk::State{});
    unmount_disk(fake.node);
    CHECK(look() == UsbDisk::State{});
}

// -- a USB disk

TEST_CASE("a USB disk is mounted, and its line is put behind all others") {
    FakeNode fake;
    fs::permissions(fake.at("etc/fstab"), fs::perms(0640));
    mount_disk(fake.node);
    CHECK(fake.calls() == "usr/bin/mount[-o][nosuid,nodev][/dev/sdb1][/mnt/backup-1]\n");
    CHECK(read(fake.at("etc/fstab")) == others + our_line);
    CHECK(fs::is_directory(fake.at("mnt/backup-1")));
    CHECK(fs::status(fake.at("etc/fstab")).permissions() == fs::perms(0640));
    mount_disk(fake.node);
    CHECK(read(fake.at("etc/fstab")) == others + our_line);
    CHECK(std::ranges::count(fake.calls(), '\n') == 1);
}

TEST_CASE("unmounting removes our line alone, to the byte") {
    FakeNode fake;
    arrange_mounted(fake);
    write(fake.at("etc/fstab"), others + our_line + "# " + our_line + "LABEL=x /srv ext4 noauto 0 0");
    unmount_disk(fake.node);
    CHECK(fake.calls() == "usr/bin/umount[/mnt/backup-1]\n");
    CHECK(read(fake.at("etc/fstab")) == others + "# " + our_line + "LABEL=x /srv ext4 noauto 0 0");
    unmount_disk(fake.node);
    CHECK(std::ranges::count(fake.calls(), '\n') == 1);
}

TEST_CASE("a call that was cut off is completed by the next") {
    FakeNode fake;
    arrange_mounted(fake);
    write(fake.at("etc/fstab"), others); // cut off between the mount and the line
    mount_disk(fake.node);
    CHECK(fake.calls() == "(nothing)");
    CHECK(read(fake.at("etc/fstab")) == others + our_line);

    write(fake.at("proc/self/mountinfo"), ""); // cut off between the unmount and the line
    unmount_disk(fake.node);
    CHECK(fake.calls() == "(nothing)");
    CHECK(read(fake.at("etc/fstab")) == others);
}

TEST_CASE("after a start without the disk, its line is there and the disk is mounted once it is plugged in") {
    FakeNode fake;
    write(fake.at("etc/fstab"), others + our_line);
    mount_disk(fake.node);
    CHECK(fake.calls().starts_with("usr/bin/mount["));
    CHECK(read(fake.at("etc/fstab")) == others + our_line);
}

TEST_CASE("a disk that was pulled out can be unmounted where our line says whose mount point it is") {
    FakeNode fake;
    arrange_mounted(fake);
    fs::remove(fake.at("dev/disk/by-uuid/" + uuid));
    unmount_disk(fake.node);
    CHECK(fake.calls() == "usr/bin/umount[/mnt/backup-1]\n");
    CHECK(read(fake.at("etc/fstab")) == others);

    write(fake.at("proc/self/mountinfo"), "40 22 8:17 / /mnt/backup-1 rw - ext4 /dev/sdc1 rw\n");
    CHECK(thrown([&] { unmount_disk(fake.node); }).code() == Code::wrong_state);
}

TEST_CASE("what stands in the way of a mount is told, and nothing is changed") {
    FakeNode fake;
    Code code = Code::wrong_state;
    std::string part;
    SECTION("the disk is not plugged in") {
        fs::remove(fake.at("dev/disk/by-uuid/" + uuid));
        code = Code::not_found, part = "is plugged in";
    }
    SECTION("it is no USB disk") {
        fs::remove(fake.at("sys/class/block/sdb1"));
        fs::create_symlink("../../devices/pci0000:00/ata1/host0/block/sdb/sdb1",
                           fake.at("sys/class/block/sdb1"));
        part = "/dev/sdb1, which has that file system, is no USB disk";
    }
    SECTION("nobody tells on which bus it is") {
        fs::remove(fake.at("sys/class/block/sdb1"));
        part = "/dev/sdb1, which has that file system, is no USB disk";
    }
    SECTION("it is mounted elsewhere") {
        write(fake.at("proc/self/mountinfo"),
              "40 22 8:17 / /srv/x rw shared:7 master:2 - ext4 /dev/sdb1 rw\n");
        part = "mounted already, on /srv/x";
    }
    SECTION("something else is mounted there") {
        write(fake.at("proc/self/mountinfo"), "40 22 8:33 / /mnt/backup-1 rw - ext4 /dev/sdc1 rw\n");
        part = "/dev/sdc1 is mounted on /mnt/backup-1 already";
    }
    SECTION("the folder holds files") {
        write(fake.at("mnt/backup-1/precious"), "");
        part = "/mnt/backup-1 holds files";
    }
    SECTION("the folder is a link") {
        fs::create_directory_symlink(fake.at("etc"), fake.at("mnt/backup-1"));
        part = "/mnt/backup-1 is no folder";
    }
    SECTION("somebody else's line is about the disk") {
        write(fake.at("etc/fstab"), others + "UUID=\"" + uuid + "\" /srv/usb ext4 noauto 0 0\n");
        code = Code::foreign, part = "about disk " + uuid;
    }
    SECTION("somebody else's line is about the mount point") {
        write(fake.at("etc/fstab"),
              others + "LABEL=usb /mnt/backup-1/ ext4 noauto,x-blockhost-libvirtual 0 0\n");
        code = Code::foreign, part = "about /mnt/backup-1";
    }
    SECTION("our own line pairs the disk with another mount point") {
        write(fake.at("etc/fstab"), with_disk(others, FilesystemUuid(uuid), MountPoint("/mnt/other")));
        code = Code::exists, part = uuid + " on /mnt/other";
    }
    SECTION("our own line pairs the mount point with another disk") {
        write(fake.at("etc/fstab"),
              with_disk(others, FilesystemUuid("1A2B-0000"), MountPoint("/mnt/backup-1")));
        code = Code::exists, part = "1A2B-0000 on /mnt/backup-1";
    }
    const auto before = fake.state();
    const Error error = thrown([&] { mount_disk(fake.node); });
    CHECK(error.code() == code);
    CHECK_THAT(error.message(), Catch::Contains(part));
    CHECK(fake.state() == before);
}

TEST_CASE("a mount that ends well and mounts nothing is a failure") {
    FakeNode fake;
    fake.program("usr/bin/mount");
    CHECK(thrown([&] { mount_disk(fake.node); }).message() ==
          "mount ended well, and /dev/sdb1 is not mounted on /mnt/backup-1");
    CHECK(read(fake.at("etc/fstab")) == others);
    CHECK_FALSE(fs::exists(fake.at("mnt/backup-1")));
}

TEST_CASE("another disk with the same UUID is not taken for it") {
    FakeNode fake;
    fake.program("usr/bin/mount", "echo \"40 22 8:1 / $4 rw - ext4 /dev/sda1 rw\" >>" + fake.mountinfo());
    CHECK(thrown([&] { mount_disk(fake.node); }).code() == Code::program);
    CHECK(read(fake.at("etc/fstab")) == others);
}

TEST_CASE("a disk whose line cannot be written is unmounted again") {
    FakeNode fake;
    fake.program("usr/bin/mount", "echo \"40 22 8:17 / $4 rw - ext4 /dev/sdb1 rw\" >>" + fake.mountinfo() +
                                      "; mv " + fake.at("etc").string() + " " + fake.at("etc.gone").string());
    CHECK(thrown([&] { mount_disk(fake.node); }).code() == Code::io);
    CHECK(fake.calls().ends_with("\nusr/bin/umount[/mnt/backup-1]\n"));
    CHECK(read(fake.at("etc.gone/fstab")) == others);
}

TEST_CASE("fstab is not edited while another process of ours edits it") {
    FakeNode fake;
    Fd folder(open(fake.at("etc").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto held = FileLock::try_take(folder);
    REQUIRE(held);
    fake.node.patience = std::chrono::milliseconds(0);
    const auto before = fake.state();
    CHECK(thrown([&] { mount_disk(fake.node); }).code() == Code::busy);
    CHECK(fake.state() == before);
}

TEST_CASE("what is mounted there and is another disk is not unmounted") {
    FakeNode fake;
    write(fake.at("proc/self/mountinfo"), "40 22 8:33 / /mnt/backup-1 rw - ext4 /dev/sdc1 rw\n");
    const auto before = fake.state();
    CHECK(thrown([&] { unmount_disk(fake.node); }).code() == Code::wrong_state);
    CHECK(fake.state() == before);
}

TEST_CASE("a line of somebody else's for the same disk and mount point stays") {
    const std::string theirs = "UUID=" + uuid + " /mnt/backup-1 auto nofail,x-blockhost 0 0\n";
    CHECK(without_disk(theirs + our_line, FilesystemUuid(uuid), MountPoint("/mnt/backup-1")) == theirs);
    CHECK(without_disk(our_line, FilesystemUuid(uuid), MountPoint("/mnt/backup-2")) == our_line);
    CHECK(without_disk(our_line, FilesystemUuid("1A2B-3C4D"), MountPoint("/mnt/backup-1")) == our_line);
}

TEST_CASE("a last line without an end stays whole") {
    const std::string text =
        with_disk("proc /proc proc defaults 0 0", FilesystemUuid(uuid), MountPoint("/mnt/backup-1"));
    CHECK(text == "proc /proc proc defaults 0 0\n" + our_line);
    CHECK(with_disk("", FilesystemUuid(uuid), MountPoint("/mnt/backup-1")) == our_line);
}

// -- health

TEST_CASE("smartctl is asked with these words exactly, and its document is read") {
    FakeNode fake;
    fake.program_that_prints("usr/sbin/smartctl", smart_document);
    const Smart smart = Health(fake.node).smart(Device("/dev/disk/by-id/ata-WDC_WD40-1"));
    CHECK(fake.calls() == "usr/sbin/smartctl[--json][-a][/dev/disk/by-id/ata-WDC_WD40-1]\n");
    CHECK(smart.model == "WDC WD40");
    CHECK(smart.serial == "WD-1");
    CHECK(smart.passed == true);
    CHECK(smart.temperature_c == 34);
    CHECK(smart.power_on_hours == 8123);
    CHECK(smart.warnings.empty());
}

TEST_CASE("smartctl's status is a bit for each finding, and a failing disk is told, not an error") {
    FakeNode fake;
    fake.program_that_prints("usr/sbin/smartctl",
                             R"({"smartctl":{"exit_status":216},"smart_status":{"passed":false}})", 216);
    const Smart smart = Health(fake.node).smart(Device("/dev/nvme0n1"));
    CHECK(smart.passed == false);
    CHECK(smart.warnings == std::vector<std::string>{"it says that it is failing",
                                                     "some of its attributes are at the threshold of failure",
                                                     "its log holds errors", "a test of itself failed"});
    CHECK_FALSE(smart.temperature_c);
}

TEST_CASE("a disk that smartctl could not ask is an error with smartctl's own words") {
    FakeNode fake;
    fake.program_that_prints(
        "usr/sbin/smartctl",
        R"({"smartctl":{"exit_status":2,"messages":[{"string":"Smartctl open device: /dev/sda failed: No such device","severity":"error"}]}})",
        2);
    CHECK(thrown([&] { read_smart(fake.node); }).message() ==
          "smartctl could not read /dev/sda: Smartctl open device: /dev/sda failed: No such device");
}

TEST_CASE("an answer that is no JSON, cut off or nested without end is an error") {
    for (const std::string& broken : {std::string(), std::string("{\"smartctl\": {\"exit_status\": 0}"),
                                      std::string("[]"), std::string("null"), std::string("{\"a\": NaN}"),
                                      std::string(100'000, '['), std::string("smartctl 7.4\n")}) {
        FakeNode fake;
        for (const char* program : {"usr/sbin/smartctl", "usr/bin/sensors"})
            fake.program_that_prints(program, broken, 1);
        CHECK(thrown([&] { read_smart(fake.node); }).message() ==
              "smartctl ended with status 1, and its answer is no JSON");
        CHECK(thrown([&] { read_sensors(fake.node); }).code() == Code::program);
    }
    FakeNode fake;
    fake.program_that_prints("usr/sbin/smartctl", "{}");
    CHECK(thrown([&] { read_smart(fake.node); }).code() == Code::program);
}

TEST_CASE("values of other types count as none") {
    FakeNode fake;
    fake.program_that_prints(
        "usr/sbin/smartctl",
        R"({"smartctl":{"exit_status":0},"model_name":7,"smart_status":[],"temperature":{"current":"hot"},"power_on_time":null})");
    const Smart smart = Health(fake.node).smart(Device("/dev/sda"));
    CHECK(smart.model.empty());
    CHECK_FALSE(smart.passed);
    CHECK_FALSE(smart.temperature_c);
    CHECK_FALSE(smart.power_on_hours);
}

TEST_CASE("sensors is asked with these words exactly, and its measured values are read") {
    FakeNode fake;
    fake.program_that_prints(
        "usr/bin/sensors",
        R"({"coretemp-isa-0000":{"Adapter":"ISA adapter","Package id 0":{"temp1_input":45.000,"temp1_max":80.0},)"
        R"("Core\n0":{"temp2_input":43}},"nct6775-isa-0290":{"Adapter":"ISA adapter","fan1":{"fan1_input":1170.0,"fan1_alarm":0.0},)"
        R"("Vcore":{"in0_input":"n/a"},"x":{"_input":1,"temp_input":2}},"odd":3})");
    const auto readings = Health(fake.node).sensors();
    CHECK(fake.calls() == "usr/bin/sensors[-j]\n");
    REQUIRE(readings.size() == 3);
    CHECK((readings[0].chip == "coretemp-isa-0000" && readings[0].sensor == "Package id 0"));
    CHECK((readings[0].kind == "temp" && readings[0].value == 45));
    CHECK((readings[1].sensor == "Core\\x0a0" && readings[1].value == 43));
    CHECK((readings[2].kind == "fan" && readings[2].value == 1170));
}
