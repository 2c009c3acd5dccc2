// SPDX-License-Identifier: MIT
// Which of a domain's devices limits are about.
#include "base/error.hpp"
#include "hypervisor/xml/domain.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;

TEST_CASE(
    "limits are about the first interface that has an address, and the first disk that is none of the rest") {
    const auto found = tuned_devices(
        "<domain><devices><disk type='file' device='cdrom'><target dev='sda'/></disk><disk "
        "type='file'><target "
        "dev='vda'/></disk><disk device='disk'><target dev='vdb'/></disk><interface "
        "type='bridge'/><interface "
        "type='bridge'><mac address='52:54:00:00:00:01'/></interface><interface type='bridge'><mac "
        "address='52:54:00:00:00:02'/></interface></devices></domain>");
    CHECK(found.mac == "52:54:00:00:00:01");
    CHECK(found.disk == "vda");
}

TEST_CASE("a domain without such devices has neither, and what is no definition is refused") {
    CHECK(tuned_devices("<domain/>").mac.empty());
    CHECK(tuned_devices("<domain><devices><disk device='cdrom'><target dev='sda'/></disk></devices></domain>")
              .disk.empty());
    CHECK_THROWS_AS(tuned_devices("<domain"), Error);
}
