// SPDX-License-Identifier: MIT
#pragma once
/// What we need to know of a qcow2 file without asking anybody: its size, and what it stands on.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace blockhost {

/// The head of a qcow2 image (QEMU, docs/interop/qcow2.txt).
struct Qcow2Head {
    std::uint64_t virtual_bytes = 0;
    std::string backing;        ///< as written in it; empty: it stands on nothing
    std::string backing_format; ///< what that is, as written in it; empty: it does not say
    bool encrypted = false;
    bool external_data = false;     ///< its content is in another file
    std::string data_file;          ///< that file, as written in it; empty: it does not say
    std::uint64_t incompatible = 0; ///< the features that a reader must understand, a bit each

    /// The bit that only says that it was not closed properly; it changes nothing in how an image is read.
    static constexpr std::uint64_t dirty = 1;
};

/// Nothing when it is a file of another kind. Throws Error{not_found} when there is none, Error{config} when
/// its head cannot be understood, Error{io}.
std::optional<Qcow2Head> read_qcow2_head(const std::filesystem::path& image);

/// Its virtual size. Throws like read_qcow2_head, and Error{config} when it is no qcow2 image.
std::uint64_t qcow2_virtual_size(const std::filesystem::path& image);

/// A record of writes that an image keeps, a bitmap in QEMU's words.
struct Qcow2Bitmap {
    std::string name;
    /// QEMU has it open, or ended before it was written: then it is of no use any more.
    bool in_use = false;
};
/// Those of an image, in the image's order; none of a file of another kind. Throws like read_qcow2_head, and
/// Error{config} for a list that cannot be understood.
std::vector<Qcow2Bitmap> qcow2_bitmaps(const std::filesystem::path& image);

/// The real path of the file that `image` calls `written`. Throws Error{not_found} when there is none,
/// Error{config} when that is no path.
std::filesystem::path file_named_in(const std::filesystem::path& image, const std::string& written);

/// The real paths of everything that `image` stands on or has its content in, nearest first; itself is not
/// among them. Throws like read_qcow2_head and file_named_in; Error{config} when the chain does not end.
std::vector<std::filesystem::path> backing_chain(const std::filesystem::path& image);

} // namespace blockhost
