// SPDX-License-Identifier: MIT
#pragma once
/// One connection to the daemon, let in and open, on which calls are made one after another.

#include "hypervisor/common/daemon_socket.hpp"
#include "hypervisor/rpc/message.hpp"
#include "hypervisor/rpc/socket.hpp"

#include <memory>

namespace blockhost::rpc {

/// What was answered.
class Answer {
  public:
    explicit Answer(std::string packet) : packet_(std::move(packet)) {}
    /// Over what the procedure has; good for as long as this is.
    Reader reader() const {
        Reader reader(packet_);
        reader.skip(header_size);
        return reader;
    }

  private:
    std::string packet_;
};

class Session {
  public:
    /// Connects to `socket`, is let in, and opens QEMU's system driver. Throws Refusal when we may not,
    /// Silence when nobody answers within 9 s of `began`, or 30 s where the daemon is only just being
    /// started, and in either case within `longest`; else Ended or Surprise.
    Session(const std::string& socket, bool write, std::chrono::steady_clock::time_point began,
            std::chrono::milliseconds longest);
    /// Takes its leave, so that the daemon logs no connection that broke; where an answer is still due, it
    /// just goes.
    ~Session();

    /// Sends a call without waiting for its answer, which the next call() of the same procedure with the same
    /// arguments gets; any other call passes it over.
    void begin(Procedure procedure, const std::string& arguments, const Deadline& deadline);

    /// Makes one call. Every Trouble says that it came while `doing` that.
    Answer call(const std::string& doing, Procedure procedure, const std::string& arguments,
                const Deadline& deadline);

  private:
    /// A call that was sent.
    struct Pending {
        Procedure procedure;
        std::uint32_t serial = 0;
        std::string arguments;
    };
    Pending sent(Procedure procedure, const std::string& arguments, const Deadline& deadline);
    Answer answer_to(const Pending& call, const Deadline& deadline);
    /// Takes the answer to a call that was begun, so that the next answer is to the next call.
    void pass_over(const Deadline& deadline);
    Answer ask(Procedure procedure, const std::string& arguments, const Deadline& deadline);
    void let_in();
    std::string next_packet(const Deadline& deadline);

    std::optional<libvirt::Wakening> wakening_; ///< until it is open
    Deadline opening_;
    Socket socket_;
    std::uint32_t serial_ = 0;
    std::optional<Pending> begun_;
    std::size_t due_ = 0; ///< calls without an answer
};

} // namespace blockhost::rpc
