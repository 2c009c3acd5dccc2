# SPDX-License-Identifier: MIT
"""Days on which something else is wrong, and rights that lack: what the platform makes of them."""

import time

import pytest
from node import StandIn
from node.access import AGENT_ROLE
from platform_process import Failed

CONFIG = "/nodes/pve1/qemu/100/config"


# -- the way to the node


def test_a_name_that_cannot_be_resolved_says_so_and_nothing_was_sent(standin, opened):
    platform = opened(standin, origin="https://no-such-node.invalid:8006")
    for ask in (lambda: platform.do("guests"), lambda: platform.change("POST", "/nodes/pve1/qemu/100/status/start")):
        with pytest.raises(Failed, match="no-such-node.invalid:8006 cannot be reached") as failed:
            ask()
        assert failed.value.code == "no_answer" and not failed.value.lost


@pytest.mark.parametrize("status, reason", [(200, "OK"), (302, "Found"), (403, "Forbidden"), (500, "Oops"), (502, "Bad Gateway"),
                                            (503, "Busy")])
def test_a_proxys_page_is_not_taken_for_the_nodes_answer(standin, platform, vm, status, reason):
    standin.knobs.next("html", "/config", method="GET", status=status, reason=reason)
    with pytest.raises(Failed) as failed:
        platform.guest(100)
    assert failed.value.code == ("no_answer" if status in (502, 503) else "hypervisor") and not failed.value.lost
    standin.knobs.next("html", "/status/start", method="POST", status=status, reason=reason)
    with pytest.raises(Failed, match="not known") as failed:
        platform.begin(100, "start")
    assert failed.value.lost


@pytest.mark.parametrize("reset", [False, True])
def test_a_body_that_is_cut_is_no_answer(standin, platform, vm, reset):
    standin.knobs.next("truncate", "/nodes/pve1/qemu$", method="GET", reset=reset)
    with pytest.raises(Failed) as failed:
        platform.do("guests")
    assert failed.value.code == "no_answer" and not failed.value.lost
    standin.knobs.next("truncate", "/status/start", method="POST", reset=reset)
    with pytest.raises(Failed) as failed:
        platform.begin(100, "start")
    assert failed.value.lost
    assert [guest["id"] for guest in platform.do("guests")["seen"]] == ["100"]


def test_an_answer_of_ten_megabytes_is_refused_and_the_next_one_read(standin, platform, vm):
    standin.knobs.next("huge", "/nodes/pve1/qemu$", method="GET")
    with pytest.raises(Failed, match="more than 8388608 bytes") as failed:
        platform.do("guests")
    assert not failed.value.lost
    standin.knobs.next("huge", "/status/start", method="POST")
    with pytest.raises(Failed) as failed:
        platform.begin(100, "start")
    assert failed.value.lost
    assert len(platform.do("guests")["seen"]) == 1


def test_a_slow_answer_is_awaited_as_long_as_the_call_may_take_and_no_longer(standin, opened, vm):
    standin.knobs.next("drip", "/config", method="GET", times=4, bytes=40, seconds=0.001)
    assert opened(standin).guest(100)["name"] == "one"
    standin.knobs.clear()
    hasty = opened(standin, patience_ms=700)
    began = time.monotonic()
    standin.knobs.next("drip", "/config", method="GET", bytes=1, seconds=1)
    with pytest.raises(Failed) as failed:
        hasty.guest(100)
    assert failed.value.code == "no_answer" and time.monotonic() - began < 60
    standin.knobs.clear()
    standin.knobs.next("drip", "/status/start", method="POST", bytes=1, seconds=1)
    with pytest.raises(Failed) as failed:
        hasty.begin(100, "start")
    assert failed.value.lost


# -- nodes


def test_on_a_node_that_was_renamed_no_guest_is_taken_for_gone(standin, platform, vm):
    standin.knobs.rename_node("pve1", "box")
    for ask in (lambda: platform.do("guests"), lambda: platform.guest(100), lambda: platform.guest(999),
                lambda: platform.begin(100, "start", incarnation="x"), lambda: platform.do("host")):
        with pytest.raises(Failed, match="names a node that its cluster does not know") as failed:
            ask()
        assert "renamed" in failed.value.hint
    assert not vm.running


def test_a_guest_that_moved_to_another_node_is_not_gone(opened):
    with StandIn(("pve1", "pve2"), scale=100) as pair:
        for number in (100, 101):
            pair.add_vm(number, name=f"vm-{number}")
        one, other = opened(pair, node="pve1"), opened(pair, node="pve2")
        incarnation = one.guest(100)["incarnation"]
        pair.knobs.move(100, "pve2")
        for ask in (lambda: one.guest(100), lambda: one.begin(100, "start", incarnation=incarnation)):
            with pytest.raises(Failed, match="guest 100 is on the node pve2") as failed:
                ask()
            assert failed.value.code == "wrong_state"
        assert one.guest(102) is None, "that one is nowhere"
        assert other.guest(100)["incarnation"] == incarnation
        assert other.carry_out(100, "start")["phase"] == "done"
        pair.knobs.node_online("pve2", False)
        pair.knobs.broadcast()
        with pytest.raises(Failed) as failed:
            other.guest(100)
        assert failed.value.code == "no_answer"
        with pytest.raises(Failed, match="is on the node pve2"):
            one.guest(100)


# -- rights that go


ALL, BELOW = "/vms", "/vms and below"


def lacks_of(platform):
    return {lack["what"] for lack in platform.do("preflight")}


def test_a_token_that_expires_under_way_ends_in_one_refusal_and_no_conclusion(standin, platform, vm):
    handle = platform.begin(100, "start")
    standin.knobs.expire("agent@pve!main")
    for ask in (lambda: platform.do("look", handle=handle), lambda: platform.guest(100), lambda: platform.do("guests")):
        before = len(standin.requests)
        with pytest.raises(Failed, match="has not expired") as failed:
            ask()
        assert failed.value.code == "denied" and len(standin.requests) == before + 1


def see(platform):
    told = platform.do("guests")
    return [guest["id"] for guest in told["seen"]], told["doubt"]


@pytest.mark.parametrize("day, hole", [("all of it", "/vms"), ("not passed on", "/vms"), ("of one guest", "/vms/100"),
                                       ("of the users", "/vms"), ("replaced at /vms", "/vms")])
def test_a_list_that_got_short_because_a_right_went_leaves_a_doubt(standin, opened, vm, container, day, hole):
    platform = opened(standin)
    assert see(platform) == (["100", "200"], "")
    standin.access.add_role("power", {"VM.PowerMgmt"})
    if day == "all of it":
        standin.knobs.withdraw("agent@pve!main")
    elif day == "of the users":
        standin.knobs.withdraw("agent@pve")
    elif day == "not passed on":
        standin.knobs.withdraw("agent@pve!main")
        standin.knobs.grant("agent@pve!main", "Agent16", "/vms", propagate=0)
    else:
        standin.knobs.grant("agent@pve!main", "power", hole)
    seen, doubt = see(platform)
    assert "100" not in seen and f"no VM.Audit on {hole}" in doubt
    with pytest.raises(Failed) as failed:
        platform.guest(100)
    assert failed.value.code == "denied"
    assert f"VM.Audit on {hole if hole != ALL else BELOW}" in lacks_of(platform)


def test_a_clock_that_is_apart_by_an_hour_is_told_and_harms_nothing(standin, platform, vm):
    for seconds in (3600, -3600):
        standin.knobs.wrong_clock(seconds)
        assert abs(platform.do("host")["clock"] - standin.clock.shown()) < 3600
        assert abs(platform.do("host")["clock"] - standin.clock.now()) > 1800
        assert platform.carry_out(100, "start")["phase"] == "done"
        assert platform.carry_out(100, "stop", patience=0, force=True)["phase"] == "done"


@pytest.mark.parametrize("kind", ["qemu", "lxc"])
@pytest.mark.parametrize("action, what", [("start", {}), ("destroy", {}), ("grow", {"disk_mib": 9999}), ("backup", {}),
                                          ("rollback", {"snapshot": "aa"}), ("stop", {"patience": 0, "force": True})])
def test_a_guest_that_somebody_made_anew_meanwhile_is_not_touched(standin, platform, vm, kind, action, what):
    incarnation = platform.guest(100)["incarnation"]
    standin.knobs.replace(100, kind=kind, running=action == "stop", **({"network": True} if kind == "lxc" else {}))
    before = standin.guests.by_id[100].digest()
    with pytest.raises(Failed, match="is not the one that is meant"):
        platform.begin(100, action, incarnation=incarnation, **what)
    assert standin.guests.by_id[100].digest() == before and not standin.tasks.by_upid
    assert platform.guest(100)["incarnation"] not in ("", incarnation)


# -- which right each call needs


NEEDS = [(100, "set-config", {"cpus": 2}, "VM.Config.CPU", ALL), (100, "set-config", {"memory_mib": 256}, "VM.Config.Memory", ALL),
         (100, "set-config", {"description": "x"}, "VM.Config.Options", ALL),
         (100, "set-config", {"tags": ["x"]}, "VM.Config.Options", ALL),
         (100, "set-config", {"is_protected": True}, "VM.Config.Options", ALL),
         (200, "set-config", {"cpus": 1}, "VM.Config.CPU", ALL),
         (200, "set-config", {"memory_mib": 256}, "VM.Config.Memory", ALL),
         (200, "set-config", {"start_on_boot": True}, "VM.Config.Options", ALL),
         (200, "set-config", {"name": "other"}, "VM.Config.Network", ALL),
         (100, "grow", {"disk_mib": 4096}, "VM.Config.Disk", ALL),
         (100, "start", {}, "VM.PowerMgmt", ALL), (200, "start", {}, "VM.PowerMgmt", ALL),
         (101, "stop", {"patience": 1}, "VM.PowerMgmt", ALL),
         (101, "stop", {"patience": 0, "force": True}, "VM.PowerMgmt", ALL),
         (100, "snapshot", {"snapshot": "bb"}, "VM.Snapshot", ALL),
         (100, "delete-snapshot", {"snapshot": "aa"}, "VM.Snapshot", ALL),
         (100, "backup", {"repository": "local"}, "VM.Backup", ALL),
         (200, "backup", {"repository": "local"}, "Datastore.AllocateSpace", "/storage/local"),
         (100, "destroy", {}, "VM.Allocate", ALL), (200, "destroy", {}, "VM.Allocate", ALL)]


@pytest.fixture()
def world(standin, vm, container):
    standin.add_vm(101, running=True)
    standin.knobs.take_snapshot(100, "aa")
    return standin


GUEST_AGENT = {"VM.GuestAgent.Audit", "VM.GuestAgent.FileSystemMgmt", "VM.GuestAgent.Unrestricted"}


def small(world, opened, *lacking, **settings):
    """Everything but that; what the guest agent needs, too."""
    world.access.add_role("small", (set(AGENT_ROLE) | GUEST_AGENT | {"VM.Clone"}) - set(lacking))
    return opened(world, token="small@pve!tok", role="small", **settings)


@pytest.mark.parametrize("number, kind, what, privilege, path", NEEDS, ids=lambda value: str(value)[:30])
def test_a_right_that_lacks_is_named_before_and_when_it_is_needed(world, opened, number, kind, what, privilege, path):
    platform = small(world, opened, privilege)
    if kind == "set-config":
        what = what | {"digest": platform.guest(number)["digest"]}
    with pytest.raises(Failed) as failed:
        platform.begin(number, kind, **what)
    at = f"/vms/{number}" if path == ALL else path
    assert f"needs {privilege} on {at}" in failed.value.message
    assert failed.value.code == "denied" and not failed.value.lost and not world.tasks.by_upid
    assert f"{privilege} on {BELOW if path == ALL else path}" in lacks_of(platform)


@pytest.mark.parametrize("ask, privilege, at", [("guest", "VM.Audit", "/vms/100"), ("host", "Sys.Audit", "/nodes/pve1")])
def test_a_right_to_look_that_lacks_is_named(world, opened, ask, privilege, at):
    platform = small(world, opened, privilege)
    with pytest.raises(Failed, match=f"needs {privilege} on {at}"):
        platform.do(ask, guest="100")
    assert privilege in str(platform.do("preflight"))


@pytest.mark.parametrize("held, works", [({"VM.Snapshot.Rollback"}, True), ({"VM.Snapshot"}, True), (set(), False)])
def test_a_rollback_needs_one_of_two_rights(world, opened, held, works):
    platform = small(world, opened, *({"VM.Snapshot", "VM.Snapshot.Rollback"} - held))
    lack = f"VM.Snapshot.Rollback on {BELOW} or VM.Snapshot on {BELOW}"
    assert (lack in lacks_of(platform)) == (not works)
    try:
        assert platform.carry_out(100, "rollback", snapshot="aa")["phase"] == "done" and works
    except Failed as failed:
        assert not works and "needs VM.Snapshot or VM.Snapshot.Rollback on /vms/100" in failed.message


def test_a_backup_is_deleted_with_one_of_two_sets_of_rights_and_restored_with_two_rights(world, opened, platform):
    platform.carry_out(200, "backup", repository="local")
    [row] = platform.do("backups", storage="local")
    for lacking in (("Datastore.Allocate", "VM.Backup"), ("Datastore.Allocate", "Datastore.AllocateSpace")):
        with pytest.raises(Failed) as failed:
            small(world, opened, *lacking).begin(200, "delete-backup", backup=row["id"])
        assert failed.value.code == "denied"
    for lacking in ("VM.Allocate", "Datastore.AllocateSpace"):
        with pytest.raises(Failed) as failed:
            small(world, opened, lacking).begin(300, "restore", incarnation="", backup=row["id"])
        assert failed.value.code == "denied" and platform.guest(300) is None
    assert small(world, opened, "VM.Backup").carry_out(200, "delete-backup", backup=row["id"])["phase"] == "done"


def test_a_role_that_may_save_a_guest_cannot_be_led_to_restore_over_it(world, opened, platform):
    platform.carry_out(200, "backup", repository="local")
    [row] = platform.do("backups", storage="local")
    world.access.add_role("saver", {"VM.Backup", "VM.Audit", "Datastore.AllocateSpace", "Datastore.Audit", "SDN.Use"})
    saver, before = opened(world, token="backup@pve!only", role="saver"), platform.guest(200)
    with pytest.raises(Failed):
        saver.begin(200, "restore", incarnation="", backup=row["id"])
    assert platform.guest(200) == before


def test_no_right_is_demanded_for_a_call_that_is_never_made(world, opened):
    assert small(world, opened).do("preflight") == []
    assert small(world, opened, "Datastore.Allocate", "Datastore.Audit").do("preflight") == []


def test_what_lacks_on_the_storage_of_restored_disks_is_told(world, opened):
    platform = small(world, opened, storage="local", disk_storage="other")
    for who in ("small@pve", "small@pve!tok"):
        world.knobs.grant(who, "NoAccess", "/storage/other")
        world.access.add_role("audit", {"Datastore.Audit"})
        world.knobs.grant(who, "audit", "/storage/other")
    assert lacks_of(platform) == {"Datastore.AllocateSpace on /storage/other"}
