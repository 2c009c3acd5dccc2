// SPDX-License-Identifier: MIT
// The root agent's protocol: connect, one frame out, one frame in, all within one deadline.
#include "base/root_agent.hpp"

#include "base/boot_clock.hpp"
#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "base/time.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace blockhost {

namespace {

constexpr std::size_t largest_request = 10u << 20; // the agent refuses more
constexpr std::size_t largest_reply = 20u << 20;
constexpr std::size_t read_step = 64u << 10;

Error unreachable(const std::filesystem::path& socket, int error_number) {
    bool forbidden = error_number == EACCES || error_number == EPERM;
    return Error(Code::denied,
                 "the root agent cannot be reached at " + socket.native() + ": " +
                     std::strerror(error_number),
                 forbidden ? "run as root or as a member of the group blockhost"
                           : "start it: systemctl start blockhost-root-agent");
}

Error broken_off(std::string_view what) {
    return Error(Code::no_answer, "the root agent " + std::string(what));
}

/// Waits until the socket is ready for `events`; throws when the deadline passes first.
void await(const Fd& fd, short events, const Deadline& deadline) {
    for (;;) {
        pollfd wait{.fd = fd.get(), .events = events, .revents = 0};
        auto left = deadline.left();
        int ready = poll(&wait, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
        if (ready > 0) return;
        if (ready < 0 && errno != EINTR) throw errno_error("cannot wait for", "the root agent", errno);
        if (deadline.passed())
            throw Error(Code::no_answer, "the root agent did not answer in time",
                        "it carries out one action at a time, and may still do what it was asked: see "
                        "journalctl -u blockhost-root-agent, and systemctl restart it if it hangs");
    }
}

Fd connect_to(const std::filesystem::path& path, const Deadline& deadline) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.native().size() >= sizeof address.sun_path) throw unreachable(path, ENAMETOOLONG);
    path.native().copy(address.sun_path, sizeof address.sun_path - 1);
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) throw errno_error("cannot make", "a socket", errno);
    // A full backlog is EAGAIN on a Unix socket, and nothing signals when it has room again.
    while (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (errno != EAGAIN && errno != EINTR) throw unreachable(path, errno);
        if (deadline.passed()) throw broken_off("takes no connection: too many others are waiting");
        poll(nullptr, 0, 20);
    }
    return fd;
}

void send_all(const Fd& fd, std::string_view data, const Deadline& deadline) {
    while (!data.empty()) {
        await(fd, POLLOUT, deadline);
        ssize_t sent = send(fd.get(), data.data(), data.size(), MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (sent < 0) throw broken_off("closed the connection before it had read the request");
        data.remove_prefix(static_cast<std::size_t>(sent));
    }
}

/// Reads exactly `size` bytes in steps, so that a false length costs no memory.
std::string receive(const Fd& fd, std::size_t size, const Deadline& deadline) {
    std::string data;
    while (data.size() < size) {
        await(fd, POLLIN, deadline);
        std::size_t before = data.size();
        data.resize(std::min(size, before + read_step));
        ssize_t got = recv(fd.get(), data.data() + before, data.size() - before, 0);
        int failure = errno;
        data.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        if (got > 0) continue;
        if (got < 0 && (failure == EAGAIN || failure == EINTR)) continue;
        throw broken_off("closed the connection in the middle of its answer");
    }
    return data;
}

std::string frame(std::string_view payload) {
    auto size = static_cast<std::uint32_t>(payload.size());
    std::string framed;
    for (int shift = 24; shift >= 0; shift -= 8) framed += static_cast<char>(size >> shift & 0xff);
    return framed.append(payload);
}

std::string receive_frame(const Fd& fd, const Deadline& deadline) {
    std::uint32_t size = 0;
    for (char byte : receive(fd, 4, deadline)) size = size << 8 | static_cast<unsigned char>(byte);
    if (size > largest_reply) throw Error(Code::hypervisor, "the root agent's answer is larger than 20 MiB");
    return receive(fd, size, deadline);
}

/// The Error that this program met when run as root (rootside/actions.hpp), unchanged.
std::optional<Error> error_of_ours(const boost::json::object& reply) {
    const std::string name = json::string_or(reply, "code", "");
    for (const CodeRow& row : error_table())
        if (row.name == name)
            return Error(row.code, text::printable(json::string_or(reply, "error", "no reason given"), 2000),
                         text::printable(json::string_or(reply, "hint", ""), 2000));
    return std::nullopt;
}

} // namespace

boost::json::object checked_reply(const std::string& reply, std::string_view action) {
    boost::json::value value;
    try {
        value = json::parse(reply, "root agent");
    } catch (const Error&) {
        throw Error(Code::hypervisor, "the root agent's answer is not JSON");
    }
    boost::json::object* object = value.if_object();
    if (json::is_true(value, "ok")) return std::move(*object);
    if (object != nullptr)
        if (auto error = error_of_ours(*object)) throw Error(*error);
    std::string reason = json::string_or(value, "error", "it gave no reason");
    throw Error(Code::hypervisor, "the root agent refused " + std::string(action) + ": " +
                                      text::printable(text::trim(reason), 600));
}

boost::json::object call_root_agent(const std::filesystem::path& socket, std::string_view action,
                                    const boost::json::object& parameters,
                                    std::chrono::milliseconds deadline) {
    auto end = Deadline::in(deadline);
    boost::json::object all = parameters;
    all[root_action_end] = (moment_now().since_boot + deadline).count();
    std::string request =
        boost::json::serialize(boost::json::object{{"action", action}, {"params", std::move(all)}});
    if (request.size() > largest_request)
        throw Error(Code::invalid,
                    "the request " + std::string(action) + " is larger than the root agent's 10 MiB");
    Fd fd = connect_to(socket, end);
    send_all(fd, frame(request), end);
    return checked_reply(receive_frame(fd, end), action);
}

} // namespace blockhost
