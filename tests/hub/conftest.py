# SPDX-License-Identifier: MIT
"""Hubs of each kind, as their operator sees them, and hosts that speak to them."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from hub import Hub

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build"))
CALL = BUILD / "tests/unit/hub/hub-call"
sys.path[:0] = [str(TREE / "tests/lifecycle"), str(TREE / "tests")]

from etcd import MISSING, Cluster, Member  # noqa: E402
from https_server import Authority  # noqa: E402


def signed(name):
    """A signed operation that hub-call's host takes by that name; "bad" is refused."""
    return json.dumps({"version": 1, "envelope": name, "signatures": ["-"]})


class FolderStore:
    """A folder as a hub. What tests do to it is what an admin would."""

    kind = "folder"

    def __init__(self, place):
        self.place = place / "fleet"
        self.place.mkdir()

    def settings(self, host):
        return {"kind": "folder", "folder": str(self.place)}

    def add_host(self, host):
        (self.place / host / "signed").mkdir(parents=True)

    def replace(self, path, text):
        fresh = path.with_name(".fresh")
        fresh.write_text(text)
        os.replace(fresh, path)

    def want(self, host, generation, **more):
        document = {"version": 1, "host": host, "generation": generation} | more.pop("document", {}) | more
        self.replace(self.place / host / "desired.json", json.dumps(document))

    def sign(self, host, name, file=None):
        self.replace(self.place / host / "signed" / f"{file or name}.json", signed(name))

    def unsign(self, host, name):
        (self.place / host / "signed" / f"{name}.json").unlink()

    def block(self, host, blocked):
        path = self.place / host / "blocked"
        path.touch() if blocked else path.unlink()

    def go_away(self):
        self.place.rename(self.place.with_name("away"))

    def come_back(self):
        self.place.with_name("away").rename(self.place)

    def reports(self, host):
        """Those with events, in the order in which they were kept."""
        return [json.loads(path.read_text()) for path in sorted((self.place / host / "reports").glob("*.json"))]

    def newest(self, host):
        return json.loads((self.place / host / "report.json").read_text())

    def close(self):
        pass


class HttpsStore:
    """A server as a hub."""

    kind = "https"

    def __init__(self, place):
        self.place = place / "hub"
        self.place.mkdir()
        self.authority = Authority(self.place)
        self.hub = Hub(self.authority)

    def token_file(self, host):
        return self.place / f"token-{host}"

    def give_token(self, host, token):
        self.token_file(host).touch(mode=0o600)
        self.token_file(host).write_text(token + "\n")

    def settings(self, host):
        return {"kind": "https", "url": self.hub.url, "token_file": str(self.token_file(host)), "ca_file": str(self.authority.ca)}

    def add_host(self, host):
        self.give_token(host, f"token-of-{host}")
        self.hub.add_host(host, f"token-of-{host}")

    def want(self, host, generation, **more):
        self.hub.want(host, generation, **more.pop("document", {}), **more)

    def sign(self, host, name):
        self.hub.sign(host, signed(name))

    def unsign(self, host, name):
        self.hub.hosts[host].signed.remove(signed(name))

    def block(self, host, blocked):
        self.hub.hosts[host].blocked = blocked

    def go_away(self):
        self.hub.stop()

    def come_back(self):
        self.hub.start()

    def reports(self, host):
        return [report for report in self.hub.hosts[host].reports if report["events"]]

    def newest(self, host):
        return self.hub.hosts[host].reports[-1]

    def close(self):
        self.hub.stop()


class Host:
    """One host, in a process that may be killed and started anew."""

    def __init__(self, store, place, name="host-a", **more):
        self.store, self.name, self.more, self.process = store, name, more, None
        self.state = place / name
        self.state.mkdir(exist_ok=True)

    def start(self, **more):
        self.kill()
        self.process = subprocess.Popen([CALL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.more |= more
        self.ask("open", state=str(self.state), host=self.name, hub=self.store.settings(self.name), **self.more)
        return self

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def ask(self, call, **more):
        self.process.stdin.write(json.dumps({"call": call, **more}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def event(self, kind, end=False):
        told = self.ask("event", end=end, event={"kind": kind})
        assert told == {}, told

    def exchange(self, **more):
        told = self.ask("exchange", **more)
        assert "error" not in told, told
        return told

    def failed(self, **more):
        told = self.ask("exchange", **more)
        assert "error" in told, told
        return told


class EtcdStore:
    """A cluster of one as a hub."""

    kind = "etcd"

    def __init__(self, place):
        if MISSING:
            pytest.skip(f"not installed: {', '.join(MISSING)}")
        self.place = place / "etcd"
        self.place.mkdir()
        authority = Authority(self.place)
        self.member = Member("one", self.place, authority)
        self.cluster = Cluster(self.place, authority, [self.member])

    def key(self, host, name):
        return f"/blockhost/hosts/{host}/{name}"

    def settings(self, host):
        return self.cluster.settings(host)

    def add_host(self, host):
        made = self.cluster.init("--host", host)
        assert made.returncode == 0, made.stderr

    def want(self, host, generation, **more):
        document = {"version": 1, "host": host, "generation": generation} | more.pop("document", {}) | more
        self.cluster.put(self.key(host, "wanted/desired"), json.dumps(document))

    def sign(self, host, name):
        self.cluster.put(self.key(host, f"wanted/signed/{name}"), signed(name))

    def unsign(self, host, name):
        self.cluster.remove(self.key(host, f"wanted/signed/{name}"))

    def block(self, host, blocked):
        key = self.key(host, "wanted/blocked")
        self.cluster.put(key, "yes") if blocked else self.cluster.remove(key)

    def go_away(self):
        self.member.kill()

    def come_back(self):
        self.member.start([self.member])
        self.cluster.wait()

    def reports(self, host):
        return [json.loads(text) for _, text in sorted(self.cluster.below(self.key(host, "told/reports/")).items())]

    def newest(self, host):
        return json.loads(self.cluster.below(self.key(host, "told/report"))[self.key(host, "told/report")])

    def close(self):
        self.cluster.close()


STORES = [FolderStore, HttpsStore, EtcdStore]


@pytest.fixture(params=STORES, ids=lambda kind: kind.kind)
def store(request, tmp_path):
    made = request.param(tmp_path)
    made.add_host("host-a")
    yield made
    made.close()


@pytest.fixture()
def host(store, tmp_path):
    made = Host(store, tmp_path).start()
    yield made
    made.kill()
