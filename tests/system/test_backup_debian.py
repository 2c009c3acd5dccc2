# SPDX-License-Identifier: MIT
"""A backup of a real Debian guest that runs: its agent freezes its file systems for a moment, and where there is no agent, the
backup is what a loss of power would have left. Every file comes back, of each of several backups, and a drill proves it."""

import base64
import gzip
import hashlib
import json
import os
import pathlib

import pytest
import seeds
from machine import WALLET, Machine, sh, wait_until
from test_debian import PATIENCE

pytestmark = pytest.mark.skipif(bool(os.environ.get("BLOCKHOST_NO_GUEST")), reason="BLOCKHOST_NO_GUEST is set")

NAME = f"frozen-{os.getpid()}"  # libvirt may have another machine's VMs
MOST_MS = 2000
WORDS = "written before the backup"


@pytest.fixture(scope="module")
def debian():
    machine = Machine("debian")
    try:
        made = machine.run("create", NAME, "--owner-wallet", WALLET, "--memory", "768", "--disk", "4", "--username", "alice",
                           "--apply", "--ready-timeout", PATIENCE)
        assert made.returncode == 0, made.stderr
        written = machine.run("guest-exec", NAME, f"echo '{WORDS}' >/root/before; sync")
        assert written.returncode == 0, written.stderr
        machine.set_up_backups()
        yield machine
        assert machine.run("destroy", NAME).returncode == 0
    finally:
        machine.close()


def back_up(machine):
    made = machine.run("backup", NAME, "--json")
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout) | {"stderr": made.stderr}


def extracted(machine, backup):
    """The disk of that backup, as an image."""
    folder = machine.root / f"extracted-{backup['id'][:8]}"
    out = machine.run("backup", "extract", backup["id"], "--to", folder)
    assert out.returncode == 0, out.stderr
    image, = folder.glob("*.qcow2")
    return image


def in_root(image, *requests):
    """What debugfs says of the largest file system of an image, whose journal it does not replay."""
    raw = image.with_suffix(".raw")
    if not raw.exists():
        sh("qemu-img", "convert", "-O", "raw", image, raw)
    parts = json.loads(sh("sfdisk", "--json", raw).stdout)["partitiontable"]["partitions"]
    root = max(parts, key=lambda part: part["size"])
    script = raw.with_suffix(".requests")
    script.write_text("\n".join(requests) + "\n")
    said = sh("debugfs", "-f", script, f"{raw}?offset={root['start'] * 512}").stdout
    return "".join(line for line in said.splitlines(keepends=True) if not line.startswith("debugfs: "))


FOLDERS = ("/etc", "/root", "/usr/sbin", "/usr/lib/systemd")
ALL_FOLDERS = ("/boot", "/etc", "/opt", "/root", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share", "/home")
"""What nothing in the guest writes to by itself: all of it with BLOCKHOST_WHOLE=1."""


def folders():
    return ALL_FOLDERS if os.environ.get("BLOCKHOST_WHOLE") else FOLDERS


def digests_in_guest(machine, folder):
    """Of every file below it, as its guest reads them."""
    run = machine.run("guest-exec", NAME, f"cd {folder} && find . -xdev -type f -print0 | xargs -0r sha256sum -z | gzip | base64 -w0 && sync")
    assert run.returncode == 0, run.stderr
    lines = gzip.decompress(base64.b64decode(run.stdout)).decode().split("\0")[:-1]
    return {line[66:].removeprefix("./"): line[:64] for line in lines}


def digests_in_image(image, folder):
    """The same, of a file system that nobody mounted."""
    to = image.parent / "files"
    to.mkdir()
    in_root(image, f"rdump {folder} {to}")
    top = to / pathlib.Path(folder).name
    found = {str(file.relative_to(top)): hashlib.sha256(file.read_bytes()).hexdigest()
             for file in top.rglob("*") if file.is_file() and not file.is_symlink()}
    sh("rm", "-rf", to)
    return found


def test_its_metrics_tell_what_its_file_system_holds(debian):
    """Here since this guest runs already."""
    def told():
        """Once its agent answers within the time of one look, which a loaded host may not let it."""
        rows = []

        def look():
            run = debian.run("metrics", NAME)
            assert run.returncode == 0, run.stderr
            rows.append(json.loads(run.stdout))
            return rows[-1]["disk_used_mb"] != -1
        wait_until("the guest's file system", 120, look)
        return rows[-1]

    first = told()
    assert first["guest_agent_responsive"] is True and first["disk_used_mb"] > 200, first
    assert 50 < first["memory_used_mb"] < 760 and first["uptime_seconds"] > 5
    run = debian.run("guest-exec", NAME, "dd if=/dev/zero of=/var/tmp/grown bs=1M count=60 conv=fsync 2>/dev/null")
    assert run.returncode == 0, run.stderr
    (debian.state / f"metrics/{NAME}.json").unlink(missing_ok=True)
    grown = told()["disk_used_mb"] - first["disk_used_mb"]
    assert 50 <= grown <= 150, grown
    assert debian.run("guest-exec", NAME, "rm /var/tmp/grown; sync").returncode == 0


def test_every_file_is_in_each_of_four_backups_as_it_was(debian):
    """One whole backup and three incremental ones, with files made, changed, grown, renamed and removed in between."""
    still = {folder: digests_in_guest(debian, folder) for folder in folders() if folder != "/root"}
    changes = ["head -c 3000000 /dev/urandom >/root/one; head -c 200000 /dev/urandom >/root/two; mkdir -p /root/deep/er",
               "rm /root/one; head -c 700000 /dev/urandom >>/root/two; cp /usr/bin/find /root/deep/er/three",
               "mv /root/two /root/deep/two; for i in $(seq 300); do echo $i >/root/deep/$i; done",
               "head -c 9 /dev/urandom | dd of=/root/deep/two bs=1 seek=100000 conv=notrunc 2>/dev/null; rm -r /root/deep/er"]
    process, made = debian.processes()[NAME], []
    for number, change in enumerate(changes):
        run = debian.run("guest-exec", NAME, change)
        assert run.returncode == 0, run.stderr
        made.append(back_up(debian) | {"root": digests_in_guest(debian, "/root")})
        assert made[-1]["consistency"] == "frozen", made[-1]
        assert (made[-1]["chunks_read"] < made[-1]["chunks"]) == (number > 0), made[-1]
    assert len({each["root"].get("deep/two") for each in made}) == 3
    assert debian.processes()[NAME] == process
    for backup in seeds.some_of(made, 2, "every file of a backup"):
        image = extracted(debian, backup)
        assert digests_in_image(image, "/root") == backup["root"], backup["id"]
        for folder, files in still.items():
            assert len(files) > 5 or folder in ("/opt", "/home")
            assert digests_in_image(image, folder) == files, (backup["id"], folder)
        sh("rm", "-rf", image.parent)


@pytest.mark.skipif(not seeds.is_due(1 / 3, "drill of Debian"), reason="its minutes are another commit's (BLOCKHOST_WHOLE=1)")
def test_a_drill_of_it_passes_and_fails_for_a_file_that_is_another(debian):
    """With the digests of chosen files, and a command."""
    known = digests_in_guest(debian, "/root")
    right = debian.root / "right.sha256"
    right.write_text("".join(f"{digest}  /root/{file}\n" for file, digest in known.items()))
    back_up(debian)
    drill = ("drill", f"{NAME}@latest", "--boot-timeout", PATIENCE, "--json")
    passed = debian.run(*drill, "--digests", right, "--command", "systemctl is-active ssh")
    assert passed.returncode == 0, passed.stderr + passed.stdout
    verdict = json.loads(passed.stdout)
    assert verdict["passed"] and verdict["boot_s"] > 0, verdict
    assert debian.virsh("domstate", NAME).strip() == "running"
    if os.environ.get("BLOCKHOST_WHOLE"):
        right.write_text(right.read_text().replace(next(iter(known.values())), "0" * 64))
        failed = debian.run(*drill, "--digests", right)
        assert failed.returncode == 15 and not json.loads(failed.stdout)["passed"], failed.stderr + failed.stdout


def test_the_file_systems_are_frozen_for_a_moment_and_what_was_written_before_is_on_the_disk(debian):
    written = debian.run("guest-exec", NAME, f"echo '{WORDS}' >/root/just-before")  # nothing wrote it to the disk
    assert written.returncode == 0, written.stderr
    made = back_up(debian)
    assert made["consistency"] == "frozen" and "are not frozen" not in made["stderr"], made
    assert 0 < made["frozen_ms"] <= MOST_MS, made
    image = extracted(debian, made)
    assert in_root(image, "cat /root/just-before") == WORDS + "\n"
    assert "needs_recovery" not in in_root(image, "features")  # it was frozen, and not only said to be
    # Nobody is left frozen: the guest writes, and makes sure of it.
    assert debian.run("guest-exec", NAME, "rm /root/just-before; sync").returncode == 0


def test_without_an_agent_the_backup_is_as_after_a_loss_of_power_and_says_so(debian):
    # The agent ends after its answer.
    gone = debian.run("guest-exec", NAME, "systemd-run --on-active=2 systemctl stop qemu-guest-agent")
    assert gone.returncode == 0, gone.stderr
    wait_until("no agent answers", 60, lambda: "disconnected" in debian.virsh("dumpxml", NAME))
    made = back_up(debian)
    assert made["consistency"] == "crash" and made["frozen_ms"] is None, made
    assert "are not frozen, so that the backup is as after a loss of power" in made["stderr"]
    assert "may be frozen still" not in made["stderr"]
    assert debian.virsh("domstate", NAME).strip() == "running"
    image = extracted(debian, made)
    assert in_root(image, "cat /root/before") == WORDS + "\n" and "needs_recovery" in in_root(image, "features")
