# SPDX-License-Identifier: MIT
"""plan and dump-desired on a node and on this program's own VMs: what a person and a program read, and the exit statuses."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios

import pytest
import replay
from simulated import BINARY, WALLET

NOBODY = {"proxmox": "999", "libvirt": "vm-9"}


def one(host):
    """A guest that runs; its id."""
    name = "100" if host.kind == "proxmox" else "vm-1"
    host.add(name if host.kind == "libvirt" else int(name), running=True)
    return name


def actions(told):
    return [(each["guest"], each["action"], each["verdict"]) for each in told["actions"]]


# -- what both platforms have in common

def test_a_dump_has_no_plan(host):
    assert host.drift() == []
    name = one(host)
    text, err = host.dump("--generation", "7")
    document = json.loads(text)
    assert (document["version"], document["host"], document["generation"]) == (1, host.name, 7) and err.count("WARNING") == 0
    assert document["guests"][name] == {"kind": "vm", "power": "running", "cpus": 1, "memory_mib": 512, "disk_gib": 4} | (
        {"name": "vm-100"} if host.kind == "proxmox" else {"owner_wallet": WALLET})
    assert text.startswith('{\n  "version": 1,\n'), "a person edits it"
    assert host.drift() == []
    assert host.text(document["guests"], "converged") == "Nothing is to be done.\n"


def test_power_is_planned_and_nothing_is_changed(host):
    name = one(host)
    told = host.plan({name: {"power": "stopped"}}, "changes")
    assert actions(told) == [(name, "stop", "benign")] and not told["converged"]
    [stop] = told["actions"]
    assert stop["incarnation"] and stop["digest"] and stop["changes"] == [{"field": "power", "from": "running", "to": "stopped"}]
    assert host.plan({name: {"power": "running"}}, "converged")["actions"] == []
    assert host.drift() == [], "a plan changes nothing"


def test_a_destroy_waits_for_a_signature_and_stops_nobody_before(host):
    name = one(host)
    told = host.plan({name: {"power": "absent"}}, "changes")
    assert actions(told) == [(name, "destroy", "needs-signature")]
    text = host.text({name: {"power": "absent"}}, "changes")
    assert text.splitlines() == [
        name, "  destroy: it is to be gone, and is forced off first; needs a signature: it loses the guest and its disks",
        "      power: running -> absent", "1 action: 0 benign, 1 needs a signature, 0 cannot be"]
    assert host.plan({NOBODY[host.kind]: {"power": "absent"}}, "converged")["actions"] == []


def test_a_disk_never_shrinks(host):
    name = one(host)
    told = host.plan({name: {"disk_gib": 3}}, "changes")
    assert actions(told) == [(name, "", "impossible")] and "only grows" in told["actions"][0]["why"]
    assert "cannot be: a disk only grows" in host.text({name: {"disk_gib": 3}}, "changes")


def test_who_is_not_named_is_left_alone(host):
    one(host)
    assert host.plan({}, "converged") == {
        "host": host.name, "generation": 1, "converged": True, "actions": [], "unknown": [], "notes": [], "doubt": "",
        "desired_digest": host.plan({}, "converged")["desired_digest"]}


def test_nobody_is_made_of_nothing(host):
    name = NOBODY[host.kind]
    told = host.plan({name: {"power": "running"}}, "changes")
    assert actions(told) == [(name, "", "impossible")] and "give it a source" in told["actions"][0]["why"]


def test_a_document_may_be_piped_in(host):
    run = host.run("plan", "/dev/stdin", text=json.dumps(host.wanted({})))
    assert run.returncode == 0 and run.stdout == "Nothing is to be done.\n"


@pytest.mark.parametrize("text, words", [
    ("", "desired.json:1:1: the document ends too early; was it cut off?"),
    ("{\n  \"version\": 1,\n  \"version\": 1}", 'desired.json:3:3: "version" stands here a second time; say it once'),
    ("[" * 40, "desired.json:1:33: lists and objects stand more than 32 deep in each other"),
    ('{"version": 2}', "desired.json:1:13: version is 2, and this program knows version 1; write a document of version 1"),
    ('{"version": 1}', "desired.json:1:1: host is missing; desired.json:1:1: generation is missing; write the name of the host")],
    ids=["empty", "twice", "deep", "version", "missing"])
def test_a_wrong_document_is_told_by_place(simulated, text, words):
    assert words in simulated.refused(text)


def test_wrong_values_are_told_all_at_once_and_as_json(host):
    wanted = host.wanted({"1": {"cpus": 0, "disk_gib": "big"}})
    assert "guests.1.cpus is 0" in host.refused(wanted) and "guests.1.disk_gib is" in host.refused(wanted)
    run = host.run("plan", host.write(wanted), "--json")
    told = json.loads(run.stdout)
    assert run.returncode == 1 and told["code"] == "config" and told["status"] == "error"
    assert [each["field"] for each in told["errors"]] == ["guests.1.cpus", "guests.1.disk_gib"]
    assert all(re.match(r"desired\.json:1:\d+: ", each["message"]) and each["hint"] for each in told["errors"])


def test_a_huge_document_is_refused(simulated):
    assert "larger than" in simulated.refused(json.dumps(simulated.wanted({})) + " " * (5 << 20))
    assert "desired.json:1:1: the document is larger than 4 MiB" in simulated.refused(" " * ((4 << 20) + 1))


def test_a_key_that_nobody_knows_is_warned_of(host):
    name = one(host)
    run = host.run("plan", host.write(json.dumps(host.wanted({name: {"memory": 4}}))))
    assert run.returncode == 0
    assert re.search(rf"WARNING: desired\.json:1:\d+: guests\.{name}\.memory is not known, and ignored", run.stderr)


def test_a_document_of_another_host_is_refused(host):
    assert f"the document is for the host other, and this is {host.name}" in host.refused(host.wanted({}) | {"host": "other"})


def test_a_file_that_is_not_there_and_malformed_lines_exit_with_1(host):
    for words, told in ((["nothing.json"], "there is no file nothing.json"), ([], "Usage: "), (["a", "b"], "Usage: "),
                        (["a", "--jason"], "Usage: ")):
        run = host.run("plan", *words)
        assert run.returncode == 1 and told in run.stderr and run.stdout == "", run.stderr


def test_a_terminal_gets_colours(host):
    name = one(host)
    host.write(host.wanted({name: {"power": "stopped", "disk_gib": 3}}))

    def on_terminal(**env):
        here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        process = subprocess.Popen([BINARY, "plan", "desired.json", *host.more], stdout=there, stderr=subprocess.DEVNULL,
                                   cwd=host.folder, env=host.environment() | {"TERM": "xterm"} | env)
        os.close(there)
        text = b""
        while True:
            try:
                piece = os.read(here, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
        os.close(here)
        assert process.wait() == 2
        return text.decode().replace("\r\n", "\n")
    text = on_terminal()
    assert "\033[32m  stop: it is to be off\033[0m\n" in text and "\033[1;31m  no action: its disk is larger" in text
    plain = on_terminal(NO_COLOR="1")
    assert "\033" not in plain and re.sub(r"\033\[[0-9;]*m", "", text) == plain


def test_documents_have_the_keys_that_the_manual_declares(host):
    rows = json.loads(subprocess.run([BINARY, "__dump"], capture_output=True, text=True, check=True).stdout)["verbs"]
    declared = {row["verb"]: row["output"]["json_keys"] for row in rows}
    assert list(host.plan({}, "converged")) == declared["plan"]
    assert list(json.loads(host.dump()[0])) == declared["dump-desired"]


def test_the_manual_says_how_it_exits():
    text = subprocess.run([BINARY, "help", "plan"], capture_output=True, text=True, check=True).stdout
    statuses = text[text.index("EXIT STATUS"):text.index("EXAMPLES")]
    assert re.findall(r"^    (\d+)$", statuses, re.M) == ["0", "1", "2"]
    assert "something is to be done" in " ".join(statuses.split())


# -- a node

def test_what_differs_on_a_node_is_one_change(node):
    node.add(100)
    node.standin.knobs.edit(100, tags="b;a", description="one%0A")
    told = node.plan({"100": {"cpus": 2, "memory_mib": 512, "tags": ["A", "b"], "disk_gib": 8, "start_on_boot": True,
                              "power": "running"}}, "changes")
    assert actions(told) == [("100", "set-config", "benign"), ("100", "grow", "benign"), ("100", "start", "benign")]
    assert told["actions"][0]["changes"] == [{"field": "cpus", "from": "1", "to": "2"},
                                             {"field": "start_on_boot", "from": "false", "to": "true"}]


def test_a_change_that_waits_for_the_next_start_is_no_difference(node):
    node.add(100, running=True)
    with node.standin.clock.lock:
        node.standin.guests.by_id[100].pending["memory"] = "1024"
    told = node.plan({"100": {"memory_mib": 1024}}, "converged")
    assert told["notes"] == [{"guest": "100", "what": "memory_mib is 512 now and 1024 at its next start"}]


def test_a_new_guest_of_a_node_is_made_of_a_backup_and_grows_later(node):
    volume = "local:backup/vzdump-lxc-200-2026_11_20-10_00_00.tar.zst"
    told = node.plan({"201": {"kind": "container", "power": "running", "cpus": 2, "disk_gib": 8, "owner_wallet": "0xabc",
                              "source": {"backup": volume}}}, "changes")
    assert actions(told) == [("201", "create", "benign")] and told["actions"][0]["incarnation"] == ""
    assert {"field": "source.backup", "from": "", "to": volume} in told["actions"][0]["changes"]
    assert len(told["notes"]) == 2 and "disk" in told["notes"][0]["what"] and "owner" in told["notes"][1]["what"]
    told = node.plan({"201": {"source": {"template": "current"}}}, "changes")
    assert actions(told) == [("201", "create", "impossible")] and "no backup of a guest" in told["actions"][0]["why"]


def test_names_are_no_guests_of_a_node(node):
    assert "desired.json:1:60: web is no guest's number" in node.refused(node.wanted({"web": {}}))


def test_a_list_that_got_short_creates_nobody(node):
    node.add(100, running=True)
    node.standin.knobs.withdraw("agent@pve!main")
    node.standin.knobs.grant("agent@pve!main", "PVEAuditor", "/nodes")
    wanted = {"100": {"power": "running", "source": {"backup": "local:backup/vzdump-qemu-100-2026_11_20-10_00_00.vma.zst"}},
              "101": {"power": "absent"}}
    told = node.plan(wanted, "changes")
    assert told["actions"] == [] and [each["guest"] for each in told["unknown"]] == ["100", "101"]
    assert "may not see all guests" in told["doubt"]


def test_a_guest_that_cannot_be_read_keeps_no_other_from_its_plan(node):
    node.add(100, running=True)
    node.add(101, running=True)
    node.standin.knobs.next("status", "/qemu/100/config", method="any", times=100, status=500, reason="broken")
    told = node.plan({"100": {"power": "stopped"}, "101": {"power": "stopped"}}, "changes")
    assert actions(told) == [("101", "stop", "benign")] and [each["guest"] for each in told["unknown"]] == ["100"]
    text, err = node.dump()
    assert list(json.loads(text)["guests"]) == ["101"] and "100: left out is the guest: it cannot be read" in err


def test_a_locked_guest_is_told(node):
    node.add(100)
    node.standin.knobs.set_lock(100, "backup")
    assert "waits: it is locked for backup" in node.text({"100": {"power": "running"}}, "changes")


def test_the_requests_grow_with_the_guests_that_are_named_and_with_nothing_else(node):
    """Linear by count: each guest costs the same, whoever else is there."""
    for number in range(300):
        node.add(1000 + number)

    def requests(guests):
        node.standin.requests.clear()
        assert node.plan({str(1000 + number): {"cpus": 1} for number in range(guests)}, "converged")
        return len(node.standin.requests)
    none, some, many = requests(0), requests(100), requests(300)
    assert many - none == 3 * (some - none) and some - none <= 5 * 100 and none <= 8


RECORDED = sorted({(each["path"].split("/")[5], each["path"].split("/")[6], json.dumps(json.loads(each["response_body"])["data"]))
                   for name in replay.names() for each in replay.exchanges(name)
                   if each["method"] == "GET" and each["status"] == 200
                   and re.fullmatch(r"/api2/json/nodes/pve1/(qemu|lxc)/\d+/config", each["path"])})


def test_configurations_of_a_real_node_show_no_drift(node):
    """Each recorded configuration as a guest of its own; and each again with what somebody changed."""
    assert len(RECORDED) > 20
    for number, (family, _, text) in enumerate(RECORDED):
        config = {key: str(value) for key, value in json.loads(text).items() if key not in ("digest", "lxc", "lock", "pending")}
        with node.standin.clock.lock:
            node.standin.guests.add(5000 + number, family, "pve1", config)
    assert node.drift() == []
    document = json.loads(node.dump()[0])
    assert len(document["guests"]) == len(RECORDED)
    node.standin.knobs.edit(5000, memory=777)
    [found] = node.drift_from(document)
    assert (found["guest"], found["action"], found["changes"][0]["from"]) == ("5000", "set-config", "777")


# -- this program's own VMs

def test_what_libvirts_guests_cannot_be_is_told_beforehand(simulated):
    simulated.add("vm-1", running=True)
    for field, sentence in (("start_on_boot", "have no start at boot of their own"), ("protected", "have no protection of their own")):
        told = simulated.plan({"vm-1": {"cpus": 2, field: True}}, "changes")
        assert actions(told) == [("vm-1", "set-config", "impossible")] and sentence in told["actions"][0]["why"]
    told = simulated.plan({"vm-1": {"name": "other"}}, "changes")
    assert actions(told) == [("vm-1", "set-config", "impossible")] and "stays" in told["actions"][0]["why"]
    assert "vm-1 is wanted as a container" in simulated.refused(simulated.wanted({"vm-1": {"kind": "container"}}))


def test_what_waits_for_the_next_start_is_told_beforehand(host):
    name = one(host)
    told = host.plan({name: {"cpus": 2, "description": "x"}}, "changes")
    assert actions(told) == [(name, "set-config", "benign")] and "next start" in told["notes"][0]["what"]
    assert host.plan({name: {"description": "x"}}, "changes")["notes"] == []


def test_the_vm_database_is_read_once_however_many_vms_are_planned_for(simulated):
    def reads(count):
        document = simulated.write(simulated.wanted({f"vm-{number}": {"cpus": 3} for number in range(count)}))
        run = subprocess.run(["strace", "-f", "-e", "trace=openat,openat2", BINARY, "plan", document, "--mock"],
                             cwd=simulated.folder, env=simulated.environment(), capture_output=True, text=True)
        assert run.returncode == 2, run.stderr
        return run.stderr.count('"mock-db.json"') + run.stderr.count("/mock-db.json")
    for number in range(4):
        simulated.add(f"vm-{number}")
    assert reads(1) == reads(4) > 0


def test_a_new_vm_is_made_of_the_current_template(simulated):
    told = simulated.plan({"vm-9": {"cpus": 1, "disk_gib": 4, "owner_wallet": WALLET, "source": {"template": "current"}}},
                          "changes")
    assert actions(told) == [("vm-9", "create", "benign")]
    told = simulated.plan({"vm-9": {"source": {"template": "current"}}}, "changes")
    assert actions(told) == [("vm-9", "create", "impossible")] and "owner_wallet" in told["actions"][0]["why"]


def test_a_vm_that_cannot_be_read_has_no_plan(simulated):
    simulated.add("vm-1", running=True)
    for end in ("json", "xml"):
        (simulated.folder / f"mock-world/domains/vm-1.{end}").unlink()
    told = simulated.plan({"vm-1": {"power": "running"}}, "changes")
    assert told["actions"] == [] and told["unknown"] == [
        {"guest": "vm-1", "what": "it cannot be read: its record has no domain of that name"}]
    text, err = simulated.dump()
    assert json.loads(text)["guests"] == {} and "vm-1: left out is the guest" in err


def test_nobody_is_created_while_a_record_cannot_be_read(simulated):
    registry = simulated.mock.registry()
    registry["vms"]["no name"] = {}
    simulated.mock.write(registry)
    told = simulated.plan({"vm-9": {"owner_wallet": WALLET, "source": {"template": "current"}}}, "changes")
    assert told["actions"] == [] and "records that cannot be read" in told["unknown"][0]["what"]


def test_a_suspended_vm_is_resumed_and_another_owner_is_refused(simulated):
    simulated.add("vm-1", running=True)
    simulated.mock.expire("vm-1")
    assert simulated.mock.run("gc", "--execute", "--force-clock", "--suspend-only").returncode == 0
    assert actions(simulated.plan({"vm-1": {"power": "running"}}, "changes")) == [("vm-1", "resume", "benign")]
    told = simulated.plan({"vm-1": {"owner_wallet": "0x" + "ab" * 20}}, "changes")
    assert actions(told) == [("vm-1", "", "impossible")] and simulated.drift() == []


DISK = {"kind": "usb", "uuid": "1A2B-3C4D", "mount": "/mnt/backup-1", "roles": ["backup"]}


def test_storage_is_looked_at_on_the_node_itself_and_nowhere_else(node):
    told = node.plan({}, "changes", storage={"usb-1": DISK})
    assert told["actions"] == [] and not told["converged"]
    [unknown] = told["unknown"]
    assert unknown["guest"] == "storage:usb-1" and "/etc/pve/local is missing" in unknown["what"]


def test_libvirts_hosts_mount_no_storage(simulated):
    told = simulated.plan({}, "converged", storage={"usb-1": DISK})
    assert told["notes"] == [{"guest": "storage:usb-1", "what": "it is not compared: the platform mounts no storage"}]
