# SPDX-License-Identifier: MIT
"""A folder as a hub: what is beside the conformance of all transports."""

import json
import os

import pytest
from conftest import FolderStore, Host


@pytest.fixture()
def place(tmp_path):
    store = FolderStore(tmp_path)
    store.add_host("host-a")
    return store


@pytest.fixture()
def host(place, tmp_path):
    made = Host(place, tmp_path).start()
    yield made
    made.kill()


def own(place):
    return place.place / "host-a"


def test_a_host_makes_no_folder_for_itself(place, tmp_path):
    other = Host(place, tmp_path, "host-c").start()
    try:
        assert "there is no folder" in other.failed()["error"]
    finally:
        other.kill()
    assert not (place.place / "host-c").exists()


def test_what_is_half_written_is_looked_at_again(place, host):
    place.want("host-a", 1)
    host.exchange()
    (own(place) / "desired.json").write_text('{"version": 1, "host": "host-a", "generation": 2')
    told = host.exchange()
    assert told["generation"] == 1 and "desired.json: line 1" in told["unclear"] and told["desired_asked"] == 1
    place.want("host-a", 2)
    told = host.exchange()
    assert (told["generation"], told["unclear"]) == (2, "")


def test_a_file_that_stays_is_not_read_again_and_one_that_changed_in_its_place_is(place, host):
    desired = own(place) / "desired.json"
    desired.write_text('{"version": 1, "host": "host-a", "generation": 1}')
    assert host.exchange()["generation"] == 1
    desired.write_text('{"version": 1, "host": "host-a", "generation": 2}')
    assert host.exchange()["generation"] == 2


def test_no_link_leads_out(place, host, tmp_path):
    (tmp_path / "secret").write_text('{"version": 1, "host": "host-a", "generation": 1}')
    os.symlink(tmp_path / "secret", own(place) / "desired.json")
    assert host.failed()["code"] == "io"
    (own(place) / "desired.json").unlink()
    os.symlink(tmp_path / "secret", own(place) / "signed/x.json")
    told = host.exchange()
    assert told["taken"] == [] and "x.json" in told["unclear"]


def test_what_has_another_name_is_no_signed_operation(place, host):
    for name in ("op.json.swp", ".op.json", "README"):
        (own(place) / "signed" / name).write_text("{}")
    assert host.exchange()["signed_asked"] == 0


def test_too_many_signed_operations_are_said_and_none_is_forgotten(place, host):
    place.sign("host-a", "op")
    host.exchange()
    for number in range(256):
        place.sign("host-a", f"more-{number}")
    told = host.exchange()
    assert told["taken"] == ["op"] and "more signed operations than are looked at" in told["unclear"]
    for number in range(256):
        place.unsign("host-a", f"more-{number}")
    assert host.exchange()["taken"] == ["op"]


def test_the_newest_reports_stay(place, host):
    reports = own(place) / "reports"
    reports.mkdir()
    for number in range(1005):
        (reports / f"{number:016}.json").touch()
    (reports / "mine.txt").touch()
    host.start()
    host.event("a")
    for _ in range(2):
        host.exchange()
    left = sorted(path.name for path in reports.iterdir())
    assert len(left) == 1001 and "mine.txt" in left


def test_what_is_written_is_readable_and_whole(place, host):
    host.event("a")
    host.exchange(audit="7:" + "a" * 64)
    assert json.loads((own(place) / "acknowledged.json").read_text()) == {"version": 1, "acknowledged": 1, "audit": "7:" + "a" * 64}
    for path in [own(place) / "report.json", own(place) / "acknowledged.json", *(own(place) / "reports").iterdir()]:
        assert path.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in own(place).iterdir() if path.name.startswith(".")] == []
