// SPDX-License-Identifier: MIT
#pragma once
/// The ABI between the executable and the module seed-image.so: plain data, no exceptions, nothing to free.

#include <cstddef>

extern "C" {

/// One file in the image's root. All pointers stay the caller's.
struct blockhost_seed_file {
    const char* name;
    const char* content;
    std::size_t size;
};

/// Writes the image to `fd`, at its current offset. Returns 0 when the whole image is written. Otherwise
/// `error` says why, and the result is the errno of a failed write, or -1 when libisofs refused.
using blockhost_write_seed_iso_function = int(int fd, const char* label, const blockhost_seed_file* files,
                                              std::size_t count, char* error, std::size_t error_size);
}
