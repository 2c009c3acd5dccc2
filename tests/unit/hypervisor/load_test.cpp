// SPDX-License-Identifier: MIT
// Opening libvirt where it isn't, or doesn't answer. No daemon takes part.

#include "hypervisor/open.hpp"

#include "base/files/files.hpp"
#include "support.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

using namespace blockhost;
using namespace hypervisor_test;

namespace {

Error error_of(const std::string& uri) {
    try {
        open_libvirt(uri, Access::read);
    } catch (const Error& error) {
        return error;
    }
    return Error(Code::internal, "it opened");
}

/// A socket that takes callers in and never says a word.
Fd silent_socket(const std::filesystem::path& path) {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket.get(), 8) == 0);
    return socket;
}

std::string uri_of(const std::filesystem::path& socket) {
    return "qemu:///system?socket=" + socket.string();
}

} // namespace

TEST_CASE("the connection is qemu:///system unless the environment names another") {
    ::unsetenv("BLOCKHOST_LIBVIRT_URI");
    CHECK(libvirt_uri() == "qemu:///system");
    ::setenv("BLOCKHOST_LIBVIRT_URI", "test:///default", 1);
    CHECK(libvirt_uri() == "test:///default");
    ::unsetenv("BLOCKHOST_LIBVIRT_URI");
}

TEST_CASE("where there is no socket, libvirt is down, in its own words and with what to do") {
    TemporaryFolder folder;
    auto error = error_of(uri_of(folder.path() / "nothing"));
    CHECK(error.code() == Code::hypervisor_down);
    CHECK(error.message().find("libvirt cannot be reached at qemu:///system?socket=") == 0);
    CHECK(error.message().find("No such file or directory") != std::string::npos);
    CHECK(error.hint().find("systemctl start libvirtd") != std::string::npos);
}

TEST_CASE("where nobody serves the socket any more, libvirt is down") {
    TemporaryFolder folder;
    silent_socket(folder.path() / "left");
    CHECK(error_of(uri_of(folder.path() / "left")).code() == Code::hypervisor_down);
}

TEST_CASE("a daemon that takes the call and stays silent is given up, and keeps nobody from exiting") {
    TemporaryFolder folder;
    auto silent = silent_socket(folder.path() / "silent");
    auto error = error_of(uri_of(folder.path() / "silent"));
    CHECK(error.code() == Code::no_answer);
    CHECK(error.message().find("does not answer") != std::string::npos);
}

TEST_CASE("looks work through libvirt's own test driver") {
    auto hypervisor = open_libvirt("test:///default", Access::read);
    CHECK(hypervisor->state("test") == PowerState::running);
    CHECK_FALSE(hypervisor->state("nobody"));
}
