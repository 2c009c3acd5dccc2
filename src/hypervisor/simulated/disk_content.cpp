// SPDX-License-Identifier: MIT
/// See disk_content.hpp. Behind the image's own clusters: the text's length as sixteen digits, then a JSON
/// object.

#include "hypervisor/simulated/disk_content.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "hypervisor/files/qcow2.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::simulated {
namespace {

namespace fs = std::filesystem;
namespace bj = boost::json;

/// Header, refcount table, its one block, and one cluster of L1, which every image here has.
constexpr std::uint64_t begins = 4 * cluster_bytes;
constexpr std::size_t length_digits = 16;

std::string read_at(int fd, std::uint64_t offset, std::size_t bytes, const fs::path& path) {
    std::string text(bytes, '\0');
    const ssize_t got = ::pread(fd, text.data(), bytes, static_cast<off_t>(offset));
    if (got < 0) throw errno_error("cannot read", path.string(), errno);
    text.resize(static_cast<std::size_t>(got));
    return text;
}

Error broken(const fs::path& image) {
    return Error(Code::io, image.string() + " has no content of the simulated world behind its clusters");
}

std::uint64_t number_in(const fs::path& image, std::string_view text) {
    const auto number = text::parse_int(text);
    if (!number || *number < 0) throw broken(image);
    return static_cast<std::uint64_t>(*number);
}

Bitmap bitmap_in(const bj::value& value) {
    if (!value.is_array()) return std::nullopt;
    std::set<std::uint64_t> written;
    for (const bj::value& each : value.get_array()) written.insert(each.to_number<std::uint64_t>());
    return written;
}

} // namespace

DiskContent read_content(const fs::path& image) {
    const Fd file(::open(image.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) throw errno_error("cannot open", image.string(), errno);
    const std::string length = read_at(file.get(), begins, length_digits, image);
    if (length.empty()) return {};
    const auto bytes = number_in(image, length);
    const auto value = json::parse(read_at(file.get(), begins + length_digits, bytes, image), image.string());
    DiskContent content;
    for (const auto& [number, text] : json::object_in(value, "clusters"))
        content.clusters[number_in(image, number)] = text.as_string();
    content.bitmaps = bitmaps_in(json::object_in(value, "bitmaps"));
    return content;
}

void write_content(const fs::path& image, const DiskContent& content) {
    const Fd file(::open(image.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640));
    if (!file) throw errno_error("cannot open", image.string(), errno);
    bj::object clusters;
    for (const auto& [number, text] : content.clusters) clusters[std::to_string(number)] = text;
    const std::string object =
        bj::serialize(bj::object{{"clusters", clusters}, {"bitmaps", to_json(content.bitmaps)}});
    const std::string text = fmt::format("{:0{}}{}", object.size(), length_digits, object);
    if (::pwrite(file.get(), text.data(), text.size(), begins) != static_cast<ssize_t>(text.size()))
        throw errno_error("cannot write", image.string(), errno);
    files::sync(file.get(), image.string());
}

bj::object to_json(const Bitmaps& bitmaps) {
    bj::object object;
    for (const auto& [name, written] : bitmaps)
        object[name] = written ? bj::value(bj::array(written->begin(), written->end())) : bj::value();
    return object;
}

Bitmaps bitmaps_in(const bj::object& object) {
    Bitmaps bitmaps;
    for (const auto& [name, written] : object) bitmaps[name] = bitmap_in(written);
    return bitmaps;
}

Clusters read_clusters(const fs::path& image) {
    Clusters clusters = read_content(image).clusters;
    for (const fs::path& below : backing_chain(image)) clusters.merge(read_content(below).clusters);
    std::erase_if(clusters, [](const auto& each) { return each.second.empty(); });
    return clusters;
}

void commit_content(const fs::path& overlay) {
    const auto chain = backing_chain(overlay);
    Clusters upper = read_content(overlay).clusters;
    if (chain.empty() || upper.empty()) return;
    DiskContent lower = read_content(chain.front());
    upper.merge(lower.clusters);
    lower.clusters = std::move(upper);
    write_content(chain.front(), lower);
}

} // namespace blockhost::simulated
