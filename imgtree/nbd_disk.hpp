// SPDX-License-Identifier: MIT
#pragma once
/// One disk, through libnbd.

#include "imgtree/plan.hpp"

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
    /// At most 8 MiB. Throws Error{io}.
    void write(std::string_view bytes, std::uint64_t at);
    /// Makes that range zeros, without taking room for them where it can. At most 1 GiB. Throws Error{io}.
    void zero(std::uint64_t count, std::uint64_t at);
    /// What was written is on the disk, and the connection over. Throws Error{io}.
    void finish();

  private:
    std::vector<bool> chunks_with(const std::string& context, std::uint32_t mask, std::uint32_t wanted);

    nbd_handle* handle_;
    Disk disk_;
    std::uint64_t bytes_ = 0;
};

} // namespace blockhost::imgtree
