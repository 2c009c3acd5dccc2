# SPDX-License-Identifier: MIT
"""fleet: all hosts of a folder and of an etcd cluster, as an operator sees and changes them, with a real agent on one host."""

import json
import os
import subprocess

import pytest
from conftest import EtcdStore, FolderStore, HttpsStore
from simulated import BINARY
from site_with_hub import HOST, Site

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the agent is root's alone")


class Desk:
    """An operator's machine: a key, the file that says which hub, and no configuration of this program."""

    def __init__(self, site, store, place):
        self.site, self.store, self.place = site, store, place
        (place / "fleet.json").write_text(json.dumps(self.settings()))

    def settings(self):
        if self.store.kind == "folder":
            return self.store.settings(HOST)
        made = self.store.cluster.init("--operator", "boss")
        assert made.returncode == 0, made.stderr
        return self.store.settings("boss") | {"user": "boss"}

    def run(self, *words, hub=("--hub", "fleet.json")):
        return subprocess.run([BINARY, "fleet", *words, *hub], cwd=self.place, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env={"PATH": os.environ["PATH"]})

    def told(self, *words):
        run = self.run(*words, "--json")
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    def apply(self, guests, *more, host=HOST, generation=1, **members):
        (self.place / "wanted.json").write_text(json.dumps({"version": 1, "host": host, "generation": generation, "guests": guests} | members))
        return self.run("apply", HOST, "wanted.json", *more)


@pytest.fixture(params=[FolderStore, EtcdStore], ids=lambda kind: kind.kind)
def desk(request, tmp_path):
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site")
    store = site.hub if request.param is FolderStore else EtcdStore(tmp_path / "site")
    try:
        if store is not site.hub:
            store.add_host(HOST)
            site.hub = store
            site.configure(hub=store.settings(HOST))
        assert site.mock.create("vm-1").returncode == 0
        (tmp_path / "desk").mkdir()
        yield Desk(site, store, tmp_path / "desk")
    finally:
        store.close()


def test_hosts_and_guests_are_what_the_hosts_told(desk):
    desk.site.once()
    [row] = desk.told("hosts")
    assert (row["host"], row["guests"], row["running"], row["pending"], row["why"]) == (HOST, 1, 1, 0, "") and 0 <= row["age_s"] < 60
    line = desk.run("hosts").stdout.splitlines()[1]
    assert line.startswith(HOST) and "1 of 1" in line and "nothing wanted" in line
    assert [(each["host"], each["id"], each["power"]) for each in desk.told("guests")] == [(HOST, "vm-1", "running")]
    assert desk.run("guests", HOST).stdout.splitlines()[1].split() == [HOST, "vm-1", "vm", "running", "vm-1"]
    assert desk.run("pending").stdout == "Nothing waits for a signature.\n"


def test_what_is_applied_is_done_and_only_a_higher_generation_of_that_host_is_taken(desk):
    desk.site.once()
    done = desk.apply({"vm-1": {"power": "stopped"}}, generation=4)
    assert (done.returncode, done.stdout) == (0, f"generation 4 is wanted of {HOST}\n"), done.stderr
    desk.site.once()
    assert desk.site.power() == "stopped"
    assert desk.told("hosts")[0]["desired"]["generation"] == 4
    for run, status, words in ((desk.apply({}, generation=4), 8, "has generation 4, and 4 is wanted already"),
                               (desk.apply({}, generation=5, host="other"), 7, "is for the host other"),
                               (desk.apply({}, generation=5, version=9), 4, "version is 9"),
                               (desk.run("apply", HOST, "absent.json"), 5, "there is no absent.json"),
                               (desk.run("apply", "no-such", "wanted.json"), None, "")):
        assert status in (None, run.returncode) and run.returncode != 0 and words in run.stderr, (run.returncode, run.stderr)
    assert desk.apply({"vm-1": {"power": "running"}}, "--next").stdout == f"generation 5 is wanted of {HOST}\n"
    desk.site.once()
    assert desk.site.power() == "running"


def test_what_waits_is_signed_from_there_once_for_exactly_that(desk):
    desk.apply({"vm-1": {"power": "absent"}})
    desk.site.once()
    [waiting] = desk.told("pending")
    operation, digest = waiting["operation"], waiting["digest"]
    line = desk.run("pending").stdout
    assert line.startswith(f"{HOST}  {operation}  {digest[:16]}  destroy of guest vm-1") and desk.site.power() == "running"
    assert json.loads(desk.run("pending", HOST, operation).stdout) == json.loads(waiting["document"])
    for words, status, sentence in ((("approve", HOST, "no-such", "--key", "k", "--digest", digest), 5, "nothing of that name waits"),
                                    (("approve", HOST, operation, "--key", "k", "--digest", "0" * 16), 8, "has another digest than what you saw"),
                                    (("approve", HOST, operation, "--key", "k", "--digest", "0"), 2, "--digest"),
                                    (("approve", HOST, operation), 2, "--key KEY"),
                                    (("approve", HOST, operation, "--key", "absent", "--digest", digest), None, "absent")):
        run = desk.run(*words)
        assert run.returncode != 0 and status in (None, run.returncode) and sentence in run.stderr, (run.returncode, run.stderr)
    signed = desk.run("approve", HOST, operation, "--key", desk.site.folder / "operator", "--digest", digest[:16])
    assert signed.returncode == 0, signed.stderr
    assert "signing: destroy of guest vm-1" in signed.stderr and "the host takes it with its next report" in signed.stdout
    desk.site.once()
    assert desk.site.power() is None and ("vm-1", "destroy", "done") in desk.site.ends()
    assert desk.run("pending").stdout == "Nothing waits for a signature.\n"


def test_a_host_that_is_not_heard_of_and_one_whose_report_is_nonsense_keep_no_other_from_being_told(desk):
    desk.site.once()
    if desk.store.kind == "folder":
        desk.store.add_host("silent")
        desk.store.add_host("torn")
        (desk.store.place / "torn/report.json").write_text("{")
    else:
        desk.store.cluster.put(desk.store.key("silent", "wanted/blocked"), "yes")
        desk.store.cluster.put(desk.store.key("torn", "told/report"), "{")
    rows = {row["host"]: row for row in desk.told("hosts")}
    assert set(rows) == {HOST, "silent", "torn"} and rows[HOST]["why"] == ""
    assert rows["silent"]["why"] == "it is not heard of" and "line 1" in rows["torn"]["why"]
    assert len(desk.run("hosts").stdout.splitlines()) == 4
    assert "silent: it is not heard of" in desk.run("guests").stderr


def test_what_a_host_told_reaches_no_terminal_as_it_is(desk):
    desk.site.once()
    report = desk.site.report() | {"pending": [{"operation": "\x1b[2Jop", "document": "\x1b]0;x"}], "facts": {"load": 2**64 - 1, "certificate_expiry": 2**62},
                                   "guests": [{"id": "\x1b[2Jvm", "kind": "vm", "power": "running\x07", "name": "n"}], "doubt": "\x1b]0;x\x07"}
    if desk.store.kind == "folder":
        (desk.store.place / HOST / "report.json").write_text(json.dumps(report))
    else:
        desk.store.cluster.put(desk.store.key(HOST, "told/report"), json.dumps(report))
    for words in (("hosts",), ("guests",), ("pending",)):
        run = desk.run(*words)
        assert run.returncode == 0 and "\x1b" not in run.stdout + run.stderr and "\x07" not in run.stdout + run.stderr


def test_a_hub_that_cannot_be_looked_into_is_refused(tmp_path):
    store = HttpsStore(tmp_path)
    try:
        store.give_token("host-a", "t")
        (tmp_path / "fleet.json").write_text(json.dumps(store.settings("host-a")))
        for hub, words in ((("--hub", "fleet.json"), "shows its hosts by its own means"), (("--folder", "absent"), "there is no folder"),
                           ((), "takes --hub FILE or --folder FOLDER"), (("--hub", "absent"), "there is no absent")):
            run = subprocess.run([BINARY, "fleet", "hosts", *hub], cwd=tmp_path, capture_output=True, text=True)
            assert run.returncode != 0 and words in run.stderr, run.stderr
    finally:
        store.close()
