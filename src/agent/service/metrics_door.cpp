// SPDX-License-Identifier: MIT
#include "agent/service/metrics_door.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace blockhost::agent {

namespace {

constexpr std::chrono::seconds patience(5);
constexpr int waiting = 8;

Error cannot(const std::string& where, int error) {
    return Error(Code::io, fmt::format("metrics cannot be shown at {}: {}", where, std::strerror(error)),
                 error == EADDRINUSE ? "another program listens there: name another place in agent.json"
                                     : "see \"metrics\" in agent.json");
}

/// A Unix socket's file gets the socket's own mode (unix(7) leaves the umask to take from it, which is the
/// whole process's and so is left alone).
Fd listen_at(int family, const sockaddr* address, socklen_t size, const std::string& where) {
    Fd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int yes = 1;
    if (fd) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd && family == AF_UNIX && fchmod(fd.get(), 0600) != 0) throw cannot(where, errno);
    if (!fd || bind(fd.get(), address, size) != 0 || listen(fd.get(), waiting) != 0)
        throw cannot(where, errno);
    return fd;
}

Fd listen_at(const MetricsPlace& place) {
    const std::string where = fmt::format("{}, port {}", place.address, place.port);
    if (place.address == "::1") {
        sockaddr_in6 address{};
        address.sin6_family = AF_INET6;
        address.sin6_port = htons(static_cast<std::uint16_t>(place.port));
        address.sin6_addr = in6addr_loopback;
        return listen_at(AF_INET6, reinterpret_cast<const sockaddr*>(&address), sizeof address, where);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(place.port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return listen_at(AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof address, where);
}

/// A socket that a dead process left is replaced; anything else is not.
Fd listen_at(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.string().size() >= sizeof address.sun_path) throw cannot(path.string(), ENAMETOOLONG);
    std::memcpy(address.sun_path, path.c_str(), path.string().size());
    const auto folder = Folder::open(path.parent_path());
    if (!folder) throw cannot(path.string(), ENOENT);
    struct stat there {};
    if (fstatat(folder->fd(), path.filename().c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!S_ISSOCK(there.st_mode)) throw cannot(path.string(), EEXIST);
        const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!probe ||
            connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
            errno != ECONNREFUSED)
            throw cannot(path.string(), EADDRINUSE);
        unlinkat(folder->fd(), path.filename().c_str(), 0);
    }
    return listen_at(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address, path.string());
}

std::string response(std::string_view status, std::string_view type, std::string_view body) {
    return fmt::format("HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                       status, type, body.size(), body);
}

} // namespace

std::string answer_to(std::string_view request, const std::function<std::string()>& text) {
    constexpr std::string_view plain = "text/plain; charset=utf-8";
    const auto words = text::split(request.substr(0, request.find("\r\n")), ' ');
    if (words.size() != 3 || !words[2].starts_with("HTTP/1.")) return response("400 Bad Request", plain, "");
    if (words[0] != "GET") return response("405 Method Not Allowed", plain, "");
    if (words[1] != "/metrics") return response("404 Not Found", plain, "/metrics is here\n");
    try {
        return response("200 OK", "text/plain; version=0.0.4; charset=utf-8", text());
    } catch (const std::exception&) {
        return response("503 Service Unavailable", plain, "");
    }
}

MetricsDoor::MetricsDoor(const MetricsPlace& place)
    : listening_(place.socket.empty() ? listen_at(place) : listen_at(place.socket)) {}

void MetricsDoor::take_in() {
    while (guests_.size() < most_guests) {
        Fd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!fd) return;
        guests_.push_back({std::move(fd), Deadline::in(patience), "", ""});
    }
}

bool MetricsDoor::go_on(Guest& guest, const std::function<std::string()>& text) {
    char part[1024];
    while (guest.left.empty()) {
        const ssize_t got = recv(guest.fd.get(), part, sizeof part, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
        if (got <= 0) return false;
        guest.heard.append(part, static_cast<std::size_t>(got));
        if (guest.heard.find("\r\n\r\n") != std::string::npos)
            guest.left = answer_to(guest.heard, text);
        else if (guest.heard.size() > longest_request)
            return false;
    }
    while (!guest.left.empty()) {
        const ssize_t sent = send(guest.fd.get(), guest.left.data(), guest.left.size(), MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return true;
        if (sent <= 0) return false;
        guest.left.erase(0, static_cast<std::size_t>(sent));
    }
    shutdown(guest.fd.get(), SHUT_WR);
    return false;
}

void MetricsDoor::serve(const std::function<std::string()>& text) {
    std::erase_if(guests_, [&](Guest& each) { return each.end.passed() || !go_on(each, text); });
    const std::size_t before = guests_.size();
    take_in();
    for (std::size_t i = guests_.size(); i > before; --i)
        if (!go_on(guests_[i - 1], text)) guests_.erase(guests_.begin() + static_cast<std::ptrdiff_t>(i - 1));
}

} // namespace blockhost::agent
