// SPDX-License-Identifier: MIT
// Chunks of a disk, and when each was last stored anew.
#include "backup/chunks.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>

using namespace blockhost::backup;

namespace {

constexpr std::uint64_t gib = 1u << 30, kib = 1u << 10;

std::map<std::uint64_t, std::int64_t> each_of(const std::vector<TimedRun>& times) {
    std::map<std::uint64_t, std::int64_t> all;
    for (const TimedRun& run : times)
        for (std::uint64_t at = 0; at < run.run.count; ++at) all[run.run.first + at] = run.at;
    return all;
}

} // namespace

TEST_CASE("chunks have 256 KiB up to 64 GiB of disk, and then are so large that there are few enough") {
    CHECK(chunk_bytes_for(512) == 256 * kib);
    CHECK(chunk_bytes_for(64 * gib) == 256 * kib);
    CHECK(chunk_bytes_for(64 * gib + 512) == 512 * kib);
    CHECK(chunk_bytes_for(256 * gib) == 1024 * kib);
    CHECK(chunk_bytes_for(1024 * gib) == 4096 * kib);
}

TEST_CASE("a last chunk may be short") {
    CHECK(chunk_count(256 * kib, 256 * kib) == 1);
    CHECK(chunk_count(256 * kib + 512, 256 * kib) == 2);
    CHECK(bytes_of_chunk(0, 256 * kib + 512, 256 * kib) == 256 * kib);
    CHECK(bytes_of_chunk(1, 256 * kib + 512, 256 * kib) == 512);
    CHECK(chunk_path("vda", 3123) == "vda/00012/00003123");
}

TEST_CASE("a set of chunks joins runs that touch, and knows what it has") {
    ChunkSet chunks;
    chunks.append(2, 3);
    chunks.append(5, 1);
    chunks.append(9, 0);
    chunks.append(9, 1);
    CHECK(chunks.runs() == std::vector<ChunkRun>{{2, 4}, {9, 1}});
    CHECK(chunks.size() == 5);
    for (std::uint64_t at = 0; at < 12; ++at) CHECK(chunks.contains(at) == ((at >= 2 && at < 6) || at == 9));
}

TEST_CASE("a chunk keeps its time until it is written; what is zeros has none") {
    const std::vector<TimedRun> before{{{0, 4}, 10}, {{6, 2}, 20}};
    CHECK(next_times(
              {{{0, 2}, true, false}, {{2, 1}, true, true}, {{3, 1}, false, true}, {{4, 4}, true, false}},
              before, 30) == std::vector<TimedRun>{{{0, 2}, 10}, {{2, 1}, 30}, {{4, 2}, 30}, {{6, 2}, 20}});
    CHECK(next_times({{{0, 8}, true, true}}, {}, 5) == std::vector<TimedRun>{{{0, 8}, 5}});
    CHECK(next_times({}, before, 5).empty());
    CHECK(chunks_of(before).runs() == std::vector<ChunkRun>{{0, 4}, {6, 2}});
}

TEST_CASE("times of runs are those of single chunks") {
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
        std::vector<TimedRun> before;
        std::vector<ChunkLook> looks;
        for (std::uint64_t at = 0; at < 40;) {
            const std::uint64_t count = 1 + random() % 4;
            if (random() % 3) before.push_back({{at, count}, std::int64_t(random() % 3)});
            at += count + random() % 2;
        }
        std::map<std::uint64_t, std::int64_t> expected, old = each_of(before);
        for (std::uint64_t at = 0; at < 40;) {
            const ChunkLook look{{at, 1 + random() % 4}, random() % 4 != 0, random() % 2 != 0};
            looks.push_back(look);
            for (std::uint64_t i = at; i < at + look.run.count; ++i)
                if (look.data) expected[i] = look.dirty || !old.contains(i) ? 99 : old[i];
            at += look.run.count;
        }
        CHECK(each_of(next_times(looks, before, 99)) == expected);
    }
}
