# SPDX-License-Identifier: MIT
"""The front end: connections, time before a refusal, a daemon that hangs, certificates that change."""

import http.client
import re
import ssl
import subprocess
import threading
import time

import pytest
from client import Client
from node import front
from node.certificates import Certificate

CONFIG = "/nodes/pve1/qemu/100/config"


def asked(call, *words, **values):
    """The call in a thread of its own; a list that its reply or its error will be in."""
    box = []

    def run():
        try:
            box.append(call(*words, **values))
        except (OSError, http.client.HTTPException) as error:
            box.append(error)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return box, thread


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def fingerprint(client):
    return Certificate("", ssl.DER_cert_to_PEM_cert(client.certificate())).fingerprint


def public_key(der):
    return subprocess.run(["openssl", "x509", "-noout", "-pubkey"], input=ssl.DER_cert_to_PEM_cert(der).encode(),
                          check=True,
                          capture_output=True).stdout


@pytest.mark.parametrize("token", ["agent@pve!main=wrong", "nobody@pve!x1=0", ""])
def test_every_401_comes_after_three_seconds(still, token):
    client = Client(still, token or "x")
    if not token:
        client.authorization = "Basic xyz"
    box, thread = asked(client.get, "/version")
    until(lambda: still.clock.asleep)
    still.clock.advance(still.clock.now() + 2.9)
    thread.join(0.05)
    assert box == []
    still.clock.advance(still.clock.now() + 0.2)
    thread.join(60)
    assert (box[0].status, box[0].reason, box[0].body) == (401, "Authentication failed!" if token else "No ticket", b"")


def test_a_connection_serves_a_hundred_requests(api):
    replies = [api.get("/version") for _ in range(201)]
    assert {reply.status for reply in replies} == {200} and api.connections == 3
    assert [at for at, reply in enumerate(replies) if reply.headers["Connection"] == "close"] == [99, 199]


def test_an_idle_connection_ends_after_five_seconds(still):
    still.front.idle = front.IDLE
    client = Client(still)
    client.get("/version")
    still.clock.advance(still.clock.now() + 4.9)
    assert client.get("/version").status == 200 and client.connections == 1
    still.clock.advance(still.clock.now() + 5.1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        client.get("/version")
    assert client.get("/version").status == 200


def test_an_idle_connection_keeps_real_time_where_time_runs_faster(standin, api):
    standin.front.idle = 0.3
    api.get("/version")
    time.sleep(0.1)
    assert api.get("/version").status == 200 and api.connections == 1
    time.sleep(0.5)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        api.get("/version")


def test_the_order_of_keys_is_that_of_chance(standin, api):
    standin.add_vm(100)
    assert len({tuple(api.get(CONFIG).data) for _ in range(20)}) > 3


def test_a_fault_of_the_stand_in_is_no_silence(standin, api, monkeypatch):
    monkeypatch.setattr(standin.guests, "next_id", None)
    reply = api.get("/cluster/nextid")
    assert (reply.status, reply.reason) == (500, "fault of the stand-in")


def test_a_body_in_chunks_is_refused(api):
    reply = api.ask("PUT", CONFIG, iter([b"memory=64"]), {"Transfer-Encoding": "chunked"})
    assert (reply.status, reply.body) == (501, b"chunked transfer encoding not supported")


@pytest.mark.parametrize("kind, sent", [("application/json", '{"cores":2,"onboot":true,"memory":"96"}'),
                                        ("application/x-www-form-urlencoded", "cores=2&onboot=yes&memory=96")])
def test_json_and_forms_mean_the_same(standin, api, kind, sent):
    standin.add_vm(100)
    assert api.ask("PUT", CONFIG, sent, {"Content-Type": kind}).status == 200
    config = api.get(CONFIG).data
    assert (config["cores"], config["onboot"], config["memory"]) == (2, 1, "96")


def test_a_write_that_a_hanging_daemon_got_is_done_after_the_596(still):
    still.add_vm(100)
    client = Client(still)
    still.knobs.daemon("hangs")
    box, thread = asked(client.put, CONFIG, cores=2)
    until(lambda: still.clock.asleep)
    still.clock.advance(still.clock.now() + 30.1)
    thread.join(60)
    assert (box[0].status, box[0].reason, box[0].body) == (596, "Connection timed out", b"")
    assert "cores" not in client.get(CONFIG).data
    still.knobs.daemon("works")
    assert client.get(CONFIG).data["cores"] == 2


def test_a_daemon_that_goes_on_in_time_answers(still):
    still.add_vm(100)
    still.knobs.daemon("hangs")
    box, thread = asked(Client(still).get, "/nodes/pve1/qemu")
    until(lambda: still.clock.asleep)
    still.clock.advance(still.clock.now() + 20)
    still.knobs.daemon("works")
    thread.join(60)
    assert box[0].status == 200 and len(box[0].data) == 1


def test_a_dead_daemon_refuses_at_once_and_nothing_is_done(standin, api):
    standin.add_vm(100)
    standin.knobs.daemon("dead")
    assert api.get("/version").status == 200 and api.get(CONFIG).status == 200
    reply = api.put(CONFIG, cores=2)
    assert (reply.status, reply.reason) == (595, "Connection refused")
    standin.knobs.daemon("works")
    assert "cores" not in api.get(CONFIG).data


def test_rights_are_checked_before_the_daemon_is_asked(standin):
    standin.knobs.daemon("dead")
    assert Client(standin, standin.token("other@pve!none", role=None)).delete("/nodes/pve1/qemu/100").status == 403


def test_the_wrong_clock_is_shown_everywhere(standin, api):
    before = api.get("/nodes/pve1/time").data["time"]
    standin.knobs.wrong_clock(-86400 * 365)
    reply = api.get("/nodes/pve1/time")
    assert before - reply.data["time"] > 86400 * 300
    assert re.search(r"\d{4}", reply.headers["Date"])[0] == time.strftime("%Y", time.gmtime(reply.data["time"]))


# -- certificates


def test_a_renewed_certificate_lies_on_disk_before_it_is_served_and_keeps_its_key(standin, api):
    first, der = fingerprint(api), api.certificate()
    assert api.get("/nodes").data[0]["ssl_fingerprint"] == first == standin.fingerprint
    standin.knobs.renew_certificate()
    following = api.get("/nodes").data[0]["ssl_fingerprint"]
    told = {row["filename"]: row for row in api.get("/nodes/pve1/certificates/info").data}
    assert following != first and told["pve-ssl.pem"]["fingerprint"] == following
    api.close()
    assert fingerprint(api) == first
    standin.knobs.reload_certificate()
    api.close()
    assert fingerprint(api) == following and public_key(api.certificate()) == public_key(der)


def test_a_certificate_may_come_with_another_key(standin, api):
    der = api.certificate()
    standin.knobs.renew_certificate(same_key=False)
    standin.knobs.reload_certificate()
    api.close()
    assert public_key(api.certificate()) != public_key(der)


def test_a_custom_certificate_takes_precedence(standin, api):
    standin.knobs.custom_certificate()
    standin.knobs.reload_certificate()
    rows = {row["filename"]: row["fingerprint"] for row in api.get("/nodes/pve1/certificates/info").data}
    api.close()
    assert set(rows) == {"pve-root-ca.pem", "pve-ssl.pem",
                         "pveproxy-ssl.pem"} and fingerprint(api) == rows["pveproxy-ssl.pem"]


def test_an_old_worker_serves_the_old_certificate_for_a_while(standin):
    old = standin.fingerprint
    standin.knobs.renew_certificate()
    standin.knobs.reload_certificate(old_for=2)
    seen = []
    for _ in range(4):
        client = Client(standin)
        seen.append(fingerprint(client))
        client.close()
    assert seen == [old, old, standin.fingerprint, standin.fingerprint] and old != standin.fingerprint


def test_only_the_leaf_is_sent(standin):
    shown = subprocess.run(["openssl", "s_client", "-connect", standin.address, "-showcerts"], stdin=subprocess.DEVNULL,
                           capture_output=True, timeout=120).stdout
    assert shown.count(b"BEGIN CERTIFICATE") == 1


def test_the_certificate_is_signed_by_the_clusters_own_authority(standin, tmp_path):
    (tmp_path / "ca.pem").write_text(standin.nodes["pve1"].certificates.ca.text)
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    connection = http.client.HTTPSConnection("127.0.0.1", standin.front.port, context=context)
    connection.connect()
    names = {value for _, value in connection.sock.getpeercert()["subjectAltName"]}
    connection.close()
    assert {"127.0.0.1", "localhost", "pve1"} <= names
    leaf = next(row for row in standin.nodes["pve1"].certificates.on_disk() if row.file == "pve-ssl.pem").described()
    assert 729 < (leaf["notafter"] - leaf["notbefore"]) / 86400 <= 730
