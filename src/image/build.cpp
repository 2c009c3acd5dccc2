// SPDX-License-Identifier: MIT
/// Makes a version from its inputs, and makes it the current one.

#include "image/build.hpp"

#include "base/error.hpp"
#include "base/text/digest.hpp"
#include "base/text/text.hpp"
#include "config/templates.hpp"
#include "hypervisor/files/qcow2.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::image {

namespace {

constexpr const char* lock_name = "build.lock";
constexpr const char* folder_name = "build";

/// A build's programs work in this folder by path, as root, so nobody else may write to it.
void check_ours_alone(const Folder& folder) {
    struct stat found {};
    if (fstat(folder.fd(), &found) != 0) throw errno_error("cannot look at", folder.path().string(), errno);
    if (found.st_uid != geteuid())
        throw Error(Code::denied, folder.path().string() + " belongs to another user",
                    geteuid() == 0 ? "chown root that folder" : "run it as that user");
    if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        throw Error(Code::denied, folder.path().string() + " can be written by others",
                    "chmod go-w that folder");
}

Folder open_cache(const Paths& paths) {
    std::error_code failure;
    std::filesystem::create_directories(paths.cache.parent_path(), failure);
    if (failure) throw errno_error("cannot make", paths.cache.parent_path().string(), failure.value());
    Folder cache = Folder::open_or_make(paths.cache, 0711); // QEMU reaches the trial's disk through it
    check_ours_alone(cache);
    return cache;
}

/// Takes the build lock, and writes into its file which process holds it since when.
FileLock take_lock(const Folder& cache, Progress& progress, const Interruption& interruption,
                   std::chrono::seconds patience) {
    Fd file = cache.open_file(lock_name, O_RDWR | O_CREAT, 0644);
    auto lock = FileLock::try_take(file);
    if (!lock) {
        const std::string holder(text::trim(cache.read(lock_name, 256).value_or("")));
        const std::string who =
            "another build or prune is at work" + (holder.empty() ? "" : ": " + text::printable(holder));
        progress.warn(who + "; waiting for it");
        lock = FileLock::take(std::move(file), FileLock::Mode::exclusive, Deadline::in(patience),
                              [&] { return interruption.reason() != Interruption::Reason::none; });
        interruption.check();
        if (!lock) throw Error(Code::busy, who, "try again when it is done");
        progress.stage("it is done; going on");
    }
    const std::string own = fmt::format("process {} since {}\n", getpid(), format_instant(now()));
    if (ftruncate(lock->fd(), 0) != 0 || pwrite(lock->fd(), own.data(), own.size(), 0) < 0)
        throw errno_error("cannot write", (cache.path() / lock_name).string(), errno);
    return std::move(*lock);
}

Manifest describe(const Bench& bench, const Made& made, const std::string& id, const Inputs& inputs,
                  const std::string& program, const Interruption& interruption) {
    const std::string path = (bench.folder().path() / made.file).string();
    const Fd file = bench.folder().open_file(made.file, O_RDONLY);
    return {.id = id,
            .made_at = now(),
            .made_by = program,
            .origin = inputs.origin,
            .inputs = inputs.all,
            .inside = made.inside,
            .virtual_bytes = qcow2_virtual_size(path),
            .bytes = std::filesystem::file_size(path),
            .sha256 =
                digest_of(file.get(), Sha2::sha256, path, [&](std::uint64_t) { interruption.check(); })};
}

/// The inputs' id, or another one where a stray file has that image's name: disks may stand on it.
std::string free_id(const Store& store, Inputs& inputs, Progress& progress) {
    std::string id = id_of(inputs.all);
    for (int again = 1; !store.version(id) && store.is_taken(id); ++again) {
        progress.warn(store.image(id).string() + " is not what a manifest tells, and is left alone");
        inputs.all["again"] = again;
        id = id_of(inputs.all);
    }
    return id;
}

void verify_boot(const Bench& bench, const Order& order, Maker& maker, const std::filesystem::path& image,
                 Manifest& manifest) {
    if (!order.verify_boot || manifest.booted) return;
    maker.boot(bench.folder(), image);
    manifest.booted = true;
}

Folder emptied(const Folder& cache) {
    cache.remove_tree(folder_name);
    return cache.make_sub(folder_name, 0711);
}

} // namespace

Bench::Bench(Folder cache, FileLock lock)
    : cache_(std::move(cache)), folder_(emptied(cache_)), lock_(std::move(lock)) {}

Bench Bench::open(const Paths& paths, Progress& progress, const Interruption& interruption,
                  std::chrono::seconds patience) {
    Folder cache = open_cache(paths);
    FileLock lock = take_lock(cache, progress, interruption, patience);
    return Bench(std::move(cache), std::move(lock));
}

Bench::~Bench() {
    try {
        cache_.remove_tree(folder_name);
    } catch (const std::exception&) {
        // The next build empties it.
    }
}

std::filesystem::path build(const Paths& paths, const Order& order, Maker& maker, const Bench& bench,
                            Progress& progress, const Interruption& interruption,
                            const std::string& program) {
    const Store store = Store::open_or_make(paths);
    store.clear_leftovers();
    Inputs inputs = maker.inputs(bench.folder());
    if (order.force) inputs.all["forced_at"] = format_instant(now());
    const std::string id = free_id(store, inputs, progress);

    if (auto there = store.version(id)) {
        progress.say(fmt::format("nothing has changed since version {} was made ({}){}", id,
                                 format_instant(there->made_at),
                                 store.current() == id ? "" : "; it becomes the current one"));
        verify_boot(bench, order, maker, store.image(id), *there);
        if (there->booted) store.note_booted(id);
    } else {
        const Made made = maker.make(bench.folder());
        Manifest manifest = describe(bench, made, id, inputs, program, interruption);
        verify_boot(bench, order, maker, bench.folder().path() / made.file, manifest);
        interruption.check();
        progress.stage("putting version " + id + " in its place");
        store.publish(bench.folder(), made.file, manifest, [&] { interruption.check(); });
    }
    store.make_current(id);
    return paths.templates.string(store.old_base() ? template_stand_in : template_link);
}

} // namespace blockhost::image
