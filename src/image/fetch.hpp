// SPDX-License-Identifier: MIT
#pragma once
/// Gets the image that a template is made from, and makes sure that it is the right one.

#include "image/maker.hpp"
#include "image/programs.hpp"

namespace blockhost::image {

/// An image to start from.
struct BaseImage {
    std::filesystem::path path;
    std::string sha512;           ///< of the file
    std::string read_as = {};     ///< the file's state when it was read; empty: not read, remembered
    std::string verified_as = {}; ///< its state when it was verified
    bool checked = false;         ///< a list or the caller named its digest
    std::string origin;           ///< where it came from, for people
};

/// Finds the image that `order` names, and compares its digest. Downloads it from `url` (the order's own, or
/// the configured one for Source::Kind::cloud) to `cache`, which is root's alone, unless it is there already
/// or the order forces it. Throws Error{config} for a wrong digest (a download is then removed) or a list
/// without it, Error{invalid} when a digest is needed and none is known, and what http::download throws.
BaseImage find_base_image(const Run& run, const Order& order, const std::string& url, const Folder& cache);

/// Makes sure that the file still is what find_base_image found, and that a template can be made of it: it is
/// qcow2, stands on no other image and holds its own content. Reads it whole unless that has just been done.
/// Throws Error{config}.
void verify_base_image(const Run& run, BaseImage& base);

/// Makes sure, after the file was used by its path, that it still is what was verified. Throws Error{config}.
void require_unchanged(const BaseImage& base);

/// Throws Error{config} when qemu-img finds errors in a qcow2 image.
void check_sound(const Run& run, const std::filesystem::path& image);

/// The digest of `file_name` in a list as sha512sum prints it; empty when the list does not name it.
std::string digest_in_list(const std::string& list, const std::string& file_name);

} // namespace blockhost::image
