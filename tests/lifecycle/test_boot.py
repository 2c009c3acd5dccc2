# SPDX-License-Identifier: MIT
"""boot on the simulated world: who is brought back after the host has started, and who stays off."""

import pytest
from simulated import Mock, gc, made


@pytest.fixture()
def mock(tmp_path):
    world = Mock(tmp_path)
    made(world)
    return world


def test_boot_starts_what_should_run_once(mock):
    for n in (2, 3, 4, 5):
        assert mock.create(f"vm-{n}").returncode == 0
    assert mock.run("kill", "vm-2").returncode == 0
    mock.expire("vm-3")
    gc(mock)
    for name in ("vm-1", "vm-4"):
        mock.set_state("off", name)
    run = mock.run("boot", "--jobs", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    assert sorted(run.stdout.splitlines()) == ["vm-1: started", "vm-2: kept off: it was stopped by an admin",
                                               "vm-4: started", "vm-5: runs already"]
    assert [mock.domain(f"vm-{n}") for n in (1, 2, 3, 4)] == ["running", "off", "off", "running"]
    assert mock.run("boot").stdout == "Nothing to do\n"
    assert mock.run("start", "vm-2").returncode == 0
    assert "vm-2: runs already" in mock.run("boot", "--again").stdout


def test_boot_tries_again_what_failed(mock):
    path = mock.folder / "mock-world/domains/vm-1.json"
    xml = mock.folder / "mock-world/domains/vm-1.xml"
    mock.set_state("off")
    kept, state = xml.read_text(), path.read_text()
    xml.unlink(), path.unlink()
    run = mock.run("boot")
    assert run.returncode == 1 and "vm-1: FAILED: the domain of vm-1 is gone from libvirt" in run.stdout
    xml.write_text(kept), path.write_text(state)
    assert mock.run("boot").stdout == "vm-1: started\n"


def test_a_stop_of_a_vm_that_is_off_keeps_it_off(mock):
    mock.set_state("off")
    assert mock.run("stop", "vm-1").returncode == 0
    assert "kept off" in mock.run("boot").stdout and mock.domain() == "off"
    assert mock.run("destroy", "vm-1").returncode == 0
    assert mock.files("kept-off") == []


@pytest.mark.parametrize("verb", [("boot", "--again"), ("boot", "--again", "--jobs", "1")])
def test_a_reader_that_is_gone_keeps_no_vm_off(mock, verb):
    names = [f"vm-{n}" for n in range(1, 5)]
    for name in names:
        if name != "vm-1":
            assert mock.create(name).returncode == 0
        mock.set_state("off", name)
    with open("/dev/full", "w") as full:
        run = mock.start(*verb, stdout=full)
        _, err = run.communicate(timeout=60)
    assert run.returncode == 17, err
    assert {mock.domain(name) for name in names} == {"running"}


def test_an_old_mark_of_a_vm_that_runs_goes(mock):
    path = mock.folder / "mock-world/kept-off"
    path.mkdir(exist_ok=True)
    (path / "vm-1").write_text("")
    assert "vm-1: runs already" in mock.run("boot", "--again").stdout
    assert mock.files("kept-off") == []
