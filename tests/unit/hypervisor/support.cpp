// SPDX-License-Identifier: MIT
// See support.hpp.

#include "support.hpp"

#include "base/files/files.hpp"
#include "base/process.hpp"

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <unistd.h>

namespace hypervisor_test {

using namespace blockhost;
namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "blockhost-test.XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()));
    path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

DomainSpec example_spec() {
    return {.name = VmName("blockhost-001"),
            .uuid = *Uuid::try_parse("8f2d1c34-5a6b-4c7d-8e9f-0a1b2c3d4e5f"),
            .kvm = true,
            .cpus = 2,
            .memory_mib = 2048,
            .disk_path = "/var/lib/blockhost/vms/blockhost-001.0123456789abcdef.qcow2",
            .seed_path = "/var/lib/blockhost/cloud-init/blockhost-001/cidata.iso",
            .console_path = "/var/lib/blockhost/console/blockhost-001.log",
            .bridge = "br0",
            .mac = *Mac::try_parse("52:54:00:ab:cd:ef"),
            .filter = "blockhost-guest-ipv4",
            .kernel = {},
            .initrd = {},
            .kernel_arguments = {},
            .instance = *InstanceId::try_parse("0123456789abcdef0123456789abcdef"),
            .operation = *OperationId::try_parse("0123456789abcdef"),
            .state_folder = "/var/lib/blockhost",
            .ip = *Ipv4::try_parse("192.168.122.5"),
            .ipv6 = {},
            .wallet = "0x00112233445566778899aabbccddeeff00112233",
            .username = "admin",
            .network_mode = "broker",
            .expires_at = "2031-02-03T04:05:06.000007+00:00",
            .created_at = "2031-01-04T04:05:06.000007+00:00"};
}

void check_golden(const std::string& file, const std::string& text) {
    auto path = fs::path(GOLDEN_FOLDER) / file;
    if (const char* accept = std::getenv("BLOCKHOST_ACCEPT"); accept && std::string(accept) == "1")
        std::ofstream(path) << text;
    INFO("golden file " << path << "; BLOCKHOST_ACCEPT=1 takes the new text");
    CHECK(files::read(path).value_or("(missing)") == text);
}

void check_valid(const std::string& xml, const std::string& schema) {
    constexpr const char* validator = "/usr/bin/virt-xml-validate";
    if (::access(validator, X_OK) != 0) {
        std::printf("SKIP: no %s to judge the %s definition\n", validator, schema.c_str());
        return;
    }
    TemporaryFolder folder;
    auto path = folder.path() / "judged.xml";
    std::ofstream(path) << xml;
    auto result =
        run({.program = validator, .arguments = {path.string(), schema}, .environment = {}, .input = {}});
    INFO(result.out << result.err);
    CHECK(result.ok());
}

} // namespace hypervisor_test
