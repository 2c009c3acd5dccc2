// SPDX-License-Identifier: MIT
// What a service tells its manager, as datagrams arrive; and SIGHUP.
#include "base/hangup.hpp"
#include "base/interrupt.hpp"
#include "base/service_manager.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <csignal>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

using namespace blockhost;
using namespace std::chrono_literals;

namespace {

/// A socket that a manager listens on.
struct Listener {
    explicit Listener(const std::string& name) : fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, name.data(), name.size());
        if (name[0] == '@') address.sun_path[0] = '\0';
        const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
        REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
    }
    std::string next() const {
        char buffer[4096];
        const auto size = ::recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        return size < 0 ? "" : std::string(buffer, static_cast<std::size_t>(size));
    }
    Fd fd;
};

} // namespace

TEST_CASE("a manager hears each change as one datagram, on a path and on an abstract name") {
    TemporaryFolder folder;
    for (const std::string& name :
         {(folder.path / "notify").string(), "@blockhost-test-" + folder.path.filename().string()}) {
        const Listener listener(name);
        ServiceManager manager(name, {});
        manager.ready("it listens");
        CHECK(listener.next() == "READY=1\nSTATUS=it listens");
        manager.status("two\nlines");
        CHECK(listener.next() == "STATUS=two\\x0alines");
        manager.reloading();
        const std::string reloading = listener.next();
        CHECK(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="));
        CHECK(reloading.size() > std::strlen("RELOADING=1\nMONOTONIC_USEC="));
        manager.stopping("bye");
        CHECK(listener.next() == "STOPPING=1\nSTATUS=bye");
        manager.alive();
        CHECK(listener.next().empty()); // nobody waits for it
    }
}

TEST_CASE("a sign of life comes in time, and not with each call") {
    TemporaryFolder folder;
    const std::string name = (folder.path / "notify").string();
    const Listener listener(name);
    ServiceManager seldom(name, 1h), often(name, 2us);
    seldom.alive();
    CHECK(listener.next() == "WATCHDOG=1");
    seldom.alive();
    CHECK(listener.next().empty());
    often.alive();
    often.alive();
    CHECK(listener.next() == "WATCHDOG=1");
}

TEST_CASE("a manager that is not there makes nothing fail") {
    ServiceManager().ready("x");
    ServiceManager("/nonexistent/socket", 1us).alive();
    ServiceManager("no path", {}).ready("x");
    ServiceManager("/" + std::string(200, 'x'), {}).ready("x");
}

TEST_CASE("the manager of a process is the one of its environment") {
    TemporaryFolder folder;
    const std::string name = (folder.path / "notify").string();
    const Listener listener(name);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    ::setenv("WATCHDOG_USEC", "3000000", 1);
    ::setenv("WATCHDOG_PID", "1", 1); // another process
    ServiceManager::of_process().alive();
    CHECK(listener.next().empty());
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
    ServiceManager::of_process().alive();
    CHECK(listener.next() == "WATCHDOG=1");
    for (const char* variable : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(variable);
    ServiceManager::of_process().ready("x");
    CHECK(listener.next().empty());
}

TEST_CASE("a hangup is noted once, and is no wish to end") {
    note_hangups();
    CHECK_FALSE(take_hangup());
    ::raise(SIGHUP);
    CHECK(noted_signal() == 0);
    CHECK(take_hangup());
    CHECK_FALSE(take_hangup());
}
