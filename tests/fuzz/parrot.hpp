// SPDX-License-Identifier: MIT
#pragma once
/// A program at the other end of a socket that says the same bytes to every caller, and hangs up.

#include "tests/fuzz/fuzz.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace fuzz {

/// Its thread ends with the process, and so must it.
class Parrot {
  public:
    enum class Manner { speaks_at_once, hears_a_request_first };
    explicit Parrot(Manner manner)
        : manner_(manner), socket_(folder_.path() / "parrot.sock"),
          listening_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        socket_.native().copy(address.sun_path, sizeof address.sun_path - 1);
        check(bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                  listen(listening_, 4) == 0,
              "a parrot can listen");
        std::thread([this] { serve(); }).detach();
    }
    const std::filesystem::path& path() const { return socket_; }
    void set(std::string_view bytes) { bytes_ = bytes; }

  private:
    void serve() const {
        for (;;) {
            const int caller = accept(listening_, nullptr, nullptr);
            if (caller < 0) return;
            char request[4096];
            if (manner_ == Manner::hears_a_request_first) (void)!read(caller, request, sizeof request);
            (void)!send(caller, bytes_.data(), bytes_.size(), MSG_NOSIGNAL);
            close(caller);
        }
    }

    Manner manner_;
    MemoryFolder folder_;
    std::filesystem::path socket_;
    int listening_;
    std::string bytes_;
};

} // namespace fuzz
