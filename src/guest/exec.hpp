// SPDX-License-Identifier: MIT
#pragma once
/// Runs programs in the guest by its agent, from the start to their output.
///
/// Every function throws Error{guest} with a reason: the agent refused, sent a reply that makes no sense or
/// stopped answering while the program ran, or the program did not end in time (it is not killed: it goes on
/// in the guest). Other exceptions of `call` are passed on.

#include "base/patience.hpp"
#include "guest/agent.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace blockhost::guest {

/// A program's path, and its arguments without the program's own name. Arguments must be UTF-8.
struct Program {
    std::string path;
    std::vector<std::string> arguments;
};

/// How the program ended. Its output is unchanged bytes.
struct Outcome {
    int exit_code = 0; ///< 0 to 255; meaningless when a signal killed it
    int signal = 0;    ///< the signal that killed it; 0: none
    std::string out, err;
    bool out_truncated = false, err_truncated = false; ///< by the agent, which keeps 16 MiB
    /// The status as a shell shows it: 128 + signal, or the exit code.
    int status() const { return signal != 0 ? 128 + signal : exit_code; }
};

/// How to wait between looks. `sleep` may throw to end the wait.
struct Waiting {
    std::function<std::chrono::steady_clock::time_point()> now = &std::chrono::steady_clock::now;
    std::function<void(std::chrono::milliseconds)> sleep = [](auto span) { pause_for(span); };
};

/// Runs a program for up to `span`. The first look comes after 10 ms, later ones at most 300 ms apart. A look
/// that nobody answers is repeated for a few seconds, and as long as the guest is paused.
Outcome exec(const AgentCall& call, const Program& program, std::chrono::milliseconds span,
             const Waiting& waiting = {});

/// Bytes of each stream that shell() returns at most. libvirt passes on replies of 4 MiB, in base64; one
/// beyond 10 MiB makes it give up the agent until the guest restarts it, so the guest must stop earlier.
inline constexpr std::size_t most_output = 3'000'000;
/// The length of a command in bytes: as one argument of /bin/sh, and in all.
inline constexpr std::size_t longest_argument = std::size_t{64} * 1024;
inline constexpr std::size_t longest_command = std::size_t{1024} * 1024;

/// Runs `command` with /bin/sh, like `sh -c`. A command that is longer than longest_argument, not UTF-8 or
/// mostly control characters is written to a folder that only root can enter, run from there, and always
/// removed again. Throws Error{invalid} when it is longer than longest_command or contains a NUL;
/// Error{guest} when a stream exceeds most_output.
Outcome shell(const AgentCall& call, const std::string& command, std::chrono::milliseconds span,
              const Waiting& waiting = {});

} // namespace blockhost::guest
