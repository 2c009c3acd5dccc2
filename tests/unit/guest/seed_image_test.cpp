// SPDX-License-Identifier: MIT
// The seed image, read back by other programs and by the kernel, and the folder it lies in.
#include "guest/seed_image.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/process.hpp"
#include "guest/cloud_init.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <fstream>
#include <grp.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace blockhost;
namespace fs = std::filesystem;

namespace {

const guest::Seed seed{"#cloud-config\n{}\n", "instance-id: \"a\"\n", "version: 2\n"};

struct stat look(const fs::path& path) {
    struct stat found {};
    REQUIRE(lstat(path.c_str(), &found) == 0);
    return found;
}

mode_t mode_of(const fs::path& path) {
    return look(path).st_mode & 07777;
}

std::string output_of(const std::string& program, std::vector<std::string> arguments) {
    auto result =
        run({.program = program, .arguments = std::move(arguments), .environment = {}, .input = {}});
    REQUIRE(result.ok());
    return result.out;
}

fs::path write_image(const fs::path& folder, const std::vector<std::pair<std::string, std::string>>& files) {
    fs::path image = folder / "image.iso";
    Fd fd(open(image.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    REQUIRE(fd);
    guest::write_iso(fd.get(), "cidata", files);
    return image;
}

} // namespace

TEST_CASE("the image bears the label and the exact names in both its trees") {
    TemporaryFolder folder;
    auto image = write_image(folder.path, {{"user-data", "u"}, {"meta-data", "m"}, {"network-config", "n"}});
    CHECK_THAT(output_of("/usr/bin/isoinfo", {"-d", "-i", image}), Catch::Contains("Volume id: cidata\n"));
    CHECK_THAT(output_of("/usr/sbin/blkid", {"-p", "-o", "export", image}), // how cloud-init looks for it
               Catch::Contains("LABEL=cidata\n") && Catch::Contains("TYPE=iso9660\n"));
    for (const char* tree : {"-R", "-J"}) {
        std::string names = output_of("/usr/bin/isoinfo", {tree, "-f", "-i", image});
        CHECK_THAT(names, Catch::Contains("/user-data\n") && Catch::Contains("/meta-data\n") &&
                              Catch::Contains("/network-config\n"));
        CHECK(output_of("/usr/bin/isoinfo", {tree, "-x", "/meta-data", "-i", image}) == "m");
    }
}

TEST_CASE("the image keeps empty, large and binary content byte for byte") {
    TemporaryFolder folder;
    std::string large;
    for (int i = 0; i < 3 * 1024 * 1024; ++i) large += static_cast<char>(i * 31 >> 3);
    auto image =
        write_image(folder.path, {{"user-data", large}, {"meta-data", ""}, {"network-config", {"\0x", 2}}});
    auto read = [&](const char* name) {
        auto result = run({.program = "/usr/bin/isoinfo",
                           .arguments = {"-R", "-x", name, "-i", image},
                           .environment = {},
                           .input = {},
                           .output_cap = 8u << 20});
        return result.out;
    };
    CHECK(read("/user-data") == large);
    CHECK(read("/meta-data").empty());
    CHECK(read("/network-config") == std::string("\0x", 2));
}

TEST_CASE("the kernel mounts the image and finds the three files, readable by the guest's root alone") {
    TemporaryFolder folder;
    auto image = write_image(folder.path, {{"user-data", "u"}, {"meta-data", "m"}, {"network-config", "n"}});
    fs::path here = folder.path / "mounted";
    fs::create_directory(here);
    if (geteuid() != 0) {
        WARN("skipped: mounting needs root");
        return;
    }
    auto mounted = run({.program = "/usr/bin/mount",
                        .arguments = {"-o", "loop,ro", image, here},
                        .environment = {},
                        .input = {}});
    if (!mounted.ok()) {
        WARN("skipped: this host mounts no ISO 9660 image: " << mounted.err);
        return;
    }
    CHECK(files::read(here / "user-data") == "u");
    CHECK(files::read(here / "meta-data") == "m");
    CHECK(files::read(here / "network-config") == "n");
    CHECK(mode_of(here / "user-data") == 0400);
    REQUIRE(umount(here.c_str()) == 0);
}

TEST_CASE("an image that cannot be written is an error with its reason") {
    Fd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
    REQUIRE(full);
    try {
        guest::write_iso(full.get(), "cidata", {{"user-data", std::string(1 << 20, 'x')}});
        FAIL("was taken");
    } catch (const Error& error) {
        CHECK(error.code() == Code::io);
        CHECK_THAT(error.message(), Catch::Contains("No space left on device"));
    }
}

TEST_CASE("a name that two files share is an error with its reason") {
    TemporaryFolder folder;
    CHECK_THROWS_AS(write_image(folder.path, {{"user-data", "u"}, {"user-data", "v"}}), Error);
    CHECK_NOTHROW(write_image(folder.path, {{"user-data", "u"}}));
}

TEST_CASE("a seed's secrets are its owner's alone, and QEMU may pass through its folder") {
    TemporaryFolder folder;
    mode_t old = umask(GENERATE(0077, 0));
    auto image = guest::write_seed(folder.path / "cloud-init", VmName("vm-1"), seed, guest::SeedImage::iso);
    umask(old);
    fs::path own = folder.path / "cloud-init/vm-1";
    CHECK(image == own / "cidata.iso");
    CHECK(mode_of(own / "user-data") == 0600);
    CHECK(mode_of(image) == 0600);
    CHECK(mode_of(own / "network-config") == 0640);
    CHECK(files::read(own / "user-data") == seed.user_data);
    CHECK(files::read(own / "network-config") == seed.network_config);
    CHECK(output_of("/usr/bin/isoinfo", {"-R", "-x", "/meta-data", "-i", image}) == seed.meta_data);
    const group* qemu = getgrnam("libvirt-qemu");
    if (qemu != nullptr && geteuid() == 0) {
        CHECK(mode_of(own) == 0710);
        CHECK(look(own).st_gid == qemu->gr_gid);
    } else {
        CHECK(mode_of(own) == 0711);
    }
}

TEST_CASE("a stand-in for the image has the seed's texts and is its owner's alone") {
    TemporaryFolder folder;
    auto image = guest::write_seed(folder.path, VmName("vm-1"), seed, guest::SeedImage::stand_in);
    CHECK(image == folder.path / "vm-1/cidata.iso");
    CHECK(files::read(image) == seed.user_data + seed.meta_data + seed.network_config);
    CHECK(mode_of(image) == 0600);
}

TEST_CASE("what root writes belongs to the folder's owner") {
    if (geteuid() != 0) {
        WARN("skipped: giving files away needs root");
        return;
    }
    TemporaryFolder folder;
    REQUIRE(chown(folder.path.c_str(), 4711, 4712) == 0);
    auto image = guest::write_seed(folder.path / "cloud-init", VmName("vm-1"), seed, guest::SeedImage::iso);
    for (const fs::path& path : {image, image.parent_path(), image.parent_path() / "user-data"})
        CHECK(look(path).st_uid == 4711);
}

TEST_CASE("a new seed replaces whatever bears its name and follows no planted link") {
    TemporaryFolder folder;
    fs::path all = folder.path / "cloud-init", precious = folder.path / "precious";
    fs::create_directories(all);
    fs::create_directory(precious);
    std::ofstream(precious / "user-data") << "precious";
    SECTION("an older seed") {
        guest::write_seed(all, VmName("vm-1"), {"old", "old", "old"}, guest::SeedImage::iso);
        std::ofstream(all / "vm-1/leftover") << "x";
    }
    SECTION("a link to a folder") {
        fs::create_directory_symlink(precious, all / "vm-1");
    }
    SECTION("a folder of links") {
        fs::create_directory(all / "vm-1");
        fs::create_symlink(precious / "user-data", all / "vm-1/user-data");
        fs::create_symlink(precious / "user-data", all / "vm-1/cidata.iso");
    }
    SECTION("a file") {
        std::ofstream(all / "vm-1") << "x";
    }
    auto image = guest::write_seed(all, VmName("vm-1"), seed, guest::SeedImage::iso);
    CHECK(fs::is_regular_file(fs::symlink_status(image)));
    CHECK_FALSE(fs::exists(all / "vm-1/leftover"));
    CHECK(files::read(all / "vm-1/user-data") == seed.user_data);
    CHECK(files::read(precious / "user-data") == "precious");
}

TEST_CASE("removing a seed takes its folder and an old image, nothing else, and may be repeated") {
    TemporaryFolder folder;
    fs::path all = folder.path / "cloud-init";
    CHECK_FALSE(guest::remove_seed(all, VmName("vm-1")));
    guest::write_seed(all, VmName("vm-1"), seed, guest::SeedImage::iso);
    guest::write_seed(all, VmName("vm-10"), seed, guest::SeedImage::iso);
    guest::write_seed(all, VmName("vm-1.img"), seed, guest::SeedImage::iso);
    CHECK(guest::remove_seed(all, VmName("vm-1")));
    CHECK_FALSE(guest::remove_seed(all, VmName("vm-1")));
    CHECK_FALSE(fs::exists(all / "vm-1"));
    CHECK(fs::exists(all / "vm-10/cidata.iso"));
    CHECK(fs::exists(all / "vm-1.img/cidata.iso"));
    std::ofstream(all / "vm-2.img") << "old";
    CHECK(guest::remove_seed(all, VmName("vm-2")));
    CHECK_FALSE(fs::exists(all / "vm-2.img"));
}
