// SPDX-License-Identifier: MIT
/// blockhost-start-veto NAME OPERATION SUBOPERATION EXTRA: libvirtd runs it for every QEMU domain of the
/// host, with the definition on stdin (libvirt, "Hooks for specific system management"). Exit status 1 and a
/// sentence on stderr keep a suspended VM off. Everything else, and everything unexpected, is answered with
/// 0: a domain that is another's, or not suspended, must never suffer from this program. Nothing is written
/// to stdout, which would become the definition of a restored domain. libvirtd does not mind a hook that
/// leaves its stdin unread.

#include "hypervisor/files/start_veto.hpp"
#include "base/time.hpp"

#include <chrono>
#include <csignal>
#include <optional>
#include <poll.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using namespace blockhost;

constexpr std::size_t largest_definition = 1u << 20;
constexpr auto patience = std::chrono::seconds(2);

/// All of stdin; nothing when it is too large, cannot be read, or does not end in time.
std::optional<std::string> read_definition() {
    const Deadline deadline = Deadline::in(patience);
    std::string definition;
    std::vector<char> part(std::size_t{64} * 1024);
    while (definition.size() <= largest_definition) {
        pollfd input{STDIN_FILENO, POLLIN, 0};
        if (::poll(&input, 1, static_cast<int>(deadline.left().count())) <= 0) return std::nullopt;
        const auto got = ::read(STDIN_FILENO, part.data(), part.size());
        if (got < 0) return std::nullopt;
        if (got == 0) return definition;
        definition.append(part.data(), static_cast<std::size_t>(got));
    }
    return std::nullopt;
}

std::optional<std::string> objection(const char* name, const char* operation) noexcept {
    try {
        if (!precedes_start(operation)) return std::nullopt;
        const auto definition = read_definition();
        return definition ? reason_to_stay_off(name, *definition) : std::nullopt;
    } catch (...) {
        return std::nullopt;
    }
}

} // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    if (argc < 3) return 0;
    const auto reason = objection(argv[1], argv[2]);
    if (!reason) return 0;
    const std::string line = *reason + "\n";
    (void)!::write(STDERR_FILENO, line.data(), line.size());
    return 1;
}
