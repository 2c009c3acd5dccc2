# SPDX-License-Identifier: MIT
"""The stand-in as a program of its own, and how many requests it bears."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
import serve
from client import Client
from conftest import PATIENT
from node import StandIn
from node.certificates import Certificate

SERVE = pathlib.Path(serve.__file__)


@contextlib.contextmanager
def served(tmp_path, *words):
    """The program; (process, what it printed)."""
    process = subprocess.Popen([sys.executable, SERVE, *words], stdout=subprocess.PIPE, text=True,
                               env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"})
    try:
        said = {}
        while "control" not in said:
            name, _, value = process.stdout.readline().rstrip("\n").partition(": ")
            assert name, "it ended"
            said[name] = value
        yield process, said
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)
        process.stdout.close()


def get(said, path, node="pve1"):
    context = ssl.create_default_context(cafile=said["ca"])
    address = said[f"address of {node}"].removeprefix("https://")
    connection = http.client.HTTPSConnection(address, context=context, timeout=120)
    token = pathlib.Path(said["token"]).read_text().strip()
    try:
        connection.request("GET", "/api2/json" + path, headers={"Authorization": f"PVEAPIToken={token}"})
        leaf = Certificate("", ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(True))).fingerprint
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or "{}"), leaf
    finally:
        connection.close()


def turned(said, **knob):
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(said["control"])
        control.sendall(json.dumps(knob).encode() + b"\n")
        return json.loads(control.makefile().readline())


def test_it_serves_takes_knobs_and_leaves_nothing(tmp_path):
    with served(tmp_path, "--guests", "6") as (process, said):
        status, body, leaf = get(said, "/cluster/resources?type=vm")
        assert status == 200 and leaf == said["fingerprint"]
        assert sorted(row["vmid"] for row in body["data"]) == list(range(100, 106))
        assert {row["type"] for row in body["data"]} == {"qemu", "lxc"}
        assert turned(said, do="next", kind="status", pattern="/version", method="any", status=503)["ok"]
        assert get(said, "/version")[0] == 503 and get(said, "/version")[0] == 200
        assert "no such knob" in turned(said, do="explode")["error"]
        assert os.stat(said["token"]).st_mode & 0o77 == 0 and os.stat(said["control"]).st_mode & 0o77 == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert list(tmp_path.iterdir()) == []


def test_time_may_be_moved_over_the_control_socket(tmp_path):
    with served(tmp_path, "--manual", "--nodes", "pve1,pve2") as (_, said):
        before = get(said, "/nodes/pve1/time")[1]["data"]["time"]
        assert turned(said, do="advance", seconds=100)["ok"]
        assert get(said, "/nodes/pve1/time", "pve2")[1]["data"]["time"] == before + 100


@pytest.fixture()
def crowded():
    with StandIn(scale=100) as made:
        made.front.idle = PATIENT
        serve.populate(made, 200)
        yield made


def test_two_hundred_guests_and_thousands_of_requests(crowded):
    """The limit is one of computing, client and server together: others may keep the machine busy."""
    counts = []

    def work(number):
        client, good = Client(crowded), 0
        for at in range(500):
            vmid = 100 + (number * 97 + at) % 200
            kind = "lxc" if vmid % 3 == 2 else "qemu"
            path = f"/nodes/pve1/{kind}/{vmid}"
            reply = client.get(path + "/config") if at % 2 else client.get(path + "/status/current")
            good += reply.status == 200
        client.close()
        counts.append(good)
    began = time.process_time()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [500] * 4 and time.process_time() - began < 20
    client = Client(crowded)
    assert len(client.get("/cluster/resources?type=vm").data) == 200
    assert len(client.get("/nodes/pve1/qemu").data) + len(client.get("/nodes/pve1/lxc").data) == 200


def test_two_hundred_guests_are_backed_up(crowded):
    client = Client(crowded)
    crowded.knobs.time_scale(10000)
    assert client.do(client.post("/nodes/pve1/vzdump", all=1, storage="local")) == "OK"
    assert len(client.get("/nodes/pve1/storage/local/content?content=backup").data) == 200
