// SPDX-License-Identifier: MIT
// What of libvirt is installed, in little hosts of the tests' own.
#include "host/libvirt_installation.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

using namespace blockhost;
using State = host::VetoHook::State;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& path, const std::string& content = "") {
    fs::create_directories(path.parent_path());
    files::replace(path, content, {.mode = 0755, .uid = {}, .gid = {}});
}

/// The beginning of an ELF file for this machine, or for another one.
std::string library(bool own_machine = true) {
    std::string header = files::read("/proc/self/exe", 1u << 30)->substr(0, 64);
    if (!own_machine) header[18] = static_cast<char>(header[18] + 1); // the low byte of e_machine
    return header;
}

void make_socket(const fs::path& path) {
    fs::create_directories(path.parent_path());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.native().size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.c_str(), path.native().size());
    const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

Instant at(std::int64_t seconds) {
    return Instant(std::chrono::seconds(seconds));
}

/// A daemon of that name whose pid file was written then.
void run_daemon(const fs::path& root, const std::string& name, Instant started) {
    put(root / "run" / (name + ".pid"), "123\n");
    put(root / "proc/123/comm", name + "\n");
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(started.time_since_epoch()).count();
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    REQUIRE(::utimensat(AT_FDCWD, (root / "run" / (name + ".pid")).c_str(), times, 0) == 0);
}

} // namespace

TEST_CASE("a library is found where distributions keep them, and only for this machine") {
    TemporaryFolder host;
    const fs::path file = host.path /
                          GENERATE("usr/lib", "usr/lib64", "usr/local/lib", "usr/lib/x86_64-linux-gnu",
                                   "usr/local/lib/x86_64-linux-gnu") /
                          "libx.so.0";
    CHECK_FALSE(host::find_library("libx.so.0", host.path));
    put(file, library(false));
    CHECK_FALSE(host::find_library("libx.so.0", host.path));
    put(file, "no library");
    CHECK_FALSE(host::find_library("libx.so.0", host.path));
    put(file, library());
    CHECK(host::find_library("libx.so.0", host.path) == file);
    fs::remove(file);
    fs::create_symlink("/nowhere", file);
    CHECK_FALSE(host::find_library("libx.so.0", host.path));
}

TEST_CASE("the folders of LD_LIBRARY_PATH come first") {
    TemporaryFolder host;
    put(host.path / "usr/lib/libx.so.0", library());
    put(host.path / "own/libx.so.0", library());
    ::setenv("LD_LIBRARY_PATH", (":/nowhere:" + (host.path / "own").native()).c_str(), 1);
    CHECK(host::find_library("libx.so.0", host.path) == host.path / "own/libx.so.0");
    ::unsetenv("LD_LIBRARY_PATH");
    CHECK(host::find_library("libx.so.0", host.path) == host.path / "usr/lib/libx.so.0");
}

TEST_CASE("a daemon's socket is the one that is named, or a known one") {
    TemporaryFolder host;
    const fs::path socket = host.path / "run/libvirt" / GENERATE("libvirt-sock", "virtqemud-sock");
    CHECK_FALSE(host::daemon_socket("qemu:///system", host.path));
    put(socket);
    CHECK_FALSE(host::daemon_socket("qemu:///system", host.path));
    fs::remove(socket);
    make_socket(socket);
    CHECK(host::daemon_socket("qemu:///system", host.path) == socket);

    make_socket(host.path / "named");
    const std::string named = "qemu+unix:///system?socket=" + (host.path / "named").native();
    CHECK(host::daemon_socket(named, host.path) == host.path / "named");
    CHECK(host::daemon_socket(named + "&keepalive=0", host.path) == host.path / "named");
    CHECK_FALSE(host::daemon_socket(named + "x", host.path));
}

TEST_CASE("a daemon runs since its pid file was written, if that is its process") {
    TemporaryFolder host;
    const std::string name = GENERATE("libvirtd", "virtqemud");
    CHECK_FALSE(host::daemon_started(host.path));
    run_daemon(host.path, name, at(1000));
    CHECK(host::daemon_started(host.path) == at(1000));
    put(host.path / "proc/123/comm", "sleep\n");
    CHECK_FALSE(host::daemon_started(host.path));
    put(host.path / "proc/123/comm", name + "\n");
    put(host.path / "run" / (name + ".pid"), "garbage");
    CHECK_FALSE(host::daemon_started(host.path));
    fs::remove(host.path / "run" / (name + ".pid"));
    fs::create_directories(host.path / "run" / (name + ".pid"));
    CHECK_FALSE(host::daemon_started(host.path));
}

TEST_CASE("the start veto is there when its link leads to a program") {
    TemporaryFolder host;
    const fs::path link = host.path / "etc/libvirt/hooks/qemu.d/blockhost", program = host.path / "program";
    CHECK(host::veto_hook({}, host.path).state == State::absent);
    fs::create_directories(link.parent_path());
    fs::create_symlink(program, link);
    CHECK(host::veto_hook({}, host.path).state == State::absent);
    put(program);
    CHECK(host::veto_hook({}, host.path).state == State::ready);
    CHECK(host::veto_hook({}, host.path).path == link);
    fs::permissions(program, fs::perms::owner_read);
    CHECK(host::veto_hook({}, host.path).state == State::unusable);
    fs::remove(program);
    fs::create_directories(program);
    CHECK(host::veto_hook({}, host.path).state == State::unusable);
}

TEST_CASE("a start veto that cannot be looked at is not called absent") {
    TemporaryFolder host;
    const fs::path folder = host.path / "etc/libvirt/hooks";
    fs::create_directories(folder);
    fs::create_symlink("qemu.d", folder / "qemu.d"); // too many levels of symbolic links
    CHECK_THROWS_AS(host::veto_hook({}, host.path), Error);
}

TEST_CASE("a running daemon has noticed the start veto when it started later, or was seen asking it") {
    TemporaryFolder host;
    put(host.path / "etc/libvirt/hooks/qemu.d/blockhost");
    const Instant earlier = now() - std::chrono::hours(1), later = now() + std::chrono::hours(1);
    run_daemon(host.path, "libvirtd", later);
    CHECK(host::veto_hook({}, host.path).state == State::ready);
    run_daemon(host.path, "libvirtd", earlier);
    CHECK(host::veto_hook({}, host.path).state == State::unnoticed);
    CHECK(host::veto_hook(earlier - std::chrono::hours(1), host.path).state == State::unnoticed);
    CHECK(host::veto_hook(now(), host.path).state == State::ready);
}

TEST_CASE("of two daemons' sockets the one is named that libvirt's library would use") {
    TemporaryFolder host;
    for (const char* name : {"libvirt-sock", "virtqemud-sock"}) make_socket(host.path / "run/libvirt" / name);
    CHECK(host::daemon_socket("qemu:///system", host.path) == host.path / "run/libvirt/virtqemud-sock");
}
