# SPDX-License-Identifier: MIT
"""A new guest of a golden backup: under an id that the node hands out, with a network and an identity of its own."""

import pathlib
import subprocess

import pytest
from node.access import AGENT_ROLE
from platform_process import Failed

KINDS = pytest.mark.parametrize("number", [100, 200], ids=["VM", "container"])


@pytest.fixture()
def golden(standin, platform, vm, container):
    """number -> the backup that is made of it."""
    def saved(number):
        assert platform.carry_out(number, "backup", repository="local")["phase"] == "done"
        return max(row["id"] for row in platform.do("backups") if row["guest"] == number)
    return saved


def wanted(source, kind="create", **details):
    named = "source" if kind == "create" else "backup"
    return {"guest": "", "incarnation": "", "action": {"kind": kind, named: source, **details}}


@KINDS
def test_the_node_hands_out_the_id(platform, golden, number):
    wish = wanted(golden(number))
    handle = platform.do("begin", **wish, note=platform.do("note", **wish))
    end = platform.do("await", handle=handle)
    assert (end["phase"], end["guest"]) == ("done", "101")
    assert platform.guest(101)["kind"] == platform.guest(number)["kind"]
    assert platform.guest(101)["incarnation"] != platform.guest(number)["incarnation"]


@KINDS
@pytest.mark.parametrize("kind", ["create", "restore"])
def test_an_id_that_was_taken_meanwhile_is_refused_and_its_guest_stays_as_it_is(standin, platform, golden, number, kind):
    wish = wanted(golden(number), kind)
    note = platform.do("note", **wish)
    other = standin.add_container(101) if number == 200 else standin.add_vm(101)
    before = other.digest()
    with pytest.raises(Failed, match="already exists") as failed:
        platform.do("begin", **wish, note=note)
    assert failed.value.code == "exists" and not failed.value.lost
    assert standin.guests.by_id[101].digest() == before
    handle = platform.do("begin", **wish, note=platform.do("note", **wish))
    assert platform.do("await", handle=handle)["guest"] == "102"


@KINDS
def test_a_create_whose_answer_got_lost_is_found_by_its_note_alone(standin, platform, opened, golden, number):
    wish = wanted(golden(number))
    note = platform.do("note", **wish)
    standin.knobs.next("lose_after", f"/nodes/pve1/{'qemu' if number == 100 else 'lxc'}$", method="POST")
    with pytest.raises(Failed) as failed:
        platform.do("begin", **wish, note=note)
    assert failed.value.lost
    end = opened(standin).do("recover", **wish, note=note)
    assert (end["phase"], end["guest"]) == ("done", "101")
    assert set(standin.guests.by_id) == {100, 200, 101}


@pytest.mark.parametrize("number, details", [
    (200, {"net0": "name=eth0,bridge=vmbr0,ip=10.0.0.7/24,gw=10.0.0.1", "name": "web"}),
    (100, {"net0": "virtio,bridge=vmbr0", "ipconfig0": "ip=10.0.0.7/24,gw=10.0.0.1", "name": "web"})])
def test_name_and_addresses_are_given_from_outside_and_the_mac_is_new(standin, platform, golden, number, details):
    source = golden(number)
    wish = wanted(source, **details)
    handle = platform.do("begin", **wish, note=platform.do("note", **wish))
    assert platform.do("await", handle=handle)["phase"] == "done"
    made, old = platform.guest(101)["config"], platform.guest(number)["config"]
    assert made["name"] == "web"
    assert "10.0.0.7/24" in made["details"]["ipconfig0" if number == 100 else "net0"]
    mac = [part for part in made["details"]["net0"].split(",") if part.count(":") == 5]
    assert mac and mac[0] not in str(old["details"])


@pytest.mark.parametrize("key", ["scsi0", "rootfs", "features", "args", "hookscript", "netx0"])
def test_what_comes_from_the_source_cannot_be_given(standin, platform, golden, key):
    wish = wanted(golden(200), **{key: "x"})
    note = platform.do("note", **wish)
    with pytest.raises(Failed, match=f"cannot be given {key}"):
        platform.do("begin", **wish, note=note)
    assert set(standin.guests.by_id) == {100, 200}


# -- a copy of a template


@pytest.fixture()
def original(standin):
    standin.access.add_role("Agent16", {*AGENT_ROLE, "VM.Clone"})
    return standin.add_vm(400, name="golden", cores=2, disks={"scsi0": 2}, template=1, tags="web",
                          net0="virtio=BC:24:11:00:00:01,bridge=vmbr0")


def begun(platform, wish):
    return platform.do("begin", **wish, note=platform.do("note", **wish))


def test_a_template_is_copied_whole_to_an_id_that_the_node_hands_out(standin, platform, original):
    end = platform.do("await", handle=begun(platform, wanted("400", name="web-1", description="of a template")))
    assert (end["phase"], end["guest"]) == ("done", "100")
    made, before = platform.guest(100), platform.guest(400)
    assert (made["name"], made["config"]["description"], made["config"]["cpus"], made["config"]["disk_mib"],
            made["config"]["tags"]) == ("web-1", "of a template", 2, 2048, ["web"])
    assert made["incarnation"] not in ("", before["incarnation"]) and "template" not in made["config"]["details"]
    for key in ("net0", "scsi0", "smbios1"):
        assert made["config"]["details"][key] != before["config"]["details"][key]
    assert platform.guest(400) == before


def test_a_copy_under_an_id_that_was_taken_meanwhile_is_refused(standin, platform, original):
    wish = wanted("400")
    note = platform.do("note", **wish)
    before = standin.add_vm(100).digest()
    with pytest.raises(Failed, match="already exists") as failed:
        platform.do("begin", **wish, note=note)
    assert failed.value.code == "exists" and not failed.value.lost
    assert standin.guests.by_id[100].digest() == before and not standin.tasks.by_upid


@pytest.mark.parametrize("given, words", [({"source": "100"}, "VM 100 is no template"), ({"source": "999"}, "no such guest"),
                                          ({"cores": 2}, "and nothing else"), ({"net0": "virtio,bridge=vmbr0"}, "and nothing else"),
                                          ({"onboot": 1}, "and nothing else"), ({"source": "99"}, "no guest's number")])
def test_what_a_copy_cannot_be_is_refused_before_it_is_sent(standin, platform, vm, original, given, words):
    wish = wanted("400")
    wish["action"] |= given
    with pytest.raises(Failed, match=words):
        begun(platform, wish)
    assert {method for method, *_ in standin.requests} == {"GET"}


def test_a_template_that_would_start_its_copies_is_refused(standin, platform, original):
    standin.knobs.edit(400, onboot=1)
    with pytest.raises(Failed, match="which its copies would have") as failed:
        begun(platform, wanted("400"))
    assert failed.value.code == "wrong_state" and "qm set 400 --delete onboot" in failed.value.hint


def test_another_copy_of_the_same_template_is_not_taken_for_the_one_whose_answer_got_lost(standin, platform, original):
    one, other = wanted("400") | {"guest": "301"}, wanted("400") | {"guest": "302"}
    note = platform.do("note", **one)
    standin.knobs.next("lose_before", "/clone$", method="POST")
    with pytest.raises(Failed) as failed:
        platform.do("begin", **one, note=note)
    assert failed.value.lost
    assert platform.do("await", handle=begun(platform, other))["phase"] == "done"
    assert platform.do("recover", **one, note=note, ms=300)["phase"] == "unknown"
    assert set(standin.guests.by_id) == {400, 302}
@pytest.mark.parametrize("details, words", [
    ({"scsi0": "x"}, "cannot be given scsi0"), ({"source": "local:iso/x.iso"}, "is no backup of a guest"), ({}, None)])
def test_what_a_new_guest_cannot_be_given_is_told_beforehand(platform, golden, details, words):
    told = platform.do("refusal", action=wanted(golden(200))["action"] | details)
    assert told is None if words is None else words in told["message"]


def test_a_container_has_no_agent_that_could_change_it(platform, container):
    with pytest.raises(Failed, match="a container has no guest agent"):
        platform.do("renew-identity", kind="container", guest=200)


@pytest.fixture()
def in_guest(standin, opened):
    """Runs what the agent is told to; the platform that tells it."""
    ran = []

    def execute(words, _):
        ran.append(words)
        run = subprocess.run(["unshare", "--mount", "sh", "-c", ARRANGED, "sh", *words], capture_output=True, text=True)
        return run.returncode, run.stdout, run.stderr
    standin.access.add_role("agent", {"VM.Audit", "VM.GuestAgent.Unrestricted", "VM.GuestAgent.Audit"})
    standin.add_vm(300, running=True, agent={"exec": execute})
    standin.knobs.edit(300, agent="1")
    return opened(standin, token="ident@pve!tok", role="agent"), ran


# /etc is a copy with one key, and the host's services are out of reach; what the command left there is told.
ARRANGED = """
set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/etc /mnt/bin
[ ! -d /var/lib/dbus ] || mount -t tmpfs tmpfs /var/lib/dbus
printf '#!/bin/sh\n' >/mnt/bin/systemctl
chmod +x /mnt/bin/systemctl
PATH=/mnt/bin:$PATH
cp -a /etc/passwd /etc/group /etc/ld.so.cache /mnt/etc 2>/dev/null || true
mkdir -p /mnt/etc/ssh
echo 0123456789abcdef0123456789abcdef >/mnt/etc/machine-id
echo old >/mnt/etc/ssh/ssh_host_ed25519_key
mount --bind /mnt/etc /etc
status=0
"$@" || status=$?
cat /etc/machine-id
ls /etc/ssh
grep -c old /etc/ssh/ssh_host_ed25519_key || true
exit $status
"""


def test_a_copied_guest_is_given_a_machine_id_and_host_keys_of_its_own(in_guest):
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespace can be made here: root is needed")
    if not pathlib.Path("/usr/bin/ssh-keygen").exists():
        pytest.skip("ssh-keygen is not installed")
    platform, ran = in_guest
    platform.do("renew-identity", kind="vm", guest=300)
    assert [words[:2] for words in ran] == [["/bin/sh", "-c"]]
    run = subprocess.run(["unshare", "--mount", "sh", "-c", ARRANGED, "sh", *ran[0]], capture_output=True, text=True)
    machine, *names, old = run.stdout.split()
    assert len(machine) == 32 and machine != "0123456789abcdef0123456789abcdef" and int(machine, 16)
    assert "ssh_host_ed25519_key.pub" in names and "ssh_host_rsa_key" in names and old == "0"


def test_a_guest_that_refuses_is_told_in_its_own_words(standin, opened):
    standin.access.add_role("agent", {"VM.Audit", "VM.GuestAgent.Unrestricted"})
    standin.add_vm(300, running=True, agent={"exec": lambda *_: (1, "", "read-only file system\n")})
    standin.knobs.edit(300, agent="1")
    with pytest.raises(Failed, match="an identity of its own: read-only file system"):
        opened(standin, token="ident@pve!tok", role="agent").do("renew-identity", kind="vm", guest=300)
