// SPDX-License-Identifier: MIT
#pragma once
/// Whole packets over a Unix socket, each wait with an end.

#include "base/files/files.hpp"
#include "base/time.hpp"

#include <string>

namespace blockhost::rpc {

/// One connection. Throws Ended when it is over, Silence when the deadline passes first, and Surprise for a
/// packet of an impossible length. A wait that was cut short by Silence can be taken up again.
class Socket {
  public:
    /// Connects. A path that cannot be connected to is Ended with its errno, in the words of libvirt's
    /// library.
    Socket(const std::string& path, const Deadline& deadline);

    void send(std::string_view packet, const Deadline& deadline);
    /// The next packet without its length.
    std::string receive(const Deadline& deadline);

  private:
    void await(short events, const Deadline& deadline) const;
    /// Has at least `size` bytes in buffer_, which grows as they come: a length that lies costs no memory.
    void fill(std::size_t size, const Deadline& deadline);

    Fd fd_;
    std::string buffer_; ///< what came and was not handed out yet
};

} // namespace blockhost::rpc
