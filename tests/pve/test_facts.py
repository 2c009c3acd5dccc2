# SPDX-License-Identifier: MIT
"""What is true of a Proxmox node, and what the platform makes of it: who calls, the wire, answers, certificates.

facts.json names the tests of each fact; guests, tasks and backups are in test_facts_guests.py, bad days and rights in
test_facts_days.py."""

import base64
import hashlib
import json
import pathlib
import re
import ssl
import subprocess
import types

import pytest
from platform_process import TREE, Failed, Platform

HERE = pathlib.Path(__file__).resolve().parent
TABLE = json.loads((HERE / "facts.json").read_text())
CONFIG, CT_CONFIG = "/nodes/pve1/qemu/100/config", "/nodes/pve1/lxc/200/config"
ODD = "a=b=c&d+e%41#ü;/?\"'\\ \t{}[]\nline 2"


def exists(name):
    """Whether `FILE.py::TEST` or `FILE.cpp: TEST CASE` is there."""
    if ".cpp: " in name:
        file, _, case = name.partition(": ")
        return f'TEST_CASE("{case}")' in (TREE / "tests/unit/platform" / file).read_text()
    file, _, test = name.partition("::")
    return re.search(rf"^def {test}\(", (HERE / file).read_text(), re.M) is not None


@pytest.mark.parametrize("kind, count", [("facts", 65), ("rules", 20), ("days", 12)])
def test_each_fact_has_its_tests_or_a_reason_why_it_needs_none(kind, count):
    assert list(TABLE[kind]) == [str(number) for number in range(1, count + 1)]
    for number, row in TABLE[kind].items():
        assert row["says"] and (row.get("tests") or row.get("reason")), number
        for name in row.get("tests", []):
            assert exists(name), (number, name)


# -- who calls


def refusal_at_start(standin, folder, **settings):
    """The error of a platform that cannot be opened."""
    made = Platform(standin, folder, **settings)
    made.process.stdin.close()
    told = made.process.stdout.read()
    made.close()
    return json.loads(told)["error"]


@pytest.mark.parametrize("text", ["agent@pve!main", "agent@pve=1", "agent!main=1", "agent@pve!main=", "agent@pve!m=1",
                                  "agent@pve!main=a b", "agent@pve!main=a;b", "@pve!main=1", "agent@pve!=1"])
def test_a_token_that_no_node_would_take_is_refused_before_it_is_sent(standin, tmp_path, text):
    told = refusal_at_start(standin, tmp_path, token_text=text)
    assert told["code"] == "config" and "holds no API token" in told["message"] and not standin.requests


def test_a_token_that_others_can_read_is_refused_and_never_shown(standin, tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "token").touch()
    (folder / "token").chmod(0o644)
    told = refusal_at_start(standin, folder)
    assert told["code"] == "config" and "chmod 0600" in told["hint"]
    assert standin.token().rpartition("=")[2] not in json.dumps(told)


def test_a_token_alone_is_enough_for_reading_and_changing(standin, opened, vm):
    platform = opened(standin, token="own@pve!tok")
    assert platform.guest(100)["name"] == "one"
    assert platform.carry_out(100, "start")["phase"] == "done"


@pytest.mark.parametrize("day", ["wrong secret", "unknown token", "unknown user", "expired", "disabled"])
@pytest.mark.parametrize("writes", [False, True])
def test_whatever_is_wrong_with_a_token_it_is_asked_with_once(standin, opened, vm, day, writes):
    standin.token()
    text = {"wrong secret": "agent@pve!main=1", "unknown token": "agent@pve!other=1", "unknown user": "no@pve!main=1"}
    platform = opened(standin, token_text=text.get(day))
    if day == "expired":
        standin.knobs.expire("agent@pve!main")
    if day == "disabled":
        standin.knobs.enable_user("agent@pve", 0)
    with pytest.raises(Failed) as failed:
        platform.change("POST", "/nodes/pve1/qemu/100/status/start") if writes else platform.do("guests")
    assert failed.value.code == "denied" and "API token" in failed.value.message and not failed.value.lost
    assert len(standin.requests) == 1 and not vm.running


def test_a_token_without_rights_of_its_own_sees_nothing_and_concludes_nothing(standin, opened, vm):
    standin.token()
    platform = opened(standin, token="agent@pve!noacl")
    standin.knobs.withdraw("agent@pve!noacl")
    assert platform.get("/version")["release"] == "9.2"
    told = platform.do("guests")
    assert told["seen"] == [] and "VM.Audit" in told["doubt"]
    with pytest.raises(Failed) as failed:
        platform.guest(100)
    assert failed.value.code == "denied"
    standin.knobs.grant("agent@pve!noacl", "Agent16")
    assert platform.guest(100)["name"] == "one", "an entry counts at once"
    told = platform.do("guests")
    assert [guest["id"] for guest in told["seen"]] == ["100"] and told["doubt"] == ""


ROOT_ONLY = [("PUT", CT_CONFIG, {"features": "nesting=1,keyctl=1"}, "feature flags"),
             ("PUT", CT_CONFIG, {"mp0": "/srv,mp=/mnt"}, "bind"),
             ("PUT", CONFIG, {"args": "-S"}, "args"), ("PUT", CONFIG, {"lock": "backup"}, "lock"),
             ("POST", "/nodes/pve1/qemu/100/status/start", {"skiplock": "1"}, "skiplock: Only root may use this option."),
             ("POST", "/nodes/pve1/vzdump", {"vmid": "100", "dumpdir": "/srv"}, "dumpdir: Only root may set this option."),
             ("POST", "/nodes/pve1/execute", {"commands": "[]"}, "root@pam")]


@pytest.mark.parametrize("method, path, values, words", ROOT_ONLY, ids=lambda value: str(value)[-30:])
def test_what_only_root_may_do_is_told_as_that_in_whichever_form_it_is_refused(standin, opened, vm, container, method,
                                                                             path, values, words):
    standin.token("root@pam!full", role=None)
    standin.access.token("root@pam!full").privsep = 0
    with pytest.raises(Failed) as failed:
        opened(standin, token="root@pam!full").change(method, path, **values)
    assert failed.value.code == "denied" and failed.value.message.startswith("no API token may do this")
    assert words in failed.value.message and "root on the node" in failed.value.hint


def test_a_call_that_refuses_every_token_says_so(platform):
    with pytest.raises(Failed, match="no API token may do this") as failed:
        platform.change("POST", "/access/ticket", username="agent@pve", password="x")
    assert failed.value.code == "denied"


# -- the wire


def test_a_dead_daemon_is_noticed_though_the_front_end_still_answers(standin, platform, vm):
    standin.knobs.daemon("dead")
    assert platform.get("/version") and platform.get(CONFIG)["name"] == "one"
    for wish in ("guests", "guest"):
        with pytest.raises(Failed) as failed:
            platform.do(wish, guest="100")
        assert failed.value.code == "no_answer" and "pvedaemon" in failed.value.message
    standin.knobs.daemon("works")
    assert platform.guest(100)["power"] == "stopped"


def test_a_change_that_got_596_is_lost_and_comes_later(standin, platform, vm):
    digest = platform.guest(100)["digest"]
    standin.knobs.next("late", "/config", method="POST", seconds=20)
    with pytest.raises(Failed) as failed:
        platform.begin(100, "set-config", digest=digest, memory_mib=256)
    assert failed.value.lost and platform.guest(100)["config"]["memory_mib"] == 512
    while platform.guest(100)["config"]["memory_mib"] != 256:
        pass
    assert [request[2] for request in standin.requests if request[0] == "POST"] == [596], "sent once"


@pytest.mark.parametrize("status", [502, 503, 504, 596, 597, 599])
def test_a_status_that_says_nothing_of_a_change_makes_it_lost(standin, platform, vm, status):
    standin.knobs.next("status", "/status/start", method="POST", status=status)
    with pytest.raises(Failed) as failed:
        platform.begin(100, "start")
    assert failed.value.lost and failed.value.code == "no_answer"
    standin.knobs.next("status", "/qemu", method="GET", status=status)
    with pytest.raises(Failed) as failed:
        platform.do("guests")
    assert failed.value.code == "no_answer" and not failed.value.lost


def test_options_of_a_delete_are_in_the_query(standin, platform, vm):
    assert platform.do("await", handle=platform.change("DELETE", "/nodes/pve1/qemu/100", purge="1") + " 100")["phase"] == "done"
    assert ["DELETE", "/api2/json/nodes/pve1/qemu/100?purge=1", 200] in [list(each) for each in standin.requests]
    assert platform.guest(100) is None


@pytest.mark.parametrize("number", [100, 200])
def test_every_character_of_a_value_arrives(standin, platform, vm, container, number):
    digest = platform.guest(number)["digest"]
    assert platform.carry_out(number, "set-config", digest=digest, description=ODD)["phase"] == "done"
    assert standin.guests.by_id[number].config["description"].rstrip("\n") == ODD
    assert platform.guest(number)["config"]["description"] == ODD


@pytest.mark.parametrize("number", [100, 200])
def test_a_description_may_be_8192_characters_long_whatever_their_bytes(platform, vm, container, number):
    longest = "ü" * 8191 + "x"
    assert platform.carry_out(number, "set-config", digest=platform.guest(number)["digest"],
                              description=longest)["phase"] == "done"
    assert platform.guest(number)["config"]["description"] == longest
    with pytest.raises(Failed, match="description: value may only be 8192 characters long") as failed:
        platform.begin(number, "set-config", digest=platform.guest(number)["digest"], description=longest + "x")
    assert failed.value.code == "invalid" and not failed.value.lost


def test_a_body_that_is_too_large_is_no_call_that_the_node_does_not_know(platform, vm):
    with pytest.raises(Failed, match="for data too large") as failed:
        platform.change("PUT", CONFIG, description="x" * (600 << 10))
    assert "does not know" not in failed.value.message and not failed.value.lost


def test_reading_goes_on_over_connections_that_were_closed(standin, platform, vm):
    for _ in range(130):
        assert platform.get("/version")["release"] == "9.2"
    standin.knobs.cut_connections()
    assert platform.get("/version")["release"] == "9.2"
    standin.knobs.cut_connections()
    assert platform.carry_out(100, "start")["phase"] == "done"


def test_a_refusal_closes_the_connection_and_the_next_call_opens_another(platform, vm):
    for _ in range(3):
        assert platform.guest(999) is None
    assert platform.guest(100)["name"] == "one"


@pytest.mark.parametrize("values, words", [({"vmid": "111"}, "vmid: duplicate parameter"),
                                           ({"memry": "64"}, "memry: property is not defined")])
def test_a_wrong_parameter_is_named(platform, vm, values, words):
    with pytest.raises(Failed, match=re.escape(words)) as failed:
        platform.change("PUT", CONFIG, **values)
    assert failed.value.code == "invalid"


def test_rights_are_refused_before_values_are(standin, opened, vm):
    standin.access.add_role("see", {"VM.Audit", "VM.Config.Options"})
    with pytest.raises(Failed, match=r"needs VM.Config.Memory on /vms/100") as failed:
        opened(standin, token="see@pve!tok", role="see").change("PUT", CONFIG, memory="64", digest="00", onboot="0")
    assert failed.value.code == "denied"


# -- answers


@pytest.mark.parametrize("reason, code, words", [
    ("VM is locked (backup)", "wrong_state", 'locked for "backup"'),
    ("Permission check failed (/vms/100, VM.PowerMgmt)", "denied", "needs VM.PowerMgmt on /vms/100"),
    ("can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", "busy", "works on that guest"),
    ("malformed JSON string, at character offset 10 (before \"(en", "hypervisor", "malformed JSON string")])
def test_the_reason_in_the_status_line_is_enough(standin, platform, vm, reason, code, words):
    standin.knobs.next("status", "/status/start", method="POST", status=403 if code == "denied" else 500, reason=reason)
    with pytest.raises(Failed) as failed:
        platform.begin(100, "start")
    assert failed.value.code == code and words in failed.value.message and not failed.value.lost


def test_a_guest_that_is_not_there_is_none_and_one_that_may_not_be_seen_is_not(standin, opened, platform, vm):
    assert platform.guest(999) is None
    with pytest.raises(Failed, match="no such guest"):
        platform.get("/nodes/pve1/lxc/100/config")
    blind = opened(standin, token="blind@pve!tok", role=None)
    for number in (100, 999):
        with pytest.raises(Failed) as failed:
            blind.guest(number)
        assert failed.value.code == "denied"


def test_a_start_of_a_vm_that_is_gone_fails_in_its_task(platform):
    end = platform.do("await", handle=platform.change("POST", "/nodes/pve1/qemu/999/status/start") + " 999")
    assert end["phase"] == "failed" and end["error"]["code"] == "not_found"


def test_an_unknown_path_is_told_as_one(platform):
    with pytest.raises(Failed, match="this node does not know GET /nonsense"):
        platform.get("/nonsense")


def test_an_unknown_storage_is_told_by_name(platform, vm):
    with pytest.raises(Failed, match="storage 'nosuch' does not exist"):
        platform.get("/nodes/pve1/storage/nosuch/content")
    with pytest.raises(Failed, match="No such storage"):
        platform.get("/nodes/pve1/storage/nosuch/status")


@pytest.mark.parametrize("number, file", [(100, "/var/lock/qemu-server/lock-100.conf"),
                                          (200, "/run/lock/lxc/pve-config-200.lock")])
def test_a_guest_whose_lock_file_is_held_is_busy(standin, platform, vm, container, number, file):
    digest = platform.guest(number)["digest"]
    standin.knobs.hold_file_lock(number, 100_000)
    with pytest.raises(Failed) as failed:
        platform.begin(number, "set-config", digest=digest, memory_mib=256)
    assert failed.value.code == "busy" and file in failed.value.message and not failed.value.lost


def test_a_new_guest_is_known_by_its_configuration_though_the_clusters_list_lags(still, opened):
    still.clock.advance(still.clock.now() // 10 * 10 + 11)
    still.add_vm(100, name="one")
    platform = opened(still)
    [row] = platform.get("/cluster/resources", type="vm")
    assert row["status"] == "unknown" and "name" not in row
    assert platform.guest(100)["name"] == "one" and platform.do("guests")["seen"][0]["power"] == "stopped"


def test_numbers_are_read_from_text_and_from_numbers(platform, vm, container):
    assert isinstance(platform.get(CONFIG)["memory"], str) and isinstance(platform.get(CT_CONFIG)["memory"], int)
    assert [platform.guest(number)["config"]["memory_mib"] for number in (100, 200)] == [512, 128]
    assert platform.get("/cluster/nextid") == "101"


# -- certificates


def leaf_pin(certificate):
    return "sha256:" + certificate.fingerprint


def key_pin(certificate):
    der = subprocess.run(["openssl", "x509", "-noout", "-pubkey"], input=certificate.text.encode(), check=True,
                         capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=der, check=True, capture_output=True).stdout
    return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()


@pytest.fixture()
def served(standin):
    return standin.nodes["pve1"].certificates


def refused_for_its_certificate(platform):
    with pytest.raises(Failed) as failed:
        platform.get("/version")
    assert failed.value.code == "denied" and "none of the pins" in failed.value.message
    assert "openssl x509" in failed.value.hint and "/etc/pve/local" in failed.value.hint
    with pytest.raises(Failed) as failed:
        platform.change("POST", "/nodes/pve1/qemu/100/status/start")
    assert failed.value.code == "denied" and not failed.value.lost, "nothing was sent"


def test_a_renewed_certificate_fits_the_pin_of_its_key_and_not_its_own(standin, opened, served, vm):
    by_key, by_leaf = opened(standin, pins=[key_pin(served.leaf)]), opened(standin, pins=[leaf_pin(served.leaf)])
    standin.knobs.renew_certificate()
    standin.knobs.reload_certificate()
    standin.knobs.cut_connections()
    assert by_key.get("/version")["release"] == "9.2"
    before = len(standin.requests)
    refused_for_its_certificate(by_leaf)
    assert len(standin.requests) == before and not vm.running


@pytest.mark.parametrize("day", ["renewed with another key", "custom"])
def test_a_certificate_with_another_key_fits_neither_pin(standin, opened, served, vm, day):
    platform = opened(standin, pins=[key_pin(served.leaf), leaf_pin(served.leaf)])
    assert platform.get("/version")
    if day == "custom":
        standin.knobs.custom_certificate()
    else:
        standin.knobs.renew_certificate(same_key=False)
    standin.knobs.reload_certificate()
    standin.knobs.cut_connections()
    refused_for_its_certificate(platform)


def test_the_next_pin_is_told_over_a_connection_that_fits_the_old_one(standin, opened, served):
    platform, old = opened(standin, pins=[leaf_pin(served.leaf)]), served.leaf.fingerprint
    standin.knobs.renew_certificate(same_key=False)
    rows = {row["filename"]: row["fingerprint"] for row in platform.get("/nodes/pve1/certificates/info")}
    following = rows["pve-ssl.pem"]
    assert following != old and following == platform.get("/nodes")[0]["ssl_fingerprint"]
    both = opened(standin, pins=["sha256:" + old, "sha256:" + following])
    standin.knobs.reload_certificate(old_for=1)
    standin.knobs.cut_connections()
    served_before = served.old_for
    for _ in range(3):
        assert both.get("/version")["release"] == "9.2"
        standin.knobs.cut_connections()
    assert (served_before, served.old_for) == (1, 0), "one connection met an old worker"


def test_the_next_certificate_is_told_with_its_end_and_whether_a_pin_fits_it(standin, opened, served, tmp_path):
    first, key = leaf_pin(served.leaf), key_pin(served.leaf)
    by_leaf, by_key = opened(standin, pins=[first]), opened(standin, pins=[key])
    (tmp_path / "ca.pem").write_text(served.ca.text)
    by_authority = opened(standin, pins=[], ca_file=str(tmp_path / "ca.pem"))
    for platform in (by_leaf, by_key, by_authority):
        assert platform.do("host")["next_certificate"] is None
    for same_key, fits_key in ((True, True), (False, False)):
        standin.knobs.renew_certificate(same_key=same_key, days=700)
        told = [platform.do("host")["next_certificate"] for platform in (by_leaf, by_key, by_authority)]
        assert {each["fingerprint"] for each in told} == {leaf_pin(served.leaf).replace(":", "").lower().replace("256", "256:")}
        assert {each["expiry"] for each in told} == {served.leaf.described()["notafter"]}
        assert [each["pinned"] for each in told] == [False, fits_key, None]
    standin.knobs.custom_certificate()
    assert by_key.do("host")["next_certificate"]["fingerprint"] == "sha256:" + served.custom.fingerprint.replace(":", "").lower()


@pytest.mark.parametrize("same_key", [True, False])
def test_a_next_certificate_that_was_pinned_in_time_locks_nobody_out(standin, opened, served, same_key):
    pins = [key_pin(served.leaf)]
    standin.knobs.renew_certificate(same_key=same_key)
    told = opened(standin, pins=pins).do("host")["next_certificate"]
    standin.knobs.reload_certificate(old_for=1)
    for _ in range(3):  # an old worker, then new ones
        standin.knobs.cut_connections()
        assert opened(standin, pins=[*pins, told["fingerprint"]]).do("host")["name"] == "pve1"
    assert opened(standin, pins=[*pins, told["fingerprint"]]).do("host")["next_certificate"] is None
    if same_key:
        assert opened(standin, pins=pins).do("host")["name"] == "pve1"
    else:
        refused_for_its_certificate(opened(standin, pins=pins))


@pytest.mark.parametrize("pem", ["", "x", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
                                 "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,"
                                 "00112233445566778899AABBCCDDEEFF\n\nMAA=\n-----END CERTIFICATE-----\n"])
def test_a_certificate_on_disk_that_cannot_be_read_makes_no_sense(standin, platform, served, monkeypatch, pem):
    row = served.leaf.described() | {"pem": pem}
    monkeypatch.setattr(served, "on_disk", lambda: [types.SimpleNamespace(described=lambda: row)])
    with pytest.raises(Failed, match="makes no sense") as failed:
        platform.do("host")
    assert failed.value.code == "hypervisor"


def test_an_old_worker_and_a_new_one_both_fit_a_set_of_two_pins(standin, opened, served, vm):
    pins = [leaf_pin(served.leaf)]
    standin.knobs.renew_certificate(same_key=False)
    platform = opened(standin, pins=[*pins, leaf_pin(served.leaf)])
    standin.knobs.reload_certificate(old_for=4)
    for kind, power in (("start", "running"), ("stop", "stopped")):
        standin.knobs.cut_connections()
        assert platform.carry_out(100, kind, patience=0, force=True)["phase"] == "done"
        assert platform.guest(100)["power"] == power


def test_the_clusters_authority_serves_in_place_of_a_pin_for_each_name_of_the_node(standin, opened, served, tmp_path):
    (tmp_path / "ca.pem").write_text(served.ca.text)
    port = standin.front.port
    for host in ("127.0.0.1", "localhost"):
        platform = opened(standin, pins=[], ca_file=str(tmp_path / "ca.pem"), origin=f"https://{host}:{port}")
        assert platform.get("/version")["release"] == "9.2"
    standin.knobs.custom_certificate()
    assert ssl.PEM_cert_to_DER_cert(served.custom.text)
    standin.knobs.reload_certificate()
    with pytest.raises(Failed) as failed:
        opened(standin, pins=[], ca_file=str(tmp_path / "ca.pem")).get("/version")
    assert failed.value.code == "denied"
