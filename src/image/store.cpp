// SPDX-License-Identifier: MIT
/// The templates folder.

#include "image/store.hpp"

#include "base/error.hpp"
#include "base/text/digest.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "config/mounts.hpp"
#include "config/templates.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::image {

namespace bj = boost::json;

namespace {

constexpr std::string_view prefix = "blockhost-base-", image_suffix = ".qcow2", manifest_suffix = ".json";
constexpr std::size_t id_digits = 12;
constexpr std::size_t manifest_max = 1 << 20;
constexpr mode_t read_only = 0444, read_by_all = 0644;

std::string image_name(const std::string& id) {
    return std::string(prefix) + id + std::string(image_suffix);
}

std::string manifest_name(const std::string& id) {
    return std::string(prefix) + id + std::string(manifest_suffix);
}

/// The id in a version's file name with that suffix; nothing when the name is no version's.
std::optional<std::string> id_in(std::string_view name, std::string_view suffix) {
    if (name.size() != prefix.size() + id_digits + suffix.size() || !name.starts_with(prefix) ||
        !name.ends_with(suffix))
        return std::nullopt;
    const std::string_view id = name.substr(prefix.size(), id_digits);
    if (!text::is_hex(id, id_digits, id_digits)) return std::nullopt;
    return std::string(id);
}

std::string manifest_text(const Manifest& manifest) {
    bj::object packages;
    for (const auto& [name, version] : manifest.inside.packages) packages[name] = version;
    const auto& accounts = manifest.inside.accounts;
    return json::python_line(bj::object{{"version", manifest.id},
                                        {"made_at", format_instant(manifest.made_at)},
                                        {"made_by", manifest.made_by},
                                        {"origin", manifest.origin},
                                        {"inputs", manifest.inputs},
                                        {"virtual_bytes", manifest.virtual_bytes},
                                        {"bytes", manifest.bytes},
                                        {"sha256", manifest.sha256},
                                        {"booted", manifest.booted},
                                        {"packages", std::move(packages)},
                                        {"accounts", bj::array(accounts.begin(), accounts.end())}}) +
           "\n";
}

Manifest read_manifest(const std::string& id, const std::string& text, const std::string& path) {
    const bj::value document = json::parse(text, path);
    const auto made_at = parse_instant(json::string_or(document, "made_at", ""));
    if (json::string_or(document, "version", "") != id || !made_at)
        throw Error(Code::config, path + " is not the manifest of its template version",
                    "move it and its image away if no VM stands on that");
    Manifest manifest{.id = id,
                      .made_at = *made_at,
                      .made_by = json::string_or(document, "made_by", ""),
                      .origin = json::string_or(document, "origin", ""),
                      .inputs = json::object_in(document, "inputs"),
                      .inside = {},
                      .virtual_bytes = json::count_in(document, "virtual_bytes").value_or(0),
                      .bytes = json::count_in(document, "bytes").value_or(0),
                      .sha256 = json::string_or(document, "sha256", "")};
    for (const auto& pair : json::object_in(document, "packages"))
        if (pair.value().is_string())
            manifest.inside.packages[std::string(pair.key())] = std::string(pair.value().get_string());
    for (std::string& account : json::strings_in(document, "accounts"))
        manifest.inside.accounts.insert(std::move(account));
    manifest.booted = json::is_true(document, "booted");
    return manifest;
}

/// Read-only for all, and root's where we are root: the folder's owner could write to a file of his own.
void seal(const Folder& bench, const std::string& name) {
    const Fd file = bench.open_file(name, O_RDONLY);
    if (!file) throw errno_error("cannot open", (bench.path() / name).string(), ENOENT);
    files::give(file.get(), bench.fd(), {.mode = read_only, .uid = geteuid(), .gid = getegid()},
                (bench.path() / name).string());
}

} // namespace

std::string id_of(const bj::object& inputs) {
    return sha256(json::python_line(inputs)).substr(0, id_digits);
}

Store Store::open_or_make(const Paths& paths) {
    require_mounted(paths);
    paths.state.make();
    paths.templates.make(0755);
    return Store(take_templates(paths));
}

std::optional<Store> Store::open(const Paths& paths) {
    auto folder = paths.templates.open();
    if (!folder) return std::nullopt;
    return Store(std::move(*folder));
}

std::vector<Manifest> Store::versions() const {
    std::vector<Manifest> found;
    for (const std::string& name : folder_.names())
        if (const auto id = id_in(name, image_suffix))
            if (auto manifest = version(*id)) found.push_back(std::move(*manifest));
    std::stable_sort(found.begin(), found.end(),
                     [](const Manifest& a, const Manifest& b) { return a.made_at < b.made_at; });
    return found;
}

std::optional<Manifest> Store::version(const std::string& id) const {
    struct stat file {};
    if (folder_.kind(image_name(id)) != Folder::Kind::file ||
        fstatat(folder_.fd(), image_name(id).c_str(), &file, AT_SYMLINK_NOFOLLOW) != 0)
        return std::nullopt;
    try {
        const auto text = folder_.read(manifest_name(id), manifest_max);
        if (!text) return std::nullopt;
        Manifest manifest = read_manifest(id, *text, (folder_.path() / manifest_name(id)).string());
        const bool whole = manifest.bytes == static_cast<std::uint64_t>(file.st_size);
        return whole ? std::optional(std::move(manifest)) : std::nullopt;
    } catch (const Error&) {
        return std::nullopt;
    }
}

std::filesystem::path Store::image(const std::string& id) const {
    return folder_.path() / image_name(id);
}

bool Store::is_taken(const std::string& id) const {
    return folder_.kind(image_name(id)) != Folder::Kind::absent;
}

std::optional<std::string> Store::id_behind(const char* link) const {
    std::error_code nowhere;
    const auto real = std::filesystem::canonical(folder_.path() / link, nowhere);
    if (nowhere || folder_.kind(link) != Folder::Kind::other) return std::nullopt;
    const auto id = id_in(real.filename().string(), image_suffix);
    if (!id || folder_.kind(image_name(*id)) != Folder::Kind::file) return std::nullopt;
    return files::identity(real) == files::identity(image(*id)) ? id : std::nullopt;
}

std::vector<std::filesystem::path> Store::strays() const {
    std::vector<std::filesystem::path> found;
    for (const std::string& name : folder_.names())
        if (const auto id = id_in(name, image_suffix); id && !version(*id))
            found.push_back(folder_.path() / name);
    return found;
}

std::optional<std::string> Store::current() const {
    return id_behind(folder_.kind(template_stand_in) == Folder::Kind::absent ? template_link
                                                                             : template_stand_in);
}

bool Store::is_linked(const std::string& id) const {
    return id_behind(template_link) == id || id_behind(template_stand_in) == id;
}

std::optional<std::filesystem::path> Store::old_base() const {
    const auto path = folder_.path() / template_link;
    std::error_code nowhere;
    if (!std::filesystem::is_regular_file(path, nowhere) || id_behind(template_link)) return std::nullopt;
    return path;
}

void Store::write_manifest(const Manifest& manifest) const {
    folder_.replace(manifest_name(manifest.id), manifest_text(manifest),
                    {.mode = read_by_all, .uid = geteuid(), .gid = getegid()});
}

void Store::publish(const Folder& bench, const std::string& name, const Manifest& manifest,
                    const std::function<void()>& check) const {
    seal(bench, name);
    write_manifest(manifest);
    try {
        files::move_at(bench.fd(), name, folder_.fd(), image_name(manifest.id), image(manifest.id).string(),
                       check);
    } catch (...) {
        clear_leftovers();
        throw;
    }
}

void Store::note_booted(const std::string& id) const {
    auto manifest = version(id);
    if (!manifest || manifest->booted) return;
    manifest->booted = true;
    write_manifest(*manifest);
}

void Store::make_current(const std::string& id) const {
    const char* link = old_base() ? template_stand_in : template_link;
    if (id_behind(link) != id)
        files::replace_link_at(folder_.fd(), link, (folder_.path() / link).string(), image_name(id));
    // create prefers the stand-in while it is there, so it goes last.
    if (link != template_stand_in) folder_.remove(template_stand_in);
}

void Store::replace_old_base() const {
    const auto id = id_behind(template_stand_in);
    if (!id || !old_base()) return;
    files::replace_link_at(folder_.fd(), template_link, (folder_.path() / template_link).string(),
                           image_name(*id));
    folder_.remove(template_stand_in);
}

void Store::remove(const std::string& id) const {
    if (is_in_use(image(id)))
        throw Error(Code::busy, fmt::format("a running guest uses template version {}", id),
                    "'virsh list' shows what runs");
    folder_.remove(image_name(id));
    folder_.remove(manifest_name(id));
}

void Store::clear_leftovers() const {
    for (const std::string& name : folder_.names()) {
        const auto id = id_in(name, manifest_suffix);
        if (id && folder_.kind(image_name(*id)) == Folder::Kind::absent) folder_.remove(name);
        const std::size_t dot = name.rfind('.');
        if (!name.starts_with(std::string(".") + "blockhost-base") || dot == 0) continue;
        if (files::is_temporary_of(name, name.substr(1, dot - 1)) &&
            folder_.kind(name) != Folder::Kind::folder)
            folder_.remove(name);
    }
}

bool is_in_use(const std::filesystem::path& image) {
    const auto place = StateFolder().file_at(image); // follows no link that others made
    if (!place) return false;
    const Fd file(openat(place->folder.fd(), place->name.c_str(),
                         O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)); // and waits for no FIFO
    struct stat found {};
    if (!file && errno == ENOENT) return false;
    if (!file || fstat(file.get(), &found) != 0) throw errno_error("cannot open", image.string(), errno);
    if (!S_ISREG(found.st_mode)) throw Error(Code::io, image.string() + " is not a regular file");
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (fcntl(file.get(), F_OFD_GETLK, &whole) != 0)
        throw errno_error("cannot ask for locks of", image.string(), errno);
    return whole.l_type != F_UNLCK;
}

} // namespace blockhost::image
