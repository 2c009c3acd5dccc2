// SPDX-License-Identifier: MIT
#pragma once
/// Opening libvirt with an end: at once when nothing listens, in ten seconds when nobody answers, in thirty
/// when systemd is only just starting the daemon.

#include "hypervisor/libvirt/worker.hpp"

#include <chrono>
#include <libvirt/libvirt.h>
#include <memory>
#include <string>

namespace blockhost::libvirt {

/// An open connection with keepalive, so that a call on a stopped daemon ends after 8 s; closes it.
class Connection {
  public:
    /// `write` false: makes do with a read-only connection where the other is refused. Throws Failed.
    Connection(const std::string& uri, bool write);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();
    virConnectPtr get() const { return connection_; }

  private:
    virConnectPtr connection_;
};

/// Opens on `worker`, within `longest` in every case. Throws Failed.
std::shared_ptr<Connection> open_on(Worker& worker, const std::string& uri, bool write,
                                    std::chrono::milliseconds longest);

} // namespace blockhost::libvirt
