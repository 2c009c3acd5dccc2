// SPDX-License-Identifier: MIT
/// See socket.hpp.

#include "hypervisor/rpc/socket.hpp"

#include "hypervisor/rpc/message.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace blockhost::rpc {
namespace {

constexpr std::size_t read_step = 8u << 10;
constexpr std::int64_t longest_poll_ms = 60'000;
constexpr int full_backlog_pause_ms = 20;

Ended not_connected(const std::string& path, int error_number) {
    return Ended("Failed to connect socket to '" + path + "': " + std::strerror(error_number), error_number);
}

} // namespace

Socket::Socket(const std::string& path, const Deadline& deadline) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw not_connected(path, ENAMETOOLONG);
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    fd_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd_) throw not_connected(path, errno);
    // A full backlog is EAGAIN on a Unix socket, and nothing tells when it has room again.
    while (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (errno != EAGAIN && errno != EINTR) throw not_connected(path, errno);
        if (deadline.passed()) throw Silence("too many others wait to be let in");
        ::poll(nullptr, 0, full_backlog_pause_ms);
    }
}

void Socket::await(short events, const Deadline& deadline) const {
    for (;;) {
        pollfd wait{.fd = fd_.get(), .events = events, .revents = 0};
        const auto left = std::min<std::int64_t>(deadline.left().count(), longest_poll_ms);
        const int ready = ::poll(&wait, 1, static_cast<int>(left));
        if (ready > 0) return;
        if (ready < 0 && errno != EINTR) throw Ended(std::string("cannot wait: ") + std::strerror(errno));
        if (deadline.passed()) throw Silence("nothing was said in time");
    }
}

void Socket::send(std::string_view packet, const Deadline& deadline) {
    while (!packet.empty()) {
        const auto sent = ::send(fd_.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
        if (sent >= 0) {
            packet.remove_prefix(static_cast<std::size_t>(sent));
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            throw Ended(std::string("Cannot write data: ") + std::strerror(errno));
        await(POLLOUT, deadline);
    }
}

void Socket::fill(std::size_t size, const Deadline& deadline) {
    while (buffer_.size() < size) {
        await(POLLIN, deadline);
        const std::size_t before = buffer_.size();
        buffer_.resize(before + std::max(read_step, before));
        const auto got = ::recv(fd_.get(), buffer_.data() + before, buffer_.size() - before, 0);
        const int failure = errno;
        buffer_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        if (got > 0 || (got < 0 && (failure == EAGAIN || failure == EINTR))) continue;
        throw Ended(got == 0 ? "End of file while reading data"
                             : std::string("Cannot read data: ") + std::strerror(failure));
    }
}

std::string Socket::receive(const Deadline& deadline) {
    // one that always talks and never answers must not keep us
    if (deadline.passed()) throw Silence("nothing was said in time");
    fill(length_size, deadline);
    const std::size_t whole = length_size + size_after(std::string_view(buffer_).substr(0, length_size));
    fill(whole, deadline);
    std::string packet;
    if (buffer_.size() == whole) {
        packet = std::move(buffer_);
        buffer_.clear();
        packet.erase(0, length_size);
    } else {
        packet = buffer_.substr(length_size, whole - length_size);
        buffer_.erase(0, whole);
    }
    return packet;
}

} // namespace blockhost::rpc
