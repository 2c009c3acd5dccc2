# SPDX-License-Identifier: MIT
"""The platform on a stand-in node: what it reads, does, and makes of bad days."""

import time

import pytest
from platform_process import Failed, Platform


@pytest.fixture()
def platform(standin, tmp_path):
    made = Platform(standin, tmp_path / "secrets")
    yield made
    made.close()


@pytest.fixture()
def vm(standin):
    return standin.add_vm(100, name="one", cores=1, memory=512, disks={"scsi0": 1})


@pytest.fixture()
def container(standin):
    return standin.add_container(200, network=True)


def test_the_host_is_told_with_its_certificates_end(platform):
    told = platform.do("host")
    assert told["platform"] == "proxmox" and told["name"] == "pve1" and told["version"].startswith("9.")
    assert told["certificate_expiry"] > 1_700_000_000


def test_guests_are_listed_in_a_constant_number_of_requests(standin, platform):
    counts = []
    for many in (3, 40):
        for number in range(many):
            if 300 + number not in standin.guests.by_id:
                standin.add_vm(300 + number, name=f"vm-{number}")
        before = len(standin.requests)
        assert len(platform.do("guests")["seen"]) >= many
        counts.append(len(standin.requests) - before)
    assert counts[0] == counts[1] <= 4


def test_one_guest_is_read_with_its_configuration(platform, vm, container):
    one, other = platform.guest(100), platform.guest(200)
    assert (one["kind"], one["power"], one["config"]["memory_mib"]) == ("vm", "stopped", 512)
    assert other["kind"] == "container" and other["incarnation"].startswith("device:")
    assert platform.guest(999) is None


@pytest.mark.parametrize("number", [100, 200])
def test_a_guest_is_changed_by_every_action_that_loses_nothing(platform, vm, container, number):
    assert platform.carry_out(number, "start")["phase"] == "done"
    assert platform.guest(number)["power"] == "running"
    assert platform.carry_out(number, "stop", patience=0, force=True)["phase"] == "done"
    assert platform.guest(number)["power"] == "stopped"
    digest = platform.guest(number)["digest"]
    assert platform.carry_out(number, "set-config", digest=digest, memory_mib=256, description="a=b & c\n", tags=["b", "a"])["phase"] == "done"
    config = platform.guest(number)["config"]
    assert (config["memory_mib"], config["description"], config["tags"]) == (256, "a=b & c", ["a", "b"])


def test_a_disk_grows_and_never_shrinks(platform, vm):
    size = platform.guest(100)["config"]["disk_mib"]
    assert platform.carry_out(100, "grow", disk_mib=size + 1024)["phase"] == "done"
    assert platform.guest(100)["config"]["disk_mib"] == size + 1024
    assert platform.carry_out(100, "grow", disk_mib=size + 1024)["phase"] == "done", "it has that size"
    with pytest.raises(Failed, match="a disk only grows"):
        platform.begin(100, "grow", disk_mib=size)


def test_what_a_node_refuses_within_a_task_is_told_with_its_log(platform, container):
    told = platform.carry_out(200, "grow", disk_mib=1024)
    assert told["phase"] == "failed" and told["error"]["message"] and told["detail"], "a subvolume has no size"


def test_a_configuration_that_changed_meanwhile_is_not_overwritten(standin, platform, vm, container):
    for number in (100, 200):
        digest = platform.guest(number)["digest"]
        standin.knobs.edit(number, memory=333)
        with pytest.raises(Failed) as failed:
            platform.carry_out(number, "set-config", digest=digest, memory_mib=256)
        assert failed.value.code == "busy" and not failed.value.lost
        assert platform.guest(number)["config"]["memory_mib"] == 333


def test_a_later_guest_under_the_same_number_is_left_alone(standin, platform, vm, container):
    for number in (100, 200):
        before = platform.guest(number)
        standin.knobs.replace(number)
        with pytest.raises(Failed, match="made anew"):
            platform.begin(number, "destroy", incarnation=before["incarnation"])
        assert platform.guest(number) is not None


def starts(platform):
    return len(platform.get("/nodes/pve1/tasks", source="all", typefilter="qmstart", vmid=100))


def test_a_lost_answer_is_told_as_lost_and_nothing_is_sent_twice(standin, tmp_path, vm):
    platform = Platform(standin, tmp_path / "hasty", patience_ms=1500)
    for kind in ("lose_after", "silent", "truncate", "html"):
        standin.knobs.clear()
        if platform.guest(100)["power"] == "running":
            platform.carry_out(100, "stop", patience=0, force=True)
        standin.knobs.next(kind, "/status/start", method="POST")
        before = starts(platform)
        with pytest.raises(Failed) as failed:
            platform.begin(100, "start")
        assert failed.value.lost and "not known" in failed.value.message
        time.sleep(0.3)
        assert starts(platform) - before == (kind != "html"), "a proxy that answers by itself hands nothing on"
    platform.close()


def test_a_dead_daemon_is_told_apart_from_one_that_may_yet_do_it(standin, platform, vm):
    standin.knobs.daemon("dead")
    with pytest.raises(Failed) as failed:
        platform.change("POST", "/nodes/pve1/qemu/100/status/start")
    assert not failed.value.lost and "not carried out" in failed.value.message
    standin.knobs.daemon("works")
    standin.knobs.next("late", "/status/start", method="POST", seconds=1)
    with pytest.raises(Failed) as failed:
        platform.begin(100, "start")
    assert failed.value.lost


def test_a_refused_token_is_asked_with_once(standin, tmp_path):
    platform = Platform(standin, tmp_path, token_text="agent@pve!main=00000000-0000-0000-0000-000000000000")
    try:
        before = len(standin.requests)
        with pytest.raises(Failed) as failed:
            platform.get("/version")
        assert failed.value.code == "denied" and "API token" in failed.value.message
        assert len(standin.requests) == before + 1
    finally:
        platform.close()
