// SPDX-License-Identifier: MIT
#pragma once
/// One disk, through libnbd.

#include "imgtree/plan.hpp"

#include <deque>
#include <memory>

struct nbd_handle;

namespace blockhost::imgtree {

class NbdDisk {
  public:
    enum class Use { read, write };
    /// Connects. Throws Error{io} when there is no such export, or when it lacks the bitmap that was asked
    /// for (Error{not_found}).
    explicit NbdDisk(const Disk& disk, Use use = Use::read);
    NbdDisk(NbdDisk&& other) noexcept;
    NbdDisk(const NbdDisk&) = delete;
    NbdDisk& operator=(const NbdDisk&) = delete;
    ~NbdDisk();

    std::uint64_t bytes() const { return bytes_; }
    /// Which chunks have data, and which were written: all of the disk, in ascending order.
    std::vector<backup::ChunkLook> look();
    /// Throws Error{io}.
    void read(void* into, std::size_t count, std::uint64_t at);

    /// A question that is on its way.
    struct Question {
        std::uint64_t cookie, at;
        std::size_t count;
    };
    /// Asks for bytes; `into` has to stay until they are waited for. At most 32 MiB. Throws Error{io}.
    Question ask(void* into, std::size_t count, std::uint64_t at);
    /// Throws Error{io} when the bytes cannot be had.
    void wait(const Question& question);
    int fd() const;       ///< to be polled for `events`, and `progress` called then
    short events() const; ///< as poll(2) has them; none: nothing is on its way
    void progress();      ///< takes what has come, without waiting

    /// The bytes are on their way when it returns, and what goes wrong is thrown by any later call. At most
    /// 8 MiB. Throws Error{io}.
    void write(std::string bytes, std::uint64_t at);
    /// Makes that range zeros, without taking room for them where it can. At most 1 GiB. Throws Error{io}.
    void zero(std::uint64_t count, std::uint64_t at);
    /// What was written is on the disk, and the connection over. Throws Error{io}.
    void finish();

  private:
    struct Write {
        Question question;
        std::unique_ptr<std::string> bytes;
    };
    std::vector<bool> chunks_with(const std::string& context, std::uint32_t mask, std::uint32_t wanted);
    void wait_for(const Question& question, std::string_view doing);
    void wait_for_writes(std::size_t but);

    nbd_handle* handle_;
    Disk disk_;
    std::uint64_t bytes_ = 0;
    std::deque<Write> writes_; ///< on their way, the oldest first
};

} // namespace blockhost::imgtree
