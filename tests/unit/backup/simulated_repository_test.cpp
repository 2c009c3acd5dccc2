// SPDX-License-Identifier: MIT
// The repository of the simulated world: it believes the times of chunks, as restic does.
#include "backup/repositories/simulated.hpp"

#include "hypervisor/simulated/disk_content.hpp"
#include "tests/unit/backup/support.hpp"

using namespace blockhost;
using namespace blockhost::backup;

namespace {

constexpr std::uint64_t disk_bytes = 64u << 20;
const auto no_check = [] {};

struct Place {
    TemporaryFolder folder;
    Paths paths;
    std::unique_ptr<Repository> repository;
    std::filesystem::path image = folder.path / "image";

    Place() {
        paths.world = folder.path / "world";
        repository = open_simulated_repository(paths);
    }
    FrozenDisk disk(std::vector<TimedRun> times, const std::string& bitmap = "") const {
        return {.name = "vda",
                .file = image,
                .bitmap = bitmap,
                .chunk_bytes = least_chunk,
                .bytes = disk_bytes,
                .times = std::move(times)};
    }
    Stored store(std::vector<TimedRun> times, const std::string& parent = "") const {
        return repository->store({.disks = {disk(std::move(times))},
                                  .files = {{"manifest.json", "{}"}},
                                  .at = 1,
                                  .mount_point = {},
                                  .user = {}},
                                 {.host = "host", .tags = {"vm=a"}, .parent = parent}, no_check);
    }
    std::vector<std::string> paths_in(const std::string& snapshot) const {
        std::vector<std::string> all;
        repository->list(snapshot, [&](const Node& node) { all.push_back(node.path); });
        return all;
    }
};

} // namespace

TEST_CASE("a look tells what has data and what a bitmap has, chunk by chunk") {
    const Place place;
    simulated::write_content(place.image,
                             {{{0, "a"}, {3, "b"}, {9, "c"}, {12, ""}},
                              {{"bh-1", std::set<std::uint64_t>{9, 13}}, {"bh-2", std::nullopt}}});
    const std::uint64_t all = disk_bytes / least_chunk; // of four clusters each
    CHECK(
        place.repository->look(place.disk({}), no_check).looks ==
        std::vector<ChunkLook>{
            {{0, 1}, true, true}, {{1, 1}, false, true}, {{2, 1}, true, true}, {{3, all - 3}, false, true}});
    CHECK(place.repository->look(place.disk({}, "bh-1"), no_check).looks ==
          std::vector<ChunkLook>{{{0, 1}, true, false},
                                 {{1, 1}, false, false},
                                 {{2, 1}, true, true},
                                 {{3, 1}, false, true},
                                 {{4, all - 4}, false, false}});
    for (const char* bitmap : {"bh-2", "bh-3"})
        CHECK(refusal([&] { place.repository->look(place.disk({}, bitmap), no_check); }).first == Code::io);
}

TEST_CASE("a chunk whose time is the parent's is not read again, whatever the disk holds") {
    const Place place;
    simulated::write_content(place.image, {{{0, "old"}, {4, "old"}}, {}});
    const Stored first = place.store({{{0, 2}, 5}});
    CHECK((first.files_new == 2 && first.files_unmodified == 0));
    std::filesystem::remove(place.image);
    const Stored again = place.store({{{0, 2}, 5}}, first.snapshot);
    CHECK((again.files_new == 0 && again.files_unmodified == 2));
    CHECK(refusal([&] { place.store({{{0, 1}, 5}, {{1, 1}, 6}}, first.snapshot); }).first == Code::io);
    simulated::write_content(place.image, {{{0, "new"}, {4, "new"}}, {}});
    const Stored changed = place.store({{{0, 1}, 5}, {{1, 1}, 6}}, first.snapshot);
    CHECK((changed.files_changed == 1 && changed.files_unmodified == 1));
    const auto stored = files::read(place.folder.path / "world/repository" / (changed.snapshot + ".json"));
    CHECK(stored.value_or("").find(
              R"({"0":{"at":5,"content":{"0":"old"}},"1":{"at":6,"content":{"4":"new"}}})") !=
          std::string::npos);
}

TEST_CASE("what is stored is listed until it is forgotten") {
    const Place place;
    CHECK(place.repository->snapshots().empty());
    simulated::write_content(place.image, {{{0, "a"}, {4, "b"}}, {}});
    const std::string id = place.store({{{0, 2}, 1}}).snapshot;
    const auto all = place.repository->snapshots();
    REQUIRE(all.size() == 1);
    CHECK((all[0].id == id && all[0].host == "host" && all[0].tag("vm") == "a"));
    CHECK(place.paths_in(id) ==
          std::vector<std::string>{"/manifest.json", "/vda/00000/00000000", "/vda/00000/00000001"});
    place.repository->forget({id});
    CHECK(place.repository->snapshots().empty());
    CHECK(refusal([&] { place.paths_in(id); }).first == Code::program);
}
