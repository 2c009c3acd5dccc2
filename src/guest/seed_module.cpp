// SPDX-License-Identifier: MIT
// The module seed-image.so: makes a small ISO 9660 image with Joliet and Rock Ridge through libisofs
// (https://dev.lovelyhq.com/libburnia/libisofs, libisofs.h).
#include "guest/seed_abi.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <unistd.h>

#define LIBISOFS_WITHOUT_LIBBURN // for struct burn_source
#include <libisofs/libisofs.h>

namespace {

constexpr int sector_bytes = 2048;
constexpr int joliet_only = 2; // bit 1 of options for both trees

struct Finish {
    void operator()(IsoImage* image) const { iso_image_unref(image); }
    void operator()(IsoWriteOpts* options) const { iso_write_opts_free(options); }
    void operator()(burn_source* source) const {
        source->free_data(source);
        std::free(source);
    }
};
template<class T>
using Owned = std::unique_ptr<T, Finish>;

/// Writes what failed, in libisofs's words, and returns the result of the call.
struct Complaint {
    char* text;
    std::size_t size;
    int isofs(const char* doing, int code) const {
        std::snprintf(text, size, "%s: %s", doing, iso_error_to_msg(code));
        return -1;
    }
};

int add_file(IsoDir* folder, const blockhost_seed_file& file, const Complaint& complaint) {
    auto* bytes = static_cast<unsigned char*>(std::malloc(file.size + 1)); // the stream frees its buffer
    if (bytes == nullptr) return complaint.isofs(file.name, ISO_OUT_OF_MEM);
    std::memcpy(bytes, file.content, file.size);
    IsoStream* stream = nullptr;
    if (int code = iso_memory_stream_new(bytes, file.size, &stream); code < 0) {
        std::free(bytes);
        return complaint.isofs(file.name, code);
    }
    IsoFile* node = nullptr;
    if (int code = iso_tree_add_new_file(folder, file.name, stream, &node); code < 0) {
        iso_stream_unref(stream);
        return complaint.isofs(file.name, code);
    }
    return 0;
}

/// Sets both trees, with exact names; allows a lower-case label, which plain ISO 9660 does not and cloud-init
/// looks for; gives every file to root, readable by root alone (only the guest's root mounts the seed).
int set_options(IsoWriteOpts* options) {
    int code = iso_write_opts_set_rockridge(options, 1);
    if (code >= 0) code = iso_write_opts_set_joliet(options, 1);
    if (code >= 0) code = iso_write_opts_set_omit_version_numbers(options, joliet_only);
    if (code >= 0) code = iso_write_opts_set_no_force_dots(options, joliet_only);
    if (code >= 0) code = iso_write_opts_set_relaxed_vol_atts(options, 1);
    if (code >= 0) code = iso_write_opts_set_replace_mode(options, 2, 2, 2, 2);
    if (code >= 0) code = iso_write_opts_set_default_dir_mode(options, 0555);
    if (code >= 0) code = iso_write_opts_set_default_file_mode(options, 0400);
    if (code >= 0) code = iso_write_opts_set_default_uid(options, 0);
    if (code >= 0) code = iso_write_opts_set_default_gid(options, 0);
    return code;
}

int write_whole(int fd, const unsigned char* data, std::size_t size) {
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        data += written;
        size -= static_cast<std::size_t>(written);
    }
    return 0;
}

int copy_out(burn_source* source, int fd, const Complaint& complaint) {
    unsigned char sector[sector_bytes];
    for (;;) {
        int got = source->read_xt(source, sector, sector_bytes); // libisofs's sources are of version 1
        if (got < 0) {
            std::snprintf(complaint.text, complaint.size, "the image ends early");
            return -1;
        }
        if (got == 0) return 0;
        if (int failed = write_whole(fd, sector, static_cast<std::size_t>(got))) {
            source->cancel(source);
            return failed;
        }
    }
}

int write_image(int fd, const char* label, const blockhost_seed_file* files, std::size_t count,
                const Complaint& complaint) {
    IsoImage* made_image = nullptr;
    if (int code = iso_image_new(label, &made_image); code < 0) return complaint.isofs("new image", code);
    Owned<IsoImage> image(made_image);
    iso_image_set_volume_id(image.get(), label);
    for (std::size_t i = 0; i < count; ++i)
        if (int failed = add_file(iso_image_get_root(image.get()), files[i], complaint)) return failed;

    IsoWriteOpts* made_options = nullptr;
    if (int code = iso_write_opts_new(&made_options, 0); code < 0) return complaint.isofs("options", code);
    Owned<IsoWriteOpts> options(made_options);
    if (int code = set_options(options.get()); code < 0) return complaint.isofs("options", code);

    burn_source* made_source = nullptr;
    if (int code = iso_image_create_burn_source(image.get(), options.get(), &made_source); code < 0)
        return complaint.isofs("image", code);
    Owned<burn_source> source(made_source);
    return copy_out(source.get(), fd, complaint);
}

} // namespace

extern "C" __attribute__((visibility("default"))) blockhost_write_seed_iso_function blockhost_write_seed_iso;

int blockhost_write_seed_iso(int fd, const char* label, const blockhost_seed_file* files, std::size_t count,
                             char* error, std::size_t error_size) {
    Complaint complaint{error, error_size};
    if (int code = iso_init(); code < 0) return complaint.isofs("libisofs", code);
    char never[] = "NEVER", prefix[] = "";
    iso_set_msgs_severities(never, never, prefix);
    int result = write_image(fd, label, files, count, complaint);
    iso_finish();
    return result;
}
