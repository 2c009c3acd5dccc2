# SPDX-License-Identifier: MIT
"""The agent with a folder as its hub, on this program's own VMs in their simulated world: what is wanted is done, what can lose data
waits for a signature, and whatever goes away comes back."""

import contextlib
import json
import os
import random
import subprocess
import time

import pytest
from simulated import BINARY, WALLET
from site_with_hub import HOST, Running, Site, validated

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the agent is root's alone")


@pytest.fixture()
def site(tmp_path):
    made = Site(tmp_path)
    run = made.mock.create("vm-1")
    assert run.returncode == 0, run.stderr
    return made


# -- what is wanted

def test_what_is_wanted_is_done_and_told(site):
    site.want({"vm-1": {"power": "stopped", "description": "mine"},
               "vm-2": {"source": {"template": "current"}, "owner_wallet": WALLET, "power": "running", "memory_mib": 256, "cpus": 1, "disk_gib": 5}})
    report = validated(site.once())
    assert (site.power("vm-1"), site.power("vm-2")) == ("stopped", "running")
    assert report["desired"]["generation"] == 1 and report["desired"]["converged"] is True
    assert {guest["id"]: guest["power"] for guest in report["guests"]} == {"vm-1": "stopped", "vm-2": "running"}
    assert ("vm-1", "stop", "done") in site.ends() and ("vm-2", "create", "done") in site.ends()
    assert [event["generation"] for event in site.events("desired-accepted")] == [1]
    for told in site.hub.reports(HOST):
        validated(told)


def test_a_second_turn_finds_nothing_to_do_and_writes_nothing(site):
    site.want({"vm-1": {"power": "stopped"}})
    site.once()
    before = (site.ends(), len(site.hub.reports(HOST)))
    site.once()
    assert (site.ends(), len(site.hub.reports(HOST))) == before


def test_a_lower_generation_and_another_hosts_document_are_refused(site):
    site.want({"vm-1": {"power": "stopped"}}, generation=5)
    site.once()
    site.want({"vm-1": {"power": "running"}}, generation=4)
    assert site.once()["desired"]["generation"] == 5
    site.hub.want(HOST, 6, document={"host": "host-b"}, guests={"vm-1": {"power": "running"}})
    assert site.once()["desired"]["generation"] == 5
    assert site.power() == "stopped"
    why = [(event["generation"], event["why"]) for event in site.events("desired-refused")]
    assert why[0][0] == 4 and "lower than 5" in why[0][1]
    assert why[1][0] == 6 and f"for the host host-b, and this is {HOST}" in why[1][1] and len(why) == 2


def test_a_document_that_makes_no_sense_is_refused_with_its_place_and_the_old_one_is_followed(site):
    site.want({"vm-1": {"power": "stopped"}})
    site.once()
    site.want({"vm-1": {"power": "stopped", "cpus": 0}})
    site.mock.run("start", "vm-1")
    assert site.once()["desired"]["generation"] == 1
    [event] = site.events("desired-refused")
    assert event["generation"] == 2 and "the hub's desired state:1:" in event["why"] and "cpus" in event["why"]
    assert site.power() == "stopped"


def test_what_apply_accepted_is_followed_too(site):
    site.hub.want(HOST, 1, guests={"vm-1": {"power": "running"}})
    site.once()
    (site.folder / "mine.json").write_text(json.dumps({"version": 1, "host": HOST, "generation": 2, "guests": {"vm-1": {"power": "stopped"}}}))
    assert site.mock.run("apply", "mine.json", "--yes").returncode == 0
    assert site.once()["desired"]["generation"] == 2 and site.power() == "stopped"


def test_a_guest_that_ran_as_it_was_wanted_and_was_switched_off_is_left_to_healing(site):
    site.want({"vm-1": {"power": "running"}})
    site.once()
    assert site.mock.run("stop", "vm-1").returncode == 0
    report = site.once()
    assert site.power() == "stopped" and report["desired"]["converged"] is False
    assert "healing" in report["desired"]["left"][0]["what"]
    site.want({"vm-1": {"power": "running"}})
    site.once()
    assert site.power() == "running"


def test_what_fails_is_told_and_not_tried_at_once_again(site):
    assert site.mock.run("kill", "vm-1").returncode == 0
    site.mock.behave(disk="full")
    site.want({"vm-1": {"power": "running"}})
    site.once(1)
    count = len(site.operations())
    report = site.once()
    assert len(site.operations()) == count
    assert "it failed, and is tried again at" in report["desired"]["left"][0]["what"]


# -- what can lose data

def test_a_destroy_waits_for_a_signature_that_comes_by_the_hub(site):
    site.want({"vm-1": {"power": "absent"}})
    report = validated(site.once())
    [pending] = report["pending"]
    assert site.power() == "running" and report["desired"]["converged"] is False
    site.sign(pending["document"])
    report = validated(site.once())
    assert site.power() is None and report["pending"] == []
    assert ("vm-1", "destroy", "done") in site.ends()
    assert [event["operation"] for event in site.events("signed-taken")] == [pending["operation"]]
    site.once()
    assert site.ends().count(("vm-1", "destroy", "done")) == 1


def test_a_signature_of_somebody_else_is_told_and_changes_nothing(site):
    site.want({"vm-1": {"power": "absent"}})
    [pending] = site.once()["pending"]
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", site.folder / "stranger"], check=True)
    os.replace(site.folder / "stranger", site.folder / "operator")
    os.replace(site.folder / "stranger.pub", site.folder / "operator.pub")
    site.sign(pending["document"])
    assert site.once()["pending"][0]["operation"] == pending["operation"]
    [event] = site.events("signed-refused")
    assert event["operation"] == pending["operation"] and event["why"] and site.power() == "running"


def test_a_signature_that_cannot_be_judged_now_is_judged_later(site):
    site.want({"vm-1": {"power": "absent"}})
    [pending] = site.once()["pending"]
    allowed = site.folder / "allowed_signers"
    allowed.rename(site.folder / "away")
    site.sign(pending["document"])
    report = site.once()
    assert site.power() == "running" and site.events("signed-refused") == []
    assert [each["what"] for each in report["troubles"]] in ([], ["hub-document"])
    (site.folder / "away").rename(allowed)
    site.once()
    assert site.power() is None


def test_what_an_operator_rejected_is_not_asked_for_again_in_that_generation(site):
    site.want({"vm-1": {"power": "absent"}})
    [pending] = site.once()["pending"]
    assert site.mock.run("reject", pending["operation"]).returncode == 0
    report = site.once()
    assert report["pending"] == [] and "rejected" in report["desired"]["left"][0]["what"]
    site.want({"vm-1": {"power": "absent"}})
    assert len(site.once()["pending"]) == 1


def test_an_old_copy_of_the_database_loses_nothing_that_is_signed(site):
    """It is put back while a destroy waits for its signature."""
    site.want({"vm-1": {"power": "absent"}})
    site.once()
    copies = {file: (site.folder / "mock-world/agent" / file).read_bytes() for file in ("agent.db", "audit.jsonl")}
    [pending] = site.report()["pending"]
    site.want({"vm-1": {"power": "stopped"}})
    site.once()
    for file, text in copies.items():
        (site.folder / "mock-world/agent" / file).write_bytes(text)
    for more in ("agent.db-wal", "agent.db-shm"):
        (site.folder / "mock-world/agent" / more).unlink(missing_ok=True)
    site.sign(pending["document"])
    for _ in range(3):
        report = site.once()
    assert site.power() is not None and report["audit"] is None
    assert "older-copy" in [each["what"] for each in report["troubles"]]


# -- what goes away

def test_a_hub_that_is_away_keeps_nothing_from_being_followed(site):
    site.want({"vm-1": {"power": "stopped"}})
    site.once()
    site.hub.go_away()
    site.mock.run("start", "vm-1")
    run = site.agent("--once")
    assert run.returncode == 1 and "there is no folder" in run.stderr
    assert site.power() == "stopped"
    site.hub.come_back()
    site.once()
    assert site.ends().count(("vm-1", "stop", "done")) == 2


def test_a_host_that_is_blocked_reports_and_does_nothing(site):
    site.hub.block(HOST, True)
    site.want({"vm-1": {"power": "stopped"}})
    report = site.once()
    assert site.power() == "running" and [each["what"] for each in report["troubles"]] in ([], ["blocked"])
    assert [each["what"] for each in site.once()["troubles"]] == ["blocked"]
    site.hub.block(HOST, False)
    site.once()
    assert site.power() == "stopped"


def test_a_clock_that_went_back_is_told(site):
    site.once()
    with contextlib.closing(site.database()) as database, database:
        later = int((time.time() + 7 * 86400) * 1_000_000)
        assert database.execute("UPDATE authority_fact SET number = ? WHERE name = 'clock'", [later]).rowcount == 1
    assert "clock" in [each["what"] for each in site.once()["troubles"]]


# -- as a service

@pytest.fixture()
def running(site):
    made = Running(site)
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.communicate()


def test_the_service_tells_systemd_how_it_is(site, running):
    running.hears("READY=1")
    running.hears("WATCHDOG=1")
    running.ask_now()
    running.hears("WATCHDOG=1")
    err = running.end()
    assert running.process.returncode == 0, err
    assert any(heard.startswith("STOPPING=1") for heard in running.heard)
    assert [event["kind"] for event in site.events()][:1] == ["agent-started"]


def test_the_service_does_what_is_wanted_and_reports_it_without_being_asked(site, running):
    running.hears("READY=1")
    site.want({"vm-1": {"power": "stopped"}})
    running.ask_now()
    running.until(lambda: ("vm-1", "stop", "done") in site.ends())
    assert site.power() == "stopped"
    running.until(lambda: (site.report()["desired"] or {}).get("converged"))
    running.end()


def test_a_broken_configuration_is_told_and_the_old_one_holds(site, running):
    running.hears("READY=1")
    site.configure(hub={"kind": "carrier pigeon"})
    running.ask_now()
    running.until(lambda: site.hub.place.joinpath(HOST, "report.json").exists()
                  and "configuration" in [each["what"] for each in site.report()["troubles"]])
    site.configure(hub={"kind": "folder", "folder": str(site.hub.place)})
    running.ask_now()
    running.until(lambda: "configuration" in [event["what"] for event in site.events("trouble-ended")])
    assert "is neither folder, https nor etcd" in running.end()


def test_one_agent_at_a_time(site, running):
    running.hears("READY=1")
    run = site.agent("--once")
    assert run.returncode != 0 and "another process is this host's agent" in run.stderr
    assert site.agent("--selftest=hub").returncode == 0
    running.end()


def test_a_service_that_is_blocked_begins_nothing_until_it_is_not(site, running):
    running.hears("READY=1")
    site.hub.block(HOST, True)
    running.ask_now()
    running.hears("STATUS=blocked by the hub")
    site.want({"vm-1": {"power": "stopped"}})
    running.ask_now()
    running.until(lambda: "desired-accepted" in [event["kind"] for event in site.events()])
    assert [each["what"] for each in site.report()["troubles"]] == ["blocked"] and site.operations() == []
    site.hub.block(HOST, False)
    running.ask_now()
    running.until(lambda: ("vm-1", "stop", "done") in site.ends())
    running.end()


def test_libvirt_that_is_away_and_comes_back_is_told(site, running):
    running.hears("READY=1")
    running.until(lambda: site.hub.place.joinpath(HOST, "report.json").exists())
    site.mock.behave(down=True)
    running.ask_now()
    running.hears("STATUS=in trouble: platform")
    site.mock.behave(down=False)
    running.ask_now()
    running.until(lambda: "platform" in [event["what"] for event in site.events("trouble-ended")])
    assert "platform: " in running.end()


def test_a_disk_that_is_full_is_told_and_survived(site):
    place = site.folder / "mock-world/agent"
    place.mkdir(mode=0o700, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", place], check=False).returncode != 0:
        pytest.skip("no file system can be mounted")
    try:
        running = Running(site)
        running.hears("READY=1")
        running.until(lambda: site.hub.place.joinpath(HOST, "report.json").exists())
        filler = os.open(place / "filler", os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while True:
                os.write(filler, b"x" * 4096)
        os.close(filler)
        site.want({"vm-1": {"power": "stopped"}})
        running.ask_now()
        running.until(lambda: (running.ask_now() or "database" in [each["what"] for each in site.report()["troubles"]]))
        assert site.power() == "running"
        (place / "filler").unlink()
        running.ask_now()
        running.until(lambda: ("vm-1", "stop", "done") in site.ends())
        assert "database" in [event["what"] for event in site.events("trouble-ended")]
        running.end()
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_at_a_signal_what_runs_is_left_in_order_and_a_later_agent_goes_on(site, running):
    site.mock.behave(shutdown_ms=3000)
    running.hears("READY=1")
    site.want({"vm-1": {"power": "stopped"}})
    running.ask_now()
    running.until(lambda: any(state == "begun" for _guest, _kind, state in site.operations()))
    running.end()
    assert running.process.returncode == 0
    [(_guest, _kind, state)] = site.operations()
    assert state in ("done", "failed", "begun")  # libvirt's stop gives up its wait
    site.once()
    assert site.power() == "stopped"
    assert len(site.ends()) == len(site.operations()) and {end[:2] for end in site.ends()} == {("vm-1", "stop")}
    assert [event["kind"] for event in site.events() if event["kind"].startswith("agent")] == ["agent-started", "agent-stopped"]


# -- what is killed

def test_an_agent_that_is_killed_at_any_moment_loses_nothing_and_does_nothing_twice(site):
    """Generations and signatures come while it is killed again and again, sooner or later."""
    chosen = random.Random(int(os.environ.get("BLOCKHOST_FIRST_SEED", "1")))
    for number in range(2, 5):
        assert site.mock.create(f"vm-{number}").returncode == 0
    powers = ["running", "stopped"]
    for turn in range(20):
        site.want({"vm-1": {"power": powers[turn % 2]}, "vm-2": {"description": f"turn {turn}"}, "vm-3": {"power": "absent"}})
        process = site.mock.start("agent", "--once", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chosen.choice([0.02, 0.05, 0.1, 0.2, 0.4]) * (0.5 + chosen.random()))
        process.kill()
        process.wait()
        if turn == 10 and not list((site.hub.place / HOST / "signed").iterdir()):
            site.agent("--once")
            [pending] = site.report()["pending"]
            site.sign(pending["document"])
    for turn in range(4):
        site.agent("--once")
        for pending in site.report()["pending"]:  # of a destroy that may have been begun nobody knows: it is asked for anew
            site.sign(pending["document"], f"again-{turn}")
    report = validated(site.once())
    assert report["desired"]["converged"] is True and report["operations"] == [] and report["pending"] == [], (report, site.operations())
    assert site.power("vm-1") == powers[19 % 2] and site.power("vm-3") is None and site.power("vm-4") == "running"
    sequences = [event["sequence"] for event in site.events()]
    assert sequences == list(range(1, len(sequences) + 1))  # nothing is missing
    ended = [event["operation"] for event in site.events("operation-ended")]
    assert len(ended) == len(set(ended)) and len(ended) == len(site.operations())
    assert site.ends().count(("vm-3", "destroy", "done")) <= 1
    run = site.mock.run("agent", "audit", "--verify")
    assert run.returncode == 0, run.stdout


# -- its configuration

def test_each_value_says_where_it_comes_from_and_no_secret_is_shown(site):
    token = site.folder / "hub-token"
    token.write_text("hunter2hunter2\n")
    site.configure(hub={"kind": "https", "url": "https://hub.example/v1", "token_file": str(token)})
    environment = site.mock.environment() | {"BLOCKHOST_AGENT_HUB_POLL_S": "90"}
    run = subprocess.run([BINARY, "agent", "--print-config", "--mock"], cwd=site.folder, env=environment, capture_output=True, text=True, check=True)
    told = json.loads(run.stdout)
    assert told["hub"]["poll_s"] == {"value": 90, "from": "BLOCKHOST_AGENT_HUB_POLL_S"}
    assert told["hub"]["url"] == {"value": "https://hub.example/v1", "from": str(site.folder / "root/etc/blockhost/agent.json")}
    assert told["authority"]["window_hours"] == {"value": 72, "from": "default"}
    assert "hunter2" not in run.stdout + run.stderr


@pytest.mark.parametrize("document,words", [
    ("{", "line 1"), ("[]", "holds no JSON object"), ('{"hub": {}}', 'no object "platform"'),
    ('{"platform": {"kind": "libvirt"}, "hubs": {}}', '"hubs" is not known'),
    ('{"platform": {"kind": "libvirt"}, "hub": {"kind": "folder"}}', '"hub": member "folder" is missing'),
    ('{"platform": {"kind": "libvirt"}, "healing": {"off_for_s": -1}}', "off_for_s"),
    ('{"platform": {"kind": "libvirt"}, "authority": {"window_hours": 0}}', "window_hours"),
    ('{"platform": {"kind": "esx"}}', "neither libvirt nor proxmox"),
])
def test_a_configuration_that_makes_no_sense_is_refused_with_its_place(site, document, words):
    (site.folder / "new.json").write_text(document)
    run = site.agent("check", "new.json")
    assert run.returncode != 0 and words in run.stderr and run.stdout == ""


def test_one_that_makes_sense_does(site):
    path = str(site.folder / "root/etc/blockhost/agent.json")
    assert site.agent("check", path).stdout == "It makes sense.\n"
    (site.folder / "new.json").write_text('{"platform": {"kind": "libvirt"}}')
    assert "names no hub" in site.agent("check", "new.json").stdout


def test_without_a_hub_there_is_nothing_to_ask(site):
    del site.configuration["hub"]
    site.configure()
    for words in ((), ("--once",)):
        run = site.agent(*words)
        assert run.returncode != 0 and "agent.json names no hub" in run.stderr


def test_a_report_and_an_answer_change_nothing(site):
    site.want({"vm-1": {"power": "stopped"}})
    run = site.agent("--selftest=hub")
    assert run.returncode == 0 and "it wants generation 1" in run.stdout
    validated(site.report())
    assert site.power() == "running" and site.events() == [] and site.report()["desired"] is None
    site.hub.go_away()
    run = site.agent("--selftest=hub")
    assert run.returncode == 1 and "bad" in run.stdout and "there is no folder" in run.stdout


@pytest.mark.parametrize("words", [("check",), ("audit", "x"), ("--once", "--print-config"), ("--guest", "x"), ("check", "x", "--once")])
def test_what_does_not_go_together_is_refused(site, words):
    assert site.agent(*words).returncode == 2
