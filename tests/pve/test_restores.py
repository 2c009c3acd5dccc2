# SPDX-License-Identifier: MIT
"""restore, drill and backup forget on a node: to a new guest always, what takes another one's place, what is thrown away again,
and that nothing is lost that no policy or signature gave free."""

import json
import signal
import subprocess
import time

import pytest
from node.access import AGENT_ROLE
from node.volumes import Archive, Volume
from test_verbs import BINARY, Host

DAY = 86400
NET = "virtio=BC:24:11:00:00:01,bridge=vmbr0"


@pytest.fixture()
def host(standin, tmp_path):
    standin.access.add_role("whole", {*AGENT_ROLE, "VM.GuestAgent.Audit"})
    standin.add_vm(100, name="web", cores=2, memory=512, disks={"scsi0": 4}, running=True, net0=NET, onboot=1, tags="prod")
    standin.add_container(200, network=True)
    return Host(standin, tmp_path, role="whole")


def done(host, *words):
    run = host.run(*words, "--json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def refused(host, *words):
    run = host.run(*words)
    assert run.returncode != 0 and run.stdout == "", run.stdout
    return run.stderr


def config(standin, number):
    return standin.guests.by_id[number].config


def backed_up(host, number):
    return done(host, "backup", str(number))["id"]


def writes(standin):
    return [(method, target.removeprefix("/api2/json/nodes/pve1")) for method, target, _ in standin.requests if method != "GET"]


# -- restore


def test_a_backup_is_restored_to_a_new_guest_and_the_old_one_stays_as_it_is(standin, host):
    volume, before = backed_up(host, 100), dict(config(standin, 100))
    told = done(host, "restore", "web@latest")
    assert (told["guest"], told["backup"], told["power"], told["replaced"]) == ("101", volume, "stopped", None)
    made = config(standin, 101)
    assert made["name"] == "web" and made["onboot"] == "0" and made["net0"] != before["net0"]
    assert config(standin, 100) == before and standin.guests.by_id[100].running
    assert done(host, "restore", volume, "--as", "300")["guest"] == "300"
    assert done(host, "restore", volume, "--as", "copy")["name"] == "copy"
    assert "VM 300 already exists" in refused(host, "restore", volume, "--as", "300")
    assert "99 is no guest's number" in refused(host, "restore", volume, "--as", "99")


def test_a_container_is_restored_too(standin, host):
    backed_up(host, 200)
    told = done(host, "restore", "200@latest")
    assert told["guest"] == "101" and standin.guests.by_id[101].kind == "lxc"


def test_an_archive_that_is_broken_leaves_nothing(standin, host):
    volume = backed_up(host, 100)
    standin.knobs.break_archive(volume)
    error = refused(host, "restore", volume)
    assert "failed: exit code 2" in error and sorted(standin.guests.by_id) == [100, 200]
    assert "100 was not replaced" not in error
    error = refused(host, "restore", volume, "--swap")
    assert "failed: exit code 2" in error and standin.guests.by_id[100].running and "tags" in config(standin, 100)
    assert config(standin, 100)["tags"] == "prod"


def test_a_backup_that_its_place_found_damaged_is_not_restored(standin, host):
    volume = backed_up(host, 100)
    standin.storage("local").volumes[volume].verification = "failed"
    before = len(writes(standin))
    assert "is damaged: its place verified it, and failed" in refused(host, "restore", volume)
    assert len(writes(standin)) == before


def test_the_restored_guest_takes_the_place_of_the_old_one(standin, host):
    volume, old = backed_up(host, 100), config(standin, 100)["net0"]
    told = done(host, "restore", volume, "--swap")
    assert (told["guest"], told["replaced"], told["power"], told["destroy"]) == ("101", "100", "running", None)
    new = config(standin, 101)
    assert "BC:24:11:00:00:01" in new["net0"] and "BC:24:11:00:00:01" in old, "with the address of before"
    assert new["onboot"] == "1" and not standin.guests.by_id[100].running
    assert config(standin, 100)["onboot"] == "0" and config(standin, 100)["tags"] == "blockhost-replaced;prod"
    assert not any("force=1" in str(body) for _, target, body in standin.requests if "/qemu" in target), "never over a guest"


def test_a_container_takes_the_place_of_a_container(standin, host):
    standin.add_container(210, network=True, running=True)
    volume, address = backed_up(host, 210), config(standin, 210)["net0"].split("hwaddr=")[1][:17]
    told = done(host, "restore", volume, "--swap")
    assert (told["replaced"], told["power"]) == ("210", "running")
    assert address in config(standin, int(told["guest"]))["net0"], "its own address, and not one that the node made"


def test_a_device_that_the_old_guest_has_no_more_comes_with_another_address(standin, host):
    config(standin, 100)["net1"] = "virtio=BC:24:11:00:00:09,bridge=vmbr0"
    volume = backed_up(host, 100)
    del config(standin, 100)["net1"]
    new = config(standin, int(done(host, "restore", volume, "--swap")["guest"]))
    assert "BC:24:11:00:00:01" in new["net0"] and new["net1"].startswith("virtio=") and "BC:24:11:00:00:09" not in new["net1"]


def test_what_fails_on_the_way_is_put_back(standin, host):
    volume = backed_up(host, 100)
    standin.knobs.next("status", "/qemu/101/status/start", status=500, reason="start failed: no memory")
    error = refused(host, "restore", volume, "--swap")
    assert "guest 100 was not replaced" in error and "it is as it was" in error, error
    assert standin.guests.by_id[100].running and config(standin, 100)["tags"] == "prod" and config(standin, 100)["onboot"] == "1"
    assert 101 not in standin.guests.by_id, "the new one was taken back"


def test_a_signal_on_the_way_leaves_the_old_guest_as_it_was(standin, host):
    volume = backed_up(host, 100)
    standin.guests.by_id[100].reacts = None
    run = subprocess.Popen([BINARY, "restore", volume, "--swap"], cwd=host.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           env={"PATH": "/usr/bin:/bin", "BLOCKHOST_ROOT": str(host.folder / "root")})
    while not any(target.endswith("/qemu/100/status/shutdown") for _, target in writes(standin)):
        assert run.poll() is None
        time.sleep(0.02)
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=120)
    assert run.returncode != 0 and out == "" and "guest 100 was not replaced" in err and "it is as it was" in err, err
    assert standin.guests.by_id[100].running and config(standin, 100)["tags"] == "prod" and 101 not in standin.guests.by_id
    assert all(each["state"] in ("done", "cancelled") for each in host.told("operations"))


def test_the_old_guest_is_destroyed_only_where_that_is_asked_for(standin, host):
    volume = backed_up(host, 100)
    told = done(host, "restore", volume, "--swap", "--destroy-old")
    assert told["destroy"] == "done" and 100 not in standin.guests.by_id and standin.guests.by_id[101].running
    assert volume in standin.storage("local").volumes, "its backups outlive it"
    standin.add_vm(110, name="two", disks={"scsi0": 1}, net0="virtio=BC:24:11:00:00:02,bridge=vmbr0")
    volume = backed_up(host, 110)
    agent = json.loads((host.etc / "agent.json").read_text())
    (host.etc / "agent.json").write_text(json.dumps(agent | {"authority": {"require_signatures": "all"}}))
    run = host.run("restore", volume, "--swap", "--destroy-old")
    assert run.returncode == 0 and "is destroyed once 'blockhost-libvirt approve" in run.stdout, run.stderr
    assert 110 in standin.guests.by_id and len(host.told("pending")) == 1


@pytest.mark.parametrize("words, told", [
    ((), "restore takes a backup"), (("--all",), "--all is not for a host"),
    (("100@latest", "--from", "/srv/x"), "--from is not for a host"),
    (("100@latest", "--in-place"), "--in-place is not for a host"), (("100@latest", "--file", "/etc/x"), "--file is not for a host"),
    (("100@latest", "--destroy-old"), "--destroy-old goes with --swap"),
    (("100@latest", "--swap", "--as", "5"), "exclude each other"),
    (("100@latest",), "there is no backup of guest 100")])
def test_what_makes_no_sense_is_refused_and_changes_nothing(standin, host, words, told):
    assert told in refused(host, "restore", *words)
    assert writes(standin) == []


def test_a_guest_that_is_gone_has_no_place_to_take(standin, host):
    volume = backed_up(host, 200)
    standin.knobs.destroy(200)
    assert "there is no guest 200; leave out --swap" in refused(host, "restore", volume, "--swap")
    assert done(host, "restore", volume)["guest"] == "101"


# -- drill


def drilled(host, *words, status=0):
    run = host.run("drill", *words, "--json")
    assert run.returncode == status, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_a_drill_restores_boots_and_throws_away(standin, host):
    guest = standin.guests.by_id[100]
    guest.config["agent"], guest.agent = "1", {}
    volume, before = backed_up(host, 100), dict(guest.config)
    [told] = drilled(host, "web@latest")
    assert told["passed"] and (told["guest"], told["backup"], told["reason"]) == ("100", volume, "")
    assert sorted(standin.guests.by_id) == [100, 200] and guest.config == before and guest.running
    actions = {each["action"]["kind"]: each for each in host.told("operations") if each["source"] == "drill"}
    assert {kind: each["state"] for kind, each in actions.items()} == {kind: "done" for kind in ("create", "start", "stop", "destroy")}
    assert "link_down=1" in actions["create"]["action"]["config"]["details"]["net0"]
    assert json.loads((host.folder / "root/var/lib/blockhost/backup/drills/100.json").read_text())["passed"] is True


def test_a_guest_whose_agent_does_not_answer_has_not_come_up(standin, host):
    guest = standin.guests.by_id[100]
    guest.config["agent"] = "1"
    volume = backed_up(host, 100)
    [told] = drilled(host, volume, "--boot-timeout", "1", status=15)
    assert not told["passed"] and told["reason"] == "its agent did not answer within 1 s"
    assert sorted(standin.guests.by_id) == [100, 200]


def test_a_guest_without_an_agent_has_to_stay_up(standin, host):
    backed_up(host, 200)
    [told] = drilled(host, "200@latest", "--boot-timeout", "1")
    assert told["passed"] and sorted(standin.guests.by_id) == [100, 200]


def test_a_broken_archive_fails_the_drill_and_leaves_nothing(standin, host):
    volume = backed_up(host, 100)
    standin.knobs.break_archive(volume)
    [told] = drilled(host, volume, status=15)
    assert told["reason"].startswith("it cannot be restored: ") and sorted(standin.guests.by_id) == [100, 200]


def test_a_right_that_lacks_is_no_verdict(standin, host):
    volume = backed_up(host, 100)
    standin.access.add_role("less", {*AGENT_ROLE} - {"VM.Allocate"})
    standin.knobs.withdraw("agent@pve!main")
    standin.knobs.grant("agent@pve!main", "less")
    assert "is not permitted" in refused(host, "drill", volume)
    assert not (host.folder / "root/var/lib/blockhost/backup/drills/100.json").exists()


def test_each_guest_has_its_turn(standin, host):
    backed_up(host, 100), backed_up(host, 200)
    assert [told["guest"] for told in drilled(host, "--one-in-turn", "--boot-timeout", "1")] == ["100"]
    assert [told["guest"] for told in drilled(host, "--one-in-turn", "--boot-timeout", "1")] == ["200"]
    assert [told["guest"] for told in drilled(host, "--one-in-turn", "--boot-timeout", "1")] == ["100"]
    assert [told["guest"] for told in drilled(host, "--all", "--boot-timeout", "1")] == ["100", "200"]
    for words in ((), ("--all", "--one-in-turn"), ("100@latest", "--command", "true")):
        assert refused(host, "drill", *words)


def test_somebodys_guest_with_the_tag_is_told_and_left(standin, host):
    standin.add_vm(150, tags="blockhost-drill")
    backed_up(host, 200)
    run = host.run("drill", "200@latest", "--boot-timeout", "1")
    assert run.returncode == 0 and "guest 150 has the tag blockhost-drill" in run.stderr and 150 in standin.guests.by_id


# -- forget


def aged(standin, host, number, ages):
    """Backups of ours, so many days old; their volumes, the newest first."""
    now, made = int(standin.clock.shown()) - 3600, []  # its time runs faster than ours
    for age in ages:
        volume = standin.storage("local").volumes[backed_up(host, number)]
        del standin.storage("local").volumes[volume.volid]
        volume.volid, volume.ctime = f"{volume.volid}.{age}", now - age * DAY
        standin.storage("local").volumes[volume.volid] = volume
        made.append(volume.volid)
    return made


def policies(host, **members):
    (host.etc / "backup.json").write_text(json.dumps({"version": 1, **members}))


def forgotten(host, *options, status=0):
    run = host.run("backup", "forget", "--json", *options)
    assert run.returncode == status, run.stderr
    return {row["id"]: row for row in json.loads(run.stdout)}


def volumes(standin):
    return {volid for volid, each in standin.storage("local").volumes.items() if each.content == "backup"}


def test_only_what_is_ours_and_no_policy_wants_goes(standin, host):
    policies(host, keep={"last": 1, "daily": 0, "weekly": 0, "monthly": 0})
    now = int(standin.clock.shown())
    new, old, kept = aged(standin, host, 100, (0, 1, 2))
    [alone] = aged(standin, host, 200, (400,))
    standin.storage("local").volumes[kept].protected = True
    foreign = "local:backup/vzdump-qemu-100-x.vma"
    standin.storage("local").volumes[foreign] = Volume(foreign, "backup", "vma", 1, now - 900 * DAY, 100, archive=Archive("qemu", {"a": "b"}, 1))
    told = forgotten(host, "--dry-run", "--force-clock")
    assert {volid: (row["fate"], row["why"]) for volid, row in told.items()} == {
        new: ("stays", "last"), old: ("goes", "no policy wants it"), kept: ("stays", "it is protected"),
        alone: ("stays", "last"), foreign: ("stays", "somebody else made it")}
    assert volumes(standin) == {new, old, kept, alone, foreign}, "that was a look"
    told = forgotten(host, "--force-clock")
    assert told[old]["state"] == "done" and volumes(standin) == {new, kept, alone, foreign}
    assert forgotten(host, "--force-clock").keys() == {new, kept, alone, foreign}


def test_a_damaged_backup_does_not_count_as_the_last_whole_one(standin, host):
    policies(host, keep={"last": 1, "daily": 0, "weekly": 0, "monthly": 0})
    new, old = aged(standin, host, 100, (2, 3))
    standin.storage("local").volumes[new].verification = "failed"
    told = forgotten(host, "--dry-run", "--force-clock")
    assert (told[new]["fate"], told[new]["why"], told[old]["fate"]) == ("goes", "damaged", "stays")
    standin.storage("local").volumes[old].verification = "failed"
    assert {row["fate"] for row in forgotten(host, "--dry-run", "--force-clock").values()} == {"stays"}


def test_what_needs_a_signature_waits_and_is_asked_for_once(standin, host):
    policies(host, keep={"last": 1, "daily": 0, "weekly": 0, "monthly": 0})
    new, old = aged(standin, host, 100, (0, 1))
    agent = json.loads((host.etc / "agent.json").read_text())
    (host.etc / "agent.json").write_text(json.dumps(agent | {"authority": {"require_signatures": "all"}}))
    first = forgotten(host, "--force-clock")[old]
    assert first["state"] == "waiting for signature" and volumes(standin) == {new, old}
    assert forgotten(host, "--force-clock")[old]["operation"] == first["operation"]
    assert len(host.told("pending")) == 1


def test_clocks_that_are_apart_forget_nothing(standin, host):
    aged(standin, host, 100, (0, 1))
    standin.knobs.wrong_clock(standin.clock.offset + 40 * DAY)
    run = host.run("backup", "forget")
    assert run.returncode != 0 and "s apart" in run.stderr and len(volumes(standin)) == 2


def test_a_policy_is_found_by_number_and_by_name_and_a_wrong_one_is_refused(standin, host):
    policies(host, keep={"last": 9}, policies={"one": {"every": "day", "keep": {"last": 1, "daily": 0, "weekly": 0, "monthly": 0}}},
             vms={"web": "one", "200": "one"})
    volumes_of = {number: aged(standin, host, number, (0, 1)) for number in (100, 200)}
    run = host.run("backup", "forget", "--dry-run", "--force-clock")
    assert run.returncode == 0, run.stderr
    for new, old in volumes_of.values():
        assert any(line.startswith(old) and "goes" in line for line in run.stdout.splitlines()), run.stdout
    policies(host, nonsense=1)
    assert "nonsense" in refused(host, "backup", "forget", "--dry-run")
