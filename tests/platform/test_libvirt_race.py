# SPDX-License-Identifier: MIT
"""An action that waits for its VM while somebody makes the VM anew: it is the later guest's, and is left undone."""

import fcntl
import re

import pytest
from conftest import MockedLibvirt


@pytest.fixture()
def world(tmp_path):
    made = MockedLibvirt(tmp_path)
    made.add(made.id)
    yield made
    made.close()


def make_anew(world):
    """What a destroy and a create by another process leave: a domain with another uuid."""
    for path in (world.mock.folder / "mock-world/domains").glob(f"{world.id}.*"):
        text = path.read_text()
        uuid = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)
        if uuid:
            path.write_text(text.replace(uuid[0], "f" * 8 + uuid[0][8:]))


@pytest.mark.parametrize("kind", ["destroy", "start"])
def test_an_action_never_falls_on_the_guest_that_took_its_place_while_it_waited(world, kind):
    entry = world.mock.folder / f"mock-world/journal/{world.id}.journal"
    entry.parent.mkdir(exist_ok=True)
    with open(entry, "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        handle = world.platform.begin(world.id, kind)
        make_anew(world)  # behind the first look, and before the action has the VM
    end = world.platform.do("await", handle=handle)
    assert end["phase"] == "failed" and end["error"]["code"] == "wrong_state" and "made anew" in end["error"]["message"]
    assert world.platform.guest(world.id)["power"] == "stopped"
