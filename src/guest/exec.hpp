#pragma once
/// Programs run in the guest by its agent, from start to their output.
///
/// Every function throws Error{guest} with a reason: the agent refused, sent what makes no sense, stopped
/// answering while the program ran, or the program did not end in time (it is not killed: it goes on in the
/// guest). Whatever else `call` throws goes through.

#include "guest/agent.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace blockhost::guest {

/// A program by its path, with its arguments (without the program's own name), which must be UTF-8.
struct Program {
    std::string path;
    std::vector<std::string> arguments;
};

/// How it ended. The bytes are the program's own.
struct Outcome {
    int exit_code = 0; ///< 0 to 255; meaningless when a signal killed it
    int signal = 0;    ///< that killed it; 0: none
    std::string out, err;
    bool out_truncated = false, err_truncated = false; ///< by the agent, which keeps 16 MiB
    /// As a shell tells it: 128 + signal, or the exit code.
    int status() const { return signal != 0 ? 128 + signal : exit_code; }
};

/// The time between looks. `sleep` may throw to end the wait.
struct Waiting {
    std::function<std::chrono::steady_clock::time_point()> now = &std::chrono::steady_clock::now;
    std::function<void(std::chrono::milliseconds)> sleep = &Waiting::real_sleep;
    static void real_sleep(std::chrono::milliseconds span);
};

/// Runs a program for up to `span`. The first look comes after 10 ms, later ones at most 300 ms apart. A look
/// that meets silence is repeated for a few seconds.
Outcome exec(const AgentCall& call, const Program& program, std::chrono::milliseconds span,
             const Waiting& waiting = {});

/// Bytes of each stream that shell() brings back. libvirt takes a reply of 4 MiB, in base64, and one beyond
/// 10 MiB makes it give up the agent until the guest restarts it; so the guest is made to stop before.
inline constexpr std::size_t most_output = 3'000'000;
/// A command's length in bytes: as one argument of /bin/sh, and at all.
inline constexpr std::size_t longest_argument = 64 * 1024;
inline constexpr std::size_t longest_command = 1024 * 1024;

/// Runs `command` by /bin/sh, as `sh -c` does. One that is longer than longest_argument, not UTF-8 or mostly
/// control characters is written to a folder that only root can enter, run from there, and removed again,
/// whatever happens. Error{invalid} when it is longer than longest_command or has a NUL in it; Error{guest}
/// when a stream exceeds most_output.
Outcome shell(const AgentCall& call, const std::string& command, std::chrono::milliseconds span,
              const Waiting& waiting = {});

} // namespace blockhost::guest
