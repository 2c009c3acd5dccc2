/// Reading the heads of qcow2 images.

#include "hypervisor/qcow2.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost {
namespace {

constexpr std::size_t longest_backing = 1023; ///< what the format allows
constexpr std::size_t longest_chain = 64;

std::uint64_t big_endian(const unsigned char* bytes, int count) {
    std::uint64_t value = 0;
    for (int i = 0; i < count; ++i) value = value << 8 | bytes[i];
    return value;
}

std::string shown(const std::filesystem::path& image) {
    return text::printable(image.string());
}

Error not_understood(const std::filesystem::path& image, const char* why) {
    return Error(Code::config, shown(image) + " is a qcow2 image that cannot be understood: " + why);
}

std::string backing_of(int file, const std::filesystem::path& image, std::uint64_t offset,
                       std::uint64_t length) {
    if (offset == 0) return {};
    if (length == 0 || length > longest_backing) throw not_understood(image, "its backing file's name");
    std::string name(length, '\0');
    if (::pread(file, name.data(), length, static_cast<off_t>(offset)) != static_cast<ssize_t>(length))
        throw not_understood(image, "its backing file's name");
    return name;
}

/// Opens a file or block device. Anything else may do something when it is opened (a watchdog, a tape), and
/// names come from what guests have written.
Fd open_image(const std::filesystem::path& image) {
    const Fd place(::open(image.c_str(), O_PATH | O_CLOEXEC));
    struct stat found {};
    if (!place && errno == ENOENT) throw Error(Code::not_found, "There is no image " + shown(image));
    if (!place || fstat(place.get(), &found) != 0) throw errno_error("cannot open", shown(image), errno);
    if (!S_ISREG(found.st_mode) && !S_ISBLK(found.st_mode))
        throw Error(Code::config, shown(image) + " is neither a file nor a block device");
    Fd file(
        ::open(("/proc/self/fd/" + std::to_string(place.get())).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) throw errno_error("cannot open", shown(image), errno);
    return file;
}

} // namespace

std::optional<Qcow2Head> read_qcow2_head(const std::filesystem::path& image) {
    const Fd file = open_image(image);
    // "QFI\xfb", version (4), backing file's offset (8) and length (4), cluster bits (4), virtual size (8),
    // encryption (4); from version 3 on at 72 the features that must be understood (8).
    std::array<unsigned char, 80> head{};
    auto got = ::pread(file.get(), head.data(), head.size(), 0);
    if (got < 0) throw errno_error("cannot read", image.string(), errno);
    if (got < 4 || big_endian(head.data(), 4) != 0x514649fb) return std::nullopt;
    const auto version = big_endian(&head[4], 4);
    if (version < 2 || version > 3) throw not_understood(image, "its version is neither 2 nor 3");
    if (static_cast<std::size_t>(got) < (version == 2 ? 72u : head.size()))
        throw not_understood(image, "it is cut off");
    constexpr std::uint64_t external_data_bit = 1 << 2;
    return Qcow2Head{.virtual_bytes = big_endian(&head[24], 8),
                     .backing =
                         backing_of(file.get(), image, big_endian(&head[8], 8), big_endian(&head[16], 4)),
                     .encrypted = big_endian(&head[32], 4) != 0,
                     .external_data = version == 3 && (big_endian(&head[72], 8) & external_data_bit) != 0};
}

std::uint64_t qcow2_virtual_size(const std::filesystem::path& image) {
    if (const auto head = read_qcow2_head(image)) return head->virtual_bytes;
    throw Error(Code::config, shown(image) + " is not a qcow2 image",
                "build the template again with `blockhost-libvirt build-template --force`");
}

std::vector<std::filesystem::path> backing_chain(const std::filesystem::path& image) {
    std::vector<std::filesystem::path> chain;
    std::filesystem::path at = image;
    while (true) {
        const auto head = read_qcow2_head(at);
        if (!head || head->backing.empty()) return chain;
        if (head->external_data) throw not_understood(at, "its content is in another file");
        if (head->backing.find(':') < head->backing.find('/'))
            throw not_understood(at, "its backing file is not named by a path");
        if (chain.size() == longest_chain) throw not_understood(image, "what it stands on has no end");
        std::error_code error;
        // A relative name counts from the folder of the file that has it.
        const auto next = std::filesystem::canonical(at.parent_path() / head->backing, error);
        if (error)
            throw Error(Code::not_found,
                        shown(at) + " stands on " + text::printable(head->backing) + ": " + error.message());
        chain.push_back(next);
        at = next;
    }
}

} // namespace blockhost
