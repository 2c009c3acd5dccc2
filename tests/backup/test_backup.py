# SPDX-License-Identifier: MIT
"""backup setup, list and check on the real restic, as the user nobody: what is made, what a repeat does, what is refused."""

import json
import os
import re
import shutil
import subprocess

import pytest
from host import BINARY, refused

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="backups are root's"),
              pytest.mark.skipif(not shutil.which("restic"), reason="restic is not installed")]
SETUP = ("backup", "setup", "--user", "nobody", "--repository")


def sheet(run):
    assert run.returncode == 0, run.stderr
    return dict(line.split("  ", 1) for line in run.stdout.splitlines() if "  " in line)


def password(host):
    return (host.etc / "backup.password").read_text().strip()


def restic(host, repository, *words, key=None):
    return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "restic", "--no-cache", "--quiet", "--repo", repository, *words], input=(key or password(host)) + "\n",
                          capture_output=True, text=True, check=True)


def test_setup_makes_a_repository_of_restics_user_and_prints_the_sheet_once(host, repository):
    made = host.run(*SETUP, repository)
    lines = {key: value.strip() for key, value in sheet(made).items()}
    assert lines["repository"] == str(repository)
    assert lines["password"] == password(host) and re.fullmatch("[0-9a-f]{64}", password(host))
    settings = json.loads((host.etc / "backup.json").read_text())
    assert settings == {"version": 1, "repository": str(repository), "repository_id": lines["repository id"], "user": "nobody",
                        "key": next((repository / "keys").iterdir()).name}
    assert (host.etc / "backup.password").stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_uid for path in repository.rglob("*")} == {65534}
    again = host.run(*SETUP, repository)
    assert again.returncode == 0 and password(host) not in again.stdout + again.stderr
    assert host.run("backup", "list", "--json").stdout == "[]\n"
    assert host.run("backup", "check").stdout == "the repository is whole; its data was not read\n"
    assert "100 % of its data was read" in host.run("backup", "check", "--read-data-subset", "100").stdout


@pytest.mark.parametrize("died_before", ["backup.json", "config"])
def test_a_repeat_finishes_what_a_death_left(host, repository, died_before):
    key = sheet(host.run(*SETUP, repository))["password"].strip()
    (host.etc / "backup.json").unlink()
    if died_before == "config":
        shutil.rmtree(repository)
    assert sheet(host.run(*SETUP, repository))["password"].strip() == key


def test_backups_are_listed_by_their_tags_and_others_are_told(host, repository):
    instance = sheet(host.run(*SETUP, repository))["host"].strip()
    (host.folder / "some").write_text("x")
    tags = ["--tag", "vm=web-001", "--tag", "uuid=11111111-2222-4333-8444-555555555555", "--tag", f"op={instance[:8]}12345678"]
    restic(host, repository, "backup", "--host", instance, *tags, host.folder / "some")
    restic(host, repository, "backup", "--host", "elsewhere", host.folder / "some")
    listed = host.run("backup", "list", "--json")
    assert [(each["name"], each["instance"]) for each in json.loads(listed.stdout)] == [("web-001", instance)]
    [row] = json.loads(listed.stdout)
    assert (row["place"], row["size_bytes"], row["verdict"]) == (str(repository), None, None) and row["age_s"] >= 0, "nobody looked"
    assert "1 snapshot(s) of the repository are no backups of this program's" in listed.stderr
    assert json.loads(host.run("backup", "list", "web-002", "--json").stdout) == []
    assert "web-001" in host.run("backup", "list", "web-001").stdout


def test_another_hosts_repository_is_refused_and_nothing_is_written_down(host, repository):
    shutil.copytree(host.etc, host.folder / "before")
    sheet(host.run(*SETUP, repository))
    key = password(host)
    tags = ["--tag", "vm=web-001", "--tag", "uuid=11111111-2222-4333-8444-555555555555", "--tag", "op=aaaaaaaa12345678"]
    (host.folder / "key").write_text(key + "\n")
    restic(host, repository, "backup", "--host", "a" * 32, *tags, host.folder / "key")
    for name in ("backup.json", "backup.password"):
        (host.etc / name).unlink()
    refused(host, host.run(*SETUP, repository, "--password-file", host.folder / "key"),
            "the repository has backups of another host (of its VM web-001)", status=7)
    refused(host, host.run(*SETUP, repository), "does not take the password", status=18)
    assert {path.name for path in host.etc.iterdir()} == {path.name for path in (host.folder / "before").iterdir()}


def test_a_repository_that_is_there_is_joined_by_its_password(host, repository):
    sheet(host.run(*SETUP, repository))
    key = password(host)
    (host.folder / "key").write_text(key)
    for name in ("backup.json", "backup.password"):
        (host.etc / name).unlink()
    assert sheet(host.run(*SETUP, repository, "--password-file", host.folder / "key"))["password"].strip() == key


def test_what_is_missing_is_told_and_never_made_up(host, repository):
    refused(host, host.run("backup", "list"), "no repository for backups was set up", "backup setup", status=4)
    sheet(host.run(*SETUP, repository))
    (host.etc / "backup.password").rename(host.folder / "away")
    refused(host, host.run("backup", "list"), "the repository's password is missing", "recovery sheet", status=4)
    (host.etc / "backup.password").write_text("wrong\n")
    (host.etc / "backup.password").chmod(0o600)
    refused(host, host.run("backup", "check"), "does not take the password", status=18)
    (host.etc / "backup.password").chmod(0o644)
    refused(host, host.run("backup", "check"), "may be read or written by others", status=4)
    (host.folder / "away").replace(host.etc / "backup.password")
    repository.rename(host.folder / "unmounted")
    refused(host, host.run("backup", "check"), "there is no repository at", status=5)
    assert not repository.exists()


def test_another_repository_in_its_place_is_noticed(host, repository):
    sheet(host.run(*SETUP, repository))
    shutil.rmtree(repository)
    repository.mkdir()
    os.chown(repository, 65534, 65534)
    restic(host, repository, "init")
    refused(host, host.run("backup", "list"), "is another than the one that was set up", status=7)


def test_calls_that_mean_nothing_are_refused_and_nothing_is_made(host, repository):
    refused(host, host.run("backup", "setup"), "needs --repository", status=2)
    refused(host, host.run(*SETUP, "s3:host/bucket"), "address is not usable", status=3)
    refused(host, host.run(*SETUP, "rest:https://me:secret@host/"), "has a password in it", status=3)
    refused(host, host.run("backup", "check", "web-001"), "takes nothing behind it", status=2)
    refused(host, host.run("backup", "show", "a", "b"), "takes one word behind it", status=2)
    refused(host, host.run("backup"), "backup needs a NAME or --all", status=2)
    refused(host, host.run("backup", "web-001", "--all"), "takes NAMEs or --all, not both", status=2)
    refused(host, host.run("backup", "web-001", "../x"), "Invalid VM name", status=3)
    refused(host, host.run("backup", "setup", "--repository", repository, "--user", "no-such-user"), "there is no user", status=4)
    refused(host, host.run("backup", "setup", "--repository", repository, "--mock"), "no simulated repository", status=4)
    refused(host, host.run(*SETUP, host.folder / "no/where"), "there is no folder", status=5)
    closed = host.folder / "closed"
    closed.mkdir(mode=0o700)
    refused(host, host.run(*SETUP, closed / "repository"), "may not pass through", status=18)
    assert not repository.exists() and not (host.etc / "backup.json").exists() and not (host.etc / "backup.password").exists()


def test_a_sheet_that_nobody_took_is_in_the_file(host, repository):
    with open("/dev/full", "w") as full:
        unheard = subprocess.run([BINARY, *SETUP, repository], env=host.env, cwd=host.folder, stdout=full,
                                 stderr=subprocess.PIPE, text=True)
    assert unheard.returncode != 0 and "backup.password" in unheard.stderr and password(host)
    assert host.run("backup", "check").returncode == 0

