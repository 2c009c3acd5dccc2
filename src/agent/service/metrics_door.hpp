// SPDX-License-Identifier: MIT
#pragma once
/// A small HTTP/1.1 server that shows one text to scrapers of this host: on a loopback port or a Unix socket.
/// It never waits. A slow client loses its connection; the agent's loop goes on.

#include "base/files/files.hpp"
#include "base/time.hpp"

#include <functional>
#include <string>
#include <vector>

namespace blockhost::agent {

/// Where it listens: an address with a port, or a socket.
struct MetricsPlace {
    std::string address; ///< "127.0.0.1" or "::1"; empty: the socket
    int port = 0;
    std::filesystem::path socket; ///< for root alone; empty: address and port
    bool operator==(const MetricsPlace&) const = default;
};

/// For one thread.
class MetricsDoor {
  public:
    /// Throws Error{io} when it cannot listen there, as when another program does. A socket's file stays when
    /// this ends, and the next one replaces it.
    explicit MetricsDoor(const MetricsPlace& place);
    MetricsDoor(const MetricsDoor&) = delete;
    MetricsDoor& operator=(const MetricsDoor&) = delete;

    /// Takes who came, and goes on with each as far as that goes without a wait. `text` is called for each
    /// whole request of /metrics; what it throws is a 503 without its words.
    void serve(const std::function<std::string()>& text);

    static constexpr std::size_t most_guests = 8, longest_request = 4096;

  private:
    struct Guest {
        Fd fd;
        Deadline end;
        std::string heard, left; ///< `left`: of the answer
    };
    void take_in();
    /// Whether it stays.
    bool go_on(Guest& guest, const std::function<std::string()>& text);

    Fd listening_;
    std::vector<Guest> guests_;
};

/// The answer to a request, which ends with an empty line.
std::string answer_to(std::string_view request, const std::function<std::string()>& text);

} // namespace blockhost::agent
