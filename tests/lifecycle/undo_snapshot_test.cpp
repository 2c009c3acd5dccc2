// SPDX-License-Identifier: MIT
/// The name of an undo snapshot's overlay says all of it, and nothing else passes for one.
#include "vm/undo_snapshot.hpp"

#include "vm/disk_chain.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;

namespace {

const std::string operation = "0123456789abcdef";

} // namespace

TEST_CASE("an overlay's name is read as it was written") {
    const UndoName name{VmName("web-001"), *OperationId::try_parse(operation),
                        Instant(std::chrono::seconds(1'700'000'000)),
                        Instant(std::chrono::seconds(1'700'086'400))};
    const std::string file = file_name(name);
    CHECK(file == "web-001." + operation + ".undo-1700000000-1700086400");
    const auto read = undo_name(file);
    REQUIRE(read);
    CHECK(read->vm == name.vm);
    CHECK(read->operation == name.operation);
    CHECK(read->taken == name.taken);
    CHECK(read->until == name.until);
}

TEST_CASE("it is a layer on the VM's disk for whoever knows nothing of snapshots") {
    const auto disk = disk_name("web-001." + operation + ".undo-1-2");
    REQUIRE(disk);
    CHECK(disk->vm == VmName("web-001"));
    CHECK(disk->operation.str() == operation);
    CHECK_FALSE(operation_of_volume(VmName("web-001"), "web-001." + operation + ".undo-1-2"));
}

TEST_CASE("nothing else is an undo snapshot") {
    for (const char* after :
         {".qcow2", ".undo", ".undo-", ".undo-1", ".undo-1-", ".undo--2", ".undo-1-2.qcow2", ".undo-01-2",
          ".undo-1-2-3", ".undo-1- 2", ".undo-1-253402300800", ".undo-1-99999999999999999999", ".undo-1-2\n"})
        CHECK_FALSE(undo_name("web-001." + operation + after));
    CHECK_FALSE(undo_name(".undo-1-2"));
    CHECK_FALSE(undo_name(""));
    CHECK_FALSE(undo_name("web-001.undo-1-2"));
    CHECK_FALSE(undo_name("a/web-001." + operation + ".undo-1-2"));
}
