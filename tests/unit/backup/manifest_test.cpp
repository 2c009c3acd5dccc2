// SPDX-License-Identifier: MIT
// Manifests: what is written is read back, and what others wrote is judged.
#include "backup/manifest.hpp"

#include "tests/unit/backup/support.hpp"

using namespace blockhost;
using namespace blockhost::backup;

namespace {

Manifest example() {
    Manifest manifest{.vm = VmName("web-001"),
                      .uuid = *Uuid::try_parse("11111111-2222-4333-8444-555555555555"),
                      .instance = std::string(32, 'a'),
                      .operation = "aaaaaaaa12345678",
                      .taken_at = *parse_instant("2026-01-02T03:04:05Z"),
                      .consistency = Consistency::off,
                      .base = "20260101-abcdef",
                      .disks = {},
                      .made_by = "9.8.7"};
    ManifestDisk disk{"vda", 10u << 20, 256u << 10, {}};
    disk.chunks.append(0, 3);
    disk.chunks.append(39, 1);
    manifest.disks = {disk};
    return manifest;
}

/// The example with one piece of its text replaced.
std::string with(std::string_view from, std::string_view to) {
    std::string text = render(example());
    const auto at = text.find(from);
    REQUIRE(at != text.npos);
    return text.replace(at, from.size(), to);
}

std::string refused(const std::string& text) {
    const auto [code, sentence] = [&] {
        try {
            parse_manifest(text, "it");
        } catch (const Error& error) {
            return std::pair(error.code(), error.message());
        }
        return std::pair(Code::internal, std::string("nothing was refused"));
    }();
    CHECK(code == Code::invalid);
    return sentence;
}

} // namespace

TEST_CASE("a manifest is read as it was written") {
    const Manifest before = example(), after = parse_manifest(render(before), "it");
    CHECK(after.vm == before.vm);
    CHECK(after.uuid == before.uuid);
    CHECK(after.instance == before.instance);
    CHECK(after.operation == before.operation);
    CHECK(after.taken_at == before.taken_at);
    CHECK(after.consistency == before.consistency);
    CHECK(after.base == before.base);
    CHECK(after.disks == before.disks);
    CHECK(after.made_by == before.made_by);
    Manifest bare = before;
    bare.base.clear();
    CHECK(parse_manifest(render(bare), "it").base.empty());
}

TEST_CASE("a manifest of another format says which version reads it") {
    CHECK(refused(with("\"format\":1", "\"format\":2")) == "it has format 2; this version reads 1");
}

TEST_CASE("a disk's name is a target, and no way anywhere") {
    for (const char* name : {"../../etc", "vda/..", "", "a", "VDA", ".."})
        CHECK(refused(with("\"vda\"", "\"" + std::string(name) + "\"")) ==
              "it: disk 1: member \"name\" is no disk's");
}

TEST_CASE("sizes that lie are refused") {
    CHECK(refused(with("10485760", "10485761")) ==
          "it: disk 1: member \"bytes\" is no whole number of sectors");
    CHECK(refused(with("10485760", "0")).find("member \"bytes\" is 0") != std::string::npos);
    CHECK(refused(with("10485760", "9223372036854775807")).find("member \"bytes\"") != std::string::npos);
    CHECK(refused(with("262144", "262143")).find("member \"chunk_bytes\"") != std::string::npos);
    CHECK(refused(with("262144", "300000")) == "it: disk 1: member \"chunk_bytes\" is no power of two");
    CHECK(refused(with("10485760", "1125899906842624")) ==
          "it: disk 1: member \"chunk_bytes\" makes more chunks than a backup has");
}

TEST_CASE("chunks are ascending, and on the disk") {
    CHECK(refused(with("[39,1]", "[40,1]")) == "it: disk 1: member \"chunks\" lie behind the disk's end");
    CHECK(refused(with("[39,1]", "[39,2]")) == "it: disk 1: member \"chunks\" lie behind the disk's end");
    CHECK(refused(with("[39,1]", "[39,9223372036854775807]")) ==
          "it: disk 1: member \"chunks\" lie behind the disk's end");
    CHECK(refused(with("[39,1]", "[2,1]")) == "it: disk 1: member \"chunks\" are not in ascending order");
    CHECK(refused(with("[39,1]", "[39,0]")) == "it: disk 1: member \"chunks\" are not in ascending order");
    CHECK(refused(with("[39,1]", "[39]")) == "it: disk 1: member \"chunks\" has what is no pair");
    CHECK(refused(with("[39,1]", "[-39,1]")) == "it: disk 1: member \"chunks\" lie behind the disk's end");
    CHECK(refused(with("[39,1]", "\"x\"")) == "it: disk 1: member \"chunks\" has what is no pair");
}

TEST_CASE("everything that a manifest has is known, and there once") {
    CHECK(refused(with("\"format\":1", "\"format\":1,\"more\":1")) == "it: member \"more\" is unknown");
    CHECK(refused(with("\"off\"", "\"asleep\"")) == "it: member \"consistency\" is not known");
    CHECK(refused(with("\"web-001\"", "\"../x\"")) == "Invalid VM name: ../x");
    CHECK(refused(with("11111111-2222", "zz")) == "it: member \"uuid\" is no UUID");
    CHECK(refused(with("2026-01-02T03:04:05", "soon")) == "it: member \"taken_at\" is no time");
    CHECK(refused(with("\"9.8.7\"", "\"\\u001b[2J\"")) == "it: member \"made_by\" is no short plain text");
    std::string twice = render(example());
    const auto list = twice.find("[{"), end = twice.rfind("}]");
    const std::string disk = twice.substr(list + 1, end - list);
    CHECK(refused(twice.insert(end + 1, "," + disk)) == "it: member \"disks\" has the disk vda twice");
    CHECK(refused("") == "it is empty");
}
