# SPDX-License-Identifier: MIT
"""operations: what the journal of the host agent's operations tells. Its operations are those of a simulated platform."""

import json
import re
import subprocess

import pytest
from host import BINARY, BUILD, Host

PROGRAM = BUILD / "tests/unit/execution/execution-call"
WEB = {"guest": "web", "incarnation": "made:0"}


class Operations(Host):
    def __init__(self, folder):
        super().__init__(folder)
        (folder / "mock-world").mkdir()
        (folder / "platform").mkdir()
        (folder / "platform/platform.json").write_text(json.dumps({"guests": {"web": {
            "power": "stopped", "incarnation": "made:0", "config": {"name": "web"}}}}))

    def wish(self, what, **members):
        run = subprocess.run([PROGRAM], input=json.dumps({"do": what, **members}) + "\n", env=self.env, cwd=self.folder,
                             capture_output=True, text=True, check=True)
        return run.stdout.strip()

    def submit(self, kind="start", key="", **members):
        return self.wish("submit", target=WEB, action={"kind": kind, **members}, key=key)

    def told(self, *words, status=0):
        run = self.run("operations", "--mock", "--json", *words)
        assert run.returncode == status, run.stderr
        return json.loads(run.stdout)


@pytest.fixture()
def host(tmp_path):
    return Operations(tmp_path)


def test_where_nothing_was_asked_for_there_is_nothing_and_none_is_made(host):
    run = host.run("operations", "--mock")
    assert run.returncode == 0 and run.stdout.split() == ["ID", "STATE", "GUEST", "ACTION", "ARRIVED", "SOURCE", "WHY"]
    assert host.told() == [] and not (host.folder / "mock-world/agent").exists()
    run = host.run("operations", "1234", "--mock")
    assert run.returncode == 5 and "there is no operation 1234" in run.stderr and run.stdout == ""
    assert host.run("operations", "1234", "--follow", "--mock").returncode == 5


def test_an_operation_is_told_from_the_wish_to_its_end(host):
    first = host.submit(key="job-7")
    assert re.fullmatch("[0-9a-f]{16}", first)
    [queued] = host.told()
    assert queued["state"] == "queued" and queued["action"] == {"kind": "start"} and queued["ended"] is None
    assert (queued["guest"], queued["incarnation"], queued["key"]) == ("web", "made:0", "job-7")
    assert host.wish("run") == "idle"
    [done] = host.told(first)
    assert done["state"] == "done" and done["handle"].startswith("simulated-") and done["error"] is None
    assert done["noted"] <= done["begun"] <= done["ended"]
    assert list(done) == next(row for row in json.loads(subprocess.run(
        [BINARY, "__dump"], check=True, capture_output=True).stdout)["verbs"] if row["verb"] == "operations")["output"]["json_keys"]
    assert host.submit(key="job-7") == first and len(host.told()) == 1
    assert "was used for another wish" in host.submit("resume", key="job-7")


def test_a_failure_is_told_with_its_reason(host):
    failed, after = host.submit("resume"), host.submit("start")
    host.wish("run")
    [told] = host.told(failed, status=1)
    assert told["error"] == {"code": "wrong_state", "message": "the guest is not paused", "hint": ""}
    run = host.run("operations", failed, "--mock")
    assert run.returncode == 1
    assert "state        failed\n" in run.stdout and "error        the guest is not paused\n" in run.stdout
    lines = host.run("operations", "--mock").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ID", failed, after]
    assert lines[1].endswith("hub job  the guest is not paused")
    assert [row["id"] for row in host.told("--most", "1")] == [after]


def test_what_waits_is_not_begun_until_it_is_approved(host):
    waits = host.submit("destroy")
    host.wish("run", gate="waits")
    [told] = host.told(waits)
    assert (told["state"], told["detail"]) == ("waiting for signature", "an operator's signature")
    assert "web" in json.loads((host.folder / "platform/platform.json").read_text())["guests"]
    host.wish("approve", id=waits)
    host.wish("run")
    assert host.told(waits)[0]["state"] == "done"
    assert json.loads((host.folder / "platform/platform.json").read_text())["guests"] == {}


def test_what_is_rejected_or_cancelled_says_so(host):
    rejected = host.submit("destroy")
    host.wish("run", gate="refuses")
    assert host.told(rejected, status=1)[0]["state"] == "rejected"
    cancelled = host.submit("start")
    host.wish("cancel", id=cancelled)
    assert host.told(cancelled, status=1)[0]["detail"] == "it is not wanted"
    host.wish("run")
    assert host.told(cancelled, status=1)[0]["state"] == "cancelled"


def test_one_is_followed_to_its_end(host):
    followed, other = host.submit("start"), host.submit("resume")
    process = subprocess.Popen([BINARY, "operations", followed, "--follow", "--json", "--mock"], env=host.env, cwd=host.folder,
                               stdout=subprocess.PIPE, text=True)
    assert json.loads(process.stdout.readline())["state"] == "queued"
    host.wish("run")
    rest = [json.loads(line) for line in process.stdout.read().splitlines()]
    assert process.wait() == 0 and rest[-1]["state"] == "done"
    assert {line["id"] for line in rest} == {followed}
    run = host.run("operations", other, "--follow", "--mock")
    assert run.returncode == 1 and "failed" in run.stdout and len(run.stdout.splitlines()) == 1


def test_all_are_followed_until_the_call_is_interrupted(host):
    process = subprocess.Popen([BINARY, "operations", "--follow", "--mock"], env=host.env, cwd=host.folder,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = host.submit("start")
    assert process.stdout.readline().split()[:4] == [first, "queued", "web", "start"]
    process.terminate()
    assert "interrupted by SIGTERM" in process.communicate()[1] and process.returncode == 128 + 15


def test_a_journal_that_is_no_database_is_refused_and_kept(host):
    host.submit()
    database = host.folder / "mock-world/agent/agent.db"
    for name in ("agent.db-wal", "agent.db-shm"):
        (database.parent / name).unlink(missing_ok=True)
    database.write_bytes(b"no database at all" * 300)
    run = host.run("operations", "--mock")
    assert run.returncode != 0 and "is damaged, or is no database" in run.stderr and run.stdout == ""
    assert database.read_bytes() == b"no database at all" * 300


def test_somebody_elses_folder_is_not_believed(host):
    host.submit()
    (host.folder / "mock-world/agent").chmod(0o755)
    run = host.run("operations", "--mock")
    assert run.returncode == 18 and run.stdout == ""
