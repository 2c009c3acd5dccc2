# SPDX-License-Identifier: MIT
"""A last backup before gc's destroy: who gets none yet is put off and told of, up to a bound."""

import datetime
import json

import pytest
from host import Host

SETTINGS = {"version": 1, "repository": "/srv/backup", "repository_id": "ab" * 32, "user": "nobody", "before_destroy": True}


def ago(days):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days)).isoformat()


@pytest.fixture
def host(tmp_path):
    """A VM that was suspended for longer than the grace of 7 days, but not for longer than 14."""
    host = Host(tmp_path)
    assert host.create().returncode == 0
    path = tmp_path / "mock-db.json"
    registry = json.loads(path.read_text())
    registry["vms"]["vm-1"] |= {"status": "suspended", "expires_at": ago(12), "suspended_at": ago(10)}
    path.write_text(json.dumps(registry))
    host.set_state("off")
    (host.etc / "backup.json").write_text(json.dumps(SETTINGS))
    return host


def collect(host):
    run = host.run("gc", "--execute", "--mock", "--force-clock", "--json")
    item, = [each for each in json.loads(run.stdout)["items"] if each["action"] == "destroy"]
    return run, item


def tell(host, at):
    (host.folder / "mock-world/backups.json").write_text(json.dumps({"vm-1": at}))


def test_a_destroy_waits_for_the_last_backup_and_says_how_to_take_it(host):
    for told in (None, ago(11)):  # none, and one from before the suspension
        if told:
            tell(host, told)
        run, item = collect(host)
        assert run.returncode == 0 and item["end"] == "skipped"
        assert "it waits for its last backup until" in item["detail"] and "backup vm-1" in item["detail"]
    tell(host, ago(9))
    run, item = collect(host)
    assert run.returncode == 0 and item["end"] == "done", item


def test_the_wait_has_a_bound_and_its_end_is_said(host):
    (host.etc / "backup.json").write_text(json.dumps(SETTINGS | {"before_destroy_wait_days": 2}))
    run, item = collect(host)
    assert item["end"] == "done" and "vm-1 gets no last backup" in run.stderr


def test_who_wants_no_last_backup_waits_for_none(host):
    (host.etc / "backup.json").write_text(json.dumps(SETTINGS | {"before_destroy": False}))
    run, item = collect(host)
    assert item["end"] == "done" and "last backup" not in run.stderr


def test_settings_that_cannot_be_read_let_nothing_be_destroyed(host):
    (host.etc / "backup.json").write_text("{")
    run, item = collect(host)
    assert run.returncode == 1 and item["end"] == "failed"
    assert "whether a last backup is wanted cannot be read" in item["detail"]
