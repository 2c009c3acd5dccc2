// SPDX-License-Identifier: MIT
/// See connection.hpp.

#include "hypervisor/libvirt/connection.hpp"

#include "base/patience.hpp"
#include "hypervisor/common/daemon_socket.hpp"
#include "hypervisor/libvirt/errors.hpp"

#include <algorithm>
#include <mutex>

namespace blockhost::libvirt {
namespace {

using namespace std::chrono_literals;

void run_events() {
    for (;;)
        if (virEventRunDefaultImpl() < 0) pause_for(10ms);
}

/// libvirt wants its event loop registered before the first connection, once a process; it answers the
/// daemon's keepalive and brings events.
void prepare_library() {
    static std::once_flag once;
    std::call_once(once, [] {
        virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
        if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
            throw failed(Code::hypervisor, "libvirt's library does not start: " + last_words());
        start_thread(run_events);
    });
}

/// The daemon's socket that `uri` leads to; empty where it is not a local one of QEMU's.
std::string socket_of(const std::string& uri) {
    if (const auto at = uri.find("socket="); at != uri.npos)
        return uri.substr(at + 7, uri.find('&', at) - at - 7);
    const auto sockets = local_sockets(uri);
    return sockets ? sockets->writing : "";
}

} // namespace

Connection::Connection(const std::string& uri, bool write) : connection_(virConnectOpen(uri.c_str())) {
    if (!connection_) {
        auto why = open_failure(uri);
        if (!write && why.failure.code == Code::denied) connection_ = virConnectOpenReadOnly(uri.c_str());
        if (!connection_) throw why;
    }
    virConnectSetKeepAlive(connection_, 2, 3); // a driver within the process has none, and needs none
}

Connection::~Connection() {
    virConnectClose(connection_);
}

std::shared_ptr<Connection> open_on(Worker& worker, const std::string& uri, bool write,
                                    std::chrono::milliseconds longest) {
    auto began = std::chrono::steady_clock::now();
    auto wakening = std::make_shared<Wakening>(socket_of(uri), began, longest);
    auto opened = worker.run<std::shared_ptr<Connection>>(
        std::min<std::chrono::milliseconds>(patience, longest),
        [uri, write] {
            prepare_library();
            return std::make_shared<Connection>(uri, write);
        },
        [wakening] { return wakening->is_going_on(); });
    if (opened) return *opened;
    auto waited = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began);
    throw no_answer(uri, "no connection within " + std::to_string(waited.count()) + " s");
}

} // namespace blockhost::libvirt
