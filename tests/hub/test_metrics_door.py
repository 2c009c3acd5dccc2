# SPDX-License-Identifier: MIT
"""The agent's figures for Prometheus: what is on the page, who may ask for it, and that nobody who asks holds the agent up."""

import contextlib
import http.client
import json
import pathlib
import re
import socket
import stat
import time

import pytest
from ports import free_port
from site_with_hub import HOST, Running, Site

DATA = pathlib.Path(__file__).resolve().parents[2] / "data"
SAMPLE = re.compile(r'(blockhost_\w+)(\{(?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)*\})? -?[0-9.e+-]+')


@pytest.fixture()
def site(tmp_path):
    made = Site(tmp_path)
    assert made.mock.create("vm-1").returncode == 0
    made.port = free_port()
    made.configure(metrics={"listen": f"127.0.0.1:{made.port}"})
    return made


@pytest.fixture()
def running(site):
    made = Running(site)
    made.hears("READY=1")
    made.until(lambda: can_connect(site.port))
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.communicate()


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def page(port, path="/metrics", method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def families(text):
    """Each line is one of the text format; name -> samples."""
    found, typed = {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            typed = line.split()[2]
            assert typed not in found, "a family comes once"
            found[typed] = []
            continue
        match = SAMPLE.fullmatch(line)
        assert match and match.group(1) == typed, line
        found[typed].append(line[len(typed):])
    return found


def test_the_page_has_what_the_host_and_its_hub_are_like(site, running):
    site.want({"vm-1": {"power": "absent"}})
    running.ask_now()
    running.until(lambda: "blockhost_signatures_pending 1\n" in page(site.port)[1], 60)
    status, text = page(site.port)
    found = families(text)
    assert status == 200
    assert f'host="{HOST}"' in found["blockhost_agent_info"][0] and 'platform="libvirt"' in found["blockhost_agent_info"][0]
    assert found["blockhost_guest_up"] == ['{guest="vm-1",name="vm-1",kind="vm"} 1']
    assert found["blockhost_guests"] == ['{power="running"} 1'] and found["blockhost_desired_generation"] == [" 1"]
    assert found["blockhost_desired_converged"] == [" 0"] and found["blockhost_blocked"] == [" 0"]
    assert abs(float(found["blockhost_hub_last_exchange_seconds"][0]) - time.time()) < 120


def test_what_keeps_the_agent_from_its_work_is_on_it_also_when_nothing_else_can_be_seen(site, running):
    site.hub.go_away()
    running.ask_now()
    running.until(lambda: 'blockhost_trouble{what="hub"} 1\n' in page(site.port)[1], 60)
    assert families(page(site.port)[1])


def test_only_its_path_is_there_and_only_to_be_read(site, running):
    assert page(site.port, "/")[0] == 404 and page(site.port, "/metrics", "POST")[0] == 405
    with socket.create_connection(("127.0.0.1", site.port)) as other:
        other.sendall(b"hello\r\n\r\n")
        assert other.recv(100).startswith(b"HTTP/1.1 400 ")
    with socket.create_connection(("127.0.0.1", site.port)) as other:
        other.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 5000)
        assert other.recv(100) == b"", "what is too long is not heard to its end"


def test_whoever_is_slow_holds_nobody_up(site, running):
    silent = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(20)]
    running.ask_now()  # the agent goes on
    running.hears("WATCHDOG=1")
    assert page(site.port)[0] == 200, "the silent ones lose their place after a while"
    for each in silent:
        each.close()


def test_a_place_that_is_taken_is_told_and_no_reason_to_end(site):
    with socket.socket() as other:
        other.bind(("127.0.0.1", site.port))
        other.listen()
        running = Running(site)
        running.hears("READY=1")
        running.ask_now()
        err = running.end()
    assert running.process.returncode == 0 and "another program listens there" in err


def test_a_unix_socket_is_roots_alone_and_replaces_what_a_dead_agent_left(site):
    path = site.folder / "metrics.sock"
    site.configure(metrics={"socket": str(path)})
    for _ in range(2):
        (site.folder / "notify").unlink(missing_ok=True)
        running = Running(site)
        try:
            running.hears("READY=1")
            running.until(lambda: path.exists() and "blockhost_agent_info" in over(path))
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        finally:
            running.process.kill()
            running.process.communicate()
        assert path.exists()


def test_a_socket_that_another_program_listens_on_is_left_to_it(site):
    path = site.folder / "metrics.sock"
    site.configure(metrics={"socket": str(path)})
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        before = path.stat().st_ino
        running = Running(site)
        running.hears("READY=1")
        running.ask_now()
        assert "another program listens there" in running.end() and path.stat().st_ino == before


def over(path):
    """Nothing where only a dead agent's socket is."""
    with contextlib.suppress(ConnectionRefusedError), socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(20)
        asked.connect(str(path))
        asked.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        text = b""
        while part := asked.recv(65536):
            text += part
        return text.decode()
    return ""


@pytest.mark.parametrize("section, words", [
    ({"listen": "0.0.0.0:9177"}, "is no port of this host alone"), ({"listen": "127.0.0.1"}, "is no port of this host alone"),
    ({"listen": "127.0.0.1:99999"}, "is no port of this host alone"), ({}, "only one of them"), ({"socket": "x"}, "is no absolute path"),
    ({"listen": "127.0.0.1:1", "socket": "/x"}, "only one of them"), ({"port": 1}, "port")])
def test_a_place_that_others_could_reach_or_that_is_none_is_refused(site, section, words):
    site.configure(metrics=section)
    run = site.agent("check", site.folder / "root/etc/blockhost/agent.json")
    assert run.returncode == 4 and words in run.stderr, (run.returncode, run.stderr)


def test_alerts_and_dashboard_ask_for_figures_that_there_are():
    page_source = (DATA.parent / "src/agent/service/metrics_page.cpp").read_text()
    there = set(re.findall(r'(?:family|one)\("(\w+)"', page_source))
    board = json.loads((DATA / "grafana/blockhost-hosts.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = (DATA / "prometheus/blockhost.rules.yaml").read_text()
    asked = set(re.findall(r"blockhost_\w+", " ".join(expressions + re.findall(r"expr: (.*)", rules))))
    assert asked and asked <= there, asked - there
