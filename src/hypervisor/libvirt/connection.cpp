/// See connection.hpp.

#include "hypervisor/libvirt/connection.hpp"

#include "hypervisor/libvirt/errors.hpp"
#include "hypervisor/libvirt/processes.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <libvirt/virterror.h>
#include <mutex>
#include <optional>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace blockhost::libvirt {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// How long a daemon that is up may take to let us in, and one that is being started.
constexpr auto patience = 9s;
constexpr auto patience_with_wakening = 30s;

void run_events() {
    for (;;)
        if (virEventRunDefaultImpl() < 0) std::this_thread::sleep_for(10ms);
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

/// The daemon's socket that `uri` leads to.
std::string socket_of(const std::string& uri) {
    if (auto at = uri.find("socket="); at != uri.npos) return uri.substr(at + 7, uri.find('&', at) - at - 7);
    for (const char* path : {"/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"})
        if (::access(path, F_OK) == 0) return path;
    return {};
}

/// Whether PID 1 made that socket listen, as systemd does for a daemon it will start at the first connect.
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
    auto being_started = [&, activated = std::optional<bool>()]() mutable {
        if (!activated) activated = belongs_to_init(socket_of(uri));
        const auto end = began + std::min<std::chrono::milliseconds>(patience_with_wakening, longest);
        return *activated && std::chrono::steady_clock::now() < end && !daemon_was_up();
    };
    auto opened = worker.run<std::shared_ptr<Connection>>(
        std::min<std::chrono::milliseconds>(patience, longest),
        [uri, write] {
            prepare_library();
            return std::make_shared<Connection>(uri, write);
        },
        being_started);
    if (opened) return *opened;
    auto waited = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began);
    throw no_answer(uri, "no connection within " + std::to_string(waited.count()) + " s");
}

} // namespace blockhost::libvirt
