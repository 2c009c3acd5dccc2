// SPDX-License-Identifier: MIT
// What the host can do, judged from files of a little host.
#include "host/capability.hpp"

#include "tests/unit/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <fstream>

using namespace blockhost;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& path, const std::string& content = "") {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content;
}

} // namespace

TEST_CASE("KVM works where its device is there and the CPU has a virtualization flag") {
    TemporaryFolder host;
    std::string flag = GENERATE("vmx", "svm");
    put(host.path / "dev/kvm");
    put(host.path / "proc/cpuinfo",
        "processor\t: 0\nmodel name\t: X flags: vmx\nflags\t\t: fpu " + flag + " sse\n\n");
    CHECK(host::kvm_works(host.path));
    fs::remove(host.path / "dev/kvm");
    CHECK_FALSE(host::kvm_works(host.path));
}

TEST_CASE("this very host is looked at without an error") {
    CHECK_NOTHROW(host::kvm_works());
}

TEST_CASE("KVM's device alone proves nothing") {
    TemporaryFolder host;
    put(host.path / "dev/kvm");
    CHECK_FALSE(host::kvm_works(host.path));
    put(host.path / "proc/cpuinfo", "model name\t: svm\nflags\t\t: fpu vmxx sse\nvmx flags\t: vnmi vmx\n");
    CHECK_FALSE(host::kvm_works(host.path));
}

TEST_CASE("the usual CPU weight is that of the cgroups' version") {
    TemporaryFolder host;
    CHECK(host::cpu_weight_scale(host.path).usual == 1024);
    CHECK(host::cpu_weight_scale(host.path).least == 2);
    put(host.path / "sys/fs/cgroup/unified/cgroup.controllers"); // both at once: v1 holds the CPU
    CHECK(host::cpu_weight_scale(host.path).usual == 1024);
    put(host.path / "sys/fs/cgroup/cgroup.controllers");
    CHECK(host::cpu_weight_scale(host.path).usual == 100);
    CHECK(host::cpu_weight_scale(host.path).least == 1);
}
