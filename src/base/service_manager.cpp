// SPDX-License-Identifier: MIT
#include "base/service_manager.hpp"

#include "base/text/text.hpp"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace blockhost {

namespace {

std::string one_line(std::string_view text) {
    return text::printable(text, 500);
}

/// CLOCK_MONOTONIC, as the manager counts.
std::string microseconds_now() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    constexpr std::int64_t million = 1'000'000, thousand = 1'000;
    return std::to_string(now.tv_sec * million + now.tv_nsec / thousand);
}

} // namespace

ServiceManager::ServiceManager(std::string_view socket, std::optional<std::chrono::microseconds> watchdog)
    : address_(socket) {
    if (address_.empty() || (address_[0] != '/' && address_[0] != '@') ||
        address_.size() >= sizeof(sockaddr_un{}.sun_path))
        return;
    socket_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (watchdog) every_ = *watchdog / 2;
}

ServiceManager ServiceManager::of_process() {
    const char *socket = std::getenv("NOTIFY_SOCKET"), *watchdog = std::getenv("WATCHDOG_USEC"),
               *pid = std::getenv("WATCHDOG_PID");
    if (socket == nullptr) return {};
    const bool is_meant = pid == nullptr || text::parse_int(pid) == ::getpid();
    const auto span = watchdog != nullptr && is_meant ? text::parse_int(watchdog) : std::nullopt;
    return {socket, span && *span > 0 ? std::optional(std::chrono::microseconds(*span)) : std::nullopt};
}

void ServiceManager::send(const std::string& message) {
    if (!socket_) return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::ranges::copy(address_, static_cast<char*>(address.sun_path));
    if (address_[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    static_cast<void>(::sendto(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL,
                               reinterpret_cast<const sockaddr*>(&address), size));
}

void ServiceManager::ready(std::string_view status) {
    send("READY=1\nSTATUS=" + one_line(status));
}

void ServiceManager::reloading() {
    send("RELOADING=1\nMONOTONIC_USEC=" + microseconds_now());
}

void ServiceManager::stopping(std::string_view status) {
    send("STOPPING=1\nSTATUS=" + one_line(status));
}

void ServiceManager::status(std::string_view text) {
    send("STATUS=" + one_line(text));
}

void ServiceManager::alive() {
    const auto now = std::chrono::steady_clock::now();
    if (!every_ || (last_ && now - *last_ < *every_)) return;
    last_ = now;
    send("WATCHDOG=1");
}

} // namespace blockhost
