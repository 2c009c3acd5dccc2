# SPDX-License-Identifier: MIT
"""restore --file: single files out of a backup whose file system is hostile, through a real libguestfs. Its virtual machine
takes half a minute each time, so that two runs in all have one."""

import glob
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import time

import pytest
from host import BINARY, refused
from place import NOBODY, processes_with
from test_extract import UUID, Stored

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="backups are root's"),
              pytest.mark.skipif(not shutil.which("restic"), reason="restic is not installed"),
              pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="this host has no /dev/fuse")]
needs_guestfs = pytest.mark.skipif(not shutil.which("virt-customize") or not glob.glob("/boot/vmlinuz-*"),
                                   reason="libguestfs is not installed, or has no kernel to boot")


def guest(folder):
    """A system as libguestfs knows one, whose tenant means harm."""
    for name in ("etc", "bin", "srv/www/deep/down", "root/.ssh", "home/alice"):
        (folder / name).mkdir(parents=True)
    (folder / "etc/fstab").write_text("/dev/sda / ext4 defaults 0 1\n")
    (folder / "etc/hosts").write_text("127.0.0.1 localhost\n")
    os.chmod(folder / "etc/hosts", 0o640)
    os.utime(folder / "etc/hosts", (1e9, 1e9))
    os.chmod(folder / "root/.ssh", 0o700)
    (folder / "root/.ssh/id").write_text("key\n")
    (folder / "home/alice/a file\nof 'hers' $(id).txt").write_text("hers\n")
    www = folder / "srv/www"
    (www / "index.html").write_text("<p>\n")
    os.chown(www / "index.html", 1000, 1000)
    (www / "deep/down/page").write_bytes(b"p" * 200000)
    os.link(www / "index.html", www / "second.html")
    (www / "raises").write_bytes(b"#!/bin/sh\n")
    os.chmod(www / "raises", 0o6755)
    os.truncate(os.open(www / "holes", os.O_CREAT | os.O_WRONLY), 8 << 20)
    os.mknod(www / "disk", stat.S_IFBLK | 0o666, os.makedev(8, 0))
    os.mkfifo(www / "pipe")
    (www / "escape").symlink_to("/etc")
    (www / "climb").symlink_to("../../../../../../../../etc/shadow")
    (folder / "var").symlink_to("srv")


@pytest.fixture
def stored(host, repository, place):
    stored = Stored(host, repository, place)
    guest(place.folder / "guest")
    raw, disk = place.folder / "guest.raw", place.folder / "guest.qcow2"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", place.folder / "guest", raw, "48M"], check=True)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk], check=True)
    # The template that it stood on is there, with other content.
    stored.template = host.folder / "root/var/lib/blockhost/templates/v1.qcow2"
    stored.template.parent.mkdir(exist_ok=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", stored.template, "48M"], check=True)
    place.write(stored.template, "write -P 255 0 16M")
    stored.put(disk, stored.manifest(place.times(disk)) | {"base": "v1"})
    stored.begun = []
    yield stored
    for process in stored.begun:
        process.kill()
        process.communicate()


def restore(host, *words):
    return host.run("restore", "web-001@latest", *words)


def status_of(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def is_below(pid, ancestor):
    while pid not in (0, ancestor):
        pid = int(status_of(pid)["PPid"])
    return pid == ancestor


def readers(process):
    """The programs by which it looks into the guest's disk: id -> status."""
    found = {}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"/perl") and is_below(pid, process.pid):
                found[pid] = status_of(pid)
        except OSError:
            pass  # it has ended meanwhile
    return found


def left_in_cache(host):
    return sorted(path.name for path in (host.folder / "root/var/cache/blockhost/files").iterdir())


def test_calls_that_mean_nothing_are_refused_before_anything_is_read(host):
    out = host.folder / "out"
    for words, said, status in [
            (["--file", "/etc/hosts"], "belong together", 2), (["--to", out], "belong together", 2),
            (["--file", "/etc", "--to", out, "--as", "web-002"], "--as is about a VM", 2),
            (["--file", "/etc", "--to", out, "--in-place"], "--in-place is about a VM", 2),
            (["--file", "/etc", "--to", out, "--off"], "--off is about a VM", 2),
            (["--file", "/etc", "--to", out, "--expiry-days", "3"], "--expiry-days is about a VM", 2),
            (["--file", "etc/hosts", "--to", out], "is no absolute path", 3),
            (["--file", "/srv/../etc", "--to", out], "climbs", 3), (["--file", "//./", "--to", out], "is all of the disk", 3),
            (["--file", "/etc", "--file", "/etc/hosts", "--to", out], "--file /etc/hosts lies within /etc", 3),
            (["--file", "/etc", "--to", ""], "names no folder", 3)]:
        refused(host, restore(host, *words), said, status=status)
    refused(host, host.run("restore", "--all", "--file", "/etc", "--to", out), "--all is about a VM", status=2)
    refused(host, host.run("restore", "--file", "/etc", "--to", out), "takes a backup", status=2)
    assert not out.exists()


def test_a_folder_that_has_something_is_left_alone(stored):
    out = stored.host.folder / "out"
    out.mkdir()
    (out / "mine").write_text("mine")
    refused(stored.host, restore(stored.host, "--file", "/etc", "--to", out), "there is something at", status=6)
    refused(stored.host, restore(stored.host, "--file", "/etc", "--to", stored.host.folder / "no/where"), "there is no folder", status=5)
    (stored.host.folder / "link").symlink_to(out)
    refused(stored.host, restore(stored.host, "--file", "/etc", "--to", stored.host.folder / "link"), "there is something at", status=6)
    assert [path.name for path in out.iterdir()] == ["mine"] and (out / "mine").read_text() == "mine"


@needs_guestfs
def test_what_a_hostile_guest_made_comes_as_harmless_files_below_the_folder_alone(stored):
    host, out = stored.host, stored.host.folder / "out"
    # What killed runs left, of this folder and of the cache.
    (out / ".blockhost-restore.part/half").mkdir(parents=True)
    cache = host.folder / "root/var/cache/blockhost/files"
    (cache / "t/contents").mkdir(parents=True)
    (cache / "t/contents/0").symlink_to("/etc/shadow")
    (cache / "disk.qcow2").write_text("half")
    strange = "/home/alice/a file\nof 'hers' $(id).txt"
    run = restore(host, "--file", "/etc/", "--file", "/srv/www", "--file", "/root/.ssh/id", "--file", strange, "--file", "/var",
                  "--to", out, "--json")
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert (told["files"], told["folders"], told["links"], told["left_out"]) == (9, 4, 3, 2) and told["name"] == "web-001"
    assert "2 of what was found there is left out" in run.stderr
    assert sorted(path.name for path in out.iterdir()) == ["etc", "home", "root", "srv", "var"] and left_in_cache(host) == ["lock"]
    www = out / "srv/www"
    assert sorted(path.name for path in www.iterdir()) == ["climb", "deep", "escape", "holes", "index.html", "raises", "second.html"]
    assert os.readlink(www / "escape") == "/etc" and os.readlink(out / "var") == "srv"
    assert os.readlink(www / "climb") == "../../../../../../../../etc/shadow"
    for path in out.rglob("*"):
        about = path.lstat()
        assert about.st_uid == 0 and about.st_gid == 0, path
        assert path.is_symlink() or (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)) and about.st_mode & 0o7000 == 0, path
    assert (out / "etc/hosts").read_text() == "127.0.0.1 localhost\n"
    assert (out / "etc/hosts").stat().st_mode & 0o777 == 0o640 and (out / "etc/hosts").stat().st_mtime == 1e9
    assert (out / "root/.ssh/id").read_text() == "key\n" and (www / "deep/down/page").read_bytes() == b"p" * 200000
    assert (out / strange[1:]).read_text() == "hers\n" and (www / "index.html").samefile(www / "second.html")
    assert (www / "holes").stat().st_size == 8 << 20 and (www / "holes").stat().st_blocks == 0
    assert UUID not in run.stderr


def begun(stored, out):
    """A run whose virtual machine is being made, and what sees the disk then."""
    words = [BINARY, "restore", "web-001@latest", "--file", "/etc", "--to", out]
    process = subprocess.Popen(words, env=stored.host.env, cwd=stored.host.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    stored.begun.append(process)
    end = time.monotonic() + 120
    while not (inside := readers(process)):
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.05)
    return process, inside


@needs_guestfs
def test_signals_a_kill_and_a_path_that_is_missing_leave_nothing(stored):
    host, out = stored.host, stored.host.folder / "out"
    disk = host.folder / "root/var/cache/blockhost/files/disk.qcow2"
    process, inside = begun(stored, out)
    for status in inside.values():
        assert set(status["Uid"].split()) == {str(NOBODY)} and status["NoNewPrivs"] == "1" and int(status["CapBnd"], 16) == 0
    info = subprocess.run(["qemu-img", "info", "-U", "--output=json", disk], check=True, capture_output=True, text=True).stdout
    assert json.loads(info)["backing-filename"] == str(stored.template)
    refused(host, restore(host, "--file", "/etc", "--to", host.folder / "other"), "files of another backup are being restored", status=10)
    assert not (host.folder / "other").exists()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode not in (0, -signal.SIGTERM)
    assert not out.exists() and left_in_cache(host) == ["lock"] and processes_with(str(host.folder)) == []

    process, inside = begun(stored, out)
    process.kill()
    process.communicate(timeout=60)
    end = time.monotonic() + 10  # by itself it would go on for twenty seconds at least
    while processes_with(str(host.folder)) or any(os.path.exists(f"/proc/{pid}") for pid in inside):
        assert time.monotonic() < end, "what a killed run started goes on"
        time.sleep(0.05)
    assert [path.name for path in out.iterdir()] == [".blockhost-restore.part"] and disk.exists()

    again = restore(host, "--file", "/etc", "--file", "/srv/none", "--to", out, "--from", stored.repository, "--user", "nobody",
                    "--password-file", host.etc / "backup.password")
    refused(host, again, "the backup has no /srv/none", status=5)
    assert list(out.iterdir()) == [] and left_in_cache(host) == ["lock"] and processes_with(str(host.folder)) == []
