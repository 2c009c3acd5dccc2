# SPDX-License-Identifier: MIT
"""backup key wrap and unwrap: what opens the backups survives the host, under a code that is shown once."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest
from host import BINARY, Host, refused
from test_backup import SETUP, password, restic, sheet

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="backups are root's"),
              pytest.mark.skipif(not shutil.which("restic"), reason="restic is not installed")]


@pytest.fixture
def wrapped(host, repository):
    """The file and its code."""
    sheet(host.run(*SETUP, repository))
    file = host.folder / "wrapped"
    run = host.run("backup", "key", "wrap", file)
    return file, sheet(run)["code"].strip(), run


@pytest.fixture
def other():
    """Another host, on which nothing is set up."""
    with tempfile.TemporaryDirectory(prefix="blockhost-backup-") as folder:
        os.chmod(folder, 0o711)
        yield Host(pathlib.Path(folder))


def test_a_new_host_gets_the_password_by_the_code_and_opens_the_repository(host, repository, wrapped, other):
    file, code, run = wrapped
    instance = (host.folder / "root/var/lib/blockhost/instance-id").read_text().strip()
    assert "nobody can open the file, and no other code ever will" in run.stdout and instance in run.stdout
    text = file.read_text()
    assert text.startswith(f"blockhost-recovery 1 {instance} ") and text.count("\n") == 1
    assert file.stat().st_mode & 0o777 == 0o600 and password(host) not in text and str(repository) not in text
    (other.folder / "code").write_text(code.lower().replace("-", " ") + "\r\n")
    got = other.run("backup", "key", "unwrap", file, "--code-file", other.folder / "code", "--to", other.folder / "password")
    assert got.returncode == 0, got.stderr
    assert str(repository) in got.stdout and instance in got.stdout and password(host) not in got.stdout + got.stderr
    made = other.folder / "password"
    assert made.read_text() == password(host) + "\n" and made.stat().st_mode & 0o777 == 0o600
    refused(other, other.run("restore", "web-001@latest", "--from", repository, "--user", "nobody", "--password-file", made),
            "there is no backup of web-001", status=5)
    assert restic(other, repository, "cat", "config", key=made.read_text().strip()).stdout


def test_the_code_comes_from_standard_input_and_the_password_goes_to_standard_output(host, wrapped, other):
    file, code, _ = wrapped
    run = subprocess.run([BINARY, "backup", "key", "unwrap", file], input=code + "\n", env=other.env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert {key: value.strip() for key, value in sheet(run).items()}["password"] == password(host)
    assert code not in run.stdout + run.stderr


def test_each_wrapping_has_a_code_of_its_own(host, wrapped, other):
    file, code, _ = wrapped
    again = host.folder / "again"
    second = sheet(host.run("backup", "key", "wrap", again))["code"].strip()
    assert second != code
    (other.folder / "code").write_text(second)
    refused(other, other.run("backup", "key", "unwrap", file, "--code-file", other.folder / "code"), "does not open", status=18)
    assert other.run("backup", "key", "unwrap", again, "--code-file", other.folder / "code").returncode == 0


def test_what_is_wrong_is_told_and_changes_nothing(host, wrapped, other):
    file, code, _ = wrapped
    before = file.read_bytes()
    refused(host, host.run("backup", "key", "wrap", file), "there is something at", status=6)
    refused(host, host.run("backup", "key", "wrap", host.folder / "no/where"), "there is no folder", status=5)
    refused(host, host.run("backup", "key", "wrap"), "wrap or unwrap and a file", status=2)
    refused(host, other.run("backup", "key", "wrap", other.folder / "x"), "no repository", status=4)
    assert not (other.folder / "x").exists()
    right, wrong = other.folder / "code", other.folder / "wrong"
    right.write_text(code)
    wrong.write_text(("0" if code[0] != "0" else "1") + code[1:])
    refused(other, other.run("backup", "key", "unwrap", file, "--code-file", wrong), "has a mistake in it", status=3)
    refused(other, other.run("backup", "key", "unwrap", file), "the recovery code is empty", status=3)
    refused(other, other.run("backup", "key", "unwrap", other.folder / "none", "--code-file", right), "there is no", status=5)
    refused(other, other.run("backup", "key", "unwrap", right, "--code-file", right), "is no wrapped password", status=3)
    out = other.folder / "out"
    out.write_text("mine")
    refused(other, other.run("backup", "key", "unwrap", file, "--code-file", right, "--to", out), "there is something at", status=6)
    assert out.read_text() == "mine" and file.read_bytes() == before


def test_a_code_that_nobody_got_leaves_no_file(host, repository):
    sheet(host.run(*SETUP, repository))
    with open("/dev/full", "w") as full:
        run = subprocess.run([BINARY, "backup", "key", "wrap", host.folder / "file"], env=host.env, stdout=full, stderr=subprocess.PIPE)
    assert run.returncode != 0 and not (host.folder / "file").exists()
