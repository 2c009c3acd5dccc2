# SPDX-License-Identifier: MIT
"""Guests, their tasks and backups: what no recording shows."""

import threading
import time

import pytest
from client import Client
from node import tasks
from node.retention import marks
from node.tasks import SECONDS
from node.volumes import Archive, Volume

CONFIG = "/nodes/pve1/qemu/100/config"
CONTENT = "/nodes/pve1/storage/local/content"


def backups(api, vmid=100):
    return [row["volid"] for row in api.get(f"{CONTENT}?content=backup&vmid={vmid}").data]


def test_a_new_guest_has_no_numbers_until_the_broadcast(still):
    api = Client(still)
    still.clock.advance(still.clock.now() // 10 * 10 + 11)
    still.add_vm(100, name="one")
    bare = {"id": "qemu/100", "type": "qemu", "node": "pve1", "vmid": 100, "status": "unknown"}
    assert api.get("/cluster/resources?type=vm").data == [bare]
    still.clock.advance(still.clock.now() + 8)
    assert api.get("/cluster/resources?type=vm").data == [bare] and api.get("/nodes/pve1/qemu").data[0]["name"] == "one"
    still.clock.advance(still.clock.now() + 2)
    assert api.get("/cluster/resources?type=vm").data[0] | {"name": "one", "status": "stopped"} == api.get(
        "/cluster/resources?type=vm").data[0]
    still.knobs.power(100, True)
    assert api.get("/cluster/resources?type=vm").data[0]["status"] == "stopped", "it lags"


def test_a_digest_is_one_of_the_content(standin, api):
    standin.add_vm(100)
    first = api.get(CONFIG).data["digest"]
    api.put(CONFIG, cores=2)
    second = api.get(CONFIG).data["digest"]
    api.put(CONFIG, delete="cores")
    assert second != first == api.get(CONFIG).data["digest"]
    assert api.put(CONFIG, cores=2, digest=second).status == 500 and api.put(CONFIG, cores=2,
                                                                             digest=first).status == 200


def test_an_id_is_taken_while_a_create_that_will_fail_runs(still):
    api = Client(still)
    upid = api.post("/nodes/pve1/qemu", vmid=100, scsi0="local:999999").data
    assert api.post("/nodes/pve1/qemu", vmid=100).reason.endswith("VM 100 already exists on node 'pve1'")
    assert api.get("/cluster/nextid").data == "101"
    still.clock.advance(still.clock.now() + 5)
    assert api.status(upid)["exitstatus"].startswith("unable to create VM 100 - unable to create image")
    assert api.get("/cluster/nextid").data == "100"
    assert api.post("/nodes/pve1/qemu", vmid=100).status == 200


def test_a_create_with_start_ends_before_its_start(still):
    api = Client(still)
    upid = api.post("/nodes/pve1/qemu", vmid=100, start=1).data
    still.clock.advance(still.clock.now() + SECONDS["qmcreate"] + 0.01)
    assert api.status(upid)["exitstatus"] == "OK" and api.log(upid) == ["Execute autostart", "TASK OK"]
    assert api.get("/nodes/pve1/qemu/100/status/current").data["status"] == "stopped"
    [start] = api.get("/nodes/pve1/tasks?source=active").data
    assert (start["type"], start["status"]) == ("qmstart", "RUNNING")
    still.clock.advance(still.clock.now() + 1)
    assert api.get("/nodes/pve1/qemu/100/status/current").data["status"] == "running"


def test_a_guest_that_reacts_shuts_down_in_its_own_time(still):
    still.add_vm(100, running=True, reacts=7)
    api = Client(still)
    upid = api.post("/nodes/pve1/qemu/100/status/shutdown", timeout=60).data
    still.clock.advance(still.clock.now() + 6)
    assert api.status(upid)["status"] == "running"
    still.clock.advance(still.clock.now() + 2)
    assert api.status(upid)["exitstatus"] == "OK"


def test_a_container_that_does_not_react_stays(still):
    still.add_container(100, running=True, reacts=None)
    api = Client(still)
    gentle = api.post("/nodes/pve1/lxc/100/status/shutdown", timeout=5).data
    still.clock.advance(still.clock.now() + 6)
    assert api.status(gentle)["exitstatus"] == "container did not stop"
    api.post("/nodes/pve1/lxc/100/status/shutdown", timeout=5, forceStop=1)
    still.clock.advance(still.clock.now() + 6)
    assert api.get("/nodes/pve1/lxc/100/status/current").data["status"] == "stopped"


def test_a_reboot_applies_what_was_pending(standin, api):
    standin.add_vm(100, running=True, memory=64)
    api.put(CONFIG, memory=128)
    rows = {row["key"]: row for row in api.get("/nodes/pve1/qemu/100/pending").data}
    assert rows["memory"] == {"key": "memory", "value": "64", "pending": "128"}
    api.put(CONFIG, delete="cpulimit,memory")
    rows = {row["key"]: row for row in api.get("/nodes/pve1/qemu/100/pending").data}
    assert rows["memory"] == {"key": "memory", "value": "64", "delete": 1}
    assert api.do(api.post("/nodes/pve1/qemu/100/status/reboot")) == "OK"
    assert "memory" not in api.get(CONFIG + "?current=1").data


def test_a_running_container_takes_memory_at_once_and_features_later(standin, api):
    standin.add_container(100, running=True)
    assert api.put("/nodes/pve1/lxc/100/config", memory=256, features="nesting=0").status == 200
    current = api.get("/nodes/pve1/lxc/100/config?current=1").data
    assert (current["memory"], current["features"]) == (256, "nesting=1")
    assert api.get("/nodes/pve1/lxc/100/config").data["features"] == "nesting=0"


def test_a_container_without_root_file_system_of_its_own(standin, api):
    assert api.do(api.post("/nodes/pve1/lxc", vmid=100, ostemplate="local:vztmpl/tiny_2_amd64.tar.zst")) == "OK"
    config = api.get("/nodes/pve1/lxc/100/config").data
    assert config["rootfs"] == "local:100/vm-100-disk-0.raw,size=4G" and config["unprivileged"] == 1
    assert (config["hostname"], config["memory"], config["swap"]) == ("CT100", 512, 512)


def test_a_disk_is_imported(standin, api):
    standin.add_volume("local:import/debian.qcow2", 3 << 30)
    assert api.do(api.post("/nodes/pve1/qemu", vmid=100, scsi0="local:0,import-from=local:import/debian.qcow2")) == "OK"
    assert api.get(CONFIG).data["scsi0"] == "local:100/vm-100-disk-0.raw,size=3G"


def test_a_volume_that_is_made_alone_is_no_task(api):
    reply = api.post(CONTENT, vmid=100, filename="vm-100-disk-0.raw", size="1G")
    assert reply.data == "local:100/vm-100-disk-0.raw"


def test_a_container_on_a_storage_with_snapshots(standin, api):
    standin.storage("local").snapshots = True
    standin.add_container(100, description="x")
    assert api.get("/nodes/pve1/lxc/100/feature?feature=snapshot").data == {"hasFeature": 1}
    assert api.do(api.post("/nodes/pve1/lxc/100/snapshot", snapname="aa")) == "OK"
    api.put("/nodes/pve1/lxc/100/config", memory=256)
    assert api.do(api.post("/nodes/pve1/lxc/100/snapshot/aa/rollback")) == "OK"
    assert api.get("/nodes/pve1/lxc/100/config").data["memory"] == 128
    standin.storage("local").snapshots = False
    assert api.do(api.post("/nodes/pve1/lxc/100/snapshot", snapname="bb")) == "snapshot feature is not available"


def test_a_snapshot_with_memory_brings_a_running_vm_back(standin, api):
    standin.add_vm(100, running=True, disks={"scsi0": 1})
    assert api.do(api.post("/nodes/pve1/qemu/100/snapshot", snapname="aa", vmstate=1)) == "OK"
    assert api.do(api.post("/nodes/pve1/qemu/100/status/stop")) == "OK"
    assert [row.get("vmstate") for row in api.get("/nodes/pve1/qemu/100/snapshot").data] == [1, None]
    assert api.do(api.post("/nodes/pve1/qemu/100/snapshot/aa/rollback")) == "OK"
    assert api.get("/nodes/pve1/qemu/100/status/current").data["status"] == "running"
    assert api.do(api.delete("/nodes/pve1/qemu/100/snapshot/aa")) == "OK"
    assert [row["volid"] for row in api.get(CONTENT).data if "vmid" in row] == ["local:100/vm-100-disk-0.qcow2"]


def test_a_change_that_takes_longer_than_the_delay_is_a_task(standin, api):
    standin.add_vm(100)
    standin.knobs.next_task_takes(100)
    upid = api.ask("POST", CONFIG, {"cores": 2, "background_delay": 5}).data
    assert api.end_of(upid) == "OK" and api.get(CONFIG).data["cores"] == 2


def test_a_task_of_long_ago_is_forgotten(standin, api, monkeypatch):
    monkeypatch.setattr(tasks, "KEPT", 3)
    standin.add_vm(100)
    first = api.post("/nodes/pve1/qemu/100/status/stop").data
    assert api.end_of(first) == "OK"
    for _ in range(7):
        assert api.do(api.post("/nodes/pve1/qemu/100/status/stop")) == "OK"
    assert api.get(f"/nodes/pve1/tasks/{first}/status").errors == {"upid": "no such task"}


# -- the guest's agent


def test_an_agent_that_answers(standin, api):
    api = Client(standin, standin.token("root@pam!full", role=None))
    standin.access.token("root@pam!full").privsep = 0
    standin.add_vm(100, running=True,
                   agent={"exec": {"uname -r": (0, "6.1\n", "")}, "get-host-name": {"host-name": "one"}})
    standin.guests.by_id[100].config["agent"] = "1"
    at = "/nodes/pve1/qemu/100/agent"
    assert api.post(at + "/ping").data == {"result": {}}
    assert api.get(at + "/get-host-name").data == {"result": {"host-name": "one"}}
    pid = api.ask("POST", at + "/exec", "command=uname&command=-r").data["pid"]
    assert api.get(f"{at}/exec-status?pid={pid}").data == {"exited": 1, "exitcode": 0, "out-data": "6.1\n"}
    assert api.get(f"{at}/exec-status?pid={pid}").status == 500, "it is forgotten once it was read"
    assert api.post(at + "/file-write", file="/etc/x", content="y").data is None
    assert api.get(at + "/file-read?file=/etc/x").data == {"content": "y", "bytes-read": 1}
    api.post(at + "/shutdown")
    time.sleep(0.1)
    assert not standin.guests.by_id[100].running


# -- backups


def test_a_backup_over_a_guest_destroys_it_before_the_archive_is_known_to_be_good(standin, api):
    standin.add_container(100)
    assert api.do(api.post("/nodes/pve1/vzdump", vmid=100, storage="local", compress="zstd")) == "OK"
    [volid] = backups(api)
    standin.knobs.break_archive()
    reply = api.post("/nodes/pve1/lxc", vmid=100, ostemplate=volid, restore=1, force=1)
    assert api.do(reply) == "unable to restore CT 100 - command 'tar xpf - --zstd' failed: exit code 2"
    assert api.get("/nodes/pve1/lxc/100/config").status == 500
    assert [row["volid"] for row in api.get(CONTENT).data if row["content"] == "rootdir"] == []


def test_a_restore_over_a_guest_leaves_no_volume_behind(standin, api):
    standin.add_container(100)
    assert api.do(api.post("/nodes/pve1/vzdump", vmid=100, storage="local")) == "OK"
    [volid] = backups(api)
    assert api.do(api.post("/nodes/pve1/lxc", vmid=100, ostemplate=volid, restore=1, force=1)) == "OK"
    volumes = [row["volid"] for row in api.get(CONTENT).data if row["content"] == "rootdir"]
    assert volumes == ["local:100/subvol-100-disk-1.subvol"]


def test_a_vm_is_saved_and_restored(standin, api):
    standin.add_vm(100, name="one", disks={"scsi0": 2}, net0="virtio=BC:24:11:00:00:01,bridge=vmbr0", reacts=3.0)
    before = api.get(CONFIG).data
    upid = api.post("/nodes/pve1/vzdump", vmid=100, storage="local", compress="zstd").data
    assert api.end_of(upid) == "OK" and "INFO: include disk 'scsi0' 'local:100/vm-100-disk-0.qcow2' 2G" in api.log(upid)
    [volid] = backups(api)
    assert volid.startswith("local:backup/vzdump-qemu-100-") and volid.endswith(".vma.zst")
    assert api.post("/nodes/pve1/qemu", vmid=100, archive=volid).reason == (
        "unable to restore VM 100 - VM 100 already exists on node 'pve1'")
    assert api.do(api.post("/nodes/pve1/qemu", vmid=101, archive=volid, unique=1)) == "OK"
    after = api.get("/nodes/pve1/qemu/101/config").data
    assert after["scsi0"] == "local:101/vm-101-disk-0.qcow2,size=2G" and after["name"] == "one"
    assert after["vmgenid"] != before["vmgenid"] and after["net0"] != before["net0"]
    assert standin.guests.by_id[101].reacts == 3.0, "its system came along"


def test_several_backups_queue_behind_one_lock(still):
    for vmid in (100, 101):
        still.add_container(vmid)
    api = Client(still)
    first = api.post("/nodes/pve1/vzdump", vmid=100, storage="local").data
    second = api.post("/nodes/pve1/vzdump", vmid=101, storage="local").data
    still.clock.advance(still.clock.now() + 0.1)
    assert api.log(second) == ["INFO: trying to get global lock - waiting..."]
    assert api.put("/nodes/pve1/lxc/101/config", memory=99).status == 200, "that guest is not locked yet"
    still.clock.advance(still.clock.now() + SECONDS["vzdump"] * 2 + 0.1)
    assert [api.status(upid)["exitstatus"] for upid in (first, second)] == ["OK", "OK"]


def test_a_backup_that_is_stopped_ends_and_unlocks(standin, api):
    for vmid in (100, 101):
        standin.add_container(vmid)
    standin.knobs.next_task_takes(1000)
    upid = api.post("/nodes/pve1/vzdump", vmid="100,101", storage="local").data
    time.sleep(0.1)
    assert api.get("/nodes/pve1/lxc/100/config").data["lock"] == "backup"
    assert api.delete(f"/nodes/pve1/tasks/{upid}").status == 200
    assert api.end_of(upid) == "received interrupt" and backups(api) == []
    assert "lock" not in api.get("/nodes/pve1/lxc/100/config").data
    assert api.do(api.post("/nodes/pve1/vzdump", vmid=101, storage="local")) == "OK", "the lock of all backups is free"


def test_a_running_container_is_suspended_where_there_are_no_snapshots(standin, api):
    standin.add_container(100, running=True)
    upid = api.post("/nodes/pve1/vzdump", vmid=100, storage="local", mode="snapshot").data
    api.end_of(upid)
    assert "INFO: backup mode: suspend" in api.log(upid)
    standin.storage("local").snapshots = True
    upid = api.post("/nodes/pve1/vzdump", vmid=100, storage="local", mode="snapshot").data
    api.end_of(upid)
    assert "INFO: backup mode: snapshot" in api.log(upid)


def test_a_mount_with_backup_0_is_left_out(standin, api):
    standin.add_container(100)
    api.put("/nodes/pve1/lxc/100/config", mp0="local:0,mp=/data,backup=0", mp1="local:0,mp=/more,backup=1")
    upid = api.post("/nodes/pve1/vzdump", vmid=100, storage="local").data
    api.end_of(upid)
    log = "\n".join(api.log(upid))
    assert "excluding volume mount point mp0 ('/data')" in log and "including mount point mp1 ('/more')" in log


def test_all_guests_that_one_may_save(standin, api):
    for vmid in (100, 101, 102):
        standin.add_container(vmid)
    upid = api.post("/nodes/pve1/vzdump", all=1, exclude="101", storage="local").data
    assert upid.split(":")[6] == "" and api.end_of(upid) == "OK"
    assert [len(backups(api, vmid)) for vmid in (100, 101, 102)] == [1, 0, 1]


def stored(standin, ages_in_days, protected=()):
    storage, now = standin.storage("local"), 1795881600
    for number, days in enumerate(ages_in_days):
        volid = f"local:backup/{number}"
        storage.volumes[volid] = Volume(volid, "backup", "tar.zst", 1, now - days * 86400, 100,
                                        archive=Archive("lxc", {}, 1), protected=number in protected)
    return storage


@pytest.mark.parametrize("rule, kept",
                         [("keep-last=2", [0, 1]), ("keep-daily=3", [0, 2, 3]), ("keep-all=1", [0, 1, 2, 3, 4, 5]),
                                        ("keep-last=1,keep-daily=1", [0, 2]), ("keep-monthly=2", [0, 5]),
                                        ("keep-weekly=2", [0, 4])])
def test_which_backups_a_rule_keeps(standin, rule, kept):
    found = marks(stored(standin, (0, 0.1, 1, 2, 8, 40)), rule, 100, "lxc")
    assert [number for number in range(6) if found[f"local:backup/{number}"] == "keep"] == kept


def test_what_is_protected_is_neither_counted_nor_removed(standin):
    found = marks(stored(standin, (0, 1, 2), protected=(0,)), "keep-last=1", 100, "lxc")
    assert list(found.values()) == ["protected", "keep", "remove"]


def test_a_backup_prunes_by_the_storages_rule(standin, api):
    standin.add_container(100)
    standin.storage("local").prune = "keep-last=1"
    for _ in range(3):
        assert api.do(api.post("/nodes/pve1/vzdump", vmid=100, storage="local")) == "OK"
        standin.knobs.wrong_clock(standin.clock.offset + 5)
    assert len(backups(api)) == 1
    assert api.do(api.post("/nodes/pve1/vzdump", vmid=100, storage="local", remove=0)) == "OK"
    assert len(backups(api)) == 2


def test_a_worker_that_fails_early_does_not_fail_at_once(still):
    api = Client(still)
    upid = api.post("/nodes/pve1/qemu/100/status/start").data
    still.clock.advance(still.clock.now() + SECONDS["qmstart"] - 0.1)
    assert api.status(upid)["status"] == "running"
    still.clock.advance(still.clock.now() + 0.2)
    assert api.status(upid)["exitstatus"].endswith("does not exist")


def test_a_storage_that_is_off(standin, api):
    assert api.post("/storage", storage="usb", type="dir", path="/mnt/usb", content="backup").status == 200
    assert api.put("/storage/usb", disable=1).status == 200
    rows = {row["storage"]: row for row in api.get("/nodes/pve1/storage").data}
    assert (rows["usb"]["active"], rows["usb"]["enabled"], rows["local"]["active"]) == (0, 0, 1)
    assert {row["storage"] for row in api.get("/nodes/pve1/storage?enabled=1").data} == {"local"}


def test_metrics_and_disks(standin, api):
    standin.add_vm(100)
    standin.nodes["pve1"].disks.append({"devpath": "/dev/sda", "type": "ssd", "health": "PASSED", "size": 1 << 40,
                                        "wearout": 99})
    assert len(api.get("/nodes/pve1/rrddata?timeframe=hour").data) == 70
    assert api.get("/nodes/pve1/qemu/100/rrddata?timeframe=hour").data[0]["maxcpu"] == 1
    assert api.get("/nodes/pve1/disks/smart?disk=/dev/sda").data["health"] == "PASSED"


def test_of_many_creates_at_once_each_id_goes_to_one(standin):
    box = []

    def create(number):
        client = Client(standin)
        box.append(client.post("/nodes/pve1/qemu", vmid=100 + number % 5).status)
        client.close()
    threads = [threading.Thread(target=create, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(box) == [200] * 5 + [500] * 15
