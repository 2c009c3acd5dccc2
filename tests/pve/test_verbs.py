# SPDX-License-Identifier: MIT
"""host, guests and task on a node that agent.json names: what a person and a program read, and what a wrong file is told."""

import json
import os
import pathlib
import subprocess

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build")) / "blockhost-libvirt"


class Host:
    def __init__(self, standin, folder, role="Agent16"):
        self.standin, self.folder = standin, folder
        self.etc = folder / "root/etc/blockhost"
        self.etc.mkdir(parents=True)
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(standin.token("agent@pve!main", role) + "\n")
        self.platform = {"kind": "proxmox", "origin": f"https://{standin.address}", "node": "pve1", "token_file": str(token),
                         "pins": ["sha256:" + standin.fingerprint.replace("SHA256:", "")], "backup_storage": "local",
                         "disk_storage": "local"}
        self.configure()

    def configure(self, **members):
        platform = {name: value for name, value in (self.platform | members).items() if value is not None}
        (self.etc / "agent.json").write_text(json.dumps({"platform": platform}))

    def run(self, *words, stdout=subprocess.PIPE):
        return subprocess.run([BINARY, *words], env={"PATH": os.environ["PATH"], "BLOCKHOST_ROOT": str(self.folder / "root")},
                              cwd=self.folder, stdout=stdout, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)

    def told(self, *words):
        run = self.run(*words, "--json")
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)


@pytest.fixture()
def host(standin, tmp_path):
    standin.add_vm(100, name="web", cores=2, memory=512, disks={"scsi0": 4}, running=True)
    standin.add_container(200, network=True)
    return Host(standin, tmp_path)


def test_the_node_is_told_and_what_the_role_lacks_is_told_once(standin, host, tmp_path):
    told = host.told("host")
    assert (told["platform"], told["name"]) == ("proxmox", "pve1") and told["memory_mib"] > 0
    lines = host.run("host").stdout.splitlines()
    assert lines[0].startswith("platform     proxmox 9.") and any(line.startswith("certificate  valid until ") for line in lines)
    standin.knobs.withdraw("agent@pve!main")
    run = host.run("host")
    assert run.returncode != 0 and "Sys.Audit on /nodes/pve1" in run.stderr


def test_the_next_certificate_is_told(standin, host):
    assert host.told("host")["next_certificate"] is None
    standin.knobs.renew_certificate(same_key=False)
    told = host.told("host")["next_certificate"]
    leaf = standin.nodes["pve1"].certificates.leaf
    assert told == {"fingerprint": "sha256:" + leaf.fingerprint.replace(":", "").lower(),
                    "expiry": leaf.described()["notafter"], "pinned": False}
    [line] = [line for line in host.run("host").stdout.splitlines() if "the next: " + told["fingerprint"] in line]
    assert line.endswith("+00:00; no pin fits it: add it to those in agent.json")


def test_the_commands_of_a_role_are_printed_without_a_node(host):
    host.configure(kind="xen")
    for major in ("8", "9"):
        run = host.run("host", "--role", major)
        assert run.returncode == 0 and "pveum role add" in run.stdout and "--privsep 1" in run.stdout
    assert "VM.Monitor" in host.run("host", "--role", "8").stdout and "VM.Monitor" not in host.run("host", "--role", "9").stdout
    assert host.run("host", "--role", "7").returncode == 3


def test_guests_are_a_table_and_a_list(host):
    assert host.run("guests").stdout.splitlines() == [
        "ID   KIND       POWER    CPUS  MIB  NAME   NOTE", "100  vm         running  2     512  web",
        "200  container  stopped  2     128  ct200"]
    assert [guest["id"] for guest in host.told("guests")["guests"]] == ["100", "200"]
    [one] = host.told("guests", "100")["guests"]
    assert one["config"]["memory_mib"] == 512 and one["incarnation"] and one["digest"] and not one["partial"]
    assert all(guest["partial"] for guest in host.told("guests")["guests"])


def test_an_absent_guest_and_a_hidden_one_are_not_the_same(standin, host):
    run = host.run("guests", "999")
    assert run.returncode != 0 and "there is no guest 999" in run.stderr and run.stdout == ""
    standin.knobs.withdraw("agent@pve!main")
    run = host.run("guests")
    assert run.returncode == 0 and "more guests may exist: the API token may not see all guests" in run.stderr
    told = host.told("guests")
    assert told["guests"] == [] and told["doubt"].startswith("the API token may not see all guests")


def test_a_task_is_told_to_its_end(standin, host, api):
    upid = api.post("/nodes/pve1/qemu/100/status/stop").data
    told = host.told("task", upid, "--wait", "60")
    assert told == {"phase": "done", "guest": "100", "detail": "", "warnings": [], "error": ""}
    standin.knobs.vanish(upid)
    assert host.run("task", upid).stdout == "unknown: the node does not know the task any more\n"
    run = host.run("task", "nonsense")
    assert run.returncode != 0 and "nonsense is no task of a node" in run.stderr


@pytest.mark.parametrize("members, words", [
    ({"kind": "xen"}, '"platform": kind is neither libvirt nor proxmox'),
    ({"kind": None}, '"platform": kind is missing'),
    ({"kind": "libvirt"}, '"platform": origin is not known'),
    ({"origin": "http://node:8006"}, "origin is not of the form https://HOST:8006"),
    ({"origin": "https://node:8006/api2"}, "origin is not of the form https://HOST:8006"),
    ({"node": None}, "node is missing"),
    ({"node": 7}, "node is no text"),
    ({"token_file": "token"}, "token_file is no absolute path"),
    ({"token_file": "/nowhere/token"}, "/nowhere/token is missing"),
    ({"pins": None}, "pins or ca_file is needed, and not both"),
    ({"ca_file": "/etc/ssl/cert.pem"}, "pins or ca_file is needed, and not both"),
    ({"pins": ["sha1:00"]}, "pins has something that is no pin"),
    ({"pins": "sha256:00"}, "pins is no list"),
    ({"pin": []}, "pin is not known")])
def test_a_wrong_file_is_told_by_member(host, members, words):
    host.configure(**members)
    for verb in ("host", "guests"):
        run = host.run(verb)
        assert run.returncode == 4 and run.stdout == "" and words in run.stderr, run.stderr
    assert str(host.etc / "agent.json") in run.stderr or "token" in words


def test_a_token_that_others_can_read_is_refused(host):
    pathlib.Path(host.platform["token_file"]).chmod(0o644)
    run = host.run("host")
    assert run.returncode == 4 and "others can read the API token" in run.stderr and "chmod 0600" in run.stderr


def test_no_secret_is_ever_shown(standin, host):
    secret = pathlib.Path(host.platform["token_file"]).read_text().strip().rpartition("=")[2]
    standin.knobs.withdraw("agent@pve!main")
    runs = [host.run("host"), host.run("guests"), host.run("guests", "100"), host.run("task", "nonsense")]
    host.configure(pins=["sha256:" + "0" * 64])
    runs.append(host.run("guests"))
    assert all(secret not in run.stdout + run.stderr for run in runs)
    assert runs[-1].returncode != 0 and "certificate" in runs[-1].stderr
