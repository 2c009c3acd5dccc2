# SPDX-License-Identifier: MIT
"""The agent with a server as its hub: a long time with bad days in it, and what the agent does on each."""

import contextlib
import json
import os
import signal
import time

import pytest
from conftest import HttpsStore
from site_with_hub import HOST, Running, Site, validated

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the agent is root's alone")


class ServedSite(Site):
    """A host whose hub is a server."""

    def __init__(self, folder):
        super().__init__(folder)
        self.hub = HttpsStore(folder)
        self.hub.add_host(HOST)
        self.configure(hub=self.hub.settings(HOST) | {"poll_s": 60})

    def sign(self, document, file="op"):
        super_hub, self.hub = self.hub, self
        self.place, self.replace = self.folder, lambda _path, text: super_hub.hub.sign(HOST, text)
        try:
            super().sign(document, file)
        finally:
            self.hub = super_hub


@pytest.fixture()
def site(tmp_path):
    made = ServedSite(tmp_path)
    assert made.mock.create("vm-1").returncode == 0
    yield made
    made.hub.close()


def test_what_is_wanted_is_done_and_what_is_signed_is_handed_in(site):
    site.want({"vm-1": {"power": "absent"}})
    [pending] = validated(site.once())["pending"]
    site.sign(pending["document"])
    validated(site.once())
    assert site.power() is None and ("vm-1", "destroy", "done") in site.ends()
    assert site.hub.hub.hosts[HOST].numbers_again == 0


def test_the_token_is_told_nowhere(site):
    running = Running(site)
    try:
        running.hears("READY=1")
        running.until(lambda: site.hub.hub.hosts[HOST].reports)
        for part in ("cmdline", "environ"):
            with open(f"/proc/{running.process.pid}/{part}", "rb") as file:
                assert b"token-of" not in file.read()
        site.hub.hub.hosts[HOST].tokens = {"another"}
        running.ask_now()
        running.hears("STATUS=in trouble: hub")
    finally:
        err = running.end()
    assert "does not accept this host's token" in err and "token-of" not in err + str(running.heard)
    assert "token-of" not in json.dumps(site.hub.hub.hosts[HOST].reports)
    for path in (site.folder / "mock-world").rglob("*"):
        if path.is_file():
            assert b"token-of" not in path.read_bytes(), path


def test_a_hub_that_asks_for_patience_is_left_alone(site):
    running = Running(site)
    try:
        running.hears("READY=1")
        running.until(lambda: site.hub.hub.hosts[HOST].reports)
        site.hub.hub.bad = {"status": 503, "headers": {"Retry-After": "3600"}}
        running.ask_now()
        running.hears("STATUS=in trouble: hub")
        asked = len(site.hub.hub.requests)
        time.sleep(12)  # longer than it would wait by itself
        assert len(site.hub.hub.requests) == asked
    finally:
        running.end()


def test_a_long_time_with_bad_days_ends_as_it_is_wanted(site):
    """The hub is away, generations are skipped, token and certificate are replaced, the agent dies, a destroy waits."""
    hub, powers = site.hub.hub, ["running", "stopped"]
    for day in range(8):
        guests = {"vm-1": {"power": powers[day % 2], "description": f"day {day}"}}
        if day >= 3:
            guests["vm-2"] = {"power": "absent"}
        elif day == 0:
            guests["vm-2"] = {"source": {"template": "current"}, "owner_wallet": "0x" + "cd" * 20, "power": "running",
                              "cpus": 1, "memory_mib": 128, "disk_gib": 4}
        site.want(guests, generation=10 * day + 1)
        if day == 1:
            site.hub.go_away()
            assert site.agent("--once").returncode == 1
            site.hub.come_back()
        if day == 2:
            hub.hosts[HOST].tokens = {"new-token"}
            assert site.agent("--once").returncode == 1
            site.hub.give_token(HOST, "new-token")
        if day == 4:
            site.hub.go_away()
            hub.context = site.hub.authority.context("IP:127.0.0.1,DNS:renewed")
            site.hub.come_back()
        if day == 5:
            process = site.mock.start("agent", "--once")
            time.sleep(0.15)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        if day == 6:
            hub.bad_at = {"desired": {"truncate": 30}}
            site.agent("--once")
            hub.bad_at = {}
        site.agent("--once")
    report = validated(site.once())
    assert report["desired"]["generation"] == 71 and site.power("vm-1") == powers[7 % 2]
    assert site.power("vm-2") is not None and len(report["pending"]) == 1  # nobody signed
    sequences = [event["sequence"] for event in site.events()]
    assert sequences == list(range(1, len(sequences) + 1))
    assert ("vm-2", "destroy", "done") not in site.ends()
    ended = [event["operation"] for event in site.events("operation-ended")]
    open_now = len(report["operations"])
    assert len(ended) == len(set(ended)) == len(site.operations()) - open_now


def test_an_answer_that_is_lost_costs_nothing(site):
    site.want({"vm-1": {"power": "stopped"}})
    site.hub.hub.bad_at = {"report": {"truncate": 0}}
    assert site.agent("--once").returncode == 1
    site.hub.hub.bad_at = {}
    with contextlib.suppress(AssertionError):
        site.once()
    site.once()
    assert site.ends() == [("vm-1", "stop", "done")] and site.hub.hub.hosts[HOST].numbers_again == 0
