// SPDX-License-Identifier: MIT
// What the log of a backup tells while it grows.
#include "platform/proxmox/backups/vzdump_log.hpp"

#include "platform/backup_words.hpp"

#include <catch2/catch.hpp>

using namespace blockhost::platform;
using namespace blockhost::platform::proxmox;

namespace {

using Lines = std::vector<std::string>;

const Lines running_vm{
    "INFO: starting new backup job: vzdump 100 --mode snapshot --storage local --node pve1",
    "INFO: Starting Backup of VM 100 (qemu)",
    "INFO: Backup started at 2026-11-28 16:04:10",
    "INFO: status = running",
    "INFO: VM Name: one",
    "INFO: include disk 'scsi0' 'local:100/vm-100-disk-0.qcow2' 8G",
    "INFO: backup mode: snapshot",
    "INFO: ionice priority: 7",
    "INFO: creating vzdump archive '/var/lib/vz/dump/vzdump-qemu-100-2026_11_28-16_04_10.vma.zst'",
    "INFO: issuing guest-agent 'fs-freeze' command",
    "INFO: issuing guest-agent 'fs-thaw' command",
    "INFO: started backup task '68f74467-5ca9-402e-b37e-636455024850'",
    "INFO: resuming VM again",
    "INFO:  37% (3.0 GiB of 8.0 GiB) in 12s, read: 130.7 MiB/s, write: 116.0 MiB/s"};

Lines first(const Lines& all, std::size_t count) {
    return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count)};
}

BackupCourse course_of(const Lines& lines) {
    return read_dump_log(lines).course;
}

} // namespace

TEST_CASE("a VM may run on from the moment at which the copying before each write has begun") {
    for (std::size_t i = 0; i < 11; ++i) {
        CAPTURE(i);
        CHECK_FALSE(course_of(first(running_vm, i)).guest_may_run_on);
    }
    CHECK(course_of(first(running_vm, 12)).guest_may_run_on);
    const BackupCourse course = course_of(running_vm);
    CHECK(course.mode == "snapshot");
    CHECK(course.consistency == Consistency::frozen);
    CHECK(course.percent == 37);
    CHECK(words_for(course) == "the guest may run on (snapshot mode); 30 % read");
    CHECK(summary_of(course) == "mode snapshot, frozen");
}

TEST_CASE("where the agent does not freeze, the backup is what a loss of power would have left") {
    Lines lines = running_vm;
    lines[9] = "INFO: skipping guest-agent 'fs-freeze', agent configured but not running?";
    lines.erase(lines.begin() + 10);
    CHECK(course_of(lines).consistency == Consistency::crash);
}

TEST_CASE("in stop mode the guest may run on once it is let") {
    Lines lines = first(running_vm, 5);
    for (const char* line :
         {"INFO: backup mode: stop", "INFO: stopping virtual guest", "INFO: started backup task '68f74467'"})
        lines.emplace_back(line);
    CHECK_FALSE(course_of(lines).guest_may_run_on);
    CHECK(words_for(course_of(lines)) == "the guest cannot run yet (stop mode)");
    lines.emplace_back("INFO: resuming VM again after 7 seconds");
    CHECK(course_of(lines).guest_may_run_on);
    CHECK(summary_of(course_of(lines)) == "mode stop, off, held for 7 s");
}

TEST_CASE("a mode that was not to be had is told, with the reason") {
    const Lines lines{"INFO: Starting Backup of VM 200 (lxc)",
                      "INFO: status = running",
                      "INFO: mode failure - some volumes do not support snapshots",
                      "INFO: trying 'suspend' mode instead",
                      "INFO: backup mode: suspend",
                      "INFO: suspending guest",
                      "INFO: resuming guest",
                      "INFO: guest is online again after <1 seconds"};
    const BackupCourse held = course_of(first(lines, 6)), course = course_of(lines);
    CHECK_FALSE(held.guest_may_run_on);
    CHECK(course.fallback == "some volumes do not support snapshots");
    CHECK(course.consistency == Consistency::crash);
    CHECK(summary_of(course) == "mode suspend, crash, held for <1 s");
}

TEST_CASE("a guest that is off is off, whatever mode was asked for") {
    const BackupCourse course = course_of(
        {"INFO: Starting Backup of VM 210 (lxc)", "INFO: status = stopped", "INFO: backup mode: stop"});
    CHECK(course.consistency == Consistency::off);
    CHECK_FALSE(course.guest_may_run_on);
    CHECK(course_of({}) == BackupCourse{});
    CHECK(summary_of({}).empty());
}

TEST_CASE("the clause on how a backup was taken is read again") {
    BackupCourse course;
    course.mode = "stop", course.consistency = Consistency::off, course.held_s = "<1";
    CHECK(course_in(summary_of(course)) == course);
    course.held_s.clear(), course.consistency = Consistency::unknown;
    CHECK(course_in(summary_of(course)) == course);
    CHECK_FALSE(course_in(""));
    CHECK_FALSE(course_in("another clause, frozen"));
}

TEST_CASE("a backup is queued until its job has begun") {
    Lines lines{"INFO: trying to get global lock - waiting..."};
    CHECK(read_dump_log(lines).is_queued);
    lines.emplace_back("INFO: starting new backup job: vzdump 100");
    CHECK_FALSE(read_dump_log(lines).is_queued);
    CHECK_FALSE(read_dump_log({}).is_queued);
}

TEST_CASE("what is no progress is none") {
    for (const char* line : {"INFO: 101% (x", "INFO: -1% (x", "INFO: abc% (x", " 37% (x", "37%"}) {
        CAPTURE(line);
        CHECK_FALSE(course_of({"INFO: Starting Backup of VM 1 (qemu)", line}).percent);
    }
}

TEST_CASE("why a backup failed stands in its log alone") {
    const auto kind = [](const Lines& lines) { return refusal_of_dump(lines).value().kind; };
    CHECK(kind({"ERROR: Backup of VM 9999 failed - unable to find VM '9999'"}) == RefusalKind::no_guest);
    CHECK(kind({"ERROR: Backup of VM 211 failed - CT is locked (backup)"}) == RefusalKind::locked);
    CHECK(kind({"ERROR: Backup of VM 1 failed - unable to activate storage 'usb' - directory is missing"}) ==
          RefusalKind::no_storage);
    CHECK(kind({"INFO: zstd: error 70 : Write error : cannot write block : No space left on device",
                "ERROR: Backup of VM 1 failed - vma_queue_write: write error - Broken pipe"}) ==
          RefusalKind::no_room);
    CHECK(kind({"ERROR: Backup of VM 1 failed - command 'tar' failed: exit code 2"}) == RefusalKind::other);
    CHECK_FALSE(refusal_of_dump({"INFO: No space left on device", "TASK ERROR: job errors"}));
}
