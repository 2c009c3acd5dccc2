// SPDX-License-Identifier: MIT
/// See daemon_socket.hpp.

#include "hypervisor/common/daemon_socket.hpp"

#include "hypervisor/common/process_age.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace blockhost::libvirt {
namespace {

namespace fs = std::filesystem;

/// A daemon has been up for as long as we were patient: it is not on its way, it does not answer.
bool daemon_was_up() {
    std::error_code ignored;
    for (fs::directory_iterator it("/proc", ignored), end; it != end; it.increment(ignored)) {
        auto name = it->path().filename().string();
        if (name.find_first_not_of("0123456789") != name.npos) continue;
        auto command = first_line(it->path() / "comm");
        if (command != "libvirtd" && command != "virtqemud") continue;
        auto age = age_of(it->path());
        if (age && *age > std::chrono::duration<double>(patience).count()) return true;
    }
    return false;
}

} // namespace

std::optional<Sockets> local_sockets(const std::string& uri) {
    // libvirt's own spelling of the folder is in its messages, and so in ours
    static constexpr std::array daemons{"/var/run/libvirt/virtqemud-sock", "/var/run/libvirt/libvirt-sock"};
    if (uri == "qemu:///system" || uri == "qemu+unix:///system") {
        for (const std::string socket : daemons)
            if (::access(socket.c_str(), F_OK) == 0) return Sockets{socket, socket + "-ro"};
        return Sockets{daemons.back(), std::string(daemons.back()) + "-ro"};
    }
    for (const std::string_view beginning : {"qemu:///system?socket=", "qemu+unix:///system?socket="}) {
        if (!uri.starts_with(beginning)) continue;
        const auto path = uri.substr(beginning.size());
        if (path.starts_with('/') && path.find_first_of("&;#%?") == path.npos) return Sockets{path, path};
    }
    return std::nullopt;
}

bool belongs_to_init(const std::string& socket_path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_path.empty() || socket_path.size() >= sizeof address.sun_path) return false;
    std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    ucred peer{};
    socklen_t size = sizeof peer;
    bool known = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                 ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    ::close(fd);
    return known && peer.pid == 1;
}

Wakening::Wakening(std::string socket_path, std::chrono::steady_clock::time_point began,
                   std::chrono::milliseconds longest)
    : socket_path_(std::move(socket_path)),
      end_(began + std::min<std::chrono::milliseconds>(patience_with_wakening, longest)) {}

bool Wakening::is_going_on() {
    if (!activated_) activated_ = belongs_to_init(socket_path_);
    return *activated_ && std::chrono::steady_clock::now() < end_ && !daemon_was_up();
}

} // namespace blockhost::libvirt
