/// Reading the head of a qcow2 image.

#include "hypervisor/qcow2.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace blockhost {
namespace {

std::uint64_t big_endian(const unsigned char* bytes, int count) {
    std::uint64_t value = 0;
    for (int i = 0; i < count; ++i) value = value << 8 | bytes[i];
    return value;
}

} // namespace

std::uint64_t qcow2_virtual_size(const std::filesystem::path& image) {
    Fd file(::open(image.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
        if (errno == ENOENT)
            throw Error(Code::not_found, "There is no image " + text::printable(image.string()));
        throw errno_error("cannot open", image.string(), errno);
    }
    // "QFI\xfb", version (4), backing file's offset (8) and length (4), cluster bits (4), virtual size (8).
    std::array<unsigned char, 32> head{};
    auto got = ::pread(file.get(), head.data(), head.size(), 0);
    if (got < 0) throw errno_error("cannot read", image.string(), errno);
    auto version = big_endian(&head[4], 4);
    if (static_cast<std::size_t>(got) < head.size() || big_endian(head.data(), 4) != 0x514649fb ||
        version < 2 || version > 3)
        throw Error(Code::config, text::printable(image.string()) + " is not a qcow2 image",
                    "build the template again with `blockhost-libvirt build-template --force`");
    return big_endian(&head[24], 8);
}

} // namespace blockhost
