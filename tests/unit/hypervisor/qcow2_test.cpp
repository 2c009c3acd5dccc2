// SPDX-License-Identifier: MIT
// The head of a qcow2 image.

#include "hypervisor/files/qcow2.hpp"

#include "base/error.hpp"
#include "base/process.hpp"
#include "hypervisor/simulated/image.hpp"
#include "support.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

using namespace blockhost;
using namespace hypervisor_test;

namespace {

Code code_for(const std::filesystem::path& image) {
    try {
        qcow2_virtual_size(image);
    } catch (const Error& error) {
        return error.code();
    }
    return Code::internal;
}

} // namespace

TEST_CASE("the virtual size is read from the header") {
    TemporaryFolder folder;
    for (std::uint64_t size : {1ull << 20, 2ull << 30, 64ull << 40, (1ull << 30) + 512}) {
        auto path = folder.path() / std::to_string(size);
        simulated::make_qcow2(path, size, "");
        CHECK(qcow2_virtual_size(path) == size);
    }
}

TEST_CASE("no image, and an image of another kind, are told apart") {
    TemporaryFolder folder;
    CHECK(code_for(folder.path() / "nothing") == Code::not_found);
    std::ofstream(folder.path() / "raw") << std::string(4096, 'x');
    CHECK(code_for(folder.path() / "raw") == Code::config);
    std::ofstream(folder.path() / "short") << "QFI\xfb";
    CHECK(code_for(folder.path() / "short") == Code::config);
    std::ofstream(folder.path() / "version-1") << std::string("QFI\xfb\0\0\0\1", 8) + std::string(64, '\0');
    CHECK(code_for(folder.path() / "version-1") == Code::config);
}

TEST_CASE("what an image stands on is read link by link, relative names from where they are written") {
    TemporaryFolder folder;
    std::filesystem::create_directory(folder.path() / "templates");
    const auto base = std::filesystem::canonical(folder.path()) / "templates/base.qcow2";
    simulated::make_qcow2(base, 2ull << 30, "");
    simulated::make_qcow2(folder.path() / "middle", 2ull << 30, "templates/base.qcow2");
    std::filesystem::create_symlink("middle", folder.path() / "link");
    simulated::make_qcow2(folder.path() / "top", 2ull << 30, (folder.path() / "link").string());
    CHECK(backing_chain(base).empty());
    CHECK(backing_chain(folder.path() / "top") ==
          std::vector{std::filesystem::canonical(folder.path() / "middle"), base});
    CHECK(read_qcow2_head(folder.path() / "middle")->backing == "templates/base.qcow2");
    std::ofstream(folder.path() / "raw") << std::string(4096, 'x');
    CHECK(backing_chain(folder.path() / "raw").empty());
    CHECK(!read_qcow2_head(folder.path() / "raw"));
}

namespace {

std::string big_endian(std::uint64_t value, int bytes) {
    std::string out;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 255);
    return out;
}

std::string extension(std::uint32_t kind, const std::string& text) {
    return big_endian(kind, 4) + big_endian(text.size(), 4) + text +
           std::string((8 - text.size() % 8) % 8, '\0');
}

constexpr std::uint32_t format_kind = 0xe2792aca, data_kind = 0x44415441;

/// An image of version 3 with those features and header extensions.
void write_image(const std::filesystem::path& path, std::uint64_t features, const std::string& extensions,
                 const std::string& backing = "") {
    const std::uint64_t backing_at = backing.empty() ? 0 : 104 + extensions.size() + 8;
    std::ofstream(path) << "QFI\xfb" << big_endian(3, 4) << big_endian(backing_at, 8)
                        << big_endian(backing.size(), 4) << big_endian(16, 4) << big_endian(1 << 20, 8)
                        << std::string(40, '\0') << big_endian(features, 8) << std::string(16, '\0')
                        << big_endian(4, 4) << big_endian(104, 4) << extensions << std::string(8, '\0')
                        << backing << std::string(1024, '\0');
}

} // namespace

TEST_CASE("what a head says of other files, and what must be understood of it, is read") {
    TemporaryFolder folder;
    const auto image = folder.path() / "image";
    write_image(image, 1 | 1 << 2 | 1ull << 40,
                extension(0x6803f857, "names of features") + extension(format_kind, "qcow2") +
                    extension(data_kind, "data"),
                "base");
    const auto head = read_qcow2_head(image);
    REQUIRE(head);
    CHECK(head->backing == "base");
    CHECK(head->backing_format == "qcow2");
    CHECK(head->external_data);
    CHECK(head->data_file == "data");
    CHECK((head->incompatible & ~Qcow2Head::dirty) == (1 << 2 | 1ull << 40));
    simulated::make_qcow2(folder.path() / "overlay", 1 << 20, "base");
    CHECK(read_qcow2_head(folder.path() / "overlay")->backing_format == "qcow2");
}

TEST_CASE("a head that two readers may read differently is not understood") {
    TemporaryFolder folder;
    const auto image = folder.path() / "image";
    const auto extensions =
        GENERATE(extension(format_kind, "raw") + extension(format_kind, "qcow2"),
                 big_endian(format_kind, 4) + big_endian(1 << 20, 4), extension(data_kind, ""),
                 extension(format_kind, std::string(1024, 'x')), [] {
                     std::string many;
                     for (int i = 0; i < 300; ++i) many += extension(0x12345678, "");
                     return many;
                 }());
    write_image(image, 0, extensions, "base");
    CHECK(code_for(image) == Code::config);
}

TEST_CASE(
    "an image's content in another file belongs to what it stands on, with a backing file and without") {
    TemporaryFolder folder;
    const auto real = std::filesystem::canonical(folder.path());
    std::ofstream(real / "data") << "content";
    write_image(real / "alone", 1 << 2, extension(data_kind, "data"));
    CHECK(backing_chain(real / "alone") == std::vector{real / "data"});
    write_image(real / "above", 1 << 2, extension(data_kind, "data"), "alone");
    CHECK(backing_chain(real / "above") == std::vector{real / "data", real / "alone", real / "data"});
    write_image(real / "untold", 1 << 2, "");
    CHECK_THROWS_AS(backing_chain(real / "untold"), Error);
}

TEST_CASE("a chain that cannot be followed to its end is not called short") {
    TemporaryFolder folder;
    const auto chain_fails_with = [&](const char* name, const std::string& backing) {
        simulated::make_qcow2(folder.path() / name, 1 << 20, backing);
        try {
            backing_chain(folder.path() / name);
        } catch (const Error& error) {
            return error.code();
        }
        return Code::internal;
    };
    CHECK(chain_fails_with("dangling", "nowhere.qcow2") == Code::not_found);
    CHECK(chain_fails_with("json", "json:{\"file\": \"/x\"}") == Code::config);
    CHECK(chain_fails_with("nbd", "nbd:unix:/x") == Code::config);
    CHECK(chain_fails_with("circle", "circle") == Code::config);
    CHECK(chain_fails_with("odd-name", "/nowhere/a:b") == Code::not_found);
}

TEST_CASE("what is neither a file nor a block device is never opened as an image: names come from guests") {
    TemporaryFolder folder;
    simulated::make_qcow2(folder.path() / "watchdog", 1 << 20, "/dev/zero");
    REQUIRE(::mkfifo((folder.path() / "fifo").c_str(), 0600) == 0);
    for (const char* name : {"/dev/zero", "/dev/null"}) CHECK(code_for(name) == Code::config);
    CHECK(code_for(folder.path() / "fifo") == Code::config);
    CHECK(code_for(folder.path()) == Code::config);
    CHECK_THROWS_AS(backing_chain(folder.path() / "watchdog"), Error);
}

TEST_CASE("the simulated world's images are good in QEMU's eyes") {
    if (::access("/usr/bin/qemu-img", X_OK) != 0) {
        WARN("SKIP: no qemu-img here");
        return;
    }
    TemporaryFolder folder;
    auto base = (folder.path() / "base.qcow2").string(), overlay = (folder.path() / "overlay.qcow2").string();
    simulated::make_qcow2(base, 2ull << 30, "");
    simulated::make_qcow2(overlay, 64ull << 40, base);
    for (const auto& image : {base, overlay}) {
        auto result = run({.program = "/usr/bin/qemu-img",
                           .arguments = {"check", "-f", "qcow2", image},
                           .environment = {},
                           .input = {}});
        INFO(result.out << result.err);
        CHECK(result.ok());
    }
}

namespace {

void qemu_img(std::vector<std::string> words) {
    const auto result =
        run({.program = "/usr/bin/qemu-img", .arguments = std::move(words), .environment = {}, .input = {}});
    INFO(result.out << result.err);
    REQUIRE(result.ok());
}

void patch(const std::filesystem::path& file, std::size_t from, const std::string& with) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(from));
    stream << with;
}

std::size_t place_of(const std::filesystem::path& file, const std::string& text) {
    std::ifstream stream(file, std::ios::binary);
    const std::string all((std::istreambuf_iterator<char>(stream)), {});
    const auto at = all.find(text);
    REQUIRE(at != all.npos);
    return at;
}

} // namespace

TEST_CASE(
    "the records of writes that QEMU keeps in an image are known by name, and whether they are of use") {
    if (::access("/usr/bin/qemu-img", X_OK) != 0) {
        WARN("SKIP: no qemu-img here");
        return;
    }
    TemporaryFolder folder;
    const auto image = folder.path() / "web.qcow2";
    simulated::make_qcow2(image, 2ull << 30, "");
    CHECK(qcow2_bitmaps(image).empty());
    qemu_img({"bitmap", "--add", image.string(), "bh-first"});
    qemu_img({"bitmap", "--add", image.string(), "another-one"});
    auto found = qcow2_bitmaps(image);
    REQUIRE(found.size() == 2);
    CHECK(found[0].name == "bh-first");
    CHECK(found[1].name == "another-one");
    CHECK_FALSE((found[0].in_use || found[1].in_use));

    const auto name = place_of(image, "another-one"); // its flags are 12 bytes before it, in four
    patch(image, name - 12, std::string("\0\0\0\3", 4));
    found = qcow2_bitmaps(image);
    CHECK_FALSE(found.at(0).in_use);
    CHECK(found.at(1).in_use);

    patch(image, 88, std::string(8, '\0')); // somebody wrote who knows of no bitmaps
    for (const auto& each : qcow2_bitmaps(image)) CHECK(each.in_use);

    patch(image, name - 6, "\xff\xff"); // a name that would be longer than the list
    CHECK_THROWS_WITH(qcow2_bitmaps(image), Catch::Contains("the list of its bitmaps"));
}
