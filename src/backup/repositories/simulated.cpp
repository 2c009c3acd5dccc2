// SPDX-License-Identifier: MIT
// See simulated.hpp.
#include "backup/repositories/simulated.hpp"

#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/files/files.hpp"
#include "base/patience.hpp"
#include "base/text/json.hpp"
#include "hypervisor/simulated/store.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <fmt/format.h>

namespace blockhost::backup {

namespace {

namespace bj = boost::json;
namespace fs = std::filesystem;
using simulated::Clusters, simulated::cluster_bytes;

constexpr std::size_t id_digits = 64;
constexpr std::chrono::milliseconds poll(20);

/// restic that fails, and restic that never ends and is killed, are the same to its caller.
void point(std::string_view where) {
    try {
        fault::point("simulated." + std::string(where));
    } catch (const Error& error) {
        throw Error(Code::program, "restic failed: " + error.message(), "try again");
    }
}

std::uint64_t number_of(const std::string& digits) {
    return std::stoull(digits);
}

/// The clusters of a chunk, each with its text.
bj::object content_of(const Clusters& clusters, std::uint64_t chunk, std::uint64_t chunk_bytes) {
    const std::uint64_t each = chunk_bytes / cluster_bytes;
    bj::object content;
    for (auto at = clusters.lower_bound(chunk * each); at != clusters.end() && at->first < (chunk + 1) * each;
         ++at)
        content[std::to_string(at->first)] = at->second;
    return content;
}

/// A snapshot of a disk in the making.
class DiskSnapshot {
  public:
    DiskSnapshot(const FrozenDisk& disk, const bj::value& parent)
        : disk_(disk),
          before_(json::object_in(json::object_in(json::object_in(parent, "disks"), disk.name), "chunks")) {}

    bj::object take(Stored& stored) {
        bj::object chunks;
        for (const TimedRun& run : disk_.times)
            for (std::uint64_t i = run.run.first; i < run.run.first + run.run.count; ++i) {
                const std::string number = std::to_string(i);
                const std::uint64_t bytes = bytes_of_chunk(i, disk_.bytes, disk_.chunk_bytes);
                stored.bytes_processed += bytes;
                if (const bj::value* old = unchanged(number, run.at)) {
                    ++stored.files_unmodified;
                    chunks[number] = *old;
                    continue;
                }
                ++(before_.contains(number) ? stored.files_changed : stored.files_new);
                stored.bytes_added += bytes;
                chunks[number] = bj::object{{"at", run.at}, {"content", read(i)}};
            }
        return {{"bytes", disk_.bytes}, {"chunk_bytes", disk_.chunk_bytes}, {"chunks", std::move(chunks)}};
    }

  private:
    const bj::value* unchanged(const std::string& number, std::int64_t at) const {
        const bj::value* old = before_.if_contains(number);
        return old != nullptr && json::integer_in(*old, "at") == at ? old : nullptr;
    }
    bj::object read(std::uint64_t chunk) {
        if (!clusters_) clusters_ = simulated::read_clusters(disk_.file);
        return content_of(*clusters_, chunk, disk_.chunk_bytes);
    }

    const FrozenDisk& disk_;
    const bj::object before_;
    std::optional<Clusters> clusters_;
};

/// Whatever keeps a disk from being read, the helper tells it as one error.
template<class Read>
auto of_disk(const FrozenDisk& disk, Read read) {
    try {
        return read();
    } catch (const Error& error) {
        throw Error(Code::io,
                    fmt::format("the disk {} cannot be read: {}", disk.file.string(), error.message()),
                    "see that nobody else has it open for writing");
    }
}

class Simulated final : public Repository {
  public:
    Simulated(fs::path folder, const fs::path& world) : folder_(std::move(folder)), world_(world) {}

    std::vector<Snapshot> snapshots() const override {
        point("snapshots");
        std::vector<Snapshot> all;
        if (!fs::exists(folder_)) return all;
        for (const auto& entry : fs::directory_iterator(folder_))
            if (entry.path().extension() == ".json")
                all.push_back(snapshot_in(document(entry.path().stem().string())));
        return all;
    }

    Snapshot list(const std::string& snapshot, const std::function<void(Node)>& each) const override {
        point("list");
        const bj::value found = document(snapshot);
        for (const auto& [name, text] : json::object_in(found, "files"))
            each({"/" + std::string(name), true, text.as_string().size()});
        for (const auto& [name, disk] : json::object_in(found, "disks"))
            for (const auto& [number, chunk] : json::object_in(disk, "chunks")) {
                const std::uint64_t index = number_of(number);
                each({"/" + chunk_path(std::string(name), index), true,
                      bytes_of_chunk(index, json::count_in(disk, "bytes").value(),
                                     json::count_in(disk, "chunk_bytes").value())});
            }
        return snapshot_in(found);
    }

    std::string file(const std::string& snapshot, const std::string& path, std::size_t most) const override {
        point("file");
        const bj::value found = document(snapshot);
        const bj::value* text = json::member(json::object_in(found, "files"), path.substr(1));
        if (text == nullptr || !text->is_string())
            throw Error(Code::not_found, "snapshot " + snapshot.substr(0, 8) + " has no " + path,
                        "it is not one of this program's backups");
        if (text->get_string().size() > most)
            throw Error(Code::invalid, path + " is too large", "leave that snapshot alone");
        return std::string(text->get_string());
    }

    void forget(const std::vector<std::string>& snapshots) const override {
        point("forget");
        for (const std::string& each : snapshots) fs::remove(file(each));
        point("forget.after");
    }

    DiskLook look(const FrozenDisk& disk, const std::function<void()>& check) const override {
        check();
        point("look");
        return of_disk(disk, [&] { return look_at(disk); });
    }

    bool shows_views() const override { return true; }

    Stored store(View view, const BackupCall& call, const std::function<void()>& check) const override {
        check();
        point("store");
        const auto behaviour = world_.behaviour();
        for (const Deadline end = Deadline::in(std::chrono::milliseconds(behaviour.store_ms)); !end.passed();
             pause_for(poll))
            check();
        const std::string id = random_hex(id_digits);
        const bj::value parent = call.parent.empty() ? bj::value() : document(call.parent);
        Stored stored{.snapshot = id};
        bj::object files, disks;
        for (const auto& [name, text] : view.files) files[name] = text;
        for (const FrozenDisk& disk : view.disks)
            disks[disk.name] = of_disk(disk, [&] { return DiskSnapshot(disk, parent).take(stored); });
        bj::object snapshot{{"id", id},
                            {"time", now().time_since_epoch().count()},
                            {"hostname", call.host},
                            {"tags", bj::array(call.tags.begin(), call.tags.end())},
                            {"files", std::move(files)},
                            {"disks", std::move(disks)}};
        put(id, without_last_chunk(snapshot));
        point("store.half");
        check();
        if (behaviour.store != "loses") put(id, snapshot);
        point("store.after");
        return stored;
    }

    std::string fill(const std::string& snapshot, View view,
                     const std::function<void()>& check) const override {
        check();
        point("fill");
        const bj::value found = document(snapshot);
        for (const FrozenDisk& disk : view.disks) {
            const auto& chunks =
                json::object_in(json::object_in(json::object_in(found, "disks"), disk.name), "chunks");
            simulated::DiskContent content;
            for (const TimedRun& run : disk.times)
                for (std::uint64_t i = run.run.first; i < run.run.first + run.run.count; ++i) {
                    const bj::value* chunk = json::member(chunks, std::to_string(i));
                    if (chunk == nullptr) return fmt::format("chunk {} of {} is missing", i, disk.name);
                    for (const auto& [number, text] : json::object_in(*chunk, "content"))
                        content.clusters[number_of(number)] = text.as_string();
                }
            simulated::write_content(disk.file, content);
        }
        point("fill.after");
        check();
        return "";
    }

  private:
    static DiskLook look_at(const FrozenDisk& disk) {
        const std::uint64_t chunk_bytes =
            disk.chunk_bytes != 0 ? disk.chunk_bytes : chunk_bytes_for(disk.bytes);
        const Clusters clusters = simulated::read_clusters(disk.file);
        simulated::Bitmap written;
        if (!disk.bitmap.empty()) {
            written = simulated::read_content(disk.file).bitmaps[disk.bitmap];
            if (!written) throw Error(Code::io, "bitmap '" + disk.bitmap + "' is missing or inconsistent");
        }
        std::set<std::uint64_t> data, dirty;
        for (const auto& [number, text] : clusters) data.insert(number * cluster_bytes / chunk_bytes);
        if (written)
            for (const std::uint64_t number : *written) dirty.insert(number * cluster_bytes / chunk_bytes);
        DiskLook look{disk.name, disk.bytes, chunk_bytes, {}};
        const std::uint64_t all = chunk_count(disk.bytes, chunk_bytes);
        for (std::uint64_t i = 0; i < all; ++i) {
            const bool has_data = data.contains(i), is_dirty = !written || dirty.contains(i);
            if (!look.looks.empty() && look.looks.back().data == has_data &&
                look.looks.back().dirty == is_dirty)
                ++look.looks.back().run.count;
            else
                look.looks.push_back({{i, 1}, has_data, is_dirty});
        }
        return look;
    }

    static bj::object without_last_chunk(bj::object snapshot) {
        for (auto& [name, disk] : snapshot.at("disks").as_object()) {
            auto& chunks = disk.as_object().at("chunks").as_object();
            if (!chunks.empty()) chunks.erase(std::prev(chunks.end()));
        }
        return snapshot;
    }

    static Snapshot snapshot_in(const bj::value& document) {
        return {json::string_or(document, "id", ""),
                Instant(std::chrono::microseconds(json::integer_in(document, "time").value_or(0))),
                json::string_or(document, "hostname", ""), json::strings_in(document, "tags")};
    }

    fs::path file(const std::string& id) const { return folder_ / (id + ".json"); }

    bj::value document(const std::string& id) const {
        const auto text = files::read(file(id));
        if (!text)
            throw Error(Code::program, "restic finds no snapshot " + id,
                        "see what is in " + folder_.string());
        return json::parse(*text, file(id).string());
    }

    void put(const std::string& id, const bj::object& snapshot) const {
        fs::create_directories(folder_);
        fs::path fresh = file(id);
        fresh += ".new";
        {
            const Fd out(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
            if (!out) throw errno_error("cannot write", fresh.string(), errno);
            files::write_all(out.get(), bj::serialize(snapshot), fresh.string());
        }
        fs::rename(fresh, file(id));
    }

    fs::path folder_;
    simulated::Store world_;
};

fs::path folder_of(const Paths& mock) {
    return mock.world / "repository";
}

} // namespace

std::unique_ptr<Repository> open_simulated_repository(const Paths& mock) {
    fault::arm_from_environment();
    return std::make_unique<Simulated>(folder_of(mock), mock.world);
}

Settings simulated_settings(const Paths& mock) {
    return {.repository = folder_of(mock).string(), .repository_id = std::string(id_digits, '0')};
}

} // namespace blockhost::backup
