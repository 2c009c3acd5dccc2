# SPDX-License-Identifier: MIT
"""backup key: a second password for the repository, which is in no argument and no environment, and the way back."""

import json
import os
import pathlib
import shutil
import subprocess
import threading

import pytest
from host import refused
from test_backup import SETUP, password, restic, sheet

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="backups are root's"),
              pytest.mark.skipif(not shutil.which("restic"), reason="restic is not installed")]
SECOND = "the-second-password-of-an-admin"


@pytest.fixture
def second(host, repository):
    """The repository, set up, and a file with another password."""
    sheet(host.run(*SETUP, repository))
    path = host.folder / "second"
    path.write_text(SECOND + "\n")
    return path


def keys(host):
    run = host.run("backup", "key", "list", "--json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_second_password_opens_the_repository_until_its_key_is_removed(host, repository, second):
    first, = keys(host)
    assert first["own"] is True
    added = host.run("backup", "key", "add", "--password-file", second)
    assert added.returncode == 0, added.stderr
    new, = [each for each in keys(host) if each["id"] != first["id"]]
    assert new["id"] in added.stdout and new["own"] is False and SECOND not in added.stdout + added.stderr
    assert "this host's password" in host.run("backup", "key", "list").stdout
    assert restic(host, repository, "cat", "config", key=SECOND).stdout
    assert not list((host.folder / "root/var/cache").rglob("key-*"))
    removed = host.run("backup", "key", "remove", new["id"])
    assert removed.returncode == 0, removed.stderr
    with pytest.raises(subprocess.CalledProcessError):
        restic(host, repository, "cat", "config", key=SECOND)
    assert keys(host) == [first] and host.run("backup", "list").returncode == 0


def test_the_password_is_in_no_argument_and_no_environment(host, second):
    seen, ended = set(), threading.Event()

    def watch():
        while not ended.is_set():
            for path in pathlib.Path("/proc").glob("[0-9]*"):
                try:
                    words = (path / "cmdline").read_bytes()
                    if b"restic" in words:
                        seen.add("restic")
                    if SECOND.encode() in words + (path / "environ").read_bytes():
                        seen.add(words)
                except OSError:
                    pass  # it has ended

    watcher = threading.Thread(target=watch)
    watcher.start()
    run = host.run("backup", "key", "add", "--password-file", second)
    ended.set()
    watcher.join()
    assert run.returncode == 0, run.stderr
    assert seen == {"restic"}


def test_what_would_lock_the_host_out_or_means_nothing_is_refused(host, second):
    own, = keys(host)
    refused(host, host.run("backup", "key", "remove", own["id"]), "is the one that this host opens the repository with", status=8)
    refused(host, host.run("backup", "key", "remove", "ffffffff"), "has no key ffffffff", status=5)
    refused(host, host.run("backup", "key", "remove", "--", "--repo"), "names no key", status=3)
    refused(host, host.run("backup", "key", "remove"), "backup key takes list, add, or remove", status=2)
    refused(host, host.run("backup", "key", "add", "x"), "backup key takes list, add, or remove", status=2)
    refused(host, host.run("backup", "key", "add"), "needs --password-file", status=2)
    second.write_text("")
    refused(host, host.run("backup", "key", "add", "--password-file", second), "holds no password", status=3)
    second.write_text(password(host))
    refused(host, host.run("backup", "key", "add", "--password-file", second), "that is the password which the host has already", status=6)
    assert keys(host) == [own]
