# SPDX-License-Identifier: MIT
"""The knobs: lost answers, other hands, rights that go, workers that die, nodes that move."""

import http.client
import json
import time

import pytest
from client import Client
from node import StandIn

CONFIG = "/nodes/pve1/qemu/100/config"
LOST = (http.client.HTTPException, OSError)


@pytest.fixture(autouse=True)
def guest(standin):
    return standin.add_vm(100, name="one", disks={"scsi0": 1})


def test_an_answer_is_lost_after_the_deed(standin, api):
    standin.knobs.next("lose_after", "/config")
    with pytest.raises(LOST):
        api.put(CONFIG, cores=2)
    assert api.get(CONFIG).data["cores"] == 2
    assert api.put(CONFIG, cores=3).status == 200, "only the next one"


def test_a_request_is_lost_before_the_deed(standin, api):
    standin.knobs.next("lose_before", "/config")
    with pytest.raises(LOST):
        api.put(CONFIG, cores=2)
    assert "cores" not in api.get(CONFIG).data


def test_a_task_is_begun_whose_upid_nobody_hears(standin, api):
    standin.knobs.next("lose_after", "/status/start", method="POST")
    with pytest.raises(LOST):
        api.post("/nodes/pve1/qemu/100/status/start")
    time.sleep(0.05)
    assert [row["type"] for row in api.get("/nodes/pve1/tasks?source=all").data] == ["qmstart"]


def test_596_and_the_deed_comes_later(standin, api):
    standin.knobs.next("late", "/config", seconds=20)
    assert api.put(CONFIG, cores=2).status == 596
    assert "cores" not in api.get(CONFIG).data
    time.sleep(0.5)
    assert api.get(CONFIG).data["cores"] == 2


def test_a_rule_meets_what_matches_and_lets_pass_what_it_shall(standin, api):
    standin.knobs.next("status", "cores|config", method="any", times=2, skip=1, status=503, reason="Busy")
    assert [api.get(CONFIG).status for _ in range(5)] == [200, 503, 503, 200, 200]
    assert api.get("/version").status == 200
    standin.knobs.next("status", ".", method="any", times=9, status=500)
    standin.knobs.clear()
    assert api.get("/version").status == 200


@pytest.mark.parametrize("reset", [False, True])
def test_a_body_ends_early(standin, api, reset):
    standin.knobs.next("truncate", "/config", method="GET", bytes=10, reset=reset)
    with pytest.raises(LOST):
        api.get(CONFIG)


def test_a_body_drips(standin, api):
    standin.knobs.next("drip", "/version", method="GET", bytes=20, seconds=0.02)
    began = time.monotonic()
    assert api.get("/version").data["release"] == "9.2"
    assert time.monotonic() - began > 0.2


def test_a_proxy_answers_in_html(standin, api):
    standin.knobs.next("html", "/config")
    reply = api.put(CONFIG, cores=2)
    assert (reply.status, reply.headers["Server"], reply.headers["Content-Type"]) == (502, "nginx", "text/html")
    assert b"<html>" in reply.body and "cores" not in api.get(CONFIG).data
    standin.knobs.next("html", "/config", done=True, status=504, reason="Gateway Time-out")
    assert api.put(CONFIG, cores=2).status == 504 and api.get(CONFIG).data["cores"] == 2


def test_a_body_of_ten_megabytes(standin, api):
    standin.knobs.next("huge", "/qemu", method="GET")
    assert len(api.get("/nodes/pve1/qemu").body) > 10 << 20
    standin.knobs.next("huge", "/config")
    assert len(api.put(CONFIG, description="x" * 8000).body) > 10 << 20
    assert api.get(CONFIG).status == 200 and api.connections == 1, "what came with it is no request"


def test_silence(standin):
    standin.knobs.next("silent", "/config")
    with pytest.raises(TimeoutError):
        Client(standin, timeout=0.3).put(CONFIG, cores=2)
    assert Client(standin).get(CONFIG).data["cores"] == 2


def test_all_connections_are_cut(standin, api):
    api.get("/version")
    standin.knobs.cut_connections()
    with pytest.raises(LOST):
        api.get("/version")
    assert api.get("/version").status == 200


def test_who_asks_can_be_seen_afterwards(standin, api):
    api.get("/version")
    standin.knobs.next("lose_after", "/config")
    with pytest.raises(LOST):
        api.put(CONFIG, cores=2)
    assert list(standin.requests) == [["GET", "/api2/json/version", 200], ["PUT", "/api2/json" + CONFIG, 0]]


# -- rights


def test_a_right_that_is_withdrawn_is_gone_at_once(standin, api):
    assert len(api.get("/nodes/pve1/qemu").data) == 1
    standin.knobs.withdraw("agent@pve!main")
    assert api.get("/nodes/pve1/qemu").data == [] and api.get("/access/permissions").data == {}
    assert api.get(CONFIG).status == 403
    standin.knobs.grant("agent@pve!main", "Agent16", "/vms/100")
    assert api.get(CONFIG).status == 200 and list(api.get("/access/permissions").data) == ["/vms/100"]


def test_a_token_has_no_more_than_its_user(standin, api):
    standin.knobs.withdraw("agent@pve")
    assert api.get("/access/permissions").data == {}, "though the token itself has a role"


def test_a_token_without_privilege_separation_has_what_its_user_has(standin):
    standin.token()
    secret = standin.access.add_token("agent@pve!plain", privsep=0)
    assert Client(standin, f"agent@pve!plain={secret}").get(CONFIG).status == 200


def test_a_token_that_expired(standin, api):
    standin.knobs.expire("agent@pve!main")
    assert (api.get("/version").status, standin.requests[-1][2]) == (401, 401)


def test_a_token_expires_by_the_nodes_own_clock(standin, api):
    standin.knobs.expire("agent@pve!main", at=int(standin.clock.now()) + 100000)
    assert api.get("/version").status == 200
    standin.knobs.wrong_clock(200000)
    assert api.get("/version").status == 401


# -- tasks


def test_a_killed_worker_leaves_unexpected_status_and_lets_the_file_lock_go(standin, api):
    standin.guests.by_id[100].reacts = None
    standin.knobs.power(100, True)
    upid = api.post("/nodes/pve1/qemu/100/status/shutdown", timeout=1000).data
    time.sleep(0.05)
    standin.knobs.kill_worker(upid)
    assert api.end_of(upid) == "unexpected status" and api.log(upid) == ["no content"]
    assert api.put(CONFIG, onboot=1).status == 200
    assert api.get("/nodes/pve1/tasks?statusfilter=unknown").data[0]["upid"] == upid


def test_a_killed_backup_leaves_its_flag_for_ever(standin, api):
    standin.knobs.next_task_takes(1000)
    upid = api.post("/nodes/pve1/vzdump", vmid=100, storage="local").data
    time.sleep(0.05)
    assert api.put(CONFIG, cores=2).reason == "VM is locked (backup)", "as long as the backup runs"
    standin.knobs.kill_worker("vzdump")
    assert api.end_of(upid) == "unexpected status" and api.put(CONFIG, cores=2).reason == "VM is locked (backup)"
    assert api.put(CONFIG, delete="lock").reason == "only root can set 'lock' config"
    standin.knobs.set_lock(100)
    assert api.put(CONFIG, cores=2).status == 200


def test_a_task_vanishes(standin, api):
    upid = api.post("/nodes/pve1/qemu/100/status/start").data
    assert api.end_of(upid) == "OK"
    standin.knobs.vanish(upid)
    assert api.get(f"/nodes/pve1/tasks/{upid}/status").errors == {"upid": "no such task"}
    assert api.log(upid) == ["unable to open file - No such file or directory"]


def test_a_node_that_ran_for_long_has_a_digit_more(standin, api):
    standin.knobs.long_uptime()
    upid = api.post("/nodes/pve1/qemu/100/status/start").data
    assert len(upid.split(":")[3]) == 9 and api.end_of(upid) == "OK"


# -- other hands


def test_a_lock_file_that_another_process_holds(standin, api):
    api.get(CONFIG)
    standin.knobs.hold_file_lock(100, 150)
    began = time.monotonic()
    reply = api.put(CONFIG, cores=2)
    assert reply.reason == "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"
    assert 0.09 < time.monotonic() - began < 4, "ten seconds, a hundred times as fast"
    assert 200 in [api.put(CONFIG, cores=2).status for _ in range(20)], "it was let go"


def test_time_can_be_made_faster_still(standin, api):
    standin.knobs.time_scale(10000)
    standin.knobs.hold_file_lock(100, 100000)
    before = standin.clock.now()
    assert api.put(CONFIG, cores=2).status == 500 and standin.clock.now() - before > 10


def test_an_edit_by_hand_changes_the_digest(standin, api):
    digest = api.get(CONFIG).data["digest"]
    standin.knobs.edit(100, memory=128)
    assert api.put(CONFIG, cores=2, digest=digest).reason == "checksum mismatch (file change by other user?)"
    standin.knobs.edit(100, memory=64)
    assert api.get(CONFIG).data["digest"] == digest and api.put(CONFIG, cores=2, digest=digest).status == 200


def test_a_guest_is_destroyed_and_another_made_under_its_id(standin, api):
    before = api.get(CONFIG).data
    standin.knobs.replace(100, name="one")
    after = api.get(CONFIG).data
    assert after["name"] == "one" and before["vmgenid"] != after["vmgenid"] and before["smbios1"] != after["smbios1"]
    assert "scsi0" not in after and api.get("/nodes/pve1/storage/local/content?vmid=100").data == []
    standin.knobs.replace(100, kind="lxc")
    assert api.get(CONFIG).status == 500 and api.get("/nodes/pve1/lxc/100/config").status == 200


def test_a_guest_is_gone(standin, api):
    standin.knobs.destroy(100)
    assert api.get(CONFIG).reason == "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist"
    assert api.do(api.post("/nodes/pve1/qemu/100/status/start")).startswith("Configuration file 'nodes/pve1")


def test_a_snapshot_of_another_hand_and_one_that_is_in_use(standin, api):
    standin.knobs.take_snapshot(100, "theirs")
    assert api.do(api.post("/nodes/pve1/qemu/100/snapshot", snapname="theirs")) == "snapshot name 'theirs' already used"
    standin.knobs.hold_snapshot(100, "theirs")
    assert api.do(api.delete("/nodes/pve1/qemu/100/snapshot/theirs")) == "snapshot 'theirs' is in use"
    assert api.do(api.post("/nodes/pve1/qemu/100/snapshot/theirs/rollback")) == "snapshot 'theirs' is in use"


# -- nodes


@pytest.fixture()
def pair():
    with StandIn(("pve1", "pve2"), scale=100) as made:
        made.add_vm(100, name="one")
        yield made


@pytest.mark.parametrize("door", ["pve1", "pve2"])
def test_a_guest_moves_to_the_other_node(pair, door):
    api = Client(pair, node=door)
    assert api.get(CONFIG).status == 200
    pair.knobs.move(100, "pve2")
    assert api.get(CONFIG).reason == "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist"
    assert api.get("/nodes/pve2/qemu/100/config").data["name"] == "one"
    upid = api.post("/nodes/pve2/qemu/100/status/start").data
    assert upid.startswith("UPID:pve2:") and api.end_of(upid) == "OK"
    assert api.get(f"/nodes/pve1/tasks/{upid}/status").errors == {"upid": "no such task"}
    reply = api.post("/nodes/pve1/qemu", vmid=100)
    assert reply.reason == "unable to create VM 100 - VM 100 already exists on node 'pve2'"


def test_two_nodes_have_a_certificate_each(pair):
    rows = {row["node"]: row["ssl_fingerprint"] for row in Client(pair).get("/nodes").data}
    assert len(set(rows.values())) == 2
    assert [row["local"] for row in Client(pair, node="pve2").get("/cluster/status").data[:2]] == [0, 1]


def test_the_other_node_is_down(pair):
    pair.knobs.move(100, "pve2")
    pair.knobs.node_online("pve2", False)
    pair.knobs.broadcast()
    api = Client(pair)
    assert api.get("/nodes/pve2/qemu/100/config").status == 595
    assert api.get("/cluster/resources?type=vm").data == [{"id": "qemu/100", "type": "qemu", "node": "pve2",
                                                           "vmid": 100,
                                                           "status": "unknown"}]
    assert {row["node"]: row["status"] for row in api.get("/nodes").data} == {"pve1": "online", "pve2": "offline"}


def test_a_node_is_renamed(standin, api):
    standin.knobs.rename_node("pve1", "box")
    assert api.get(CONFIG).reason.startswith("hostname lookup 'pve1' failed")
    assert api.get("/nodes/box/qemu/100/config").status == 200 and api.get("/nodes").data[0]["node"] == "box"
    upid = api.post("/nodes/box/qemu/100/status/start").data
    assert upid.startswith("UPID:box:") and api.end_of(upid) == "OK"


def test_a_line_of_the_control_socket(standin, api):
    call = standin.knobs.call
    assert call(json.dumps({"do": "next", "kind": "status", "pattern": "/config", "status": 599})) == {"ok": True,
                                                                                                       "result": None}
    assert api.put(CONFIG, cores=2).status == 599
    assert call('{"do": "token", "args": ["x@pve!yz"]}')["result"].startswith("x@pve!yz=")
    assert json.loads(call('{"do": "asked"}')["result"]) == [["PUT", "/api2/json" + CONFIG, 599]]
    for wrong in ('{"do": "nosuch"}', '{"do": "_task"}', '{"do": "next", "kind": "nosuch"}', "no json", "{}"):
        assert "error" in call(wrong)
