# SPDX-License-Identifier: MIT
"""A VM comes back from a backup: the disk to the byte, who it was as before; what is killed or refused leaves nothing."""

import json
import os
import pathlib
import random
import re
import signal
import time

import pytest
import seeds
from machine import Machine, sh, wait_until

CHUNK = 256 * 1024
NAME = f"restored-{os.getpid()}"  # libvirt may have another machine's VMs
NOBODY = 65534
OTHER = f"other-{os.getpid()}"


class Kept:
    """A machine with a repository, and a VM of which it has a backup and which is gone."""

    def __init__(self, machine):
        self.machine = machine
        assert machine.create(NAME).returncode == 0
        assert machine.run("stop", NAME).returncode == 0
        wait_until("the VM is off", 60, lambda: machine.states()[NAME] == "off")
        # More than the template, less than the template, and a hole where the template has data.
        for command in ("write -P 7 100M 300k", "write -P 9 700M 3M", "write -z 0 1M"):
            self.qemu_io(command)
        self.repository = machine.set_up_backups()
        self.before = self.who()
        self.image = self.raw()
        made = machine.run("backup", NAME, "--json")
        assert made.returncode == 0, made.stderr
        self.backup = json.loads(made.stdout)
        assert machine.run("destroy", NAME).returncode == 0

    def disk(self, name=NAME):
        file, = (each for each in self.machine.volumes() if each.startswith(name + "."))
        return self.machine.state / "vms" / file

    def qemu_io(self, command):
        sh("qemu-io", "-f", "qcow2", "-c", command, self.disk())

    def raw(self):
        out = self.machine.root / "image.raw"
        sh("qemu-img", "convert", "-O", "raw", self.disk(), out)
        return out.read_bytes()

    def who(self, name=NAME):
        """What makes the VM the one that it was."""
        xml = self.machine.virsh("dumpxml", "--inactive", name)
        record = self.machine.registry()["vms"][name]
        seed = self.machine.state / "cloud-init" / name
        return {"uuid": re.search("<uuid>(.*)</uuid>", xml)[1], "mac": re.search("<mac address='(.*)'/>", xml)[1],
                "memory": re.search("<memory.*</memory>", xml)[0], "cpus": re.search("<vcpu.*</vcpu>", xml)[0],
                "instance": re.search(rb'"?instance-id"?: *"?([^"\n]*)', (seed / "cidata.iso").read_bytes())[1],
                "user-data": (seed / "user-data").read_text(), "network": (seed / "network-config").read_text(),
                **{key: record.get(key) for key in ("status", "owner_wallet", "owner", "username", "ip_address", "ipv6_address",
                                                    "expires_at", "network_mode")}}

    def restore(self, *words, which=f"{NAME}@latest"):
        return self.machine.run("restore", which, "--json", *words)

    def restored(self, *words):
        run = self.restore(*words)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout), run.stderr

    def gone(self):
        assert self.machine.run("destroy", NAME).returncode == 0
        assert self.machine.leftovers() == {}

    def helpers(self):
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes()
            except OSError:
                continue
            if str(self.machine.root).encode() in words and any(each in words for each in (b"imgtree", b"restic", b"qemu-nbd")):
                found.append(path.parent.name)
        return found


@pytest.fixture(scope="module")
def kept(whole_module):
    yield Kept(whole_module)


@pytest.fixture(autouse=True)
def nothing_is_left(kept):
    yield
    if kept.machine.leftovers():
        kept.machine.wipe()


def backing(disk):
    return json.loads(sh("qemu-img", "info", "--output=json", disk).stdout).get("backing-filename")


def test_the_disk_comes_back_to_the_byte_and_the_vm_as_who_it_was(kept):
    made, talk = kept.restored("--off")
    assert made == {"name": NAME, "backup": kept.backup["id"], "taken_at": made["taken_at"], "uuid": kept.before["uuid"],
                    "ip": kept.before["ip_address"], "ipv6": kept.before["ipv6_address"] or "", "addresses_as_before": True,
                    "on_template": True, "guest": "off"}
    assert kept.raw() == kept.image and kept.who() == kept.before
    assert backing(kept.disk()) == str(kept.machine.template())
    assert kept.helpers() == [] and "former address" not in talk and "templates" not in talk
    # Only what differs from the template takes room: 300 KiB, 3 MiB, and their clusters.
    assert kept.disk().stat().st_blocks * 512 < 6 << 20
    assert kept.machine.run("boot", "--again").returncode == 0
    assert kept.machine.states()[NAME] == "off"  # boot leaves it off
    assert kept.machine.run("start", NAME).returncode == 0
    assert kept.machine.run("status", NAME).stdout.strip() == "active"
    assert kept.machine.leftovers([NAME]) == {}
    kept.gone()


def test_it_runs_and_its_guest_is_ready(kept):
    made, _ = kept.restored()
    assert made["guest"] == "ready" and kept.machine.states()[NAME] == "alive"
    # The repository goes on from it.
    assert kept.machine.run("kill", NAME).returncode == 0
    again = kept.machine.run("backup", NAME, "--json")
    assert again.returncode == 0, again.stderr
    kept.machine.forget_backup(json.loads(again.stdout)["id"])
    kept.gone()


def test_a_vm_that_is_there_is_refused_and_stays(kept):
    kept.restored("--off")
    before = kept.machine.kept(NAME)
    run = kept.restore()
    assert run.returncode == 6 and "already exists" in run.stderr and "'--in-place' brings back its disk" in run.stderr
    assert kept.machine.kept(NAME) == before
    kept.gone()


def test_an_address_that_somebody_has_by_now_is_not_taken(kept):
    assert kept.machine.create(OTHER, "--ready-timeout", "120").returncode == 0
    assert kept.machine.registry()["vms"][OTHER]["ip_address"] == kept.before["ip_address"]
    made, talk = kept.restored()
    assert not made["addresses_as_before"] and made["ip"] != kept.before["ip_address"] and made["guest"] == "ready"
    assert f"cannot have its former address {kept.before['ip_address']}" in talk
    now = kept.who()
    assert now["uuid"] == kept.before["uuid"] and now["mac"] == kept.before["mac"]
    assert now["instance"] != kept.before["instance"]  # by which cloud-init sets up the network
    assert made["ip"] in now["network"] and now["user-data"] == kept.before["user-data"]
    assert kept.machine.run("destroy", OTHER).returncode == 0
    kept.gone()


def test_one_that_expired_meanwhile_is_given_days_or_refused(kept):
    made, _ = kept.restored("--off")
    kept.machine.change(NAME, expires_at="2020-01-01T00:00:00+00:00")
    again = kept.machine.run("backup", NAME, "--json")
    assert again.returncode == 0, again.stderr
    kept.gone()
    run = kept.restore()
    assert run.returncode == 8 and "expired at 2020-01-01" in run.stderr and "--expiry-days" in run.stderr
    assert kept.machine.leftovers() == {}
    kept.restored("--off", "--expiry-days", "5")
    record = kept.machine.registry()["vms"][NAME]
    assert record["status"] == "active" and record["expires_at"] > record["created_at"]
    kept.gone()
    kept.machine.forget_backup(json.loads(again.stdout)["id"])


def test_without_the_template_the_disk_stands_by_itself(kept):
    machine = kept.machine
    old = machine.template()
    other = machine.root / "other.qcow2"
    sh("cp", old, other)
    sh("qemu-io", "-f", "qcow2", "-c", "write -P 3 0 64k", other)
    assert machine.build_template(other) != old
    assert machine.run("templates", "--prune").returncode == 0 and not old.exists()
    made, talk = kept.restored("--off")
    assert not made["on_template"] and "is not among the templates" in talk
    assert kept.raw() == kept.image and kept.who() == kept.before and backing(kept.disk()) is None
    kept.gone()
    # What has the version's name and another content costs room, and never a byte.
    other.rename(old)
    made, _ = kept.restored("--off")
    assert made["on_template"] and kept.raw() == kept.image
    kept.gone()


@pytest.mark.parametrize("victim", seeds.some_of(["blockhost-libvirt", "imgtree", "restic", "qemu-nbd"], 2, "restore"))
def test_whoever_is_killed_nothing_is_left_and_the_next_restore_works(kept, victim):
    chance, machine = random.Random(victim), kept.machine
    for _ in range(3):
        process = machine.start("restore", f"{NAME}@latest", "--off")
        if victim == "blockhost-libvirt":
            time.sleep(chance.random() * 4)
            process.kill()
        else:
            wait_until("the disk is filled", 60, lambda: len(kept.helpers()) >= 3 or process.poll() is not None)
            time.sleep(chance.random() / 2)
            for pid in kept.helpers():
                try:
                    words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                    if victim.encode() in words[0]:
                        os.kill(int(pid), signal.SIGKILL)
                except OSError:
                    pass
        process.communicate(timeout=120)
        wait_until("no helper is left", 20, lambda: not kept.helpers())
        if machine.names("journal") and f"{NAME}.journal" in machine.names("journal"):
            assert machine.run("recover", NAME).returncode == 0
        if machine.registry()["vms"].get(NAME, {}).get("status") == "active":
            kept.gone()  # it was done before it was killed
        # The lock of one that died before it had begun is the next one's to take.
        assert {kind: what for kind, what in machine.leftovers().items() if kind != "locks"} == {}
    kept.restored("--off")
    assert kept.raw() == kept.image and kept.who() == kept.before
    kept.gone()


@pytest.mark.parametrize("step", seeds.some_of(["reserve-addresses", "write-seed", "prepare-console", "create-volume", "set-routes",
                                                "define-domain", "start-domain", "register"], 3, "restore killed"))
def test_a_restore_that_dies_after_any_step_is_undone(kept, step):
    """The next restore, of the same name, finishes that first."""
    process = kept.machine.start("restore", f"{NAME}@latest")
    journal = kept.machine.state / f"journal/{NAME}.journal"

    def begun():
        try:
            return f'"{step}"' in journal.read_text()
        except OSError:
            return False
    wait_until("the step has begun", 120, lambda: begun() or process.poll() is not None)
    process.kill()
    process.communicate()
    if not journal.exists():
        kept.gone()  # it was done before it was killed
    kept.restored("--off")
    assert kept.raw() == kept.image and kept.who() == kept.before
    kept.gone()


def test_a_destroy_ends_a_restore(kept):
    process = kept.machine.start("restore", f"{NAME}@latest")
    wait_until("the disk is filled", 60, lambda: len(kept.helpers()) >= 3 or process.poll() is not None)
    assert kept.machine.run("destroy", NAME).returncode == 0
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 11), err
    assert kept.helpers() == [] and kept.machine.leftovers() == {}


def forged(kept, change):
    """The backup once more, as somebody has changed it who can write to the repository."""
    folder = kept.machine.root / "forged"
    sh("rm", "-rf", folder)
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    kept.machine.restic("restore", kept.backup["id"], "--target", folder)
    change(folder)
    snapshot, = [each for each in json.loads(kept.machine.restic("snapshots", "--json")) if each["id"] == kept.backup["id"]]
    tags = [f"--tag={tag}" for tag in snapshot["tags"]]
    sh("chown", "-R", f"{NOBODY}:{NOBODY}", folder)
    kept.machine.restic("backup", "--force", f"--host={snapshot['hostname']}", *tags, ".", cwd=folder)
    sh("rm", "-rf", folder)
    made = json.loads(kept.machine.restic("snapshots", "--json"))[-1]["id"]
    assert made != kept.backup["id"]
    return made


def edit(file, /, disk=None, **changes):
    def change(folder):
        document = json.loads((folder / file).read_text()) | changes
        if disk:
            document["disks"][0] |= disk
        (folder / file).write_text(json.dumps(document))
    return change


def without_a_chunk(folder):
    sorted(folder.glob("vda/*/*"))[5].unlink()


def torn(folder):
    path = sorted(folder.glob("vda/*/*"))[-1]
    path.write_bytes(path.read_bytes()[:-512])


@pytest.mark.parametrize("change, said", [
    (without_a_chunk, "lacks vda/"),
    (torn, "has vda/"),
    (lambda folder: (folder / "record.json").unlink(), "has no record.json"),
    (edit("record.json", name="other-001"), "is another VM's"),
    (edit("record.json", cpus=5000), '"cpus"'),
    (edit("record.json", hostdev="0000:00:02.0"), '"hostdev"'),
    (edit("record.json", mac="52:54:00:00:00:00'/><x y='"), '"mac"'),
    (edit("manifest.json", base="../../../etc/passwd"), None),
    (edit("manifest.json", disk={"bytes": 1 << 45, "chunk_bytes": 1 << 30, "chunks": [[0, 30000]]}), "not enough room in pool"),
    (edit("manifest.json", disk={"bytes": 1 << 49, "chunk_bytes": 1 << 30, "chunks": [[0, 100000]]}), "larger disk than a VM"),
    (edit("manifest.json", disk={"bytes": 512, "chunks": []}), "has to have 512"),
    (edit("manifest.json", disk={"chunks": []}), "which is none of the backup's chunks"),
    (lambda folder: (folder / "domain.xml").write_text("<domain><devices><hostdev/></devices></domain>"), None),
])
def test_what_somebody_made_of_the_backup_is_refused_or_harms_nothing(kept, change, said):
    made = forged(kept, change)
    run = kept.restore("--off")
    if said is None:
        assert run.returncode == 0, run.stderr
        assert kept.raw() == kept.image and kept.who() == kept.before and kept.machine.leftovers([NAME]) == {}
        kept.gone()
    else:
        assert run.returncode not in (0, -6, -11) and said in run.stderr, run.stderr
        assert kept.machine.leftovers() == {} and kept.helpers() == []
    kept.machine.forget_backup(made)


COPY = f"copy-{os.getpid()}"


def link(machine, name, *words):
    return re.search("<interface.*?</interface>", machine.virsh("dumpxml", *words, name), re.DOTALL)[0].count("<link state='down'/>")


def test_a_copy_beside_the_vm_is_somebody_else(kept):
    machine = kept.machine
    kept.restored("--off")
    before = machine.kept(NAME)
    run = kept.restore("--as", COPY)
    assert run.returncode == 0, run.stderr
    made = json.loads(run.stdout)
    assert made["name"] == COPY and made["guest"] == "ready" and not made["addresses_as_before"]
    copy = kept.who(COPY)
    for key in ("uuid", "mac", "instance", "ip_address"):
        assert copy[key] != kept.before[key], key
    assert copy["username"] == kept.before["username"] and copy["expires_at"] == kept.before["expires_at"]
    assert link(machine, COPY) == 0 and link(machine, COPY, "--inactive") == 0
    wait_until("it is reached", 30, lambda: sh("ping", "-c1", "-W1", made["ip"], check=False).returncode == 0)
    guest = machine.run("guest-exec", COPY, "hostname; cat /etc/machine-id")
    assert guest.returncode == 0 and guest.stdout.startswith(COPY + "\n") and re.search("^[0-9a-f]{32}$", guest.stdout, re.M)
    assert machine.kept(NAME) == before and machine.leftovers([NAME, COPY]) == {}
    again = kept.restore("--as", COPY)
    assert again.returncode == 6 and "choose another name" in again.stderr
    off = kept.restore("--as", COPY + "b", "--off")
    assert off.returncode == 2 and "has to run" in off.stderr
    assert machine.run("destroy", COPY).returncode == 0
    kept.gone()


def test_a_copy_whose_agent_never_answers_never_has_a_network_and_is_undone(kept):
    machine = kept.machine
    silent = forged(kept, lambda folder: (folder / "user-data").write_text(
        (folder / "user-data").read_text() + "\n# quick-guest: agent=never\n"))
    process = machine.start("restore", silent, "--as", COPY, "--ready-timeout", "15")
    wait_until("it runs", 120, lambda: machine.states().get(COPY) == "alive" or process.poll() is not None)
    assert link(machine, COPY) == 1 and link(machine, COPY, "--inactive") == 1
    _, err = process.communicate(timeout=120)
    assert process.returncode == 15 and "not ready within" in err, err
    assert machine.leftovers() == {}
    # Under its own name it stays: its owner may have removed the agent.
    run = machine.run("restore", silent, "--json", "--ready-timeout", "10")
    assert run.returncode == 0 and json.loads(run.stdout)["guest"] == "silent" and "not ready within" in run.stderr
    kept.gone()
    kept.machine.forget_backup(silent)


def drilled(kept, *words):
    run = kept.machine.run("drill", *words, "--json")
    return run, [json.loads(line) for line in run.stdout.splitlines()]


def no_trace_of_a_drill(kept):
    bench = kept.machine.root / "var/cache/blockhost/drill"
    assert [path.name for path in bench.iterdir() if path.name != "lock"] == []
    assert not [name for name in kept.machine.virsh("list", "--all", "--name").split() if name in kept.machine.domains()]
    assert kept.machine.leftovers() == {}


def test_a_drill_shows_that_a_backup_comes_up_and_leaves_nothing(kept):
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (kept.machine.root / "digests").write_text(f"{digest}  /dev/null\n")
    run, (told,) = drilled(kept, f"{NAME}@latest", "--digests", kept.machine.root / "digests", "--command",
                           "dd if=/dev/vda bs=1k skip=102400 count=300 | tr -d '\\007' | wc -c | grep -qx 0")
    assert run.returncode == 0, run.stderr
    assert told["passed"] and told["name"] == NAME and told["backup"] == kept.backup["id"] and told["reason"] == ""
    no_trace_of_a_drill(kept)
    remembered = json.loads((kept.machine.state / f"backup/drills/{NAME}.json").read_text())
    assert remembered["passed"] and remembered["snapshot"] == told["backup"]
    run, told = drilled(kept, "--one-in-turn")
    assert run.returncode == 0 and len(told) == 1


@pytest.mark.parametrize("change, words, said", [
    (without_a_chunk, [], "lacks vda/"),
    (torn, [], "has vda/"),
    (None, ["--command", "false"], "the command ended with status 1"),
    (None, ["--command", "dd if=/dev/vda bs=1M skip=100 count=1 | grep -q emptied"], "the command ended with status 1"),
    (None, ["--boot-timeout", "1"], "its guest agent did not answer within 1 s"),
])
def test_a_drill_fails_for_what_does_not_come_up(kept, change, words, said):
    which = forged(kept, change) if change else f"{NAME}@latest"
    run, (told,) = drilled(kept, which, *words)
    assert run.returncode not in (0, -6, -11) and not told["passed"] and said in told["reason"], (told, run.stderr)
    no_trace_of_a_drill(kept)
    assert not json.loads((kept.machine.state / f"backup/drills/{NAME}.json").read_text())["passed"]
    if change:
        kept.machine.forget_backup(which)


def test_a_drill_that_is_killed_leaves_nothing_that_the_next_does_not_clear(kept):
    process = kept.machine.start("drill", f"{NAME}@latest")
    wait_until("it boots", 120, lambda: kept.machine.processes() or process.poll() is not None)
    process.kill()
    process.communicate()
    wait_until("libvirt ends it", 30, lambda: not kept.machine.processes())
    assert drilled(kept, f"{NAME}@latest")[0].returncode == 0
    no_trace_of_a_drill(kept)


def test_too_little_room_is_said_before_and_half_way_undoes_all(kept):
    """Its pool's folder is a small file system for a while."""
    data = kept.backup["data_bytes"]
    folder = kept.machine.state / "vms"
    for size, said in [(data // 2, "not enough room in pool"), (data + (128 << 10), "No space left on device")]:
        sh("mount", "-t", "tmpfs", "-o", f"size={size},mode=0711", "tmpfs", folder)
        (kept.machine.etc / "db.yaml").write_text((kept.machine.etc / "db.yaml").read_text() + "disk_overcommit: 1000\n")
        try:
            (kept.machine.state / "templates").rename(kept.machine.state / "templates.away")
            run = kept.restore("--off")
            left = os.listdir(folder)
        finally:
            (kept.machine.state / "templates.away").rename(kept.machine.state / "templates")
            sh("umount", folder)
            kept.machine.write_db_yaml()
        assert run.returncode == 9 and said in run.stderr, run.stderr
        assert left == [] and kept.machine.leftovers() == {}


def test_another_host_needs_address_and_password_alone(kept):
    """The host is gone. An empty one joins what its repository was."""
    sheet = kept.machine.root / "password"
    sheet.write_text((kept.machine.etc / "backup.password").read_text())
    os.chmod(sheet, 0o600)
    other = Machine("quick")
    try:
        run = other.run("restore", f"{NAME}@latest", "--from", kept.repository, "--password-file", sheet, "--user", "nobody", "--off",
                        "--json")
        assert run.returncode == 0, run.stderr
        made = json.loads(run.stdout)
        assert made["name"] == NAME and made["uuid"] == kept.before["uuid"]
        assert not (other.etc / "backup.json").exists() and not (other.etc / "backup.password").exists()
        out = other.root / "image.raw"
        disk, = (other.state / "vms").glob(f"{NAME}.*")
        sh("qemu-img", "convert", "-O", "raw", disk, out)
        assert out.read_bytes() == kept.image
        assert other.run("start", NAME).returncode == 0
        assert other.run("destroy", NAME).returncode == 0 and other.leftovers() == {}
        everything = ("restore", "--all", "--from", kept.repository, "--password-file", sheet, "--user", "nobody", "--off", "--json")
        run = other.run(*everything)
        assert run.returncode == 0 and [json.loads(line)["name"] for line in run.stdout.splitlines()] == [NAME], run.stderr
        run = other.run(*everything)
        assert run.returncode == 6 and f"{NAME} is not restored: VM already exists" in run.stderr
        assert other.run("destroy", NAME).returncode == 0 and other.leftovers() == {}
        wrong = other.run("restore", f"{NAME}@latest", "--from", kept.repository)
        assert wrong.returncode == 2 and "--password-file" in wrong.stderr
    finally:
        other.close()
