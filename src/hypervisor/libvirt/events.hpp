// SPDX-License-Identifier: MIT
#pragma once
/// What happens to one domain, from libvirt's event thread to whoever waits.

#include "hypervisor/views.hpp"

#include <condition_variable>
#include <deque>
#include <libvirt/libvirt.h>
#include <memory>
#include <mutex>
#include <string>

namespace blockhost::libvirt {

/// The events of one domain that nobody has waited for yet. Shared between threads; libvirt's callbacks hold
/// it too.
class Events {
  public:
    /// From now on events of `name` are kept; those of before are dropped.
    void aim(const std::string& name);
    /// The oldest event kept, else the next within `span`. Throws Failed when the connection ended.
    Wake next(std::chrono::milliseconds span);

    void add(const char* domain, Wake what);
    void end();

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string name_;
    std::deque<Wake> kept_;
    bool ended_ = false;
};

/// Has libvirt tell `events` about every domain, until it ends. Agent events are left out where the driver
/// has none.
class Subscription {
  public:
    /// Throws Failed.
    Subscription(virConnectPtr connection, const std::shared_ptr<Events>& events);
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    ~Subscription();

  private:
    virConnectPtr connection_; ///< outlives this
    /// What the close callback is given; ours, since drivers without that callback accept and forget it.
    /// Null: none.
    std::unique_ptr<std::shared_ptr<Events>> closing_;
    int lifecycle_, agent_; ///< callback ids; negative: none
};

} // namespace blockhost::libvirt
