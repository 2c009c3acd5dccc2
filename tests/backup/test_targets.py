# SPDX-License-Identifier: MIT
"""Repositories on another host: by ssh, whose keys are restic's user's own, and on a server that only takes."""

import json
import os
import pathlib
import shlex
import sys

import pytest
from host import BINARY, refused

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from far import MISSING, Far  # noqa: E402

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="backups are root's"),
              pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")]


@pytest.fixture
def far(host):
    """`host` with another one beside it; commands see restic's user, `bh-saver`."""
    made = Far(host.folder)
    script = host.folder / "blockhost-libvirt"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, made.wrapped(BINARY)))} "$@"\n')
    script.chmod(0o755)
    yield made
    made.stop()


def run(host, *words):
    return host.run(*words, program=host.folder / "blockhost-libvirt")


def set_up(host, address):
    return run(host, "backup", "setup", "--user", "bh-saver", "--repository", address)


def test_a_repository_by_ssh_is_made_listed_checked_and_pruned(host, far):
    far.ssh()
    made = set_up(host, far.address())
    assert made.returncode == 0, made.stderr
    assert far.address() in made.stdout
    assert "key" not in json.loads((host.etc / "backup.json").read_text()), "restic's own key derivation, far from here"
    assert run(host, "backup", "list", "--json").stdout == "[]\n"
    for words in (("check", "--read-data-subset", "100"), ("prune",), ("key", "list")):
        done = run(host, "backup", *words)
        assert done.returncode == 0, done.stderr


def test_a_host_that_does_not_let_us_in_is_told_and_nothing_is_asked(host, far):
    server = far.ssh()
    assert set_up(host, far.address()).returncode == 0
    unreachable = "cannot be reached: ssh", "whether its host answers, and whether restic's user may log in there by a key"
    for path, status, words in ((far.home / ".ssh/known_hosts", 17, unreachable), (far.there / ".ssh/authorized_keys", 17, unreachable),
                                (far.there / "repository", 5, ("there is no repository at", "backup setup"))):
        path.rename(path.with_name("aside"))
        refused(host, run(host, "backup", "list"), *words, status=status)
        path.with_name("aside").rename(path)
    assert run(host, "backup", "list").returncode == 0
    far.stop(server)
    refused(host, run(host, "backup", "list"), *unreachable, status=17)


def test_a_server_that_only_takes_keeps_what_it_has(host, far):
    address = far.takes_only()
    made = set_up(host, address)
    assert made.returncode == 0, made.stderr
    assert run(host, "backup", "check").returncode == 0
    before = sorted(str(path) for path in (far.folder / "taken").rglob("*"))
    done = run(host, "backup", "prune")
    assert done.returncode == 0, done.stderr
    assert sorted(str(path) for path in (far.folder / "taken").rglob("*")) == before
