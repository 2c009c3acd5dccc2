# SPDX-License-Identifier: MIT
"""What looks like an action's end and is none: another hand's guest, an older snapshot, a list that may lack what is there."""

import time

import pytest
from platform_process import Failed
from test_facts_guests import saved


def lost(platform, standin, pattern, method, **wanted):
    """The change never arrives; what a later look makes of it."""
    note = platform.do("note", **wanted)
    standin.knobs.next("lose_before", pattern, method=method)
    with pytest.raises(Failed) as failed:
        platform.do("begin", **wanted, note=note)
    assert failed.value.lost
    return lambda: platform.do("recover", **wanted, note=note, ms=300)


def new(source, kind):
    return {"guest": "", "incarnation": "", "action": {"kind": kind, "source" if kind == "create" else "backup": source}}


@pytest.mark.parametrize("kind", ["create", "restore"])
@pytest.mark.parametrize("number", [100, 200])
def test_a_guest_that_somebody_else_made_under_the_id_is_not_taken_for_ours(standin, platform, vm, container, number, kind):
    wanted = new(saved(platform, number), kind)
    recover = lost(platform, standin, f"/nodes/pve1/{'qemu' if number == 100 else 'lxc'}$", "POST", **wanted)
    standin.add_vm(101) if number == 100 else standin.add_container(101, network=True)
    assert recover()["phase"] == "unknown"


def test_an_older_snapshot_of_the_name_is_not_the_new_one(standin, platform, vm):
    standin.knobs.take_snapshot(100, "daily")
    recover = lost(platform, standin, "/snapshot$", "POST", **platform.wanted(100, "snapshot", snapshot="daily"))
    assert recover()["phase"] == "unknown"


def test_a_backup_that_a_list_does_not_show_is_not_thought_deleted(standin, platform, vm, container):
    volume = saved(platform, 200)
    recover = lost(platform, standin, "/content/", "DELETE", **platform.wanted(200, "delete-backup", backup=volume))
    standin.knobs.withdraw("agent@pve!main")
    standin.access.add_role("look", {"VM.Audit", "Datastore.Audit", "Datastore.AllocateSpace", "Sys.Audit"})
    standin.knobs.grant("agent@pve!main", "look")
    assert recover()["phase"] == "unknown"


def test_another_generation_is_not_the_guests_end(standin, platform, vm):
    standin.knobs.take_snapshot(100, "aa")
    recover = lost(platform, standin, "/qemu/100$", "DELETE", **platform.wanted(100, "destroy"))
    platform.carry_out(100, "rollback", snapshot="aa")
    assert recover()["phase"] == "unknown"


@pytest.mark.parametrize("description", ["x\n", "x \n\n", "Ä\r\ny"])
def test_a_change_is_recognised_by_what_it_means(standin, platform, container, description):
    wanted = platform.wanted(200, "set-config", digest=platform.guest(200)["digest"], description=description, tags=["B", "a"])
    note = platform.do("note", **wanted)
    standin.knobs.next("lose_after", "/lxc/200/config", method="PUT")
    with pytest.raises(Failed):
        platform.do("begin", **wanted, note=note)
    assert platform.do("recover", **wanted, note=note, ms=300)["phase"] == "done"


def test_a_container_that_nobody_can_tell_from_a_later_one_keeps_its_data(standin, platform):
    standin.add_container(210)
    assert platform.guest(210)["incarnation"] == ""
    for kind, more in (("destroy", {}), ("rollback", {"snapshot": "aa"}), ("delete-snapshot", {"snapshot": "aa"})):
        with pytest.raises(Failed, match="cannot be told from a later one of its id"):
            platform.begin(210, kind, **more)
    assert platform.carry_out(210, "start")["phase"] == "done"


def test_what_was_certainly_not_begun_may_be_begun_again(standin, platform, vm):
    wanted = platform.wanted(100, "start")
    note = platform.do("note", **wanted)
    standin.knobs.daemon("dead")
    with pytest.raises(Failed) as failed:
        platform.do("begin", **wanted, note=note)
    assert failed.value.code == "hypervisor_down" and not failed.value.lost and "nothing was begun" in failed.value.hint
    standin.knobs.daemon("works")
    handle = platform.do("begin", **wanted, note=note)
    assert platform.do("await", handle=handle)["phase"] == "done"


def test_a_signal_while_an_answer_is_awaited_leaves_the_change_in_doubt(standin, platform, vm):
    wanted = platform.wanted(100, "start")
    note = platform.do("note", **wanted)
    standin.knobs.next("silent", "/status/start", method="POST")
    platform.send({"do": "begin", **wanted, "note": note})
    while not any(path.endswith("/status/start") for _, path, _ in standin.requests):
        time.sleep(0.01)
    platform.process.terminate()
    told = platform.answer()
    assert told["error"]["lost"] and "is not known" in told["error"]["message"]


@pytest.mark.parametrize("said", [None, 1])
def test_a_copy_starts_with_the_host_only_where_that_is_said(standin, platform, vm, container, said):
    standin.knobs.edit(200, onboot=1)
    wanted = new(saved(platform, 200), "create")
    wanted["action"] |= {"onboot": said} if said else {}
    handle = platform.do("begin", **wanted, note=platform.do("note", **wanted))
    assert platform.do("await", handle=handle)["phase"] == "done"
    assert platform.guest(101)["config"]["start_on_boot"] is bool(said)
