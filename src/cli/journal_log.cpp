// SPDX-License-Identifier: MIT
// Sends one datagram a line.
#include "cli/journal_log.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

namespace blockhost::cli {

std::string journal_field(std::string_view field, std::string_view value) {
    std::string out(field);
    if (value.find('\n') == std::string_view::npos) {
        out += "=";
    } else {
        out += "\n";
        for (unsigned shift = 0; shift < 64; shift += 8) // the length, lowest byte first
            out += static_cast<char>(static_cast<std::uint64_t>(value.size()) >> shift & 0xff);
    }
    out += value;
    return out + "\n";
}

JournalLog::JournalLog(std::string identifier, std::string_view socket)
    : fields_{{"SYSLOG_IDENTIFIER", std::move(identifier)}}, socket_path_(socket),
      socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const timeval longest{.tv_sec = 1, .tv_usec = 0};
    if (socket_) ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest);
}

std::unique_ptr<JournalLog> JournalLog::behind(int fd, std::string identifier, std::string_view socket) {
    const char* named = std::getenv("JOURNAL_STREAM");
    struct stat about {};
    if (!named || fd < 0 || ::fstat(fd, &about) != 0) return nullptr;
    if (named != std::to_string(about.st_dev) + ":" + std::to_string(about.st_ino)) return nullptr;
    return std::make_unique<JournalLog>(std::move(identifier), socket);
}

void JournalLog::set(std::string_view field, std::string value) {
    std::erase_if(fields_, [&](const auto& other) { return other.first == field; });
    if (!value.empty()) fields_.emplace_back(field, std::move(value));
}

bool JournalLog::send(Priority priority, std::string_view message, const Fields& more) {
    sockaddr_un address{};
    if (!socket_ || socket_path_.size() >= sizeof address.sun_path) return false;
    address.sun_family = AF_UNIX;
    std::ranges::copy(socket_path_, static_cast<char*>(address.sun_path));

    std::string datagram = journal_field("MESSAGE", message) +
                           journal_field("PRIORITY", std::to_string(static_cast<int>(priority)));
    for (const Fields* all : {&std::as_const(fields_), &more})
        for (const auto& [field, value] : *all)
            if (!value.empty()) datagram += journal_field(field, value);
    if (::sendto(socket_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), sizeof address) >= 0)
        return true;
    if (errno != EMSGSIZE) socket_ = Fd(); // one wait is enough
    return false;
}

} // namespace blockhost::cli
