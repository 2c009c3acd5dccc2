// SPDX-License-Identifier: MIT
/// Downloads images, computes their digests and remembers them.

#include "image/fetch.hpp"

#include "base/error.hpp"
#include "base/text/digest.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "http/client.hpp"
#include "http/rules.hpp"
#include "hypervisor/files/qcow2.hpp"
#include "image/room.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace blockhost::image {

namespace {

constexpr std::size_t list_max = 4 << 20;
constexpr const char* list_name = "SHA512SUMS";

std::string without_query(const std::string& url) {
    return url.substr(0, url.find_first_of("?#"));
}

std::string last_part(const std::string& url) {
    const std::string path = without_query(url);
    return path.substr(path.rfind('/') + 1);
}

/// Tells one state of a file from another without reading the file.
std::string fingerprint(const Fd& file, std::string_view name) {
    struct stat found {};
    if (fstat(file.get(), &found) != 0) throw errno_error("cannot look at", name, errno);
    return fmt::format("{}:{}:{}:{}.{}:{}.{}", found.st_dev, found.st_ino, found.st_size,
                       found.st_mtim.tv_sec, found.st_mtim.tv_nsec, found.st_ctim.tv_sec,
                       found.st_ctim.tv_nsec);
}

Fd open_image(const std::filesystem::path& path) {
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat found {};
    if (!file && errno == ENOENT)
        throw Error(Code::not_found, "There is no image " + text::printable(path.string()),
                    "give --source file: the path of a qcow2 image");
    if (!file) throw errno_error("cannot open", text::printable(path.string()), errno);
    if (fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode))
        throw Error(Code::config, text::printable(path.string()) + " is not a regular file");
    return file;
}

std::string sha512_now(const Run& run, const Fd& file, const std::string& name) {
    run.progress.stage("reading " + name);
    return digest_of(file.get(), Sha2::sha512, name, [&](std::uint64_t bytes) {
        run.check();
        run.progress.detail(text::human_bytes(bytes));
    });
}

/// The digest remembered for a file in that state; empty when there is none. A memory that cannot be read is
/// removed.
std::string remembered_digest(const Folder& cache, const std::string& memory, const std::string& state) {
    try {
        const auto known = json::parse(cache.read(memory, 4096).value_or("{}"), memory);
        if (json::string_or(known, "file", "") == state)
            return as_sha512(json::string_or(known, "sha512", ""));
    } catch (const Error&) {
        cache.remove(memory);
    }
    return {};
}

/// The image at `path`. It is read only if it has changed since `cache` remembered its digest.
BaseImage image_at(const Run& run, const std::filesystem::path& path, const std::string& origin,
                   const Folder& cache) {
    const std::string shown = text::printable(path.string());
    const std::string memory = "digest-" + sha256(path.string()).substr(0, 16) + ".json";
    const Fd file = open_image(path);
    const std::string now = fingerprint(file, shown);
    if (const std::string digest = remembered_digest(cache, memory, now); !digest.empty())
        return {.path = path, .sha512 = digest, .origin = origin};
    const std::string digest = sha512_now(run, file, shown);
    cache.replace(memory, json::python_line(boost::json::object{{"file", now}, {"sha512", digest}}),
                  {.mode = 0600, .uid = {}, .gid = {}});
    return {.path = path, .sha512 = digest, .read_as = now, .origin = origin};
}

std::string as_text(const http::Progress& progress) {
    std::string line = text::human_bytes(progress.done);
    if (progress.total) line += " of " + text::human_bytes(*progress.total);
    line += ", " + text::human_bytes(static_cast<std::uint64_t>(progress.bytes_per_second)) + "/s";
    if (progress.left) line += fmt::format(", {} s left", progress.left->count());
    return line;
}

http::Manner manner_of(const Order& order) {
    http::Manner manner;
    manner.ca_file = order.ca_file;
    return manner;
}

std::string expected_digest(const Run& run, const Order& order, const std::string& url) {
    if (!order.sha512.empty() || !order.needs_checksum) return order.sha512;
    if (order.source.kind != Source::Kind::cloud)
        throw Error(Code::invalid, "an image from a URL of one's own needs its digest",
                    "give --sha512, or --insecure-no-checksum to take whatever comes");
    const std::string path = without_query(url);
    const std::string list_url = path.substr(0, path.rfind('/') + 1) + list_name;
    run.progress.stage("fetching the digests of Debian's images");
    http::Manner manner = manner_of(order);
    manner.attempts = 3; // a checked image in the cache does without the list
    const std::string list = http::get(list_url, manner, list_max, run.check);
    std::string digest = digest_in_list(list, last_part(url));
    if (digest.empty())
        throw Error(Code::config, fmt::format("{} does not name {}", http::shown(list_url), last_part(url)),
                    "set template_url in db.yaml to an image beside such a list, or give --sha512");
    return digest;
}

[[noreturn]] void refuse_digest(const std::string& what, const std::string& found, const std::string& wanted,
                                std::string_view hint) {
    throw Error(Code::config,
                fmt::format("{} has the SHA-512 digest {}…, not {}…", what, found.substr(0, 16),
                            wanted.substr(0, 16)),
                std::string(hint));
}

/// How much an earlier attempt has brought: that room is taken already.
std::uint64_t bytes_of_partial(const Folder& cache, const std::string& name) {
    std::error_code none;
    const auto bytes = std::filesystem::file_size(cache.path() / (name + ".partial"), none);
    return none ? 0 : bytes;
}

void download(const Run& run, const Order& order, const std::string& url, const Folder& cache,
              const std::string& name) {
    run.progress.stage("downloading " + http::shown(url));
    const std::uint64_t here = bytes_of_partial(cache, name);
    const std::string what = "the image";
    http::download(
        url, cache, name, manner_of(order),
        {.on_size = [&](std::uint64_t all) { require_room(cache, all - std::min(all, here), what); },
         .on_progress =
             [&](const http::Progress& progress) {
                 require_room(cache, 0, what);
                 run.progress.detail(as_text(progress));
             },
         .check = run.check});
}

/// The image of that URL in the cache, and whether it was checked when it came; nothing when there is none.
std::optional<BaseImage> cached(const Run& run, const std::string& url, const Folder& cache,
                                const std::string& name) {
    if (cache.kind(name) != Folder::Kind::file) return std::nullopt;
    BaseImage image = image_at(run, cache.path() / name, http::shown(url), cache);
    image.checked = cache.read(name + ".checked", 256) == image.sha512;
    return image;
}

/// The digest that the image must have; without the list, that of a checked image in the cache.
std::string wanted_digest(const Run& run, const Order& order, const std::string& url,
                          const std::optional<BaseImage>& here) {
    try {
        return expected_digest(run, order, url);
    } catch (const Error& error) {
        if (error.code() != Code::no_answer || order.force || !here || !here->checked) throw;
        run.progress.warn("whether there is a newer image is not known: " + error.message());
        return here->sha512;
    }
}

BaseImage from_url(const Run& run, const Order& order, const std::string& url, const Folder& cache) {
    const std::string name = "image-" + sha256(url).substr(0, 16);
    const auto here = cached(run, url, cache, name);
    const std::string wanted = wanted_digest(run, order, url, here);
    if (here && !order.force && (wanted.empty() || wanted == here->sha512)) {
        BaseImage image = *here;
        image.checked = image.checked || !wanted.empty();
        return image;
    }
    cache.remove(name + ".checked");
    download(run, order, url, cache, name);
    BaseImage image = image_at(run, cache.path() / name, http::shown(url), cache);
    if (wanted.empty()) return image;
    if (image.sha512 != wanted) {
        cache.remove(name);
        refuse_digest(
            "what came from " + http::shown(url), image.sha512, wanted,
            "the image may have been replaced just now, or the server is not to be trusted: try again "
            "later");
    }
    cache.replace(name + ".checked", wanted, {.mode = 0600, .uid = {}, .gid = {}});
    image.checked = true;
    return image;
}

BaseImage from_file(const Run& run, const Order& order, const Folder& cache) {
    const std::string& path = order.source.where;
    BaseImage image = image_at(run, path, path, cache);
    if (!order.sha512.empty() && image.sha512 != order.sha512)
        refuse_digest(text::printable(path), image.sha512, order.sha512,
                      "make sure that it is the image you mean");
    image.checked = !order.sha512.empty();
    return image;
}

} // namespace

std::string digest_in_list(const std::string& list, const std::string& file_name) {
    for (const std::string& line : text::split(list, '\n')) {
        const std::string_view trimmed = text::trim(line);
        const std::size_t blank = trimmed.find(' ');
        if (blank == trimmed.npos) continue;
        std::string_view name = trimmed.substr(blank + 1);
        if (name.starts_with(' ') || name.starts_with('*')) name.remove_prefix(1); // text or binary mode
        if (name == file_name) return as_sha512(trimmed.substr(0, blank));
    }
    return {};
}

BaseImage find_base_image(const Run& run, const Order& order, const std::string& url, const Folder& cache) {
    if (order.source.kind == Source::Kind::file) return from_file(run, order, cache);
    return from_url(run, order, url, cache);
}

void check_sound(const Run& run, const std::filesystem::path& image) {
    constexpr int only_leaks = 3; // clusters that nothing uses; a conversion drops them
    const Job job{.tool = qemu_img,
                  .arguments = {"check", "-q", "-f", "qcow2", image.string()},
                  .limit = std::chrono::minutes(10),
                  .doing = "prove " + text::printable(image.string()) + " sound"};
    const ProcessResult told = attempt(run, job);
    if (told.ok() || told.exit_status == only_leaks) return;
    const Error why = failure_of(job, told);
    throw Error(Code::config, why.message(), "take a good copy of that image");
}

void require_unchanged(const BaseImage& base) {
    const std::string shown = text::printable(base.path.string());
    if (fingerprint(open_image(base.path), shown) != base.verified_as)
        throw Error(Code::config, shown + " was changed while it was used", "try again");
}

void verify_base_image(const Run& run, BaseImage& base) {
    const std::string shown = text::printable(base.path.string());
    const Fd file = open_image(base.path);
    base.verified_as = fingerprint(file, shown);
    if (base.verified_as != base.read_as && sha512_now(run, file, shown) != base.sha512)
        throw Error(Code::config, shown + " has changed since it was looked at", "try again");
    const auto head = read_qcow2_head(base.path);
    const char* const other =
        "give a qcow2 image that is complete in itself ('qemu-img convert -O qcow2' makes one)";
    if (!head) throw Error(Code::config, shown + " is not a qcow2 image", other);
    if (!head->backing.empty())
        throw Error(Code::config,
                    fmt::format("{} stands on another image, {}", shown, text::printable(head->backing)),
                    other);
    if (head->external_data) throw Error(Code::config, shown + " has its content in another file", other);
    if ((head->incompatible & ~Qcow2Head::dirty) != 0)
        throw Error(
            Code::config,
            fmt::format("{} has features ({:#x}) that no template may have", shown, head->incompatible),
            other);
    if (head->encrypted) throw Error(Code::config, shown + " is encrypted", other);
    constexpr std::uint64_t largest = 64ull << 40; // as large as a VM's disk may be
    if (head->virtual_bytes == 0 || head->virtual_bytes > largest)
        throw Error(Code::config, shown + " is " + text::human_bytes(head->virtual_bytes) + " large", other);
}

} // namespace blockhost::image
