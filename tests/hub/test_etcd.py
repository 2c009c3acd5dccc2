# SPDX-License-Identifier: MIT
"""An etcd cluster as a hub: who may do what there, passwords and tokens that end, what is heard without asking, and an agent on it."""

import base64
import json
import os
import time
import urllib.error

import pytest
from conftest import Authority, EtcdStore, Host
from etcd import Cluster, Member, encoded, end_of
from site_with_hub import HOST, Running, Site

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the agent is root's alone")


@pytest.fixture()
def store(tmp_path):
    made = EtcdStore(tmp_path)
    yield made
    made.close()


def as_host(store, host):
    """Asks as that host does; the status that it gets."""
    password = (store.place / f"passwords/{host}.password").read_text().strip()
    token = store.cluster.post("auth/authenticate", {"name": host, "password": password})["token"]

    def ask(path, request):
        try:
            store.cluster.post(path, request, token)
            return 200
        except urllib.error.HTTPError as error:
            return error.code
    return ask


def test_a_host_reads_what_is_wanted_of_it_writes_what_it_tells_and_nothing_else(store):
    assert store.cluster.init("--host", "host-a", "--host", "host-b", "--operator", "boss").returncode == 0
    ask = as_host(store, "host-a")

    def below(prefix):
        return {"key": encoded(prefix), "range_end": encoded(end_of(prefix))}

    def put(key):
        return {"key": encoded(key), "value": encoded("x")}
    own, other = "/blockhost/hosts/host-a/", "/blockhost/hosts/host-b/"
    assert [ask("kv/range", below(own + "wanted/")), ask("kv/put", put(own + "told/report")), ask("kv/range", below(own + "told/"))] == [200] * 3
    for refused in (("kv/put", put(own + "wanted/desired")), ("kv/deleterange", below(own + "wanted/")), ("kv/range", below(other + "wanted/")),
                    ("kv/put", put(other + "told/report")), ("kv/range", below("/")), ("kv/range", below("/blockhost/hosts/host-a")),
                    ("auth/user/list", {}), ("kv/put", put("/blockhost/hosts/host-a/told"))):
        assert ask(*refused) == 403, refused
    boss = as_host(store, "boss")
    assert boss("kv/put", put(own + "wanted/desired")) == 200 and boss("auth/user/list", {}) == 403


def test_a_repeat_leaves_passwords_and_a_renewal_ends_the_old_one_at_once(store, tmp_path):
    assert store.cluster.init("--host", "host-a").returncode == 0
    file = store.place / "passwords/host-a.password"
    assert file.stat().st_mode & 0o777 == 0o600
    host = Host(store, tmp_path).start()
    try:
        host.exchange()
        again = store.cluster.init("--host", "host-a")
        assert (again.returncode, again.stdout) == (0, "host-a was there, and keeps its password\n")
        host.exchange()
        kept = store.cluster.init("--host", "host-a", "--renew")
        assert kept.returncode == 6 and "there is a " in kept.stderr and "move it out of the way" in kept.stderr, kept.stderr
        host.exchange()
        file.rename(file.with_name("old"))
        renewed = store.cluster.init("--host", "host-a", "--renew")
        assert renewed.stdout == f"host-a has a new password, in {file}\n", renewed.stderr
        assert file.read_text() != file.with_name("old").read_text()
        host.exchange()  # it reads the file anew
        file.with_name("old").rename(file)
        host.start()
        failed = host.failed()
        assert failed["code"] == "denied" and "authentication failed" in failed["error"], failed
    finally:
        host.kill()


@pytest.mark.parametrize("words, status, sentence", [
    (("--host", "../x"), 3, "cannot be a user's name"), (("--host", "root"), 3, "cannot be a user's name"),
    ((), 2, "needs --host or --operator"), (("--host", "a", "--prefix", "x"), 2, "does not begin with a slash"),
    (("--host", "a", "--to", "/nonexistent"), 5, "there is no folder /nonexistent"),
    (("--host", "a", "--user", "nobody"), 18, "authentication failed")])
def test_what_cannot_be_made_is_refused_and_makes_nothing(store, words, status, sentence):
    assert store.cluster.init("--host", "first").returncode == 0
    run = store.cluster.init(*words)
    assert (run.returncode, sentence in run.stderr) == (status, True), (run.returncode, run.stderr)
    assert [each["user"] if isinstance(each, dict) else each for each in store.cluster.ask("auth/user/list", {})["users"]] == ["first", "root"]
    assert {each.name for each in (store.place / "passwords").iterdir()} == {"first.password"}


def test_a_token_that_ended_is_replaced(tmp_path):
    place = tmp_path / "etcd"
    place.mkdir()
    authority = Authority(place)
    member = Member("one", place, authority, **{"auth-token-ttl": "1"})
    store = EtcdStore.__new__(EtcdStore)
    store.place, store.member, store.cluster = place, member, Cluster(place, authority, [member])
    host = Host(store, tmp_path)
    try:
        store.add_host("host-a")
        host.start().exchange()
        for _ in range(3):
            member.kill()  # it forgets all tokens
            store.come_back()
            host.exchange()
        assert not host.ask("news")["news"]
        time.sleep(1)  # it listens
        member.kill()
        store.come_back()
        store.want("host-a", 1)
        assert news(host, 30), "who listens logs in anew, too"
    finally:
        host.kill()
        store.close()


def test_a_report_is_under_a_lease_that_lives_two_polls_and_is_renewed(store, tmp_path):
    store.add_host("host-a")
    host = Host(store, tmp_path).start()
    try:
        host.exchange()
        key = store.key("host-a", "told/report")

        def lease():
            return store.cluster.ask("kv/range", {"key": encoded(key)})["kvs"][0].get("lease")
        first = lease()
        told = store.cluster.ask("kv/lease/timetolive", {"ID": first})
        assert told["grantedTTL"] == str(2 * 300 + 60)
        host.exchange()
        assert lease() == first
        store.cluster.ask("kv/lease/revoke", {"ID": first})  # as if its time were over
        assert key not in store.cluster.below(key)
        host.exchange()
        assert lease() not in (first, None) and store.newest("host-a")["host"] == "host-a"
    finally:
        host.kill()


def news(host, seconds=20):
    end = time.monotonic() + seconds
    while not host.ask("news")["news"]:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_what_is_wanted_is_heard_without_asking_also_after_a_compaction(store, tmp_path):
    store.add_host("host-a")
    store.add_host("host-b")
    host = Host(store, tmp_path).start()
    try:
        host.exchange()
        assert not host.ask("news")["news"]
        store.want("host-b", 1)  # another one's
        assert not news(host, 1)
        store.want("host-a", 1)
        assert news(host)
        assert host.exchange()["generation"] == 1 and not host.ask("news")["news"]
        host.start(generation=1)
        host.exchange()
        for generation in (2, 3):
            store.want("host-a", generation)
        revision = store.cluster.ask("kv/range", {"key": encoded("x")})["header"]["revision"]
        store.cluster.ask("kv/compaction", {"revision": revision})
        assert news(host), "what was compacted may have been news"
        assert host.exchange()["generation"] == 3
        store.sign("host-a", "op-1")
        assert news(host), "and it goes on to listen"
    finally:
        host.kill()


def test_an_agent_does_what_is_wanted_soon_though_it_polls_once_an_hour(tmp_path):
    site = Site(tmp_path)
    site.hub = EtcdStore(tmp_path)
    running = None
    try:
        assert site.mock.create("vm-1").returncode == 0
        site.hub.add_host(HOST)
        site.configure(hub=site.hub.settings(HOST) | {"poll_s": 3600})
        assert site.mock.run("agent", "--selftest=hub").returncode == 0
        running = Running(site)
        running.hears("READY=1")
        running.ask_now()
        running.until(lambda: site.hub.cluster.below(site.hub.key(HOST, "told/")))
        site.want({"vm-1": {"power": "stopped"}})
        running.until(lambda: site.power() == "stopped")
        err = running.end()
        assert running.process.returncode == 0, err
        secret = (site.hub.place / f"passwords/{HOST}.password").read_text().strip()
        assert secret not in err and secret not in json.dumps(site.hub.cluster.below("/"))
    finally:
        if running and running.process.poll() is None:
            running.process.kill()
            running.process.communicate()
        site.hub.close()


def test_what_makes_no_sense_there_is_told_and_nothing_else_suffers(store, tmp_path):
    store.add_host("host-a")
    host = Host(store, tmp_path).start()
    try:
        store.cluster.put(store.key("host-a", "wanted/desired"), "{")
        store.sign("host-a", "op-1")
        told = host.exchange()
        assert told["unclear"] and told["taken"] == ["op-1"] and told["generation"] is None
        store.want("host-a", 2)
        assert host.exchange()["generation"] == 2
        store.cluster.put(store.key("host-a", "told/kept"), base64.b64encode(b"nonsense").decode())
        host.event("a")
        assert host.failed()["code"] == "invalid"
    finally:
        host.kill()
