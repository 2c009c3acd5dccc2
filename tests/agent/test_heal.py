# SPDX-License-Identifier: MIT
"""heal: what crashed and should run is started again, a crash loop ends in a report, and nobody's wish is overruled."""

import json
import os
import signal
import sqlite3
import subprocess
import time

import pytest
from simulated import BINARY, ago, replace_fields

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="operations of a node are root's alone")

AT_ONCE = {"off_for_s": 0, "between_s": 0, "longest_s": 0, "most_starts": 3}


def configure(host, healing=AT_ONCE):
    file = host.folder / "root/etc/blockhost/agent.json"
    settings = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(settings | {"healing": healing}))


def one(host):
    """A guest that runs, and that an accepted desired state wants to run."""
    name = "100" if host.kind == "proxmox" else "vm-1"
    host.add(name if host.kind == "libvirt" else int(name), running=True)
    want(host, name, "running")
    configure(host)
    heal(host)  # it is seen to run
    return name


def want(host, name, power, generation=1):
    run = host.run("apply", host.write(host.wanted({name: {"power": power}}) | {"generation": generation}), "--yes")
    assert run.returncode == 0, (run.stdout, run.stderr)


def crash(host, name):
    """As a kill -9 of its QEMU leaves it."""
    if host.kind == "proxmox":
        host.standin.knobs.power(int(name), False)
    else:
        edit(host, name, state="off", reason="crashed")


def edit(host, name, **fields):
    replace_fields(host.folder / f"mock-world/domains/{name}.json", **fields)


def heal(host, *words, status=0):
    run = host.run("heal", *words)
    assert run.returncode == status, (run.stdout, run.stderr)
    return run.stdout


def stand(host, name, *words, status=0):
    """How the guest stands in a round, and why."""
    [told] = [each for each in json.loads(heal(host, "--json", *words, status=status)) if each["guest"] == name]
    return told["stand"], told["why"]


def runs(host, name):
    return json.loads(host.run("guests", name, "--json").stdout)["guests"][0]["power"] == "running"


def starts(host):
    return [each["state"] for each in json.loads(host.run("operations", "--json").stdout) if each["source"] == "healing"]


def test_what_crashed_is_started_once(host):
    name = one(host)
    crash(host, name)
    assert stand(host, name, "--dry-run")[0] == "starts" and not runs(host, name) and starts(host) == []
    told = heal(host)
    assert told.startswith(f"{name}: ") and "start 1 of 3; started\n" in told, told
    assert runs(host, name)
    assert heal(host) == "Nothing is to be healed.\n" and starts(host) == ["done"]
    assert heal(host, "--dry-run") == "Every guest runs.\n"


def test_it_is_off_for_some_seconds_first_which_one_call_waits_for(simulated):
    name = one(simulated)
    configure(simulated, {"off_for_s": 1})
    crash(simulated, name)
    assert stand(simulated, name, "--dry-run")[0] == "waits"
    assert "started" in heal(simulated) and starts(simulated) == ["done"]


def test_a_crash_loop_ends_in_one_report(host):
    name = one(host)
    for number in (1, 2, 3):
        crash(host, name)
        assert f"start {number} of 3; started" in heal(host)
    crash(host, name)
    assert "given up: " in (told := heal(host, status=1)) and "it was started 3 times and did not stay up" in told
    assert heal(host) == "Nothing is to be healed.\n", "it is reported once"
    assert stand(host, name)[0] == "given up" and not runs(host, name) and starts(host) == ["done"] * 3


def test_between_two_starts_there_is_time(simulated):
    name = one(simulated)
    configure(simulated, AT_ONCE | {"between_s": 600, "longest_s": 900})
    crash(simulated, name)
    heal(simulated)
    crash(simulated, name)
    state, why = stand(simulated, name)
    assert state == "waits" and "is started again in" in why and starts(simulated) == ["done"]


def test_a_start_that_fails_is_told(simulated):
    name = one(simulated)
    crash(simulated, name)
    simulated.mock.behave(disk="full")
    told = heal(simulated, status=1)
    assert "its start is failed: " in told, told


# -- nobody's wish is overruled

def test_what_the_desired_state_does_not_want_on_is_left(simulated):
    name = one(simulated)
    want(simulated, name, "stopped", generation=2)
    crash(simulated, name)
    assert stand(simulated, name) == ("left", "the desired state wants it stopped") and starts(simulated) == []


def test_what_the_desired_state_stopped_and_wants_again_is_started_by_apply(simulated):
    name = one(simulated)
    want(simulated, name, "stopped", generation=2)
    want(simulated, name, "running", generation=3)
    assert runs(simulated, name)
    heal(simulated)
    crash(simulated, name)
    assert "started" in heal(simulated)


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_what_an_operator_stopped_by_a_verb_stays_off(simulated, verb):
    name = one(simulated)
    assert simulated.mock.run(verb, name).returncode == 0
    assert stand(simulated, name) == ("left", "an operator stopped it")
    assert simulated.mock.run("start", name).returncode == 0
    crash(simulated, name)
    assert "started" in heal(simulated), "who started it again wants it on"


def test_a_stop_of_what_crashed_already_says_that_it_is_to_stay_off(simulated):
    name = one(simulated)
    crash(simulated, name)
    assert simulated.mock.run("stop", name).returncode == 0
    assert stand(simulated, name) == ("left", "an operator stopped it")


@pytest.mark.parametrize("reason, words", [
    ("shutdown", "it was shut down"), ("destroyed", "somebody forced it off"), ("saved", "its memory was saved"),
    ("migrated", "it was moved"), ("", "libvirt does not know why")])
def test_what_libvirt_says_was_no_crash_is_left(simulated, reason, words):
    name = one(simulated)
    edit(simulated, name, state="off", reason=reason)
    state, why = stand(simulated, name)
    assert state == "left" and why.startswith(words) and starts(simulated) == []


@pytest.mark.parametrize("reason", ["crashed", "failed", "daemon"])
def test_what_libvirt_says_was_a_crash_is_started_also_without_a_desired_state(simulated, reason):
    simulated.add("vm-1", running=True)
    configure(simulated)
    edit(simulated, "vm-1", state="off", reason=reason)
    assert "started" in heal(simulated)


def test_what_is_suspended_or_whose_time_is_over_is_left(simulated):
    name = one(simulated)
    crash(simulated, name)
    simulated.mock.change(name, expires_at=ago(1))
    assert stand(simulated, name) == ("left", "its time is over")
    assert simulated.mock.run("gc", "--execute", "--force-clock", "--suspend-only").returncode == 0
    edit(simulated, name, reason="crashed")
    assert stand(simulated, name)[0] == "left" and starts(simulated) == []


@pytest.mark.parametrize("how", ["stop", "shutdown"])
def test_what_a_task_of_the_node_switched_off_is_left(node, how):
    name = one(node)
    from client import Client
    api = Client(node.standin)
    upid = api.post(f"/nodes/pve1/qemu/100/status/{how}").data
    assert node.run("task", upid, "--wait", "60").returncode == 0
    api.close()
    state, why = stand(node, name)
    assert state == "left" and why.startswith(f"task qm{how} of agent@pve!main switched it off"), why
    assert starts(node) == []
    want(node, name, "running")
    assert runs(node, name)
    crash(node, name)
    assert "started" in heal(node)


def test_what_a_container_crashed_of_is_healed_too(node):
    node.standin.add_container(200, network=True)
    want(node, "200", "running")
    configure(node)
    heal(node)
    crash(node, "200")
    assert "started" in heal(node) and runs(node, "200")


def test_what_the_desired_state_does_not_name_is_left_on_a_node(node):
    one(node)
    node.add(101, running=True)
    heal(node)
    crash(node, "101")
    assert stand(node, "101") == ("left", "nobody wants it on")


def test_what_is_locked_is_left(node):
    name = one(node)
    crash(node, name)
    node.standin.knobs.set_lock(100, "backup")
    assert stand(node, name) == ("left", "it is locked: backup")
    node.standin.knobs.set_lock(100)
    assert "started" in heal(node)


def test_a_token_that_may_not_see_tasks_heals_nothing_and_says_so(node):
    name = one(node)
    crash(node, name)
    node.standin.access.add_role("blind", {"VM.Audit", "VM.PowerMgmt"})
    node.standin.knobs.withdraw("agent@pve!main")
    node.standin.knobs.grant("agent@pve!main", "blind", "/vms")
    run = node.run("heal", "--json")
    assert starts(node) == [] and "Sys.Audit" in run.stdout + run.stderr, (run.stdout, run.stderr)


def test_what_was_never_seen_to_run_and_has_no_task_is_left(node):
    node.add(100, running=False)
    want(node, "100", "stopped")
    configure(node)
    run = node.run("apply", node.write(node.wanted({"100": {"power": "running"}}) | {"generation": 2}), "--yes")
    assert run.returncode == 0
    for task in list(node.standin.tasks.by_upid):
        node.standin.knobs.vanish(task)
    crash(node, "100")
    assert stand(node, "100") == ("left", "the node has no task that started it or switched it off")


def test_one_that_cannot_be_read_is_not_healed(node):
    name = one(node)
    crash(node, name)
    node.standin.knobs.next("status", "/tasks", status=500, reason="got timeout", times=99, method="GET")
    state, _ = stand(node, name, status=1)
    assert state == "unknown" and starts(node) == []
    node.standin.knobs.clear()
    assert "started" in heal(node)


def test_a_start_that_waited_is_judged_anew(simulated):
    """Its process died between the decision and the begin; meanwhile an operator stopped the guest."""
    name = one(simulated)
    crash(simulated, name)
    healing = queued_by_a_dead_process(simulated, name)
    assert simulated.mock.run("stop", name).returncode == 0
    heal(simulated)
    [told] = json.loads(simulated.run("operations", healing, "--json").stdout)
    assert told["state"] == "rejected" and "an operator stopped it" in told["error"]["message"], told
    assert not runs(simulated, name)


def queued_by_a_dead_process(host, name):
    """A start of healing's that is queued, and whose process is gone; its id."""
    [seen] = json.loads(host.run("guests", name, "--json").stdout)["guests"]
    values = {"id": "f00d", "key": "f00d", "arrival": 1, "changed": 1, "source": "healing", "source_name": "", "guest": name,
              "incarnation": seen["incarnation"], "action": '{"kind": "start"}', "after": "", "undoes": "", "state": "queued",
              "arrived": int(time.time() * 1e6), "signed_operation": ""}
    with sqlite3.connect(database(host)) as db:
        db.execute(f"INSERT INTO operations ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", [*values.values()])
    return values["id"]


def database(host):
    return host.folder / ("mock-world/agent/agent.db" if host.kind == "libvirt" else "root/var/lib/blockhost/agent/agent.db")


# -- words

def test_a_guest_that_is_not_there_is_refused(simulated):
    one(simulated)
    run = simulated.run("heal", "999")
    assert run.returncode == 5 and "there is no guest 999" in run.stderr and run.stdout == ""


@pytest.mark.parametrize("healing, words", [
    ({"most_starts": 0}, "most_starts"), ({"off_for_s": "10"}, "off_for_s"), ({"of_for_s": 10}, "of_for_s"), ([], "healing")])
def test_wrong_rules_are_told_by_member(simulated, healing, words):
    one(simulated)
    configure(simulated, healing)
    run = simulated.run("heal")
    assert run.returncode == 4 and "agent.json" in run.stderr and words in run.stderr, run.stderr


# -- a signal

def test_apply_ends_in_order_when_it_is_asked_to(node):
    """What runs is left with its handle, what was not begun is cancelled, and both are said."""
    wanted = {}
    for number in range(100, 106):
        node.add(number, running=True)
        wanted[str(number)] = {"power": "stopped"}
    node.standin.knobs.time_scale(1)
    file = node.write(node.wanted(wanted))
    process = subprocess.Popen([BINARY, "apply", file, "--yes"], cwd=node.folder, env=node.environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not database(node).exists() or "begun" not in [each["state"] for each in operations(node)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    node.standin.knobs.time_scale(100)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, (out, err)
    assert "stopped by a signal: " in err and "was not begun" in err or "were not begun" in err, err
    states = [each["state"] for each in operations(node)]
    assert states.count("cancelled") >= 1 and "queued" not in states, states
    run = node.run("apply", file, "--yes")
    assert run.returncode == 0, (run.stdout, run.stderr)
    assert not any(runs(node, str(number)) for number in range(100, 106))


def operations(host):
    return json.loads(host.run("operations", "--json").stdout)
