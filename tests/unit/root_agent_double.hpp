// SPDX-License-Identifier: MIT
#pragma once
/// The root agent, played by a thread: a few connections, each served by a function of the test's.

#include "base/files/files.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace root_agent_double {

using blockhost::Fd;

inline Fd listen_at(const std::filesystem::path& path) {
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.native().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(fd.get(), 4) == 0);
    return fd;
}

inline bool wait_for(int fd) {
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    int ready = 0;
    do ready = poll(&wait, 1, 5000);
    while (ready < 0 && errno == EINTR); // glibc interrupts every thread when one changes the user
    return ready == 1;
}

inline std::string receive(int fd, std::size_t size) {
    std::string data(size, '\0');
    std::size_t length = 0;
    while (length < size && wait_for(fd)) {
        ssize_t got = recv(fd, data.data() + length, size - length, 0);
        if (got <= 0) break;
        length += static_cast<std::size_t>(got);
    }
    data.resize(length);
    return data;
}

inline std::string receive_request(int fd) {
    std::string head = receive(fd, 4);
    std::size_t size = 0;
    for (char byte : head) size = size << 8 | static_cast<unsigned char>(byte);
    return receive(fd, size);
}

inline std::string frame(const std::string& payload) {
    auto size = payload.size();
    std::string head{static_cast<char>(size >> 24), static_cast<char>(size >> 16 & 0xff),
                     static_cast<char>(size >> 8 & 0xff), static_cast<char>(size & 0xff)};
    return head + payload;
}

inline void send_bytes(int fd, const std::string& data) {
    std::size_t sent = 0;
    while (sent < data.size()) {
        ssize_t n = send(fd, data.data() + sent, data.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return;
        sent += static_cast<std::size_t>(n);
    }
}

/// An agent at `socket` (named root-agent.sock) that serves each connection with `serve` and then closes it.
class Agent {
  public:
    explicit Agent(std::function<void(int)> serve, int connections = 1)
        : socket(folder.path / "root-agent.sock"), listening_(listen_at(socket)),
          thread_([this, serve = std::move(serve), connections] {
              for (int i = 0; i < connections && wait_for(listening_.get()); ++i) {
                  Fd connection(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
                  if (connection) serve(connection.get());
              }
          }) {}
    ~Agent() { thread_.join(); }
    /// Lets every user connect.
    void open_to_all() const {
        std::filesystem::permissions(folder.path, std::filesystem::perms(0711));
        std::filesystem::permissions(socket, std::filesystem::perms(0777));
    }
    Agent(const Agent&) = delete;
    Agent& operator=(const Agent&) = delete;

  private:
    TemporaryFolder folder;

  public:
    std::filesystem::path socket;

  private:
    Fd listening_;
    std::thread thread_;
};

} // namespace root_agent_double
