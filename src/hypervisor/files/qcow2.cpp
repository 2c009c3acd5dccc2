// SPDX-License-Identifier: MIT
/// Reading the heads of qcow2 images.

#include "hypervisor/files/qcow2.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <span>
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

bool read_exactly(int file, std::span<unsigned char> into, std::uint64_t at) {
    return ::pread(file, into.data(), into.size(), static_cast<off_t>(at)) ==
           static_cast<ssize_t>(into.size());
}

/// Where the list of bitmaps is.
struct BitmapList {
    std::uint64_t count = 0, bytes = 0, at = 0;
};

/// Those of the header's extensions that we read.
struct Extensions {
    std::string backing_format, data_file;
    BitmapList bitmaps;
};
Extensions read_extensions(int file, const std::filesystem::path& image, std::uint64_t at,
                           std::uint64_t end) {
    constexpr std::uint64_t backing_format = 0xe2792aca, data_file = 0x44415441, bitmaps = 0x23852875,
                            heading = 8;
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
        if (kind == bitmaps) {
            // Their count (4), reserved (4), the list's length (8) and place (8).
            std::array<unsigned char, 24> body{};
            if (length != body.size() || !read_exactly(file, body, at + heading))
                throw not_understood(image, "where its bitmaps are");
            found.bitmaps = {big_endian(body.data(), 4), big_endian(&body[8], 8), big_endian(&body[16], 8)};
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

namespace {

/// The fixed part of a head, and its extensions.
struct RawHead {
    std::array<unsigned char, 104> bytes{};
    bool is_3 = false;
    Extensions extensions = {};

    std::uint64_t number(std::size_t at, int size) const { return big_endian(&bytes[at], size); }
    std::uint64_t backing_at() const { return number(8, 8); }
    /// A bit each; version 2 has none.
    std::uint64_t incompatible() const { return is_3 ? number(72, 8) : 0; }
    std::uint64_t autoclear() const { return is_3 ? number(88, 8) : 0; }
};

std::optional<RawHead> read_raw_head(int file, const std::filesystem::path& image) {
    // "QFI\xfb", version (4), backing file's offset (8) and length (4), cluster bits (4), virtual size (8),
    // encryption (4); from version 3 on the incompatible features at 72 (8), the autoclear features at 88
    // (8), and the header's length at 100 (4).
    RawHead head;
    auto got = ::pread(file, head.bytes.data(), head.bytes.size(), 0);
    if (got < 0) throw errno_error("cannot read", image.string(), errno);
    if (got < 4 || head.number(0, 4) != 0x514649fb) return std::nullopt;
    const auto version = head.number(4, 4);
    if (version < 2 || version > 3) throw not_understood(image, "its version is neither 2 nor 3");
    constexpr std::uint64_t length_of_2 = 72;
    head.is_3 = version == 3;
    if (static_cast<std::size_t>(got) < (head.is_3 ? head.bytes.size() : length_of_2))
        throw not_understood(image, "it is cut off");
    const std::uint64_t length = head.is_3 ? head.number(100, 4) : length_of_2;
    if (head.is_3 && length < head.bytes.size()) throw not_understood(image, "its header's length");
    const auto cluster_bits = head.number(20, 4);
    if (cluster_bits < 9 || cluster_bits > 21) throw not_understood(image, "its clusters' size");
    head.extensions = read_extensions(file, image, length,
                                      head.backing_at() != 0 ? head.backing_at() : 1ull << cluster_bits);
    return head;
}

} // namespace

std::optional<Qcow2Head> read_qcow2_head(const std::filesystem::path& image) {
    const Fd file = open_image(image);
    const auto head = read_raw_head(file.get(), image);
    if (!head) return std::nullopt;
    constexpr std::uint64_t external_data_bit = 1 << 2;
    return Qcow2Head{.virtual_bytes = head->number(24, 8),
                     .backing = head->backing_at() == 0
                                    ? std::string()
                                    : text_at(file.get(), image, head->backing_at(), head->number(16, 4),
                                              "its backing file's name"),
                     .backing_format = head->extensions.backing_format,
                     .encrypted = head->number(32, 4) != 0,
                     .external_data = (head->incompatible() & external_data_bit) != 0,
                     .data_file = head->extensions.data_file,
                     .incompatible = head->incompatible()};
}

std::vector<Qcow2Bitmap> qcow2_bitmaps(const std::filesystem::path& image) {
    constexpr std::uint64_t most = 65535, longest_list = 64ull << 20, fixed = 24;
    constexpr std::uint64_t is_in_use = 1, list_is_right = 1;
    const Fd file = open_image(image);
    const auto head = read_raw_head(file.get(), image);
    if (!head || head->extensions.bitmaps.count == 0) return {};
    const BitmapList& list = head->extensions.bitmaps;
    if (list.count > most || list.bytes > longest_list || list.bytes < list.count * fixed)
        throw not_understood(image, "the list of its bitmaps");
    std::vector<unsigned char> bytes(list.bytes);
    if (!read_exactly(file.get(), bytes, list.at)) throw not_understood(image, "the list of its bitmaps");
    // Each: its table's place (8) and length (4), flags (4), type (1), granularity (1), its name's length
    // (2), that of what is between here and the name (4).
    std::vector<Qcow2Bitmap> found;
    for (std::uint64_t at = 0; found.size() < list.count;) {
        if (bytes.size() - at < fixed) throw not_understood(image, "the list of its bitmaps");
        const auto flags = big_endian(&bytes[at + 12], 4), name = big_endian(&bytes[at + 18], 2),
                   between = big_endian(&bytes[at + 20], 4);
        if (name == 0 || name > longest_text || fixed + between + name > bytes.size() - at)
            throw not_understood(image, "the list of its bitmaps");
        const auto* begin = reinterpret_cast<const char*>(&bytes[at + fixed + between]);
        // Who wrote to the image without knowing of bitmaps has cleared the bit.
        const bool is_right = (head->autoclear() & list_is_right) != 0 && (flags & is_in_use) == 0;
        found.push_back({std::string(begin, name), !is_right});
        at = std::min<std::uint64_t>(at + (fixed + between + name + 7) / 8 * 8, bytes.size());
    }
    return found;
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
