// SPDX-License-Identifier: MIT
#pragma once
/// Settings of transfers, and what they report.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

namespace blockhost::http {

/// Settings of transfers. libcurl reads proxies from the environment (https_proxy, no_proxy, all_proxy).
struct Manner {
    std::filesystem::path ca_file;         ///< replaces the system's trusted certificates; empty: those
    std::chrono::seconds connect{20};      ///< for resolving, connecting and handshake
    std::chrono::seconds stall{30};        ///< ends an attempt that brings less than 1 KiB/s for so long
    std::chrono::seconds deadline{1500};   ///< for all attempts together, pauses included
    int attempts = 5;                      ///< each after the first is a retry
    std::chrono::milliseconds pause{1000}; ///< before the first retry; doubles for each further one
    /// Shown to a server that asks who calls: PEM, the key beside it. Empty: nothing is shown.
    std::filesystem::path certificate_file = {}, key_file = {};
};

struct Progress {
    std::uint64_t done = 0; ///< bytes of the file, those from earlier calls included
    std::optional<std::uint64_t> total;
    double bytes_per_second = 0;
    std::optional<std::chrono::seconds> left;
};

/// Callbacks of a download; each may be empty. An exception from one ends the download and is passed on; a
/// partial file with bytes in it stays and can be resumed.
struct Watch {
    /// Called with the size of the whole file before any of its bytes is written, and again only if the
    /// remote file changes. Not called when the server does not tell the size.
    std::function<void(std::uint64_t total)> on_size;
    std::function<void(const Progress&)> on_progress; ///< at most five times a second, and at the end
    std::function<void()> check;                      ///< at least every 200 ms, also in pauses
};

} // namespace blockhost::http
