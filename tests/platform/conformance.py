# SPDX-License-Identifier: MIT
"""What every platform promises (src/platform/platform.hpp): tests for a fixture `world`.

A world has one guest, `id`, which is off, with 1 processor and 512 MiB; `other` is an id that nothing has; `platform` is the
program. `lacks` are the kinds of action that this platform does not have: those refuse, and say so. `making(kind)` says of what a
create or a restore makes a guest; from `deafen` on, the guest does not react to a shutdown.
"""

import functools

import pytest
from platform_process import Failed


def needs(kind, **action):
    """For a test of that kind of action: on a platform that lacks it, the refusal is tested instead."""
    def decorate(test):
        @functools.wraps(test)
        def decorated(world):
            if kind not in world.lacks:
                return test(world)
            with pytest.raises(Failed, match=f"no action {kind} yet") as failed:
                world.platform.begin(world.id, kind, **action)
            assert failed.value.code == "invalid"
        return decorated
    return decorate


def power(world):
    return world.platform.guest(world.id)["power"]


def config(world):
    return world.platform.guest(world.id)["config"]


def test_a_guest_is_seen_in_the_list_and_by_itself(world):
    told = world.platform.do("guests")
    assert [guest["id"] for guest in told["seen"]] == [str(world.id)] and told["doubt"] == ""
    guest = world.platform.guest(world.id)
    assert (guest["kind"], guest["power"], guest["config"]["memory_mib"]) == ("vm", "stopped", 512)
    assert guest["incarnation"] and guest["digest"]
    assert world.platform.guest(world.other) is None


def test_an_action_is_done_when_its_end_was_seen(world):
    assert world.platform.carry_out(world.id, "start")["phase"] == "done"
    assert power(world) == "running"
    assert world.platform.carry_out(world.id, "stop", patience=0, force=True)["phase"] == "done"
    assert power(world) == "stopped"


@needs("set-config", cpus=2)
def test_what_is_said_is_changed_and_nothing_else(world):
    before = config(world)
    end = world.platform.carry_out(world.id, "set-config", digest=world.platform.guest(world.id)["digest"], cpus=2, description="text\n\n")
    assert end["phase"] == "done"
    after = config(world)
    assert (after["cpus"], after["description"]) == (2, "text")
    assert {**after, "cpus": 1, "description": ""} == before


@needs("set-config", memory_mib=256)
def test_a_configuration_that_changed_meanwhile_is_not_overwritten(world):
    digest = world.platform.guest(world.id)["digest"]
    world.edit(world.id)
    try:
        end = world.platform.carry_out(world.id, "set-config", digest=digest, memory_mib=256)
        assert end["phase"] == "failed" and end["error"]["code"] == "busy"
    except Failed as failed:
        assert failed.code == "busy"
    assert config(world)["memory_mib"] == 333


@needs("grow", disk_mib=2048)
def test_a_disk_grows_and_never_shrinks(world):
    before = config(world)["disk_mib"]
    assert world.platform.carry_out(world.id, "grow", disk_mib=before + 1024)["phase"] == "done"
    assert config(world)["disk_mib"] == before + 1024
    try:
        assert world.platform.carry_out(world.id, "grow", disk_mib=before)["phase"] == "failed"
    except Failed as failed:
        assert failed.code == "invalid"
    assert config(world)["disk_mib"] == before + 1024


def test_a_later_guest_of_the_same_id_is_left_alone(world):
    before = world.platform.guest(world.id)["incarnation"]
    world.replace(world.id)
    for kind in {"start", "destroy", "grow"} - world.lacks:
        with pytest.raises(Failed, match="made anew") as failed:
            world.platform.begin(world.id, kind, incarnation=before, disk_mib=4096)
        assert failed.value.code == "wrong_state"
    with pytest.raises(Failed):
        world.platform.begin(world.id, "destroy", incarnation="")
    assert power(world) == "stopped"


KINDS = ("start", "stop", "resume", "set-config", "grow", "snapshot", "rollback", "delete-snapshot", "backup", "delete-backup",
         "destroy", "set-features", "mount", "unmount")
WITH = {"set-features": {"features": ["keyctl"]}, "mount": {"point": "/mnt/usb-1"}, "unmount": {"point": "/mnt/usb-1"}}
"""What kinds need to be told beside their name."""


def test_what_a_platform_does_not_have_it_says_beforehand(world):
    """And nothing else; in the words of the refusal itself."""
    of_whom = {kind: "container" if kind == "set-features" else "vm" for kind in KINDS}
    refused = {kind: world.platform.do("refusal", kind=of_whom[kind], action={"kind": kind, **WITH.get(kind, {})}) for kind in KINDS}
    assert {kind for kind, told in refused.items() if told} == set(KINDS) & world.lacks
    for kind in set(KINDS) & world.lacks:
        with pytest.raises(Failed) as failed:
            world.platform.begin(world.id, kind, **WITH.get(kind, {}))
        assert {"code": failed.value.code, "message": failed.value.message, "hint": failed.value.hint} == refused[kind]


USB = {"guest": "storage:usb-1", "incarnation": "filesystem:1A2B-3C4D"}


def on_storage(world, kind, point="/mnt/usb-1", **target):
    wanted = {**USB, **target, "action": {"kind": kind, "point": point}}
    return world.platform.do("await", handle=world.platform.do("begin", **wanted, note=world.platform.do("note", **wanted)))


def is_mounted(world, point="/mnt/usb-1"):
    return world.platform.do("is-mounted", **USB, point=point)


@needs("mount", point="/mnt/usb-1")
def test_storage_is_mounted_and_taken_away_again(world):
    assert is_mounted(world) is False
    for _ in range(2):
        assert on_storage(world, "mount")["phase"] == "done"
        assert is_mounted(world) is True and is_mounted(world, "/mnt/other") is False
    for _ in range(2):
        assert on_storage(world, "unmount")["phase"] == "done"
        assert is_mounted(world) is False


@needs("mount", point="/mnt/usb-1")
def test_a_mount_whose_answer_got_lost_is_found_by_what_is_mounted(world):
    wanted = {**USB, "action": {"kind": "mount", "point": "/mnt/usb-1"}}
    note = world.platform.do("note", **wanted)
    assert world.platform.do("recover", **wanted, note=note, ms=0)["phase"] == "unknown"
    world.platform.do("begin", **wanted, note=note)
    assert world.platform.do("recover", **wanted, note=note, ms=0)["phase"] == "done"


@needs("mount", point="/mnt/usb-1")
def test_storage_is_no_guest_and_a_guest_no_storage(world):
    for target in ({"guest": str(world.id)}, {"incarnation": "uuid:1A2B-3C4D"}, {"incarnation": ""}):
        for kind in ("mount", "unmount"):
            with pytest.raises(Failed, match="no storage") as failed:
                on_storage(world, kind, **target)
            assert failed.value.code == "invalid"
    with pytest.raises(Failed):
        world.platform.begin("storage:usb-1", "destroy", incarnation="filesystem:1A2B-3C4D")
    assert is_mounted(world) is False


def test_ids_that_no_guest_can_have_are_told_beforehand(world):
    assert world.platform.do("misfit", guest=str(world.other)) is None
    if world.name != "simulated":
        assert world.platform.do("misfit", guest="../x")["code"] == "invalid"


def test_a_locked_guest_is_told_and_not_changed(world):
    why = world.lock(world.id)
    assert world.platform.guest(world.id)["lock"] == why
    try:
        end = world.platform.carry_out(world.id, "start")
        assert end["phase"] == "failed" and end["error"]["code"] == "wrong_state" and why in end["error"]["message"]
    except Failed as failed:
        assert failed.code == "wrong_state" and why in failed.message
    assert power(world) == "stopped"


@pytest.mark.parametrize("after", [False, True], ids=["before it was done", "after it was done"])
def test_an_action_whose_answer_got_lost_is_found_again_if_it_was_begun(world, after):
    wanted = world.platform.wanted(world.id, "start")
    note = world.platform.do("note", **wanted)
    world.lose(wanted, note, after)
    end = world.platform.do("recover", **wanted, note=note, ms=20_000 if after else 300)
    assert (end["phase"], power(world)) == (("done", "running") if after else ("unknown", "stopped"))


def test_a_list_that_may_lack_guests_says_so(world):
    world.hide()
    told = world.platform.do("guests")
    assert told["doubt"] != ""


def test_an_action_that_the_platform_forgot_is_unknown_not_failed(world):
    handle = world.platform.begin(world.id, "start")
    assert world.platform.do("await", handle=handle)["phase"] == "done"
    world.vanish(handle)
    told = world.platform.do("look", handle=handle)
    assert told["phase"] == "unknown" and told["detail"]


def test_a_guest_is_destroyed_only_when_it_is_off(world):
    world.platform.carry_out(world.id, "start")
    try:
        assert world.platform.carry_out(world.id, "destroy")["phase"] == "failed"
    except Failed as failed:
        assert failed.code == "wrong_state"
    world.platform.carry_out(world.id, "stop", patience=0, force=True)
    assert world.platform.carry_out(world.id, "destroy")["phase"] == "done"
    assert world.platform.guest(world.id) is None


def test_an_id_that_is_taken_is_refused_and_its_guest_stays_as_it_is(world):
    before = world.platform.guest(world.id)
    for kind in {"create", "restore"} - world.lacks:
        wanted = world.platform.wanted(world.id, kind, "", **world.making(kind))
        note = world.platform.do("note", **wanted)
        with pytest.raises(Failed) as failed:
            world.platform.do("begin", **wanted, note=note)
        assert failed.value.code == "exists" and not failed.value.lost
    assert world.platform.guest(world.id) == before


@needs("delete-backup", backup="local:backup/x")
def test_a_backup_outlives_its_guest_and_is_deleted_by_who_says_that_the_guest_is_gone(world):
    source, incarnation = world.making("restore"), world.platform.guest(world.id)["incarnation"]
    assert world.platform.carry_out(world.id, "destroy")["phase"] == "done"
    with pytest.raises(Failed, match="is gone since") as failed:
        world.platform.begin(world.id, "delete-backup", incarnation=incarnation, **source)
    assert failed.value.code == "wrong_state"
    with pytest.raises(Failed, match="is no backup of guest") as failed:
        end = world.platform.carry_out(world.other, "delete-backup", incarnation="", **source)
        raise Failed(end["error"])
    assert failed.value.code == "invalid"
    assert world.platform.carry_out(world.id, "delete-backup", incarnation="", **source)["phase"] == "done"


def test_a_note_changes_nothing_and_can_be_had_again(world):
    wanted, before = world.platform.wanted(world.id, "start"), world.platform.guest(world.id)
    notes = [world.platform.do("note", **wanted) for _ in range(2)]
    assert world.platform.guest(world.id) == before
    for note in notes:
        assert note.isprintable() and note.isascii()
        assert world.platform.do("recover", **wanted, note=note, ms=0)["phase"] == "unknown", "nothing was begun"
    handle = world.platform.do("begin", **wanted, note=notes[0])
    assert world.platform.do("await", handle=handle)["phase"] == "done" and power(world) == "running"
    assert world.platform.do("recover", **wanted, note=notes[0])["phase"] == "done"


def test_an_action_whose_handle_could_not_be_kept_goes_on_and_is_found_by_its_note(world):
    wanted = world.platform.wanted(world.id, "start")
    note = world.platform.do("note", **wanted)
    with pytest.raises(Failed, match="the disk is full") as failed:
        world.platform.do("begin", **wanted, note=note, full=True)
    assert failed.value.code == "io"
    assert world.platform.do("recover", **wanted, note=note)["phase"] == "done" and power(world) == "running"


def test_an_action_that_is_interrupted_ends_and_leaves_the_guest_to_the_next_one(world):
    world.platform.carry_out(world.id, "start")
    world.deafen(world.id)
    handle = world.platform.begin(world.id, "stop", patience=3600)
    assert world.platform.do("look", handle=handle)["phase"] == "running"
    world.platform.do("interrupt", handle=handle)
    end = world.platform.do("await", handle=handle)
    assert end["phase"] == "failed" and end["error"]["code"] == "interrupted"
    assert power(world) == "running"
    assert world.platform.carry_out(world.id, "stop", patience=0, force=True)["phase"] == "done" and power(world) == "stopped"


def test_an_interruption_of_what_has_ended_changes_nothing(world):
    handle = world.platform.begin(world.id, "start")
    assert world.platform.do("await", handle=handle)["phase"] == "done"
    world.platform.do("interrupt", handle=handle)
    assert world.platform.do("look", handle=handle)["phase"] == "done" and power(world) == "running"
    world.vanish(handle)
    world.platform.do("interrupt", handle=handle)
    assert power(world) == "running"


@needs("backup", repository="local")
def test_a_backup_is_restored_to_a_new_id_alone(world):
    assert world.platform.carry_out(world.id, "backup", repository="local", notes="before")["phase"] == "done"


@needs("backup", repository="local")
def test_a_platform_that_keeps_backups_lists_the_one_that_was_made(world):
    if not world.platform.do("keeps-backups"):
        return
    wanted = world.platform.wanted(world.id, "backup", repository="local", notes="mine", is_protected=True)
    note = world.platform.do("note", **wanted)
    assert world.platform.do("kept-made-by", **wanted, note=note) is None
    handle = world.platform.do("begin", **wanted, note=note)
    assert world.platform.do("await", handle=handle)["phase"] == "done"
    made = world.platform.do("kept-made-by", **wanted, note=note)
    told = world.platform.do("kept-backups")
    assert told == {"seen": [made], "doubts": []}
    assert (made["guest"], made["kind"], made["place"], made["notes"], made["is_protected"]) == (str(world.id), "vm", "local", "mine", True)
    assert world.platform.do("kept-config", backup=made["id"])["memory_mib"] == config(world)["memory_mib"]
