// SPDX-License-Identifier: MIT
#pragma once
/// Tells the service manager how this process is: sd_notify(3), whose protocol is one datagram a message.

#include "base/files/files.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost {

/// For one thread. A manager that does not listen, or is none, makes nothing fail.
class ServiceManager {
  public:
    /// Nobody listens.
    ServiceManager() = default;
    /// `socket`: a path, or "@" and an abstract name. `watchdog`: how long it waits for a sign of life;
    /// nothing: it does not.
    ServiceManager(std::string_view socket, std::optional<std::chrono::microseconds> watchdog);
    /// The one that started this process: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
    static ServiceManager of_process();

    void ready(std::string_view status);
    /// This process reads its configuration anew; ready() follows.
    void reloading();
    void stopping(std::string_view status);
    /// For people who look.
    void status(std::string_view text);
    /// A sign of life, unless the last one is younger than half of what is waited for.
    void alive();

  private:
    void send(const std::string& message);
    Fd socket_;
    std::string address_; ///< of sockaddr_un's sun_path
    std::optional<std::chrono::steady_clock::duration> every_;
    std::optional<std::chrono::steady_clock::time_point> last_;
};

} // namespace blockhost
