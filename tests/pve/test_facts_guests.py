# SPDX-License-Identifier: MIT
"""What is true of a node's tasks, guests and backups, and what the platform makes of it."""

import re
import threading
import time

import pytest
from client import Client
from platform_process import Failed

CONFIG, CT_CONFIG = "/nodes/pve1/qemu/100/config", "/nodes/pve1/lxc/200/config"
CONTENT = "/nodes/pve1/storage/local/content"


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def upid_of(handle):
    return handle.partition(" ")[0]


def change(platform, number, **what):
    return platform.begin(number, "set-config", digest=platform.guest(number)["digest"], **what)


def changed(platform, number, **what):
    assert platform.do("await", handle=change(platform, number, **what))["phase"] == "done"
    return platform.guest(number)["config"]


def backups(platform, number):
    return [row for row in platform.get(CONTENT, content="backup") if row["vmid"] == number]


def saved(platform, number, **what):
    """A new backup's volume."""
    before = {row["volid"] for row in backups(platform, number)}
    assert platform.carry_out(number, "backup", repository="local", **what)["phase"] == "done"
    [volume] = {row["volid"] for row in backups(platform, number)} - before
    return volume


def restored(platform, number, volume):
    return platform.do("await", handle=platform.begin(number, "restore", incarnation="", backup=volume))


def writes(standin):
    return [request for request in standin.requests if request[0] != "GET"]


# -- which calls are tasks


@pytest.mark.parametrize("number, kind, what, type", [
    (100, "start", {}, "qmstart"), (200, "start", {}, "vzstart"), (100, "set-config", {"cpus": 2}, "qmconfig"),
    (100, "grow", {"disk_mib": 4096}, "resize"), (100, "snapshot", {"snapshot": "bb"}, "qmsnapshot"),
    (100, "rollback", {"snapshot": "aa"}, "qmrollback"), (100, "delete-snapshot", {"snapshot": "aa"}, "qmdelsnapshot"),
    (200, "backup", {}, "vzdump"), (100, "destroy", {}, "qmdestroy"), (200, "destroy", {}, "vzdestroy")])
def test_what_a_node_does_in_a_task_has_a_handle_to_wait_with(standin, platform, vm, container, number, kind, what, type):
    standin.knobs.take_snapshot(100, "aa")
    if kind == "set-config":
        what = what | {"digest": platform.guest(number)["digest"]}
    handle = platform.begin(number, kind, **what)
    assert handle.split(":")[5] == type and handle.endswith(f": {number}")
    assert platform.do("await", handle=handle)["phase"] == "done"


def test_a_containers_configuration_is_changed_at_once(platform, container):
    handle = change(platform, 200, memory_mib=256)
    assert handle == "done 200" and platform.do("look", handle=handle)["phase"] == "done"
    assert platform.guest(200)["config"]["memory_mib"] == 256


@pytest.mark.parametrize("number", [100, 200])
def test_a_changed_configuration_and_a_lock_are_found_before_anything_begins(standin, platform, vm, container, number):
    digest = platform.guest(number)["digest"]
    standin.knobs.edit(number, memory=333)
    with pytest.raises(Failed, match="changed meanwhile") as failed:
        platform.begin(number, "set-config", digest=digest, memory_mib=256)
    assert failed.value.code == "busy"
    standin.knobs.set_lock(number, "backup")
    with pytest.raises(Failed, match='locked for "backup"') as failed:
        change(platform, number, memory_mib=256)
    assert failed.value.code == "wrong_state" and not standin.tasks.by_upid


def test_a_text_that_is_no_handle_is_not_taken_for_one(standin, platform, vm):
    volume = platform.change("POST", CONTENT, vmid="100", filename="vm-100-disk-9.raw", size="1M")
    assert volume.startswith("local:100/vm-100-disk-")
    with pytest.raises(Failed, match="is no task of a node"):
        platform.do("look", handle=volume + " 100")


def test_what_was_accepted_may_still_fail(standin, platform, vm, container):
    standin.knobs.take_snapshot(100, "aa")
    end = platform.carry_out(100, "snapshot", snapshot="aa")
    assert end["phase"] == "failed" and "snapshot name 'aa' already used" in end["error"]["message"]
    standin.knobs.set_lock(100, "backup")
    end = platform.carry_out(100, "start")
    assert end["phase"] == "failed" and end["error"]["code"] == "wrong_state" and '"backup"' in end["error"]["message"]
    with pytest.raises(Failed, match="storage 'nosuch' does not exist"):
        platform.carry_out(200, "backup", repository="nosuch")
    handle = platform.do("begin", **platform.wanted(200, "backup", repository="nosuch"))
    end = platform.do("await", handle=handle)
    assert end["phase"] == "failed" and "storage 'nosuch' does not exist" in end["error"]["message"]


def test_a_right_that_lacks_is_found_in_a_task_and_told_by_name(standin, platform, container):
    standin.knobs.edit(200, unprivileged=0)
    end = restored(platform, 300, saved(platform, 200))
    assert end["phase"] == "failed" and end["error"]["code"] == "denied"
    assert "needs Sys.Modify on /" in end["error"]["message"] and platform.guest(300) is None


@pytest.mark.parametrize("number", [100, 200])
def test_nothing_to_start_or_to_stop_is_a_success_of_both_kinds(standin, platform, vm, container, number):
    for kind, power in (("stop", "stopped"), ("start", "running"), ("start", "running"), ("stop", "stopped"), ("stop", "stopped")):
        assert platform.carry_out(number, kind, patience=0, force=True)["phase"] == "done"
        assert platform.guest(number)["power"] == power


@pytest.mark.parametrize("number, late", [(100, True), (200, False)])
def test_already_running_is_the_same_refusal_at_once_and_late(standin, platform, vm, container, number, late):
    standin.knobs.power(number, True)
    kind = "qemu" if number == 100 else "lxc"
    try:
        end = platform.do("await", handle=platform.change("POST", f"/nodes/pve1/{kind}/{number}/status/start") + " 100")
        assert late and end["phase"] == "failed" and end["error"]["code"] == "wrong_state"
    except Failed as failed:
        assert not late and failed.code == "wrong_state"


def test_an_id_is_free_again_after_a_restore_that_failed(standin, platform, container):
    volume = saved(platform, 200)
    standin.knobs.break_archive(volume)
    end = restored(platform, 300, volume)
    assert end["phase"] == "failed" and "exit code 2" in end["error"]["message"]
    assert platform.guest(300) is None and platform.guest(200) is not None
    standin.volume(volume).broken = False
    assert restored(platform, 300, volume)["phase"] == "done"


# -- tasks


def test_a_node_that_ran_for_long_has_longer_handles(standin, platform, vm):
    standin.knobs.long_uptime()
    handle = platform.begin(100, "start")
    assert len(handle.split(":")[3]) == 9 and handle.split(":")[7] == "agent@pve!main"
    assert platform.do("await", handle=handle)["phase"] == "done"


def test_a_task_is_asked_for_at_the_node_that_its_handle_names(opened):
    from node import StandIn
    with StandIn(("pve1", "pve2"), scale=100) as pair:
        pair.add_vm(100, node="pve2")
        one, other = opened(pair, node="pve1"), opened(pair, node="pve2")
        handle = other.begin(100, "start")
        assert handle.startswith("UPID:pve2:")
        assert one.do("await", handle=handle)["phase"] == "done"


def test_warnings_are_a_success_and_told_in_the_logs_words(standin, platform):
    standin.add_vm(100, scsi0="local:100/a.qcow2,iothread=1,size=1G")
    end = platform.carry_out(100, "start")
    assert end["phase"] == "done" and end["warnings"] == [
        "WARN: iothread is only valid with virtio disk or virtio-scsi-single controller, ignoring"]


def test_an_error_of_several_lines_is_told_in_one(standin, platform, vm):
    handle = platform.begin(100, "start")
    until(lambda: standin.tasks.by_upid[upid_of(handle)].status)
    standin.tasks.by_upid[upid_of(handle)].status = "start failed: one\ntwo\x1b[2J"
    end = platform.do("look", handle=handle)
    assert end["phase"] == "failed" and "\n" not in end["error"]["message"] and "\x1b" not in end["error"]["message"]


def test_a_task_that_was_stopped_is_interrupted_and_stopping_it_again_harms_nothing(standin, platform, vm):
    standin.knobs.next_task_takes(100_000)
    handle = platform.begin(100, "start")
    assert platform.do("look", handle=handle)["phase"] == "running"
    platform.do("interrupt", handle=handle)
    end = platform.do("await", handle=handle)
    assert end["phase"] == "failed" and end["error"]["code"] == "interrupted" and platform.guest(100)["power"] == "stopped"
    platform.do("interrupt", handle=handle)
    standin.knobs.vanish(upid_of(handle))
    platform.do("interrupt", handle=handle)
    platform.do("interrupt", handle="done 100")


@pytest.mark.parametrize("day", ["killed", "vanished"])
def test_a_task_of_which_nothing_is_known_is_neither_done_nor_failed(standin, platform, vm, day):
    standin.knobs.next_task_takes(100_000)
    handle = platform.begin(100, "start")
    standin.knobs.kill_worker(upid_of(handle))
    if day == "vanished":
        standin.knobs.vanish(upid_of(handle))
    end = platform.do("await", handle=handle)
    assert end["phase"] == "unknown" and end["detail"] and "error" not in end
    assert platform.guest(100)["power"] == "stopped", "the guest tells"


def test_a_backup_that_failed_says_why_not_only_that(standin, platform, vm):
    standin.knobs.set_lock(100, "snapshot")
    end = platform.carry_out(100, "backup", repository="local")
    assert end["phase"] == "failed" and end["error"]["code"] == "wrong_state"
    assert 'locked for "snapshot"' in end["error"]["message"] and "Backup of VM 100 failed" in end["detail"]


def test_a_long_log_is_told_by_its_end(standin, platform, container):
    standin.knobs.set_lock(200, "disk")
    handle = platform.begin(200, "backup", repository="local")
    task = standin.tasks.by_upid[upid_of(handle)]
    until(lambda: task.status)
    task.lines[:0] = [f"INFO: line {number}" for number in range(5000)]
    end = platform.do("await", handle=handle)
    assert "TASK ERROR: job errors" in end["detail"] and "line 4990" not in end["detail"]


def logs_asked(standin):
    return [target for _, target, _ in standin.requests if "/log?" in target]


def test_however_long_a_log_is_a_look_reads_so_much_of_it_and_no_more(standin, platform, container):
    standin.knobs.set_lock(200, "disk")
    handle = platform.begin(200, "backup", repository="local")
    task = standin.tasks.by_upid[upid_of(handle)]
    until(lambda: task.status)
    task.lines += [f"INFO: line {number}" for number in range(20_000)]
    end = platform.do("await", handle=handle)
    assert end["phase"] == "failed" and end["error"]["message"] and len(end["detail"]) < 10_000
    asked = logs_asked(standin)
    assert len(asked) == 20 and all("limit=500" in target for target in asked)


def test_a_look_at_a_backup_that_runs_reads_its_log_in_one_request(standin, platform, vm):
    standin.knobs.next_task_takes(100_000)
    handle = platform.begin(100, "backup", repository="local")
    task = standin.tasks.by_upid[upid_of(handle)]
    until(lambda: platform.guest(100)["lock"] == "backup")
    task.lines += [f"INFO: {number}%" for number in range(100)] + ["INFO: trying to get global lock - waiting..."]
    assert platform.do("look", handle=handle)["phase"] == "running"
    [asked] = logs_asked(standin)
    assert asked.endswith("limit=500")


def test_a_log_that_cannot_be_had_does_not_hide_the_end(standin, platform, vm):
    standin.knobs.set_lock(100, "backup")
    handle = platform.begin(100, "start")
    until(lambda: standin.tasks.by_upid[upid_of(handle)].status)
    for kind, options in (("huge", {}), ("status", {"status": 403, "reason": "Permission check failed"})):
        standin.knobs.next(kind, "/log", method="GET", **options)
        end = platform.do("look", handle=handle)
        assert end["phase"] == "failed" and '"backup"' in end["error"]["message"]
    standin.knobs.next("truncate", "/log", method="GET")
    assert platform.do("await", handle=handle)["phase"] == "failed"


def test_a_token_asks_for_its_own_tasks_and_needs_a_right_for_anothers(standin, opened, platform, vm):
    standin.access.add_role("small", {"VM.Audit", "VM.PowerMgmt"})
    small = opened(standin, token="small@pve!tok", role="small")
    standin.knobs.next_task_takes(100_000)
    handle = platform.begin(100, "start")
    with pytest.raises(Failed, match="needs Sys.Audit on /nodes/pve1"):
        small.do("look", handle=handle)
    with pytest.raises(Failed, match="needs Sys.Modify on /nodes/pve1"):
        small.do("interrupt", handle=handle)
    standin.knobs.kill_worker(upid_of(handle))
    assert small.do("await", handle=small.begin(100, "start"))["phase"] == "done"


@pytest.mark.parametrize("number", [100, 200])
def test_a_shutdown_that_is_waited_for_holds_the_guest_until_it_is_overruled(standin, platform, vm, container, number):
    guest = standin.guests.by_id[number]
    guest.reacts = None
    standin.knobs.power(number, True)
    handle = platform.begin(number, "stop", patience=100_000)
    until(lambda: guest.mutex.holder)
    digest = platform.guest(number)["digest"]
    if number == 200:
        with pytest.raises(Failed) as failed:
            platform.begin(number, "set-config", digest=digest, memory_mib=256)
        assert failed.value.code == "busy"
    assert platform.do("look", handle=handle)["phase"] == "running"
    assert platform.carry_out(number, "stop", patience=0, force=True)["phase"] == "done"
    assert platform.guest(number)["power"] == "stopped"
    assert platform.do("await", handle=handle)["phase"] == "failed"


@pytest.mark.parametrize("force, power", [(True, "stopped"), (False, "running")])
def test_a_guest_that_never_reacts_is_switched_off_after_its_time_where_that_is_asked(standin, platform, force, power):
    standin.add_vm(100, reacts=None, running=True)
    end = platform.carry_out(100, "stop", patience=2, force=force)
    assert end["phase"] == ("done" if force else "failed") and platform.guest(100)["power"] == power


def test_a_backup_that_waits_for_another_is_told_as_waiting(standin, platform, vm, container):
    standin.knobs.next_task_takes(100_000)
    first = platform.begin(100, "backup", repository="local")
    until(lambda: platform.guest(100)["lock"] == "backup")
    assert platform.do("look", handle=first)["phase"] == "running"
    second = platform.begin(200, "backup", repository="local")
    until(lambda: standin.tasks.by_upid[upid_of(second)].lines)
    told = platform.do("look", handle=second)
    assert told["phase"] == "waiting" and "another backup" in told["detail"]
    assert platform.guest(200)["lock"] == ""
    standin.knobs.next("status", "/log", method="GET", status=500, reason="no log")
    assert platform.do("look", handle=second)["phase"] in ("waiting", "running")
    platform.do("interrupt", handle=first)
    assert platform.do("await", handle=second)["phase"] == "done"


# -- configurations


@pytest.mark.parametrize("number", [100, 200])
def test_a_value_that_came_back_gives_the_old_digest_again(platform, vm, container, number):
    first = platform.guest(number)
    changed(platform, number, memory_mib=256)
    assert platform.guest(number)["digest"] != first["digest"]
    changed(platform, number, memory_mib=first["config"]["memory_mib"])
    assert platform.guest(number)["digest"] == first["digest"]


TEXTS = ["a", "a\n", "a \n\n", "100% #c:d ü\n\nb", "one\r\ntwo\r\n", "nul\x00 and \x1b[1m", " leading", "\n", ""]


@pytest.mark.parametrize("number", [100, 200])
def test_a_description_is_the_same_after_it_was_stored(platform, vm, container, number):
    for text in TEXTS:
        assert changed(platform, number, description=text)["description"] == text.rstrip(" \t\r\n")


@pytest.mark.parametrize("number", [100, 200])
def test_tags_are_the_same_in_any_order_and_case(standin, platform, vm, container, number):
    assert changed(platform, number, tags=["b", "A", "c"])["tags"] == ["a", "b", "c"]
    assert standin.guests.by_id[number].config["tags"] == "a;b;c"
    assert changed(platform, number, tags=[])["tags"] == []


def test_what_a_node_writes_by_itself_is_no_difference(standin, platform, vm):
    before = changed(platform, 100, cpus=2)
    platform.change("PUT", CONFIG, net0="bridge=vmbr0,virtio=BC:24:11:00:00:01")
    one = platform.guest(100)["config"]
    standin.knobs.edit(100, net0="virtio=BC:24:11:00:00:01,bridge=vmbr0")
    assert platform.guest(100)["config"] == one
    del one["details"]["net0"]
    assert one == before


def test_a_detached_disk_shows_and_is_never_touched(standin, platform, vm):
    volume = platform.get(CONFIG)["scsi0"].split(",")[0]
    platform.change("PUT", CONFIG, delete="scsi0")
    changed(platform, 100, cpus=2, description="", tags=[])
    config = platform.guest(100)["config"]
    assert config["details"]["unused0"] == volume and "disk_mib" not in config and standin.volume(volume)
    with pytest.raises(Failed, match="has no disk"):
        platform.begin(100, "grow", disk_mib=4096)


def test_what_waits_for_the_next_start_is_told_apart_from_what_runs(standin, platform, vm):
    standin.knobs.power(100, True)
    assert platform.guest(100)["running"] is None
    changed(platform, 100, memory_mib=1024, description="now")
    guest = platform.guest(100)
    assert (guest["config"]["memory_mib"], guest["running"]["memory_mib"]) == (1024, 512)
    assert guest["running"]["description"] == guest["config"]["description"] == "now", "that needs no start"
    platform.change("PUT", CONFIG, revert="memory")
    assert platform.guest(100)["running"] is None and platform.guest(100)["config"]["memory_mib"] == 512
    changed(platform, 100, memory_mib=1024)
    assert platform.carry_out(100, "stop", patience=0, force=True)["phase"] == "done"
    assert platform.guest(100)["running"] is None and platform.guest(100)["config"]["memory_mib"] == 1024


@pytest.mark.parametrize("number", [100, 200])
def test_nothing_to_change_is_a_success_without_a_call(standin, platform, vm, container, number):
    guest = platform.guest(number)
    handle = platform.begin(number, "set-config", digest=guest["digest"])
    assert platform.do("await", handle=handle)["phase"] == "done" and not writes(standin)
    changed(platform, number, description="", tags=[], name="same")
    assert changed(platform, number, description="", tags=[], name="same")["name"] == "same", "what is absent may be taken away"


def test_a_change_without_a_digest_is_never_sent(standin, platform, vm, container):
    for number in (100, 200):
        with pytest.raises(Failed) as failed:
            platform.begin(number, "set-config", memory_mib=256)
        assert failed.value.code == "internal" and not writes(standin)


def test_a_disk_that_grew_meanwhile_is_not_shrunk(standin, platform, vm):
    end = platform.do("await", handle=platform.change("PUT", "/nodes/pve1/qemu/100/resize", disk="scsi0", size="512M") + " 100")
    assert end["phase"] == "failed" and "shrinking" in end["error"]["message"]
    assert platform.guest(100)["config"]["disk_mib"] == 1024
    same = platform.begin(100, "grow", disk_mib=1024)
    assert same == "done 100"


LOCKS = {100: "backup clone create migrate rollback snapshot snapshot-delete suspending suspended",
         200: "backup create destroyed disk fstrim migrate mounted rollback snapshot snapshot-delete"}


@pytest.mark.parametrize("number, remedy", [(100, "qm unlock 100"), (200, "pct unlock 200")])
def test_a_lock_flag_is_told_by_its_name_and_what_removes_it(standin, platform, vm, container, number, remedy):
    for flag in LOCKS[number].split():
        standin.knobs.set_lock(number, flag)
        assert platform.guest(number)["lock"] == flag
        with pytest.raises(Failed, match=f'locked for "{flag}"') as failed:
            change(platform, number, memory_mib=256)
        assert failed.value.code == "wrong_state" and remedy in failed.value.hint


def waiting(standin, act):
    """Does it in a thread, which is given once it has looked at the guest more than once."""
    before, thread = len(standin.requests), threading.Thread(target=act)
    thread.start()
    until(lambda: len(standin.requests) > before + 2)
    return thread


def test_a_lock_flag_that_ends_in_time_is_waited_for(standin, opened, vm):
    platform = opened(standin, lock_patience_ms=60_000)
    guest, box = platform.guest(100), []
    standin.knobs.set_lock(100, "backup")
    thread = waiting(standin, lambda: box.append(platform.begin(100, "set-config", incarnation=guest["incarnation"],
                                                                digest=guest["digest"], memory_mib=256)))
    assert not writes(standin)
    standin.knobs.set_lock(100)
    thread.join(60)
    assert platform.do("await", handle=box[0])["phase"] == "done" and platform.guest(100)["config"]["memory_mib"] == 256


@pytest.mark.parametrize("number", [100, 200])
def test_a_lock_file_that_is_let_go_in_time_is_waited_for(standin, opened, vm, container, number):
    platform = opened(standin, lock_patience_ms=60_000)
    standin.knobs.hold_file_lock(number, 1_000_000)
    thread = threading.Thread(target=changed, args=(platform, number), kwargs={"memory_mib": 256})
    thread.start()
    until(lambda: 500 in [request[2] for request in writes(standin)])
    standin.knobs.time_scale(100_000_000)
    thread.join(60)
    assert platform.guest(number)["config"]["memory_mib"] == 256


def test_a_guest_that_is_replaced_while_its_lock_is_waited_for_is_left_alone(standin, opened, vm):
    platform = opened(standin, lock_patience_ms=60_000)
    standin.knobs.set_lock(100, "snapshot")
    incarnation, box = platform.guest(100)["incarnation"], []

    def asking():
        try:
            platform.begin(100, "grow", incarnation=incarnation, disk_mib=4096)
        except Failed as failed:
            box.append(failed)
    thread = waiting(standin, asking)
    standin.knobs.replace(100, disks={"scsi0": 1})
    thread.join(60)
    assert "made anew" in box[0].message and not writes(standin)


def test_who_holds_a_lock_for_too_long_is_named(standin, opened, vm):
    platform, other = opened(standin, lock_patience_ms=1), opened(standin, token="other@pve!tok")
    standin.knobs.next_task_takes(100_000)
    handle = other.begin(100, "backup", repository="local")
    until(lambda: platform.guest(100)["lock"] == "backup")
    with pytest.raises(Failed) as failed:
        change(platform, 100, memory_mib=256)
    assert "vzdump of other@pve!tok" in failed.value.message and failed.value.code == "wrong_state"
    standin.knobs.kill_worker(upid_of(handle))
    with pytest.raises(Failed) as failed:
        change(platform, 100, memory_mib=256)
    assert "no task" in failed.value.message and "qm unlock 100" in failed.value.hint
    standin.knobs.set_lock(100)
    standin.knobs.hold_file_lock(100, 100_000)
    with pytest.raises(Failed) as failed:
        change(platform, 100, memory_mib=256)
    assert failed.value.code == "busy"


@pytest.mark.parametrize("taken", [100, 200])
@pytest.mark.parametrize("of", [100, 200])
def test_an_id_that_is_taken_is_told_and_its_guest_is_left_alone(standin, platform, vm, container, taken, of):
    volume, before = saved(platform, of), platform.guest(taken)
    with pytest.raises(Failed, match=f"{taken} already exists") as failed:
        restored(platform, taken, volume)
    assert failed.value.code == "exists" and not failed.value.lost and platform.guest(taken) == before


def test_a_rollback_makes_another_generation_for_which_nothing_was_decided_yet(standin, platform, vm):
    before = platform.guest(100)["incarnation"]
    assert platform.carry_out(100, "snapshot", snapshot="aa", description="x=y")["phase"] == "done"
    assert platform.carry_out(100, "rollback", snapshot="aa")["phase"] == "done"
    assert platform.guest(100)["incarnation"] not in ("", before)
    with pytest.raises(Failed, match="is not the one that is meant"):
        platform.begin(100, "destroy", incarnation=before)


def test_a_guest_that_was_restored_under_its_own_id_is_another_one(standin, platform, vm, container):
    for number in (100, 200):
        volume, before = saved(platform, number), platform.guest(number)["incarnation"]
        assert platform.carry_out(number, "destroy")["phase"] == "done"
        assert restored(platform, number, volume)["phase"] == "done"
        with pytest.raises(Failed, match="is not the one that is meant"):
            platform.begin(number, "destroy", incarnation=before)


def test_features_that_a_token_may_not_set_stay_through_changes_and_a_restore(standin, platform, container):
    standin.knobs.edit(200, features="nesting=1,keyctl=1")
    assert changed(platform, 200, memory_mib=256)["details"]["features"] == "keyctl=1,nesting=1"
    assert restored(platform, 300, saved(platform, 200))["phase"] == "done"
    assert platform.guest(300)["config"]["details"]["features"] == "keyctl=1,nesting=1"


# -- backup and restore


def test_a_backup_prunes_nothing_and_carries_its_notes_and_protection(standin, platform, container):
    standin.storages["local"].prune = "keep-last=1"
    notes, volumes = "first\nsecond \\n {x}", []
    for is_protected in (False, False, True):
        volumes.append(saved(platform, 200, notes=notes, is_protected=is_protected))
        made = standin.clock.shown()
        until(lambda made=made: standin.clock.shown() > made + 2)
    rows = backups(platform, 200)
    assert [row["volid"] for row in rows] == volumes and [row.get("protected") for row in rows] == [None, None, 1]
    assert {standin.volume(volume).notes for volume in volumes} == {notes}


@pytest.mark.parametrize("running", [False, True])
def test_a_backup_takes_the_mode_that_the_guest_allows(standin, platform, container, running):
    standin.knobs.power(200, running)
    handle = platform.begin(200, "backup", repository="local")
    assert platform.do("await", handle=handle)["phase"] == "done"
    log = " ".join(Client(standin).log(upid_of(handle)))
    assert f"backup mode: {'suspend' if running else 'stop'}" in log


def test_the_list_of_backups_tells_which_one_is_new(standin, platform, vm, container):
    volumes = saved(platform, 100), saved(platform, 200)
    assert re.fullmatch(r"local:backup/vzdump-qemu-100-\S+", volumes[0]) and "vzdump-lxc-200-" in volumes[1]


def test_absent_means_not_protected_and_not_verified_yet(standin, platform, container):
    volume = saved(platform, 200, notes="one\ntwo")
    [row] = platform.do("backups", storage="local")
    assert row["id"] == volume and row["guest"] == 200 and row["notes"] == "one" and row["made"] > 0
    assert row["is_protected"] is False and row["verified"] is None


def test_a_protected_backup_stays_until_its_protection_is_taken_off(standin, platform, container):
    volume = saved(platform, 200, is_protected=True)
    handle = platform.begin(200, "delete-backup", backup=volume)
    assert handle.split(":")[6] == "200@local"
    end = platform.do("await", handle=handle)
    assert end["phase"] == "failed" and end["error"]["code"] == "wrong_state" and backups(platform, 200)
    platform.change("PUT", f"{CONTENT}/{volume}", protected="0")
    assert platform.carry_out(200, "delete-backup", backup=volume)["phase"] == "done" and not backups(platform, 200)


@pytest.mark.parametrize("number", [100, 200])
def test_a_backup_whose_guest_is_gone_is_deleted_by_who_says_that_it_is_gone(standin, platform, vm, container, number):
    volume, before = saved(platform, number), platform.guest(number)["incarnation"]
    with pytest.raises(Failed, match="is not the one that is meant"):
        platform.begin(number, "delete-backup", incarnation="", backup=volume)
    assert platform.carry_out(number, "destroy")["phase"] == "done"
    with pytest.raises(Failed, match=f"guest {number} is gone since") as failed:
        platform.begin(number, "delete-backup", incarnation=before, backup=volume)
    assert failed.value.code == "wrong_state" and backups(platform, number)
    assert platform.carry_out(number, "delete-backup", incarnation="", backup=volume)["phase"] == "done"
    assert not backups(platform, number)


def test_that_a_guest_is_gone_is_not_concluded_by_who_may_not_see_it(standin, platform, container):
    volume = saved(platform, 200)
    standin.access.add_role("blind", {"Datastore.Allocate", "Datastore.AllocateSpace", "Datastore.Audit", "Sys.Audit"})
    for who in ("agent@pve", "agent@pve!main"):
        standin.knobs.withdraw(who)
        standin.knobs.grant(who, "blind")
    with pytest.raises(Failed) as failed:
        platform.begin(200, "delete-backup", incarnation="", backup=volume)
    assert failed.value.code == "denied" and volume in standin.storages["local"].volumes


def test_a_backup_of_another_guest_is_not_deleted(standin, platform, vm, container):
    volume = saved(platform, 200)
    with pytest.raises(Failed, match="is no backup of guest 100") as failed:
        platform.begin(100, "delete-backup", backup=volume)
    assert failed.value.code == "invalid" and backups(platform, 200)


@pytest.mark.parametrize("notes", ["{{guestname}}", "of {{ x }}", "{{{a}}}", "a {{\n}} b"])
def test_notes_that_a_node_would_fill_in_are_refused_before_it_is_asked(standin, platform, container, notes):
    with pytest.raises(Failed, match="cannot have") as failed:
        platform.begin(200, "backup", repository="local", notes=notes)
    assert failed.value.code == "invalid" and not writes(standin)


@pytest.mark.parametrize("notes", ["}} and {{", "{a} {b}", "{{a}"])
def test_braces_that_mean_nothing_to_a_node_are_kept(standin, platform, container, notes):
    assert standin.volume(saved(platform, 200, notes=notes)).notes == notes


@pytest.mark.parametrize("number", [100, 200])
def test_a_backup_becomes_a_guest_of_a_new_id_with_an_address_of_its_own(standin, platform, vm, container, number):
    standin.knobs.edit(number, net0="virtio=BC:24:11:00:00:01,bridge=vmbr0" if number == 100 else
                       "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,type=veth", onboot=1, tags="a;b")
    assert restored(platform, 300, saved(platform, number))["phase"] == "done"
    old, new = platform.guest(number), platform.guest(300)
    assert old["kind"] == new["kind"]
    for key in ("name", "tags", "memory_mib"):
        assert old["config"][key] == new["config"][key]
    assert old["config"]["start_on_boot"] and not new["config"]["start_on_boot"]
    assert old["config"]["details"]["net0"] != new["config"]["details"]["net0"]


@pytest.mark.parametrize("number", [100, 200])
def test_a_broken_backup_costs_no_guest(standin, platform, vm, container, number):
    volume = saved(platform, number)
    standin.knobs.break_archive(volume)
    with pytest.raises(Failed) as failed:
        restored(platform, number, volume)
    assert failed.value.code == "exists"
    assert restored(platform, 300, volume)["phase"] == "failed"
    assert platform.guest(300) is None and platform.guest(number) is not None and standin.volumes_of(number)


def test_a_backup_that_is_none_is_refused_before_it_is_sent(standin, platform):
    with pytest.raises(Failed, match="is no backup of a guest"):
        restored(platform, 300, "local:vztmpl/tiny_2_amd64.tar.zst")
    assert not writes(standin)


def test_a_guest_under_backup_is_locked_and_read_all_the_same(standin, platform, vm):
    standin.knobs.next_task_takes(100_000)
    platform.begin(100, "backup", repository="local")
    until(lambda: platform.guest(100)["lock"] == "backup")
    with pytest.raises(Failed, match='locked for "backup"'):
        change(platform, 100, memory_mib=256)
    assert platform.do("guests")["seen"][0]["lock"] == "backup"


# -- guest agent


@pytest.mark.parametrize("agent, running, words", [(None, True, "No QEMU guest agent configured"), ("1", False, "is not running"),
                                                   ("1", True, "QEMU guest agent is not running")])
def test_why_a_guest_agent_does_not_answer_is_told(standin, opened, agent, running, words):
    standin.add_vm(100, running=running, **({"agent": None} if agent is None else {}))
    if agent:
        standin.knobs.edit(100, agent=agent)
    standin.access.add_role("asks", {"VM.Audit", "VM.GuestAgent.Audit"})
    with pytest.raises(Failed, match=words) as failed:
        opened(standin, token="asks@pve!tok", role="asks").change("POST", "/nodes/pve1/qemu/100/agent/ping")
    assert failed.value.code == ("guest" if running else "wrong_state")
