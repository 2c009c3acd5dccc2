# SPDX-License-Identifier: MIT
"""Three members of an etcd cluster, each in a network namespace of its own, while hosts tell and are told: members are killed, cut off
and brought back."""

import os
import random
import shutil
import subprocess
import time

import pytest
import seeds
from conftest import Authority, EtcdStore, Host
from etcd import MISSING, Cluster, Member

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
              pytest.mark.skipif(not shutil.which("ip"), reason="iproute2 is not installed"),
              pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")]
ROUNDS = 6
NET = f"10.214.{os.getpid() % 250}"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Net:
    """A bridge of this host, and a namespace for each member behind it."""

    counter = 0

    def __init__(self):
        Net.counter += 1  # what is deleted goes later
        self.tag = f"bh{os.getpid() % 100000}{Net.counter}"
        self.bridge, self.spaces, self.ends = f"{self.tag}br", [], []
        ip("link", "add", self.bridge, "type", "bridge")
        ip("addr", "add", f"{NET}.1/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")

    def add(self, number):
        """Its address, and the words before a command that is to be there."""
        space, here, there = f"{self.tag}n{number}", f"{self.tag}v{number}", f"{self.tag}w{number}"
        ip("netns", "add", space)
        self.spaces.append(space)
        ip("link", "add", here, "type", "veth", "peer", "name", there)
        self.ends.append(here)
        ip("link", "set", there, "netns", space)
        ip("link", "set", here, "master", self.bridge, "up")
        for words in (("addr", "add", f"{NET}.{10 + number}/24", "dev", there), ("link", "set", there, "up"), ("link", "set", "lo", "up")):
            ip("-n", space, *words)
        return f"{NET}.{10 + number}", ["ip", "netns", "exec", space]

    def cut(self, number, is_cut):
        ip("link", "set", f"{self.tag}v{number}", "down" if is_cut else "up")

    def close(self):
        for space in self.spaces:
            subprocess.run(["ip", "netns", "del", space], capture_output=True)
        for link in (*self.ends, self.bridge):  # a namespace goes once the last process in it is collected
            subprocess.run(["ip", "link", "del", link], capture_output=True)


@pytest.fixture()
def store(tmp_path):
    net, made = Net(), EtcdStore.__new__(EtcdStore)
    try:
        made.place, made.net = tmp_path / "etcd", net
        made.place.mkdir()
        authority = Authority(made.place)
        members = []
        for number in range(3):
            address, words = net.add(number)
            members.append(Member(f"member-{number}", made.place, authority, address, (2379, 2380), words))
        made.cluster = Cluster(made.place, authority, members)
        yield made
        made.close()
    finally:
        net.close()


def reached(host, **more):
    """An exchange, if one comes about: what it told."""
    told = host.ask("exchange", **more)
    return None if "error" in told else told


def test_nothing_is_lost_and_nothing_doubled_whatever_becomes_of_the_members(store, tmp_path):
    chance = random.Random(repr((seeds.number(), "etcd cluster")))
    store.add_host("host-a")
    host = Host(store, tmp_path).start()
    cluster, net = store.cluster, store.net
    events, wanted, dead, cut, failures = 0, [], set(), set(), 0
    try:
        for number in range(ROUNDS):
            # One member fails, now and then two, so that nobody can decide anything for a while.
            for member in chance.sample(range(3), chance.choice([0, 1, 1, 1, 1, 2])):
                if member in dead | cut:
                    continue
                if chance.random() < 0.5:
                    cluster.members[member].kill()
                    dead.add(member)
                else:
                    net.cut(member, True)
                    cut.add(member)
            for _ in range(3 if len(dead | cut) < 2 else 1):
                events += 1
                host.event(f"event-{events}")
                failures += reached(host) is None
            for member in [each for each in sorted(dead) if chance.random() < 0.7]:
                cluster.members[member].start(cluster.members)
                dead.discard(member)
            for member in [each for each in sorted(cut) if chance.random() < 0.7]:
                net.cut(member, False)
                cut.discard(member)
            if len(dead | cut) < 2:
                wanted.append(f"op-{number}")
                store.sign("host-a", wanted[-1])
                store.want("host-a", number + 1)
            if chance.random() < 0.3:
                host.start()  # it dies, too
        for member in dead:
            cluster.members[member].start(cluster.members)
        for member in cut:
            net.cut(member, False)
        cluster.wait()
        end = time.monotonic() + 180
        while (told := reached(host)) is None or told["waiting"] or told["later"]:
            assert time.monotonic() < end, host.ask("exchange")
            time.sleep(0.2)
        told = [event for report in store.reports("host-a") for event in report["events"]]
        assert [event["sequence"] for event in told] == list(range(1, len(told) + 1)), "in order, none lost, none twice"
        assert [event["kind"] for event in told if event["kind"].startswith("event-")] == [f"event-{1 + i}" for i in range(events)]
        assert sorted(event["operation"] for event in told if event["kind"] == "signed-taken") == sorted(wanted), "each once"
    finally:
        host.kill()
    print(f"NOTE: {events} events, {len(wanted)} signed operations, {failures} exchanges failed meanwhile")


def test_a_host_goes_on_with_whichever_member_answers(store, tmp_path):
    store.add_host("host-a")
    host = Host(store, tmp_path).start()
    try:
        assert reached(host)
        for number in (0, 1, 2):
            store.net.cut(number, True)
            store.want("host-a", number + 1)
            host.event("a")
            end = time.monotonic() + 180
            while (told := reached(host)) is None:
                assert time.monotonic() < end
            assert told["generation"] == number + 1
            store.net.cut(number, False)
            store.cluster.wait()
    finally:
        host.kill()
