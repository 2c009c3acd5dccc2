# SPDX-License-Identifier: MIT
"""docs/operations.md, "After a crash": every command there is run, and every trouble it names is made and mended."""

import json
import pathlib
import re
import shlex
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lifecycle"))
from simulated import TREE, WALLET, Mock  # noqa: E402

SECTION = (TREE / "docs/operations.md").read_text().split("## After a crash\n")[1].split("\n## ")[0]
COMMANDS = [line.split("#")[0].strip() for line in re.search(r"```sh\n(.*?)```", SECTION, re.S).group(1).splitlines()]
TROUBLES = {row.split("|")[1].strip(" `"): re.findall(r"`([^`]+)`", row.split("|")[3])
            for row in SECTION.splitlines() if row.startswith("| `")}
CREATE = ("create", "web-1", "--owner-wallet", WALLET, "--apply", "--memory", "128", "--disk", "4")


@pytest.fixture()
def mock(tmp_path):
    return Mock(tmp_path)


def documented(mock, command):
    """Runs a command of the page in the simulated world, where virsh is the removal of a file."""
    words = shlex.split(command)
    if words[:2] == ["virsh", "undefine"]:
        for path in (mock.folder / "mock-world/domains").glob(words[2] + ".*"):
            path.unlink()
        return None
    assert words[0] == "blockhost-libvirt"
    return mock.run(*words[1:])


def mended(mock, trouble):
    for command in TROUBLES[trouble]:
        run = documented(mock, command)
        assert run is None or run.returncode == 0, (command, run.stderr)


def kill_create(mock, point):
    killed = mock.run(*CREATE, fault=f"kill@{point}")
    assert killed.returncode < 0
    return killed


@pytest.mark.parametrize("point", [12, 45, 70])
def test_the_commands_leave_a_crashed_host_whole(mock, point):
    assert mock.create("other").returncode == 0
    kill_create(mock, point)
    for command in COMMANDS:
        run = documented(mock, command)
        assert run.returncode == 0, (command, run.stdout, run.stderr)
    mock.check(["other"])


def test_a_create_that_is_at_work_is_busy_and_gives_up_for_a_destroy(mock):
    mock.behave(boot_ms=60000)
    create = mock.start(*CREATE)
    while not list((mock.folder / "mock-world").glob("journal/web-1.journal")) or not mock.domain("web-1"):
        time.sleep(0.05)
    run = mock.run("start", "web-1")
    assert "web-1 is busy: create since" in run.stderr, run.stderr
    mended(mock, "web-1 is busy: create since …")
    create.communicate(timeout=30)
    assert create.returncode == 1
    mock.check([])


def test_an_interrupted_create_is_finished_first(mock):
    kill_create(mock, 45)
    mended(mock, "create of web-1 was interrupted; finishing that first")
    mock.check([])


def test_a_create_says_that_it_finishes_an_interrupted_one_first(mock):
    kill_create(mock, 45)
    run = mock.run(*CREATE)
    assert run.returncode == 0 and "create of web-1 was interrupted; finishing that first" in run.stderr
    mock.check(["web-1"])


def test_a_copied_domain_keeps_the_disk_until_it_is_gone(mock):
    assert mock.create("web-1").returncode == 0
    domains = mock.folder / "mock-world/domains"
    uuid = re.search(r"<uuid>(.*?)</uuid>", (domains / "web-1.xml").read_text()).group(1)
    for path in domains.glob("web-1.*"):
        text = path.read_text().replace("<name>web-1</name>", "<name>copy</name>")
        text = text.replace(uuid, "11111111-2222-4333-8444-555555555555")
        (domains / path.name.replace("web-1", "copy")).write_text(text)
    run = mock.run("destroy", "web-1")
    assert run.returncode == 1 and "the domain copy stands on the disk of web-1" in run.stderr, run.stderr
    mended(mock, "the domain copy stands on the disk of web-1")
    mock.check([])


def test_what_could_not_be_undone_is_undone_when_its_reason_is_gone(mock):
    mock.behave(boot_ms=20000)
    create = mock.start(*CREATE)
    while not mock.domain("web-1"):
        time.sleep(0.05)
    domains = mock.folder / "mock-world/domains"
    domains.rename(domains.with_name("away"))  # the hypervisor answers nothing while the create is undone
    domains.write_text("no folder")
    create.terminate()
    out, err = create.communicate(timeout=60)
    domains.unlink()
    domains.with_name("away").rename(domains)
    assert create.returncode != 0 and "could not be undone completely" in err, err
    mended(mock, "could not be undone completely")
    mock.check([])


@pytest.mark.parametrize("way", [0, 1])
def test_a_domain_without_a_record_gets_one_or_goes(mock, way):
    assert mock.create("web-1").returncode == 0
    registry = mock.registry()
    del registry["vms"]["web-1"]
    mock.write(registry)
    run = mock.run(*CREATE)
    assert "web-1 is a domain of ours without a live record" in run.stderr
    command = TROUBLES["web-1 is a domain of ours without a live record"][way]
    assert documented(mock, command).returncode == 0
    mock.check([["web-1"], []][way])


def test_a_record_without_a_domain_is_destroyed(mock):
    assert mock.create("web-1").returncode == 0
    for path in (mock.folder / "mock-world/domains").glob("web-1.*"):
        path.unlink()
    run = mock.run("start", "web-1")
    assert "the domain of web-1 is gone from libvirt" in run.stderr
    mended(mock, "the domain of web-1 is gone from libvirt")
    mock.check([])


def test_a_name_that_others_have_stays_theirs(mock):
    assert mock.create("web-1").returncode == 0
    mock.disown("web-1")
    run = mock.run("destroy", "web-1")
    assert "web-1 is taken by a domain that this BlockHost did not make" in run.stderr
    assert TROUBLES["web-1 is taken by a domain that this BlockHost did not make"] == []
    assert mock.create("web-2").returncode == 0


def test_a_database_that_is_no_json_is_shown_and_kept(mock):
    assert mock.create("web-1").returncode == 0
    database = mock.folder / "mock-db.json"
    torn = database.read_bytes()[:-20]
    database.write_bytes(torn)
    run = mock.run("destroy", "web-1")
    assert run.returncode == 1 and "is not valid JSON" in run.stderr
    assert TROUBLES["is not valid JSON"] == ["python3 -m json.tool /var/lib/blockhost/vms.json"]
    with pytest.raises(json.JSONDecodeError):
        json.loads(database.read_text())
    assert database.read_bytes() == torn


def test_every_trouble_of_the_page_is_made_here():
    text = pathlib.Path(__file__).read_text()
    missing = [trouble for trouble in TROUBLES if text.count(f'"{trouble}"') == 0]
    assert len(TROUBLES) == 8 and missing == []
