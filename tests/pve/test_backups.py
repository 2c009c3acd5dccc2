# SPDX-License-Identifier: MIT
"""backup on a node: what is listed, how a backup is told while it runs, what is its volume, and what stands in its way."""

import json
import subprocess
import time

import pytest
from node.volumes import Archive, Volume
from platform_process import Failed
from test_verbs import BINARY, Host

NOW = 1795881600


@pytest.fixture()
def host(standin, tmp_path):
    standin.add_vm(100, name="web", cores=2, memory=512, disks={"scsi0": 4}, running=True, net0="virtio=BC:24:11:00:00:01,bridge=vmbr0")
    standin.add_container(200, network=True)
    return Host(standin, tmp_path)


def backed_up(host, guest, *options):
    run = host.run("backup", guest, "--json", *options)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def listed(host, *words):
    run = host.run("backup", "list", *words, "--json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def stored(standin, volid, guest, made=NOW, kind="qemu", **more):
    storage = standin.storage(volid.partition(":")[0])
    storage.volumes[volid] = Volume(volid, "backup", "vma.zst", 1 << 20, made, guest, archive=Archive(kind, {"name": "old"}, 1), **more)


def refused(host, *words):
    run = host.run(*words)
    assert run.returncode != 0 and run.stdout == "", run.stdout
    return run.stderr


# -- a backup


def test_a_guest_is_backed_up_and_its_volume_is_told(standin, host):
    [phase, told] = backed_up(host, "100")
    assert phase == {"guest": "100", "phase": "the guest may run on"}
    [volume] = [each for each in standin.storage("local").volumes.values() if each.content == "backup"]
    assert (told["id"], told["guest"], told["name"], told["place"]) == (volume.volid, "100", "web", "local")
    assert (told["mode"], told["consistency"], told["protected"], told["warnings"]) == ("snapshot", "crash", False, [])
    assert volume.notes == f"web, blockhost {told['operation']}"
    assert told["size_bytes"] == volume.size


def test_a_name_will_do_and_protection_is_asked_for(standin, host):
    [_, told] = backed_up(host, "web", "--protected")
    assert told["protected"] and standin.storage("local").volumes[told["id"]].protected


def test_where_the_agent_freezes_the_file_systems_that_is_told(standin, host):
    standin.guests.by_id[100].agent = {}
    standin.guests.by_id[100].config["agent"] = "1"
    assert backed_up(host, "100")[1]["consistency"] == "frozen"
    assert listed(host, "web")[0]["consistency"] == "frozen"


def test_a_guest_that_is_off_is_backed_up_as_such(host):
    [_, told] = backed_up(host, "200")
    assert (told["mode"], told["consistency"], told["held_s"]) == ("stop", "off", None)


def test_a_fallback_is_told_with_its_reason(standin, host):
    standin.add_container(201, running=True)
    run = host.run("backup", "201", "--json")
    assert "WARNING: it was taken in mode suspend: some volumes do not support snapshots" in run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert (told["mode"], told["consistency"], told["held_s"]) == ("suspend", "crash", "<1")


def test_the_moment_at_which_the_guest_may_run_on_is_told_while_the_backup_runs(standin, host):
    standin.knobs.next_task_takes(2000)
    run = subprocess.Popen([BINARY, "backup", "100", "--json"], cwd=host.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, env={"PATH": "/usr/bin:/bin", "BLOCKHOST_ROOT": str(host.folder / "root")})
    assert json.loads(run.stdout.readline())["phase"] == "the guest may run on"
    assert not any(each.content == "backup" for each in standin.storage("local").volumes.values()), "it is being read"
    standing = host.told("operations")
    assert standing[0]["detail"].startswith("the guest may run on (snapshot mode); 40 % read")
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0 and "100 (web): the guest may run on (snapshot mode)" in err, err
    assert json.loads(out)["id"]


def test_another_hands_backup_is_not_taken_for_ours(standin, platform, vm):
    wanted = platform.wanted(100, "backup", repository="local", notes="mine, blockhost 1")
    note = platform.do("note", **wanted)
    assert platform.do("kept-made-by", **wanted, note=note) is None
    stored(standin, "local:backup/vzdump-qemu-100-a.vma", 100, notes="somebody's")
    assert platform.do("kept-made-by", **wanted, note=note) is None, "it has other notes"
    stored(standin, "local:backup/vzdump-qemu-101-b.vma", 101, notes="mine, blockhost 1")
    assert platform.do("kept-made-by", **wanted, note=note) is None, "it is another guest's"
    stored(standin, "local:backup/vzdump-qemu-100-c.vma", 100, notes="mine, blockhost 1")
    assert platform.do("kept-made-by", **wanted, note=note)["id"] == "local:backup/vzdump-qemu-100-c.vma"
    later = platform.do("note", **wanted)
    assert platform.do("kept-made-by", **wanted, note=later) is None, "it was there before"
    stored(standin, "local:backup/vzdump-qemu-100-d.vma", 100)
    assert platform.do("kept-made-by", **wanted, note=later)["id"][-5:-4] == "d", "the one that came, whose notes were not written"


def test_several_guests_are_backed_up_one_after_another_and_one_that_fails_stops_no_other(standin, host):
    run = host.run("backup", "999", "100")
    assert run.returncode == 1
    first, second = run.stdout.splitlines()
    assert first == "999 is not backed up: there is no guest 999; 'blockhost-libvirt guests' lists them"
    assert second.startswith("100 (web) is backed up as local:backup/vzdump-qemu-100-") and "mode snapshot, crash" in second


# -- what stands in its way


def test_a_guest_that_vanished_is_told_as_such(standin, platform, vm):
    wanted = platform.wanted(100, "backup", repository="local")
    standin.knobs.next_task_takes(0)
    handle = platform.do("begin", **wanted, note=platform.do("note", **wanted))
    end = platform.do("await", handle=handle)
    assert end["phase"] == "done"
    upid = platform.change("POST", "/nodes/pve1/vzdump", vmid=999, storage="local")
    end = platform.do("await", handle=f"{upid} 999")
    assert (end["phase"], end["error"]["code"]) == ("failed", "not_found")


@pytest.mark.parametrize("number", [100, 200])
def test_a_storage_that_runs_full_meanwhile_is_no_room(standin, host, number):
    standin.add_vm(300, disks={"scsi0": 1})
    storage = standin.storage("local")
    standin.knobs.next_task_takes(300)
    run = subprocess.Popen([BINARY, "backup", str(number), "--json"], cwd=host.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, env={"PATH": "/usr/bin:/bin", "BLOCKHOST_ROOT": str(host.folder / "root")})
    while not any(target.startswith("/api2/json/nodes/pve1/vzdump") for _, target, _ in standin.requests):
        time.sleep(0.05)
    storage.avail = 0
    out, err = run.communicate(timeout=60)
    assert run.returncode == 9 and "the storage is full" in err and "make room there" in err, err
    assert not any(each.content == "backup" for each in storage.volumes.values())


def test_a_full_storage_is_refused_before_anything_is_begun(standin, host):
    standin.storage("local").avail = 0
    assert "the storage local is full" in refused(host, "backup", "100")
    assert not any(method != "GET" for method, _, _ in standin.requests)


def test_a_storage_that_is_not_reached_is_refused_before_anything_is_begun(standin, host):
    standin.storage("local").reached = False
    assert "the storage local is not reached" in refused(host, "backup", "100")
    assert not any(method != "GET" for method, _, _ in standin.requests)


def test_a_storage_that_goes_away_within_the_task_is_told_as_such(standin, platform, vm):
    wanted = platform.wanted(100, "backup", repository="local")
    note = platform.do("note", **wanted)
    standin.storage("local").reached = False
    end = platform.do("await", handle=platform.do("begin", **wanted, note=note))
    assert (end["phase"], end["error"]["code"]) == ("failed", "io") and "the storage is not there" in end["error"]["message"]


def test_a_missing_right_is_told_with_its_path(standin, host):
    standin.access.add_role("looks", {"VM.Audit", "Datastore.Audit", "Sys.Audit", "Datastore.AllocateSpace"})
    standin.knobs.withdraw("agent@pve!main")
    standin.knobs.grant("agent@pve!main", "looks")
    error = refused(host, "backup", "100")
    assert "needs VM.Backup on /vms/100" in error and "add the privilege to the token's role" in error


def test_another_backup_on_the_node_is_waited_for_and_told(standin, platform, vm):
    standin.add_vm(101, disks={"scsi0": 1})
    standin.knobs.next_task_takes(2000)
    first = platform.begin(101, "backup", repository="local")
    second = platform.begin(100, "backup", repository="local")
    state = platform.do("look", handle=second)
    assert (state["phase"], state["detail"]) == ("waiting", "another backup runs on this node")
    assert platform.do("kept-course", handle=second) is None
    for handle in (first, second):
        assert platform.do("await", handle=handle)["phase"] == "done"


def test_where_a_backup_goes_is_never_guessed_among_several(standin, host):
    host.configure(backup_storage=None)
    assert backed_up(host, "100")[1]["place"] == "local", "there is one"
    other = type(standin.storage("local"))("usb-1", "/mnt/usb-1", ["backup"])
    standin.storages["usb-1"] = other
    assert "several storages of the node take backups: local, usb-1" in refused(host, "backup", "100")
    assert backed_up(host, "100", "--storage", "usb-1")[1]["id"].startswith("usb-1:backup/")
    assert "nosuch is no storage of the node that takes backups" in refused(host, "backup", "100", "--storage", "nosuch")
    host.configure(backup_storage="usb-1")
    assert backed_up(host, "100")[1]["place"] == "usb-1"
    for each in standin.storages.values():
        each.content.discard("backup")
    host.configure(backup_storage=None)
    assert "no storage of the node takes backups" in refused(host, "backup", "100")


def test_two_guests_of_one_name_are_told_apart_by_number_alone(standin, host):
    standin.add_vm(101, name="web")
    assert "several guests are named web; name one by its number: 100, 101" in refused(host, "backup", "web")
    assert "there is no guest nosuch" in refused(host, "backup", "nosuch")


# -- the list


def test_backups_are_listed_with_all_that_is_told_of_them(standin, host):
    [_, ours] = backed_up(host, "100")
    stored(standin, "local:backup/vzdump-qemu-100-x.vma.zst", 100, notes="by hand", protected=True, verification="ok")
    stored(standin, "local:backup/vzdump-qemu-777-y.vma.zst", 777, made=NOW + 1, verification="failed")
    rows = {row["id"]: row for row in listed(host)}
    hand, gone, own = (rows[name] for name in ("local:backup/vzdump-qemu-100-x.vma.zst", "local:backup/vzdump-qemu-777-y.vma.zst",
                                               ours["id"]))
    assert (hand["verdict"], hand["protected"], hand["notes"], hand["operation"], hand["mode"]) == ("ok", True, "by hand", None, None)
    assert (gone["verdict"], gone["name"], gone["guest"]) == ("failed", None, "777")
    assert (own["operation"], own["mode"], own["consistency"], own["verdict"]) == (ours["operation"], "snapshot", "crash", None)
    assert own["age_s"] is not None and own["size_bytes"] == ours["size_bytes"] and own["place"] == "local"
    assert [row["guest"] for row in listed(host, "777")] == ["777"], "a backup outlives its guest"
    assert {row["id"] for row in listed(host, "web")} == {hand["id"], own["id"]}
    lines = host.run("backup", "list").stdout.splitlines()
    assert lines[0].split() == ["BACKUP", "GUEST", "TAKEN", "AGE", "SIZE", "HOW", "VERDICT", "PROTECTED", "NOTES"] and len(lines) == 4
    assert any("snapshot, crash" in line and "100 web" in line for line in lines)


def test_notes_that_look_like_ours_are_believed_only_by_our_own_record(standin, host):
    [_, ours] = backed_up(host, "100")
    stored(standin, "local:backup/vzdump-qemu-777-y.vma", 777, notes=f"web, blockhost {ours['operation']}")
    stored(standin, "local:backup/vzdump-qemu-100-z.vma", 100, notes="web, blockhost " + "a" * 32)
    assert [row["id"] for row in listed(host) if row["operation"]] == [ours["id"]]


def test_what_cannot_be_seen_is_told_and_is_not_nothing(standin, host):
    standin.storages["usb-1"] = type(standin.storage("local"))("usb-1", "/mnt/usb-1", ["backup"])
    standin.storage("usb-1").reached = False
    assert "more backups may exist: the storage usb-1 is not reached" in host.run("backup", "list").stderr
    standin.storage("usb-1").enabled = 0
    assert "more backups may exist: the storage usb-1 is switched off" in host.run("backup", "list").stderr
    standin.access.add_role("few", {"VM.Audit", "Datastore.Audit", "Datastore.AllocateSpace"})
    standin.knobs.withdraw("agent@pve!main")
    standin.knobs.grant("agent@pve!main", "few")
    assert "may not see all backups in local: it has no VM.Backup on /vms" in host.run("backup", "list").stderr
    standin.access.add_role("fewer", {"VM.Audit"})
    standin.knobs.withdraw("agent@pve!main")
    standin.knobs.grant("agent@pve!main", "fewer")
    run = host.run("backup", "list", "--json")
    assert json.loads(run.stdout) == [] and "may not see all storages: it has no Datastore.Audit on /storage" in run.stderr


def test_one_backup_is_shown_with_the_configuration_in_it(standin, host):
    [_, ours] = backed_up(host, "100")
    for word in (ours["id"], "100@latest", "web@latest"):
        told = dict(line.split(None, 1) for line in host.run("backup", "show", word).stdout.splitlines() if " in it" not in line)
        assert (told["backup"], told["cpus"], told["how"]) == (ours["id"], "2", "snapshot, crash")
    assert "there is no backup nosuch" in refused(host, "backup", "show", "nosuch")
    assert "there is no backup of guest 200" in refused(host, "backup", "show", "200@latest")
    assert "backup show needs a backup" in refused(host, "backup", "show")


def test_a_list_that_a_proxy_answers_for_is_not_read(standin, platform, vm):
    standin.knobs.next("html", "/content", method="GET")
    told = platform.do("kept-backups")
    assert told["seen"] == [] and "the storage local cannot be read" in told["doubts"][0]


@pytest.mark.parametrize("kind", ["huge", "truncate", "silent"])
def test_a_list_that_does_not_come_is_an_error(standin, platform, vm, kind):
    standin.knobs.next(kind, "/content", method="GET")
    with pytest.raises(Failed):
        platform.do("kept-backups")
    assert platform.do("kept-backups") == {"seen": [], "doubts": []}


# -- what there is no such thing for


@pytest.mark.parametrize("words, told", [
    (("setup", "--repository", "/srv/x"), "backup setup is not for a Proxmox VE node: there is no repository to set up"),
    (("extract", "x"), "a node hands out no disk images"), (("check",), "a node checks no storage"),
    (("prune",), "there is no repository to prune"),
    (("status",), "no status is kept"), (("key", "list"), "takes wrap or unwrap, and a file"), (("key", "wrap", "x"), "needs --storage"),
    (("list", "--to", "x"), "--to is not for a host"),
    (("100", "--due"), "--due and --policy choose among all guests"), (("--all", "--policy", "hourly"), "there is no policy hourly"),
    (("100", "--all"), "guests or --all, not both"), ((), "backup needs a guest or --all"),
    (("list", "100", "200"), "backup list takes one word behind it"),
    (("99",), "99 is no guest's number")])
def test_what_does_not_fit_a_node_is_refused_in_one_sentence(standin, host, words, told):
    error = refused(host, "backup", *words)
    assert told in error.splitlines()[-1] and error.count("ERROR") == 1, error
    assert not any(method != "GET" for method, _, _ in standin.requests)


# -- the key that a storage's backups are encrypted with


def test_the_key_of_a_storage_comes_back_by_its_code_alone(host):
    etc = host.folder / "root/etc"
    key = json.dumps({"kdf": None, "created": "2026-01-01T00:00:00+00:00", "data": "QUFB", "fingerprint": "aa:bb"}) + "\n"
    kept = etc / "pve/priv/storage/pbs-1.enc"
    wrapped, code, out = (host.folder / name for name in ("wrapped", "code", "out"))
    assert "run this on the node itself" in refused(host, "backup", "key", "wrap", wrapped, "--storage", "pbs-1")
    kept.parent.mkdir(parents=True)
    kept.write_text("no key\n")
    assert "is no encryption key" in refused(host, "backup", "key", "wrap", wrapped, "--storage", "pbs-1")
    assert "is no name of a storage" in refused(host, "backup", "key", "wrap", wrapped, "--storage", "../storage/pbs-1")
    assert not wrapped.exists()
    kept.write_text(key)
    made = host.run("backup", "key", "wrap", wrapped, "--storage", "pbs-1")
    assert made.returncode == 0 and "QUFB" not in made.stdout + wrapped.read_text(), made.stderr
    assert wrapped.stat().st_mode & 0o777 == 0o600
    lines = {line[:15].strip(): line[15:] for line in made.stdout.splitlines()}
    code.write_text(lines["code"])
    kept.unlink()
    told = host.run("backup", "key", "unwrap", wrapped, "--code-file", code, "--to", out)
    assert told.returncode == 0 and out.read_text() == key and out.stat().st_mode & 0o777 == 0o600, told.stderr
    assert "pbs-1" in told.stdout and "QUFB" not in told.stdout
    assert json.loads(host.run("backup", "key", "unwrap", wrapped, "--code-file", code).stdout.partition("key ")[2].partition("\n")[0])


# -- by policies


def test_a_timer_backs_up_the_guests_that_are_due_by_their_policies(standin, host):
    etc = host.folder / "root/etc/blockhost"
    (etc / "backup.json").write_text(json.dumps({"version": 1, "vms": {"web": "weekly", "200": "none"}}))

    def due(*words):
        run = host.run("backup", "--all", *words, "--json")
        assert run.returncode == 0, run.stderr
        return [line["guest"] for line in map(json.loads, run.stdout.splitlines()) if "id" in line]

    assert due("--policy", "none") == ["200"]
    stored(standin, "local:backup/vzdump-qemu-100-theirs.vma", 100)
    assert due("--due") == ["100"]  # somebody else's does not count, and who has the policy none is never due
    assert due("--due") == []
    for volume in standin.storage("local").volumes.values():
        volume.ctime -= 8 * 86400
    assert due("--due", "--policy", "daily") == [] and due("--due", "--policy", "weekly") == ["100"]


def test_a_timers_maintenance_forgets_unless_somebody_else_does(host):
    etc = host.folder / "root/etc/blockhost"
    (etc / "backup.json").write_text(json.dumps({"version": 1, "append_only": True}))
    run = host.run("backup", "maintain")
    assert run.returncode == 0 and "says append_only" in run.stderr and run.stdout == "", run.stderr
    (etc / "backup.json").unlink()
    assert host.run("backup", "maintain", "--json", "--force-clock").stdout == "[]\n"
