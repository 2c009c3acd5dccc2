// SPDX-License-Identifier: MIT
// What a disk of the simulated world holds.

#include "hypervisor/simulated/disk_content.hpp"

#include "base/process.hpp"
#include "hypervisor/simulated/image.hpp"
#include "support.hpp"

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::simulated;
using namespace hypervisor_test;

TEST_CASE("what was written to an image is read again, and an image that nobody wrote to is empty") {
    TemporaryFolder folder;
    const auto image = folder.path() / "image";
    make_qcow2(image, 1ull << 30, "");
    CHECK((read_content(image).clusters.empty() && read_content(image).bitmaps.empty()));
    const DiskContent content{{{0, "first"}, {7, std::string(100'000, 'x')}},
                              {{"bh-1", std::set<std::uint64_t>{0, 7}}, {"bh-2", std::nullopt}}};
    write_content(image, content);
    CHECK(
        (read_content(image).clusters == content.clusters && read_content(image).bitmaps == content.bitmaps));
    write_content(image, {{{1, "shorter"}}, {}});
    CHECK((read_content(image).clusters == Clusters{{1, "shorter"}} && read_content(image).bitmaps.empty()));
}

TEST_CASE("an overlay shows what it stands on, but for what was written to it, until it is committed") {
    TemporaryFolder folder;
    const auto base = folder.path() / "base", middle = folder.path() / "middle", top = folder.path() / "top";
    make_qcow2(base, 1ull << 30, "");
    make_qcow2(middle, 1ull << 30, base.string());
    make_qcow2(top, 1ull << 30, middle.string());
    write_content(base, {{{1, "base"}, {2, "base"}, {3, "base"}}, {}});
    write_content(middle, {{{2, "middle"}, {3, "middle"}}, {{"bh-1", std::set<std::uint64_t>{2}}}});
    write_content(top, {{{3, ""}, {4, "top"}}, {}}); // zeros, and more
    CHECK(read_clusters(top) == Clusters{{1, "base"}, {2, "middle"}, {4, "top"}});
    commit_content(top);
    CHECK(read_clusters(middle) == Clusters{{1, "base"}, {2, "middle"}, {4, "top"}});
    CHECK(read_content(middle).bitmaps.contains("bh-1"));
    CHECK(read_content(base).clusters.size() == 3);
}

TEST_CASE("QEMU's own tools find nothing wrong with an image that has content of the simulated world") {
    TemporaryFolder folder;
    const auto image = folder.path() / "image";
    make_qcow2(image, 1ull << 30, "");
    write_content(image, {{{1, "text"}}, {}});
    if (::access("/usr/bin/qemu-img", X_OK) != 0) {
        WARN("SKIP: no qemu-img here");
        return;
    }
    const auto found = run({.program = "/usr/bin/qemu-img",
                            .arguments = {"check", "-q", image.string()},
                            .environment = {},
                            .input = {}});
    INFO(found.err);
    CHECK(found.ok());
}
