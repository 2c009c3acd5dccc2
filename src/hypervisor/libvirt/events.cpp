// SPDX-License-Identifier: MIT
/// See events.hpp.

#include "hypervisor/libvirt/events.hpp"

#include "hypervisor/libvirt/errors.hpp"

namespace blockhost::libvirt {
namespace {

using Owner = std::shared_ptr<Events>;

int on_lifecycle(virConnectPtr, virDomainPtr domain, int, int, void* events) {
    (*static_cast<Owner*>(events))->add(virDomainGetName(domain), Wake::lifecycle);
    return 0;
}

void on_agent(virConnectPtr, virDomainPtr domain, int state, int, void* events) {
    bool connected = state == VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED;
    (*static_cast<Owner*>(events))
        ->add(virDomainGetName(domain), connected ? Wake::agent_connected : Wake::agent_disconnected);
}

void on_close(virConnectPtr, int, void* events) {
    (*static_cast<Owner*>(events))->end();
}

void release(void* events) {
    delete static_cast<Owner*>(events);
}

/// The callback's id, or a negative number. libvirt frees its share of `events` with the callback.
int listen(virConnectPtr connection, int id, virConnectDomainEventGenericCallback callback,
           const Owner& events) {
    auto owner = std::make_unique<Owner>(events);
    int number = virConnectDomainEventRegisterAny(connection, nullptr, id, callback, owner.get(), release);
    if (number >= 0) owner.release();
    return number;
}

} // namespace

void Events::aim(const std::string& name) {
    std::lock_guard lock(mutex_);
    name_ = name;
    kept_.clear();
}

void Events::add(const char* domain, Wake what) {
    std::lock_guard lock(mutex_);
    if (name_ != domain) return;
    kept_.push_back(what);
    changed_.notify_all();
}

void Events::end() {
    std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
}

Wake Events::next(std::chrono::milliseconds span) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, span, [&] { return ended_ || !kept_.empty(); });
    if (!kept_.empty()) {
        auto event = kept_.front();
        kept_.pop_front();
        return event;
    }
    if (ended_) throw failed(Code::no_answer, "the connection to libvirt ended while it was watched");
    return Wake::timeout;
}

Subscription::Subscription(virConnectPtr connection, const std::shared_ptr<Events>& events)
    : connection_(connection), closing_(std::make_unique<Owner>(events)),
      lifecycle_(listen(connection, VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle),
                        events)) {
    if (lifecycle_ < 0) throw last_failure(connection, "tell of events");
    agent_ =
        listen(connection, VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_agent), events);
    if (virConnectRegisterCloseCallback(connection, on_close, closing_.get(), nullptr) < 0) closing_.reset();
}

/// Each callback holds the connection, so that without this it would never be closed.
Subscription::~Subscription() {
    virConnectDomainEventDeregisterAny(connection_, lifecycle_);
    if (agent_ >= 0) virConnectDomainEventDeregisterAny(connection_, agent_);
    if (closing_) virConnectUnregisterCloseCallback(connection_, on_close);
}

} // namespace blockhost::libvirt
