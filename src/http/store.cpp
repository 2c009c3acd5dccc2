// SPDX-License-Identifier: MIT
// Bytes in memory, and bytes in a file with a note about the remote file beside it.
#include "http/store.hpp"

#include "base/error.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::http {

namespace {

constexpr mode_t readable_by_all = 0644;
constexpr std::size_t largest_note = 64 << 10;
constexpr std::size_t longest_validator = 1024;

FileLock open_locked(const Folder& folder, const std::string& name, const std::string& path) {
    auto lock = FileLock::take_named(folder, name, readable_by_all);
    if (!lock) throw Error(Code::busy, path + " is being downloaded by another process");
    return std::move(*lock);
}

/// Printable ASCII only, since the value goes into a request's header.
std::string validator_in(const boost::json::value& note, std::string_view key) {
    std::string value = json::string_or(note, key, "");
    bool good = value.size() <= longest_validator &&
                std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c < 0x7f; });
    return good ? value : "";
}

std::optional<std::uint64_t> total_in(const boost::json::value& note) {
    const auto total = json::integer_in(note, "total");
    return total && *total >= 0 ? std::optional(static_cast<std::uint64_t>(*total)) : std::nullopt;
}

/// An unreadable note counts as absent: the download starts anew.
Origin read_note(const Folder& folder, const std::string& name, const std::string& url) {
    auto text = folder.read(name, largest_note);
    if (!text) return {};
    try {
        auto note = json::parse(*text, name);
        if (json::string_or(note, "url", "") != url) return {};
        return {url, validator_in(note, "etag"), validator_in(note, "last_modified"), total_in(note)};
    } catch (const Error&) {
        return {};
    }
}

std::string note_of(const Origin& origin) {
    boost::json::object note{
        {"url", origin.url}, {"etag", origin.etag}, {"last_modified", origin.last_modified}};
    if (origin.total) note["total"] = static_cast<std::int64_t>(*origin.total);
    return json::python_line(note) + "\n";
}

} // namespace

void Text::check(std::uint64_t size) const {
    if (size > max_)
        throw Error(Code::io, name_ + " is larger than " + std::to_string(max_) + " bytes", "check the URL");
}

void Text::begin(const Origin& origin, std::uint64_t) {
    check(origin.total.value_or(0));
    text_.clear();
}

void Text::append(std::string_view bytes) {
    check(text_.size() + bytes.size());
    text_ += bytes;
}

PartialFile::PartialFile(const Folder& folder, const std::string& name, const std::string& url)
    : folder_(folder), name_(name), partial_(name + ".partial"), note_(partial_ + ".json"),
      path_((folder.path() / partial_).native()), file_(open_locked(folder, partial_, path_)),
      origin_(read_note(folder, note_, url)) {
    struct stat found {};
    if (fstat(file_.fd(), &found) != 0) throw errno_error("cannot look at", path_, errno);
    size_ = static_cast<std::uint64_t>(found.st_size);
}

PartialFile::~PartialFile() {
    if (finished_ || size_ > 0) return;
    unlinkat(folder_.fd(), partial_.c_str(), 0);
    unlinkat(folder_.fd(), note_.c_str(), 0);
}

void PartialFile::begin(const Origin& origin, std::uint64_t at) {
    bool cut = at < size_;
    if (cut && ftruncate(file_.fd(), static_cast<off_t>(at)) != 0)
        throw errno_error("cannot shorten", path_, errno);
    size_ = at;
    if (origin != origin_) {
        if (cut)
            files::sync(file_.fd(), path_); // else a power loss could leave the old bytes with the new note
        folder_.replace(note_, note_of(origin), {.mode = readable_by_all, .uid = {}, .gid = {}});
        origin_ = origin;
    }
    if (lseek(file_.fd(), static_cast<off_t>(at), SEEK_SET) < 0)
        throw errno_error("cannot write", path_, errno);
}

void PartialFile::append(std::string_view bytes) {
    files::write_all(file_.fd(), bytes, path_);
    size_ += bytes.size();
}

void PartialFile::finish() {
    files::sync(file_.fd(), path_);
    if (renameat(folder_.fd(), partial_.c_str(), folder_.fd(), name_.c_str()) != 0)
        throw errno_error("cannot rename", path_, errno);
    finished_ = true;
    folder_.sync();
    folder_.remove(note_); // after the renaming: without its note a partial file is useless
}

} // namespace blockhost::http
