// SPDX-License-Identifier: MIT
#pragma once
/// The one way to run other programs: absolute path, argument vector, clean environment, deadline, output
/// cap; never a shell's text from outside, never to do libvirt's work.

#include "base/time.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost {

/// What to run. The child gets LC_ALL=C, a fixed PATH and `environment`, nothing else; stdin is /dev/null or
/// `input`.
struct ProcessSpec {
    std::string program; ///< absolute path
    std::vector<std::string> arguments = {};
    std::vector<std::string> environment = {}; ///< "NAME=value"
    std::string input = {};
    std::chrono::milliseconds deadline{10'000};
    std::size_t output_cap = 1u << 20; ///< bytes kept of each stream; the rest is read and dropped
    std::string folder = {};           ///< its working folder; empty: this process's
    /// Called at least every 200 ms while it runs. What it throws ends the program and is passed on.
    std::function<void()> check = {};
    /// Called with each line of either stream, without its end. Lines beyond 4096 bytes come in pieces.
    std::function<void(std::string_view)> on_line = {};
};

struct ProcessResult {
    int exit_status = 0;    ///< 128+n when signal n ended it
    bool timed_out = false; ///< killed, with its process group, at the deadline
    std::string out, err;
    bool ok() const { return exit_status == 0 && !timed_out; }
};

/// Throws Error{io} when the program cannot be started (missing, not executable).
ProcessResult run(const ProcessSpec& spec);

} // namespace blockhost
