// SPDX-License-Identifier: MIT
#pragma once
/// libvirt's daemon on this host: where it listens, and whether it is only just being started. For both ways
/// of speaking to it; asks nothing of libvirt.

#include <chrono>
#include <optional>
#include <string>

namespace blockhost::libvirt {

/// How long a daemon that is up may take to let us in, and one that is being started.
inline constexpr std::chrono::seconds patience(9), patience_with_wakening(30);

struct Sockets {
    std::string writing, reading;
};
/// The local sockets that a connection to QEMU's system daemon at `uri` uses: the one named there (socket=…,
/// for both), else virtqemud's where there is one, else libvirtd's, as libvirt's own library chooses (unless
/// its remote_mode says otherwise, which leads to the same domains by way of virtproxyd). Nothing for every
/// other kind of uri; such a one may lead anywhere.
std::optional<Sockets> local_sockets(const std::string& uri);

/// Whether PID 1 made that socket listen, as systemd does for a daemon it will start at the first connect.
bool belongs_to_init(const std::string& socket_path);

/// Asked while a daemon is silent: whether it is on its way, as systemd starts it for the first caller.
class Wakening {
  public:
    /// For the connection to `socket_path` that was begun at `began`; never longer than `longest`.
    Wakening(std::string socket_path, std::chrono::steady_clock::time_point began,
             std::chrono::milliseconds longest);
    bool is_going_on();

  private:
    std::string socket_path_;
    std::chrono::steady_clock::time_point end_;
    std::optional<bool> activated_;
};

} // namespace blockhost::libvirt
