// SPDX-License-Identifier: MIT
#include "image/files/unpack.hpp"

#include "base/error.hpp"
#include "base/files/tar.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::image {

namespace {

constexpr std::size_t piece = 64u << 10;
constexpr mode_t permissions = 0777;
constexpr mode_t folder_in_between = 0700; ///< of one that the archive does not have itself
/// What stays free on the file system, so that restoring files does not bring the host down.
constexpr std::uint64_t kept_free = 64u << 20;

void require_room(const Folder& into) {
    if (files::room_on(into.fd(), into.path().string()).free >= kept_free) return;
    throw Error(Code::no_room, "there is no more room for files in " + into.path().string(),
                "choose a folder on another file system, or fewer files");
}

/// Writes a file by and by, with holes for zeros.
class Writer {
  public:
    Writer(const Folder& into, const std::string& name, const Content& about,
           const std::function<void()>& check)
        : into_(into), shown_((into.path() / name).string()), about_(about), check_(check),
          file_(into.open_file(name, O_WRONLY | O_CREAT | O_EXCL, about.mode & permissions)) {}

    void put(std::string_view bytes) {
        constexpr std::uint64_t looked_each = 16u << 20;
        check_();
        if (at_ / looked_each != (at_ + bytes.size()) / looked_each || at_ == 0) require_room(into_);
        if (!std::ranges::all_of(bytes, [](char c) { return c == '\0'; })) {
            if (lseek(file_.get(), static_cast<off_t>(at_), SEEK_SET) < 0)
                throw errno_error("cannot write", shown_, errno);
            files::write_all(file_.get(), bytes, shown_);
        }
        at_ += bytes.size();
    }

    void finish() {
        if (ftruncate(file_.get(), static_cast<off_t>(at_)) != 0)
            throw errno_error("cannot write", shown_, errno);
        const timespec when{about_.mtime, 0};
        const timespec times[2]{when, when};
        // A time that this file system does not know is no reason to lose the file.
        static_cast<void>(futimens(file_.get(), times));
    }

  private:
    const Folder& into_;
    std::string shown_;
    const Content& about_;
    const std::function<void()>& check_;
    Fd file_;
    std::uint64_t at_ = 0;
};

/// Makes the folder, or takes the one that is there.
Folder make_folder(const Folder& in, const std::string& name, mode_t mode) {
    const std::string shown = (in.path() / name).string();
    if (mkdirat(in.fd(), name.c_str(), 0700) != 0 && errno != EEXIST)
        throw errno_error("cannot make", shown, errno);
    auto made = in.sub(name);
    if (!made) throw errno_error("cannot open", shown, ENOENT);
    files::give(made->fd(), in.fd(), {.mode = mode, .uid = {}, .gid = {}}, shown);
    return std::move(*made);
}

/// A name in `top`, or in a folder below it.
struct Place {
    const Folder& top;
    std::optional<Folder> below;
    std::string name;
    const Folder& folder() const { return below ? *below : top; }
};

class Unpacking {
  public:
    Unpacking(int archive, const Folder& into, std::size_t deepest, const std::function<void()>& check)
        : archive_(archive), into_(into), deepest_(deepest), check_(check) {}

    Unpacked carry_out() {
        while (const auto entry = archive_.next()) {
            check_();
            if (entry->kind == TarEntry::Kind::note)
                throw no_archive("has extended headers, which are not read");
            if (!take(*entry)) ++done_.left_out;
        }
        return done_;
    }

  private:
    /// Makes the folders in between; nothing when one of them is no folder, or of a path without a name.
    std::optional<Place> place_of(const std::vector<std::string>& names) const {
        if (names.empty() || names.size() > deepest_) return std::nullopt;
        Place place{into_, {}, names.back()};
        for (std::size_t i = 0; i + 1 < names.size(); ++i) {
            const auto kind = place.folder().kind(names[i]);
            if (kind != Folder::Kind::absent && kind != Folder::Kind::folder) return std::nullopt;
            place.below = kind == Folder::Kind::folder
                              ? place.folder().sub(names[i])
                              : make_folder(place.folder(), names[i], folder_in_between);
        }
        return place;
    }

    bool take(const TarEntry& entry) {
        using Kind = TarEntry::Kind;
        if (entry.kind == Kind::other) return false;
        const auto names = components(entry.path);
        if (names.empty()) return entry.kind == Kind::folder && itself(entry);
        const auto place = place_of(names);
        if (!place) return false;
        const auto there = place->folder().kind(place->name);
        if (entry.kind == Kind::folder)
            return (there == Folder::Kind::absent || there == Folder::Kind::folder) && folder(*place, entry);
        if (there != Folder::Kind::absent) return false;
        if (entry.kind == Kind::symlink) return symlink_of(*place, entry);
        if (entry.kind == Kind::hardlink) return second_name(*place, entry);
        return file(*place, entry);
    }

    bool itself(const TarEntry& entry) const {
        if (fchmod(into_.fd(), entry.mode & permissions) != 0)
            throw errno_error("cannot set the mode of", into_.path().string(), errno);
        return true;
    }

    bool folder(const Place& place, const TarEntry& entry) {
        make_folder(place.folder(), place.name, entry.mode & permissions);
        ++done_.folders;
        return true;
    }

    bool symlink_of(const Place& place, const TarEntry& entry) {
        if (entry.target.empty() || entry.target.size() >= PATH_MAX) return false;
        put_link(place.folder(), place.name, entry.target);
        ++done_.links;
        return true;
    }

    bool second_name(const Place& place, const TarEntry& entry) {
        const auto first = place_of(components(entry.target));
        if (!first || first->folder().kind(first->name) != Folder::Kind::file) return false;
        if (linkat(first->folder().fd(), first->name.c_str(), place.folder().fd(), place.name.c_str(), 0) !=
            0)
            throw errno_error("cannot link", (place.folder().path() / place.name).string(), errno);
        ++done_.files;
        return true;
    }

    bool file(const Place& place, const TarEntry& entry) {
        const Content about{-1, entry.bytes, entry.mode, entry.mtime};
        Writer writer(place.folder(), place.name, about, check_);
        std::string bytes(piece, '\0');
        while (const std::size_t count = archive_.read(bytes.data(), bytes.size()))
            writer.put(std::string_view(bytes).substr(0, count));
        writer.finish();
        ++done_.files;
        done_.bytes += entry.bytes;
        return true;
    }

    TarReader archive_;
    const Folder& into_;
    std::size_t deepest_;
    const std::function<void()>& check_;
    Unpacked done_;
};

} // namespace

Unpacked& Unpacked::operator+=(const Unpacked& other) {
    files += other.files;
    folders += other.folders;
    links += other.links;
    bytes += other.bytes;
    left_out += other.left_out;
    return *this;
}

std::vector<std::string> components(std::string_view path) {
    if (path.size() >= PATH_MAX || path.find('\0') != path.npos)
        throw Error(Code::invalid, "a path is too long: " + text::printable(path));
    std::vector<std::string> names;
    for (std::string& name : text::split(path, '/')) {
        if (name.empty() || name == ".") continue;
        if (name == "..") throw Error(Code::invalid, "a path climbs: " + text::printable(path));
        if (name.size() > NAME_MAX)
            throw Error(Code::invalid, "a name is too long: " + text::printable(name));
        names.push_back(std::move(name));
    }
    return names;
}

Unpacked unpack(int archive, const Folder& into, std::size_t deepest, const std::function<void()>& check) {
    return Unpacking(archive, into, deepest, check).carry_out();
}

void put_file(const Folder& into, const std::string& name, const Content& content,
              const std::function<void()>& check) {
    Writer writer(into, name, content, check);
    std::string bytes(piece, '\0');
    for (std::uint64_t left = content.bytes; left > 0;) {
        const ssize_t got = ::read(content.from, bytes.data(),
                                   static_cast<std::size_t>(std::min<std::uint64_t>(left, piece)));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw errno_error("cannot read", name, errno);
        if (got == 0) throw Error(Code::io, name + " ends in the middle");
        writer.put(std::string_view(bytes).substr(0, static_cast<std::size_t>(got)));
        left -= static_cast<std::uint64_t>(got);
    }
    writer.finish();
}

void put_link(const Folder& into, const std::string& name, const std::string& target) {
    if (symlinkat(target.c_str(), into.fd(), name.c_str()) != 0)
        throw errno_error("cannot make the link", (into.path() / name).string(), errno);
    // Never of the link's target: links of root's are the owner's of the folder, too.
    struct stat about {};
    if (geteuid() == 0 && fstat(into.fd(), &about) == 0 &&
        fchownat(into.fd(), name.c_str(), about.st_uid, about.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
        throw errno_error("cannot give away", (into.path() / name).string(), errno);
}

} // namespace blockhost::image
