// SPDX-License-Identifier: MIT
/// See image.hpp; the format is QEMU's docs/interop/qcow2.txt.

#include "hypervisor/simulated/image.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace blockhost::simulated {
namespace {

constexpr std::uint64_t cluster = 65536;

std::string big_endian(std::uint64_t value, int bytes) {
    std::string out;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 255);
    return out;
}

std::uint64_t divided_up(std::uint64_t value, std::uint64_t by) {
    return (value + by - 1) / by;
}

/// Cluster 0 is the header, 1 the refcount table, 2 its one block, 3 and on the empty L1 table.
std::string header(std::uint64_t virtual_bytes, const std::string& backing, std::uint64_t l1_entries) {
    constexpr std::uint64_t length = 104;
    // The one extension, where there is a backing file: its format. Then the extensions' end.
    const std::string format =
        backing.empty() ? "" : big_endian(0xe2792aca, 4) + big_endian(5, 4) + "qcow2" + big_endian(0, 3);
    const std::uint64_t backing_at = length + format.size() + 8;
    std::string out = "QFI\xfb" + big_endian(3, 4);
    out += big_endian(backing.empty() ? 0 : backing_at, 8) + big_endian(backing.size(), 4);
    out +=
        big_endian(16, 4) + big_endian(virtual_bytes, 8) + big_endian(0, 4); // cluster bits, size, no crypt
    out += big_endian(l1_entries, 4) + big_endian(3 * cluster, 8);           // L1
    out += big_endian(cluster, 8) + big_endian(1, 4);                        // refcounts
    out += big_endian(0, 4) + big_endian(0, 8);                              // snapshots
    out += big_endian(0, 8) + big_endian(0, 8) + big_endian(0, 8);           // features
    out += big_endian(4, 4) + big_endian(length, 4);                         // 16-bit refcounts
    return out + format + big_endian(0, 8) + backing;
}

void write_at(int fd, std::uint64_t offset, const std::string& data, const std::filesystem::path& path) {
    if (::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(data.size()))
        throw errno_error("cannot write", path.string(), errno);
}

} // namespace

void make_qcow2(const std::filesystem::path& path, std::uint64_t virtual_bytes, const std::string& backing) {
    auto l1_entries = divided_up(virtual_bytes, cluster * (cluster / 8));
    auto clusters = 3 + std::max<std::uint64_t>(1, divided_up(l1_entries * 8, cluster));
    std::string counts;
    for (std::uint64_t i = 0; i < clusters; ++i) counts += big_endian(1, 2);

    Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
    if (!file) throw errno_error("cannot make", path.string(), errno);
    if (::ftruncate(file.get(), static_cast<off_t>(clusters * cluster)) < 0)
        throw errno_error("cannot size", path.string(), errno);
    write_at(file.get(), 0, header(virtual_bytes, backing, l1_entries), path);
    write_at(file.get(), cluster, big_endian(2 * cluster, 8), path);
    write_at(file.get(), 2 * cluster, counts, path);
    files::sync(file.get(), path.string()); // QEMU flushes an image that it made before it says so
}

/// Size, no encryption, length of L1: one piece of the header. One cluster of L1, which every image has, is
/// enough for 4 TiB.
void resize_qcow2(const std::filesystem::path& path, std::uint64_t virtual_bytes) {
    constexpr std::uint64_t entry_spans = cluster * (cluster / 8), size_at = 24;
    const auto l1_entries = divided_up(virtual_bytes, entry_spans);
    if (l1_entries > cluster / 8)
        throw Error(Code::io, path.string() + " cannot have more than 4 TiB in the simulated world");
    const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file) throw errno_error("cannot open", path.string(), errno);
    write_at(file.get(), size_at, big_endian(virtual_bytes, 8) + big_endian(0, 4) + big_endian(l1_entries, 4),
             path);
    files::sync(file.get(), path.string());
}

} // namespace blockhost::simulated
