// SPDX-License-Identifier: MIT
/// See given_file.hpp.

#include "base/files/given_file.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/interrupt.hpp"
#include "base/text/text.hpp"
#include "base/time.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace blockhost::files {

namespace {

/// The N of /dev/fd/N; 0 for /dev/stdin.
std::optional<int> descriptor_in(const std::string& path) {
    constexpr std::string_view folder = "/dev/fd/";
    constexpr std::int64_t most = 1 << 20;
    if (path == "/dev/stdin") return STDIN_FILENO;
    const auto number = path.starts_with(folder) ? text::parse_int(path.substr(folder.size())) : std::nullopt;
    return number && *number >= 0 && *number <= most ? std::optional(static_cast<int>(*number))
                                                     : std::nullopt;
}

/// Does not wait for a FIFO's writer. No path opens a socket, so its descriptor is duplicated.
Fd open_given(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    const auto own = !fd && errno == ENXIO ? descriptor_in(path) : std::nullopt;
    return own ? Fd(::fcntl(*own, F_DUPFD_CLOEXEC, 0)) : std::move(fd);
}

/// Waits until the next read() has bytes or the end.
void await_readable(int fd, const std::string& path, std::chrono::milliseconds patience) {
    constexpr int look_every_ms = 200;
    for (const Deadline end = Deadline::in(patience); !end.passed();) {
        Interruption().check();
        pollfd one{fd, POLLIN, 0};
        if (::poll(&one, 1, look_every_ms) > 0) return;
    }
    throw Error(Code::io, "nothing came from " + path, "its writer must write and close it");
}

} // namespace

std::optional<std::string> read_given(const std::filesystem::path& path, std::size_t max,
                                      std::chrono::milliseconds patience) {
    const std::string& name = path.native();
    const Fd fd = open_given(name);
    if (!fd && errno == ENOENT) return std::nullopt;
    if (!fd) throw errno_error("cannot open", name, errno);
    std::string content;
    std::array<char, std::size_t{64} * 1024> part{};
    while (true) {
        await_readable(fd.get(), name, patience);
        const ssize_t got = ::read(fd.get(), part.data(), part.size());
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got < 0) throw errno_error("cannot read", name, errno);
        if (got == 0) return content;
        content.append(part.data(), static_cast<std::size_t>(got));
        if (content.size() > max)
            throw Error(Code::io, name + " is larger than " + std::to_string(max) + " bytes");
    }
}

} // namespace blockhost::files
