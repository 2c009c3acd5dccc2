# SPDX-License-Identifier: MIT
"""update-gecos in the simulated world: what it writes into the guest, what it refuses, and that it ends in time."""

import json

import pytest
from host import BAD_NAMES, BUILD, WALLET, Host, refused

NAME = "vm-1"
NEW = "0x" + "12" * 20


@pytest.fixture()
def host(tmp_path):
    made = Host(tmp_path)
    run = made.create(NAME, "--username", "alice")
    assert run.returncode == 0, run.stderr
    return made


def update(host, wallet=NEW, nft="7", name=NAME, **env):
    return host.run("update-gecos", "--mock", name, wallet, "--nft-id", nft, **env)


def timed_update(host):
    return host.timed("update-gecos", "--mock", NAME, NEW, "--nft-id", "7")


def gecos(host, user="alice"):
    return host.run("guest-exec", "--mock", NAME, f"getent passwd {user}").stdout.split(":")[4]


def failed(run, *words):
    assert (run.returncode, run.stdout) == (1, ""), (run.returncode, run.stdout, run.stderr)
    assert all(line.startswith("[vm-update-gecos] ") for line in run.stderr.splitlines()), run.stderr
    for word in words:
        assert word in run.stderr, run.stderr


def edit_record(host, **changes):
    path = host.folder / "mock-db.json"
    database = json.loads(path.read_text())
    record = database["vms"][NAME]
    for key, value in changes.items():
        record.pop(key, None) if value is None else record.update({key: value})
    path.write_text(json.dumps(database))


def test_the_logins_gecos_says_owner_and_token(host):
    run = update(host)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert gecos(host) == f"wallet={NEW},nft=7"


@pytest.mark.parametrize("nft", ["0", "42", "ab" * 32, "Z" * 80])
def test_token_ids_of_every_engine_are_taken(host, nft):
    assert update(host, nft=nft).returncode == 0
    assert gecos(host) == f"wallet={NEW},nft={nft}"


@pytest.mark.parametrize("nft", ["", "1,x=2", "1:2", "a\nb", "-1", "1 2", "ü", "x" * 81, "1.0", "$(id)"])
def test_bad_token_ids_are_refused(host, nft):
    before = gecos(host)
    run = host.run("update-gecos", "--mock", NAME, NEW, f"--nft-id={nft}")
    failed(run, "--nft-id")
    assert gecos(host) == before


@pytest.mark.parametrize("wallet", ["", "a,b", "a:b", "a\nb", "a b", "x" * 201, "ü", "'; reboot"])
def test_bad_wallets_are_refused(host, wallet):
    failed(update(host, wallet=wallet), "wallet")


@pytest.mark.parametrize("wallet", ["addr_test1vz0", "9f4QF8AD1nQ3nJahQVkMj8hFSVVzVom77b52JU7EW71Zexg6N8v", "ab" * 28])
def test_wallets_of_every_engine_are_taken(host, wallet):
    assert update(host, wallet=wallet).returncode == 0
    assert gecos(host) == f"wallet={wallet},nft=7"


def test_the_engines_wallet_pattern_is_applied(host):
    share = host.folder / "root/usr/share/blockhost"
    share.mkdir(parents=True)
    (share / "engine.json").write_text(json.dumps({"constraints": {"address_pattern": "^0x[0-9a-fA-F]{40}$"}}))
    failed(update(host, wallet="0x12"), "wallet")
    assert update(host).returncode == 0


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names_are_refused(host, name):
    refused(host, host.run("update-gecos", "--mock", "--nft-id", "1", "--", name, NEW), "Invalid VM name")


@pytest.mark.parametrize("words", [(), (NAME,), (NAME, NEW), (NAME, "--nft-id", "1"), (NAME, NEW, "--nft-id"),
                                   (NAME, NEW, "x", "--nft-id", "1"), (NAME, NEW, "--nft-id", "1", "--nonsense")])
def test_malformed_usage_exits_2(host, words):
    run = host.run("update-gecos", "--mock", *words)
    assert (run.returncode, run.stdout) == (2, "") and "Usage: " in run.stderr


def test_a_record_without_a_username_means_admin(host):
    edit_record(host, username=None)
    failed(update(host), "exit status 6", "user 'admin' does not exist")


@pytest.mark.parametrize("username", ["root; reboot", "-x", "A", "a:b", "x" * 33])
def test_a_record_with_a_bad_username_is_refused(host, username):
    edit_record(host, username=username)
    failed(update(host), "record of vm-1")


def test_without_a_record_the_domain_decides(host):
    (host.folder / "mock-db.json").write_text('{"vms": {}}')
    failed(update(host), "user 'admin' does not exist")
    failed(update(host, name="absent"), "there is no VM named absent")


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_database_that_cannot_be_read_is_an_error(host, text):
    before = gecos(host)
    (host.folder / "mock-db.json").write_text(text)
    failed(update(host), "mock-db.json")
    assert gecos(host) == before


def test_a_vm_that_is_off_fails_at_once(host):
    assert host.run("kill", NAME, "--mock").returncode == 0
    failed(update(host), "is not running")


def test_a_silent_agent_fails_soon(host):
    host.behave(agent="slow", agent_ms=60000)
    run, seconds = timed_update(host)
    failed(run, "does not answer")
    assert seconds < 15
    host.behave(agent="absent")
    failed(update(host), "not connected")


def test_a_user_database_that_is_locked_for_a_moment_is_waited_for(host):
    host.behave(passwd_locked=2)
    run = update(host)
    assert run.returncode == 0, run.stderr
    assert gecos(host) == f"wallet={NEW},nft=7"


@pytest.mark.parametrize("knobs, words", [
    ({"passwd_locked": 1000}, "cannot lock"),
    ({"agent": "slow", "agent_at": "guest-exec-status", "agent_ms": 60000}, "stopped answering"),
])
def test_it_ends_in_time_whatever_the_guest_does(host, knobs, words):
    host.behave(**knobs)
    run, seconds = timed_update(host)
    failed(run, words)
    assert seconds < 28


@pytest.mark.parametrize("how", ["garbage", "half", "deep", "wrong", "huge"])
@pytest.mark.parametrize("at", ["guest-exec", "guest-exec-status"])
def test_an_agent_that_answers_nonsense_fails_it(host, how, at):
    host.behave(agent=how, agent_at=at)
    failed(update(host), at)


def test_the_contract_name_does_the_same(host):
    run = host.run("--mock", NAME, WALLET, "--nft-id=9", program=BUILD / "symlinks/blockhost-vm-update-gecos")
    assert run.returncode == 0, run.stderr
    assert gecos(host) == f"wallet={WALLET},nft=9"
