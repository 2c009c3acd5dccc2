// The head of a qcow2 image.

#include "hypervisor/qcow2.hpp"

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
