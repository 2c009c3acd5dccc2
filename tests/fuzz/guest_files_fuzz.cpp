// SPDX-License-Identifier: MIT
/// What comes out of a guest's disk: archives of its folders, unpacked, and the report on its paths ("r").

#include "base/files/tar.hpp"
#include "image/files/appliance.hpp"
#include "image/files/unpack.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

using namespace blockhost;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t block = 512;

/// The sums of all that look like heads are made right: no mutation would get past them.
std::string with_sums(std::string_view input) {
    std::string archive(input);
    for (std::size_t at = 0; at + block <= archive.size(); at += block) {
        if (archive.compare(at + 257, 5, "ustar") != 0) continue;
        archive.replace(at + 148, 8, 8, ' ');
        unsigned sum = 0;
        for (std::size_t i = 0; i < block; ++i) sum += static_cast<unsigned char>(archive[at + i]);
        archive.replace(at + 148, 7, fmt::format("{:06o}", sum) + '\0');
    }
    return archive;
}

void look_at(const fs::path& made) {
    for (const auto& each : fs::recursive_directory_iterator(made)) {
        const fs::file_status status = each.symlink_status();
        fuzz::check(fs::is_regular_file(status) || fs::is_directory(status) || fs::is_symlink(status),
                    "only files, folders and links are made");
        fuzz::check(fs::is_symlink(status) || (status.permissions() & ~fs::perms::all) == fs::perms::none,
                    "nothing raises a user");
    }
}

void unpacked(std::string_view input) {
    static const fuzz::MemoryFolder around;
    static fuzz::MemoryFile archive;
    around.set("beside", "as it was");
    const fs::path in = around.path() / "in";
    archive.set(with_sums(input));
    {
        const Folder folder = Folder::open_or_make(in, 0700);
        const Fd file(::open(archive.path().c_str(), O_RDONLY | O_CLOEXEC));
        fuzz::answered([&] {
            const image::Unpacked done = image::unpack(file.get(), folder, 20, [] {});
            fuzz::check(done.bytes <= input.size(), "no file has more than there is");
        });
    }
    fs::permissions(in, fs::perms::owner_all);
    look_at(in);
    fs::remove_all(in);
    fuzz::check(files::read(around.path() / "beside") == "as it was" &&
                    std::distance(fs::directory_iterator(around.path()), {}) == 1,
                "nothing leaves the folder");
}

void report(std::string_view input) {
    const std::vector<std::string> paths{"/etc", "/srv/www", "/home/alice/notes"};
    fuzz::answered([&] {
        const auto told = image::parse_report(input, paths);
        fuzz::check(told.paths.size() == paths.size(), "each path is told of");
    });
}

void guest_files(std::string_view input) {
    if (input.starts_with('r')) return report(input.substr(1));
    unpacked(input);
}

} // namespace

FUZZ_TARGET(guest_files)
