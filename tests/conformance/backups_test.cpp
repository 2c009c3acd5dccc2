// SPDX-License-Identifier: MIT
// A frozen disk and its checkpoints, the same behind every driver that has them.

#include "stage.hpp"

#include "hypervisor/xml/backup.hpp"
#include "model/names.hpp"

#include <algorithm>

using namespace blockhost;
using namespace conformance;

namespace {

/// A defined domain with a disk of its own.
struct WithDisk {
    Stage& stage;
    std::string name, pool;
    std::filesystem::path disk;

    explicit WithDisk(Stage& on) : stage(on), name(on.name("frozen")), pool(on.pool("disks")) {
        disk = stage.hypervisor().create_volume(pool, {"disk.qcow2", 64u << 20, ""}).path;
        // QEMU makes the socket, and may run as a user of its own.
        std::filesystem::permissions(disk.parent_path(), std::filesystem::perms::all);
        stage.define(stage.tiny_domain(name, Uuid::random().str(),
                                       "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
                                       "<source file='" +
                                           disk.string() + "'/><target dev='vda' bus='virtio'/></disk>"));
    }
    BackupSpec spec(const std::string& checkpoint, const std::string& since = "") const {
        const auto folder = disk.parent_path();
        return {"vda", (folder / "s").string(), (folder / "scratch").string(), checkpoint, since};
    }
    std::vector<std::string> checkpoints() const {
        std::vector<std::string> names;
        for (const auto& each : stage.hypervisor().checkpoints(name)) names.push_back(each.name);
        return names;
    }
};

} // namespace

TEST_CASE("a disk is frozen until the end, with a checkpoint that stays") {
    if (driver() == Driver::test) return skip("libvirt's test driver has no backups");
    Stage stage;
    WithDisk domain(stage);
    Hypervisor& hypervisor = stage.hypervisor();
    CHECK(code_of([&] { hypervisor.begin_backup(domain.name, domain.spec("bh-1")); }) == Code::wrong_state);
    hypervisor.start(domain.name);
    CHECK_FALSE(hypervisor.backup_under_way(domain.name));
    hypervisor.end_backup(domain.name); // nothing to do

    const FrozenExport first = hypervisor.begin_backup(domain.name, domain.spec("bh-1"));
    CHECK((first.socket.empty() != first.file.empty() && first.bitmap.empty()));
    CHECK(hypervisor.backup_under_way(domain.name) == domain.spec("bh-1").socket);
    CHECK(code_of([&] { hypervisor.begin_backup(domain.name, domain.spec("bh-2")); }) == Code::wrong_state);
    hypervisor.end_backup(domain.name);
    CHECK_FALSE(hypervisor.backup_under_way(domain.name));
    CHECK_FALSE(std::filesystem::exists(domain.spec("").scratch));
    CHECK(domain.checkpoints() == std::vector<std::string>{"bh-1"});

    hypervisor.begin_backup(domain.name, domain.spec("bh-2", "bh-1"));
    hypervisor.end_backup(domain.name);
    CHECK(domain.checkpoints() == std::vector<std::string>{"bh-1", "bh-2"});
    hypervisor.delete_checkpoint(domain.name, "bh-1", Hypervisor::CheckpointPart::all);
    hypervisor.delete_checkpoint(domain.name, "bh-1", Hypervisor::CheckpointPart::all);
    CHECK(domain.checkpoints() == std::vector<std::string>{"bh-2"});
    code_of([&] { hypervisor.begin_backup(domain.name, domain.spec("bh-3", "bh-1")); });
    CHECK(domain.checkpoints() == std::vector<std::string>{"bh-2"}); // a failed one makes none
}

TEST_CASE("a checkpoint outlives the run, and is deleted in the next or forgotten") {
    if (driver() == Driver::test) return skip("libvirt's test driver has no backups");
    Stage stage;
    WithDisk domain(stage);
    Hypervisor& hypervisor = stage.hypervisor();
    hypervisor.start(domain.name);
    hypervisor.begin_backup(domain.name, domain.spec("bh-1"));
    hypervisor.power_off(domain.name); // ends the job
    CHECK_FALSE(hypervisor.backup_under_way(domain.name));
    CHECK(domain.checkpoints() == std::vector<std::string>{"bh-1"});
    CHECK(code_of([&] {
              hypervisor.delete_checkpoint(domain.name, "bh-1", Hypervisor::CheckpointPart::all);
          }) == Code::wrong_state);
    hypervisor.delete_checkpoint(domain.name, "bh-1", Hypervisor::CheckpointPart::knowledge);
    CHECK(domain.checkpoints().empty());
    hypervisor.undefine(domain.name);
    CHECK(code_of([&] { hypervisor.checkpoints(domain.name); }) == Code::not_found);
    CHECK(code_of([&] { hypervisor.backup_under_way(domain.name); }) == Code::not_found);
}

TEST_CASE("the record of what was written since a checkpoint is served, as long as there is one") {
    if (driver() == Driver::test) return skip("libvirt's test driver has no backups");
    Stage stage;
    WithDisk domain(stage);
    Hypervisor& hypervisor = stage.hypervisor();
    const auto back_up = [&](const std::string& checkpoint, const std::string& since) {
        const FrozenExport frozen = hypervisor.begin_backup(domain.name, domain.spec(checkpoint, since));
        hypervisor.end_backup(domain.name);
        return frozen;
    };
    hypervisor.start(domain.name);
    CHECK(back_up("bh-1", "").bitmap.empty());
    CHECK_FALSE(back_up("bh-2", "bh-1").bitmap.empty());
    hypervisor.power_off(domain.name);
    hypervisor.start(domain.name); // it ended well
    CHECK_FALSE(back_up("bh-3", "bh-2").bitmap.empty());
    CHECK(code_of([&] { back_up("bh-3", ""); }) == Code::hypervisor);
    CHECK(code_of([&] { back_up("bh-4", "bh-0"); }) == Code::hypervisor);
    CHECK_FALSE(hypervisor.backup_under_way(domain.name));
    CHECK(domain.checkpoints() == std::vector<std::string>{"bh-1", "bh-2", "bh-3"});
}

TEST_CASE("a checkpoint that libvirt forgot is made known again, as long as its record is there") {
    if (driver() == Driver::test) return skip("libvirt's test driver has no backups");
    Stage stage;
    WithDisk domain(stage);
    Hypervisor& hypervisor = stage.hypervisor();
    hypervisor.start(domain.name);
    hypervisor.begin_backup(domain.name, domain.spec("bh-1"));
    hypervisor.end_backup(domain.name);
    const CheckpointView known = hypervisor.checkpoints(domain.name).front();
    hypervisor.delete_checkpoint(domain.name, "bh-1", Hypervisor::CheckpointPart::knowledge);
    CHECK(domain.checkpoints().empty());
    hypervisor.restore_checkpoint(domain.name, known);
    hypervisor.restore_checkpoint(domain.name, known);
    CHECK(domain.checkpoints() == std::vector<std::string>{"bh-1"});
    const FrozenExport frozen = hypervisor.begin_backup(domain.name, domain.spec("bh-2", "bh-1"));
    CHECK_FALSE(frozen.bitmap.empty());
    hypervisor.end_backup(domain.name);
    hypervisor.delete_checkpoint(domain.name, "bh-1", Hypervisor::CheckpointPart::all);
    CHECK(code_of([&] { hypervisor.restore_checkpoint(domain.name, known); }) == Code::hypervisor);
    CHECK(domain.checkpoints() == std::vector<std::string>{"bh-2"});
}

TEST_CASE("a frozen disk whose socket or scratch file cannot be made is none, and leaves nothing") {
    if (driver() == Driver::test) return skip("libvirt's test driver has no backups");
    Stage stage;
    WithDisk domain(stage);
    Hypervisor& hypervisor = stage.hypervisor();
    hypervisor.start(domain.name);
    BackupSpec spec = domain.spec("bh-1");
    spec.socket = (domain.disk.parent_path() / "missing" / "s").string();
    CHECK(code_of([&] { hypervisor.begin_backup(domain.name, spec); }) == Code::hypervisor);
    CHECK_FALSE(hypervisor.backup_under_way(domain.name));
    CHECK(domain.checkpoints().empty());
    CHECK_FALSE(std::filesystem::exists(spec.scratch));
}
