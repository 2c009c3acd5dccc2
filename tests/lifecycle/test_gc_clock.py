"""gc and the clock: one that is not to be trusted suspends and destroys nobody."""

import json
import os

import pytest
from simulated import GC, Mock, ago, gc, made


@pytest.fixture()
def mock(tmp_path):
    world = Mock(tmp_path)
    made(world)
    return world


def refused(world, sentence):
    for words in (GC, (*GC, "--json")):
        run = world.run(*words)
        assert run.returncode == 20, run.stdout + run.stderr
        assert "the clock is not to be trusted" in run.stderr and sentence in run.stderr
        assert "--force-clock" in run.stderr
    assert json.loads(run.stdout)["code"] == "clock"
    assert world.record()["status"] == "active" and world.domain() == "running"


def test_an_unsynchronised_clock_is_refused_and_can_be_forced(mock):
    mock.expire()
    (mock.folder / "mock-world/clock-unsynchronised").touch()
    refused(mock, "not synchronised")
    run = gc(mock, "--force-clock")
    assert "not synchronised" in run.stderr
    assert mock.record()["status"] == "suspended"


@pytest.mark.parametrize("field", ["created_at", "nft_minted_at", "destroyed_at"])
def test_a_clock_behind_what_the_registry_knows_is_refused(mock, field):
    mock.expire()
    mock.change("vm-1", **{field: ago(-1)})
    refused(mock, f"{field} of vm-1 is")


def test_a_clock_behind_or_far_beyond_the_last_run_is_refused(mock):
    gc(mock)
    memory = mock.folder / "mock-world/gc.json"
    assert json.loads(memory.read_text())["last_run"] > ago(0.1)
    mock.expire()
    memory.write_text(json.dumps({"last_run": ago(-0.01)}))
    refused(mock, "gc ran last at")
    memory.write_text(json.dumps({"last_run": ago(35.1)}))
    refused(mock, "more than 35 days")
    memory.write_text(json.dumps({"last_run": ago(34.9)}))
    gc(mock)
    assert mock.record()["status"] == "suspended"


def test_a_registry_file_from_the_future_is_refused(mock):
    mock.expire()
    path = mock.folder / "mock-db.json"
    os.utime(path, (path.stat().st_mtime + 3600, path.stat().st_mtime + 3600))
    refused(mock, "the VM database was written at")
