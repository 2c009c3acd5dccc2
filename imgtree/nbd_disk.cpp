// SPDX-License-Identifier: MIT
#include "imgtree/nbd_disk.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <libnbd.h>
#include <poll.h>
#include <unistd.h>
#include <utility>

namespace blockhost::imgtree {

namespace {

constexpr std::uint64_t most_a_question = 1u << 30; ///< bytes
constexpr nbd_completion_callback no_callback{nullptr, nullptr, nullptr};

std::string bitmap_context(const Disk& disk) {
    return "qemu:dirty-bitmap:" + disk.bitmap;
}

Error failure(const Disk& disk, std::string_view doing) {
    return Error(Code::io, fmt::format("{}: {}: {}", disk.name, doing, nbd_get_error()));
}

/// qemu-nbd ends with its one client. Where the client never came, it has to end with this process: it keeps
/// its disk from being used.
void connect(nbd_handle* handle, const Disk& disk, NbdDisk::Use use) {
    if (!disk.socket.empty()) {
        if (nbd_set_export_name(handle, disk.name.c_str()) != 0 ||
            nbd_connect_unix(handle, disk.socket.c_str()) != 0)
            throw failure(disk, "cannot connect to " + disk.socket);
        return;
    }
    std::vector<std::string> words{"/proc/self/exe", "with", std::to_string(getpid()), "/usr/bin/qemu-nbd",
                                   "--format=" + disk.format};
    if (use == NbdDisk::Use::read) words.push_back("--read-only");
    if (!disk.bitmap.empty()) words.push_back("--bitmap=" + disk.bitmap);
    words.push_back(disk.file);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    if (nbd_connect_systemd_socket_activation(handle, arguments.data()) != 0)
        throw failure(disk, "qemu-nbd does not serve " + disk.file);
}

/// What a question came to, for one context.
struct Walk {
    std::string context;
    std::uint32_t mask, wanted;
    std::uint64_t chunk_bytes, at, end; ///< at: behind what was told
    std::vector<bool>* chunks;
};

int take_extents(void* data, const char* context, std::uint64_t offset, std::uint32_t* entries,
                 std::size_t count, int* /*error*/) {
    Walk& walk = *static_cast<Walk*>(data);
    if (walk.context != context) return 0;
    std::uint64_t at = offset;
    for (std::size_t i = 0; i + 1 < count; i += 2) {
        const std::uint64_t end = std::min(at + entries[i], walk.end);
        if ((entries[i + 1] & walk.mask) == walk.wanted)
            for (std::uint64_t chunk = at / walk.chunk_bytes;
                 at < end && chunk <= (end - 1) / walk.chunk_bytes; ++chunk)
                (*walk.chunks)[chunk] = true;
        at = end;
    }
    walk.at = std::max(walk.at, at);
    return 0;
}

} // namespace

NbdDisk::NbdDisk(const Disk& disk, Use use) : handle_(nbd_create()), disk_(disk) {
    if (handle_ == nullptr) throw failure(disk, "cannot begin");
    try {
        nbd_set_pread_initialize(handle_, false); // what an answer lacks is an error, and is not used
        nbd_add_meta_context(handle_, LIBNBD_CONTEXT_BASE_ALLOCATION);
        if (!disk.bitmap.empty()) nbd_add_meta_context(handle_, bitmap_context(disk).c_str());
        connect(handle_, disk, use);
        const std::int64_t size = nbd_get_size(handle_);
        if (size < 0) throw failure(disk, "cannot tell its size");
        bytes_ = static_cast<std::uint64_t>(size);
        if (!disk.bitmap.empty() && nbd_can_meta_context(handle_, bitmap_context(disk).c_str()) != 1)
            throw Error(Code::not_found, fmt::format("{}: there is no bitmap {}", disk.name, disk.bitmap));
    } catch (...) {
        nbd_close(handle_);
        throw;
    }
}

NbdDisk::NbdDisk(NbdDisk&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), disk_(std::move(other.disk_)), bytes_(other.bytes_),
      writes_(std::move(other.writes_)) {}

NbdDisk::~NbdDisk() {
    if (handle_ != nullptr) nbd_close(handle_);
}

std::vector<bool> NbdDisk::chunks_with(const std::string& context, std::uint32_t mask, std::uint32_t wanted) {
    std::vector<bool> chunks(backup::chunk_count(bytes_, disk_.chunk_bytes));
    Walk walk{context, mask, wanted, disk_.chunk_bytes, 0, bytes_, &chunks};
    while (walk.at < bytes_) {
        const std::uint64_t before = walk.at;
        const nbd_extent_callback callback{take_extents, &walk, nullptr};
        if (nbd_block_status(handle_, std::min(most_a_question, bytes_ - before), before, callback, 0) != 0)
            throw failure(disk_, "cannot tell what it holds");
        if (walk.at <= before)
            throw Error(Code::io,
                        fmt::format("{}: the server tells nothing of byte {} on", disk_.name, before));
    }
    return chunks;
}

std::vector<backup::ChunkLook> NbdDisk::look() {
    constexpr std::uint32_t dirty = 1;
    const std::size_t count = backup::chunk_count(bytes_, disk_.chunk_bytes);
    const bool tells_zeros = nbd_can_meta_context(handle_, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
    const auto with_data = tells_zeros ? chunks_with(LIBNBD_CONTEXT_BASE_ALLOCATION, LIBNBD_STATE_ZERO, 0)
                                       : std::vector<bool>(count, true);
    const auto written = disk_.bitmap.empty() ? std::vector<bool>(count, true)
                                              : chunks_with(bitmap_context(disk_), dirty, dirty);
    std::vector<backup::ChunkLook> looks;
    for (std::size_t at = 0; at < count; ++at) {
        if (!looks.empty() && looks.back().data == with_data[at] && looks.back().dirty == written[at])
            ++looks.back().run.count;
        else
            looks.push_back({{at, 1}, with_data[at], written[at]});
    }
    return looks;
}

void NbdDisk::read(void* into, std::size_t count, std::uint64_t at) {
    constexpr std::size_t most_at_once = 8u << 20;
    for (auto* to = static_cast<char*>(into); count > 0;) {
        const std::size_t part = std::min(count, most_at_once);
        if (nbd_pread(handle_, to, part, at, 0) != 0)
            throw failure(disk_, fmt::format("cannot read {} bytes at {}", part, at));
        to += part;
        at += part;
        count -= part;
    }
}

NbdDisk::Question NbdDisk::ask(void* into, std::size_t count, std::uint64_t at) {
    const std::int64_t cookie = nbd_aio_pread(handle_, into, count, at, no_callback, 0);
    if (cookie < 0) throw failure(disk_, fmt::format("cannot read {} bytes at {}", count, at));
    return {static_cast<std::uint64_t>(cookie), at, count};
}

void NbdDisk::wait_for(const Question& question, std::string_view doing) {
    for (;;) {
        const int done = nbd_aio_command_completed(handle_, question.cookie);
        if (done > 0) return;
        if (done < 0 || nbd_poll(handle_, -1) < 0)
            throw failure(disk_, fmt::format("cannot {} {} bytes at {}", doing, question.count, question.at));
    }
}

void NbdDisk::wait(const Question& question) {
    wait_for(question, "read");
}

int NbdDisk::fd() const {
    return nbd_aio_get_fd(handle_);
}

short NbdDisk::events() const {
    if (nbd_aio_in_flight(handle_) <= 0) return 0;
    const auto direction = nbd_aio_get_direction(handle_);
    return static_cast<short>(((direction & LIBNBD_AIO_DIRECTION_READ) != 0 ? POLLIN : 0) |
                              ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0 ? POLLOUT : 0));
}

/// What goes wrong here shows where the bytes are waited for.
void NbdDisk::progress() {
    nbd_poll(handle_, 0);
}

void NbdDisk::wait_for_writes(std::size_t but) {
    while (writes_.size() > but) {
        wait_for(writes_.front().question, "write");
        writes_.pop_front();
    }
}

void NbdDisk::write(std::string bytes, std::uint64_t at) {
    constexpr std::size_t most_on_their_way = 8;
    wait_for_writes(most_on_their_way - 1);
    auto kept = std::make_unique<std::string>(std::move(bytes));
    const std::size_t count = kept->size();
    const std::int64_t cookie = nbd_aio_pwrite(handle_, kept->data(), count, at, no_callback, 0);
    if (cookie < 0) throw failure(disk_, fmt::format("cannot write {} bytes at {}", count, at));
    writes_.push_back({{static_cast<std::uint64_t>(cookie), at, count}, std::move(kept)});
}

void NbdDisk::zero(std::uint64_t count, std::uint64_t at) {
    if (nbd_zero(handle_, count, at, 0) != 0)
        throw failure(disk_, fmt::format("cannot write {} zeros at {}", count, at));
}

void NbdDisk::finish() {
    wait_for_writes(0);
    if (nbd_flush(handle_, 0) != 0 || nbd_shutdown(handle_, 0) != 0)
        throw failure(disk_, "cannot make sure of what was written");
}

} // namespace blockhost::imgtree
