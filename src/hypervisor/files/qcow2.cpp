// SPDX-License-Identifier: MIT
/// Reading the heads of qcow2 images.

#include "hypervisor/files/qcow2.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/text.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost {
namespace {

constexpr std::size_t longest_text = 1023; ///< what the format allows a backing file's name
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

std::string text_at(int file, const std::filesystem::path& image, std::uint64_t offset, std::uint64_t length,
                    const char* what) {
    std::string text(length > 0 && length <= longest_text ? length : 0, '\0');
    if (text.empty() ||
        ::pread(file, text.data(), length, static_cast<off_t>(offset)) != static_cast<ssize_t>(length))
        throw not_understood(image, what);
    return text;
}

/// Those of the header's extensions that name other files and what they are.
struct Extensions {
    std::string backing_format, data_file;
};
Extensions read_extensions(int file, const std::filesystem::path& image, std::uint64_t at,
                           std::uint64_t end) {
    constexpr std::uint64_t backing_format = 0xe2792aca, data_file = 0x44415441, heading = 8;
    constexpr int most = 256;
    Extensions found;
    for (int i = 0; at + heading <= end; ++i) {
        std::array<unsigned char, heading> head{};
        if (i == most ||
            ::pread(file, head.data(), heading, static_cast<off_t>(at)) != static_cast<ssize_t>(heading))
            throw not_understood(image, "its header's extensions");
        const auto kind = big_endian(head.data(), 4), length = big_endian(&head[4], 4);
        if (kind == 0) break;
        if (length > end - at - heading) throw not_understood(image, "its header's extensions");
        if (kind == backing_format || kind == data_file) {
            std::string& text = kind == data_file ? found.data_file : found.backing_format;
            // Two readers of two such texts may take different ones.
            if (!text.empty()) throw not_understood(image, "its header says the same thing twice");
            text = text_at(file, image, at + heading, length, "its header's extensions");
        }
        at += heading + (length + 7) / 8 * 8;
    }
    return found;
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
    // encryption (4); from version 3 on at 72 the features that must be understood (8), at 100 the length
    // (4).
    std::array<unsigned char, 104> head{};
    auto got = ::pread(file.get(), head.data(), head.size(), 0);
    if (got < 0) throw errno_error("cannot read", image.string(), errno);
    if (got < 4 || big_endian(head.data(), 4) != 0x514649fb) return std::nullopt;
    const auto version = big_endian(&head[4], 4);
    if (version < 2 || version > 3) throw not_understood(image, "its version is neither 2 nor 3");
    constexpr std::uint64_t length_of_2 = 72;
    const bool is_3 = version == 3;
    if (static_cast<std::size_t>(got) < (is_3 ? head.size() : length_of_2))
        throw not_understood(image, "it is cut off");
    const std::uint64_t length = is_3 ? big_endian(&head[100], 4) : length_of_2;
    if (is_3 && length < head.size()) throw not_understood(image, "its header's length");
    const auto cluster_bits = big_endian(&head[20], 4);
    if (cluster_bits < 9 || cluster_bits > 21) throw not_understood(image, "its clusters' size");
    const auto backing_at = big_endian(&head[8], 8);
    const auto extensions =
        read_extensions(file.get(), image, length, backing_at != 0 ? backing_at : 1ull << cluster_bits);
    const std::uint64_t incompatible = is_3 ? big_endian(&head[72], 8) : 0;
    constexpr std::uint64_t external_data_bit = 1 << 2;
    return Qcow2Head{.virtual_bytes = big_endian(&head[24], 8),
                     .backing = backing_at == 0
                                    ? std::string()
                                    : text_at(file.get(), image, backing_at, big_endian(&head[16], 4),
                                              "its backing file's name"),
                     .backing_format = extensions.backing_format,
                     .encrypted = big_endian(&head[32], 4) != 0,
                     .external_data = (incompatible & external_data_bit) != 0,
                     .data_file = extensions.data_file,
                     .incompatible = incompatible};
}

std::uint64_t qcow2_virtual_size(const std::filesystem::path& image) {
    if (const auto head = read_qcow2_head(image)) return head->virtual_bytes;
    throw Error(Code::config, shown(image) + " is not a qcow2 image",
                "build the template again with `blockhost-libvirt build-template --force`");
}

std::filesystem::path file_named_in(const std::filesystem::path& image, const std::string& written) {
    if (written.empty() || written.find('\0') != std::string::npos ||
        written.find(':') < written.find('/')) // a protocol's, or an object in JSON
        throw not_understood(image, "a file that it stands on is not named by a path");
    std::error_code error;
    // A relative name counts from the folder of the file that has it.
    auto found = std::filesystem::canonical(image.parent_path() / written, error);
    if (error)
        throw Error(Code::not_found,
                    shown(image) + " stands on " + text::printable(written) + ": " + error.message());
    return found;
}

std::vector<std::filesystem::path> backing_chain(const std::filesystem::path& image) {
    std::vector<std::filesystem::path> chain;
    std::filesystem::path at = image;
    while (true) {
        const auto head = read_qcow2_head(at);
        if (!head) return chain;
        if (chain.size() + 1 >= longest_chain) throw not_understood(image, "what it stands on has no end");
        if (head->external_data) chain.push_back(file_named_in(at, head->data_file));
        if (head->backing.empty()) return chain;
        chain.push_back(file_named_in(at, head->backing));
        at = chain.back();
    }
}

} // namespace blockhost
