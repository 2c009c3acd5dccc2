# SPDX-License-Identifier: MIT
"""What a mint is on a real EVM node, and what its callers read."""

import json
import os
import signal
import subprocess

from evm import BINARY, ETHER, Host, Run, random_wallet


def test_a_token_is_minted_and_is_the_wallets(host):
    wallet = random_wallet()
    run = host.mint(wallet, "--user-encrypted", "0x0102ff")
    assert run.token == 0 and run.out == "0\nBLOCKHOST_RESULT: 0\n"
    assert host.nft.supply == 1 and host.nft.owner(0) == wallet
    assert host.nft.bytes_of("userEncrypted(uint256)", 0) == bytes([1, 2, 255])
    assert host.open_entries() == []


def test_the_older_contract(host, chain):
    nft = chain.deploy("Legacy", host.account)
    host.configure(contract=nft.address)
    wallet = random_wallet()
    assert host.mint(wallet, "--machine-id", "web-001", "--user-encrypted", "0x" + "ab" * 100, "--public-secret",
                     "signed by ä").token == 0
    assert nft.owner(0) == wallet
    assert nft.bytes_of("userEncrypted(uint256)", 0) == b"\xab" * 100
    assert nft.bytes_of("publicSecret(uint256)", 0).decode() == "signed by ä"
    assert host.mint(wallet, "--machine-id", "web-002").token == 1
    assert nft.bytes_of("userEncrypted(uint256)", 1) == b""


def test_the_engines_name(host):
    link = host.folder / "blockhost-mint-nft"
    link.symlink_to(BINARY)
    run = subprocess.run(host.words(random_wallet(), program=link), env=host.env, capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout == "0\nBLOCKHOST_RESULT: 0\n", run.stderr


def test_a_finished_mint_is_history_and_once_answers_with_it(host):
    wallet = random_wallet()
    assert host.mint(wallet).token == 0
    run = host.mint(wallet, "--once")
    assert run.token == 0 and "minted before" in run.err
    assert host.nft.supply == 1
    assert host.mint(wallet).token == 1
    assert host.mint(wallet, "--once").token == 1
    assert host.mint(random_wallet(), "--once").token == 2
    assert host.mint(wallet, "--user-encrypted", "0x00", "--once").token == 3


def test_json_for_scripts(host):
    wallet = random_wallet()
    run = host.mint(wallet, "--json")
    said = json.loads(run.out)
    assert said["status"] == "ok" and said["token_id"] == "0" and said["minted"] == "now" and said["chain_id"] == 31337
    assert said["contract"] == host.nft.address and said["recipient"].lower() == wallet
    assert json.loads(host.mint(wallet, "--json", "--once").out) == said | {"minted": "earlier"}
    host.write_key("")
    failed = host.mint(wallet, "--json")
    assert failed.status == 1 and json.loads(failed.out)["code"] == "config"


def test_large_token_numbers(host):
    host.nft.do("beginAt(uint256)", 2**255 + 12345)
    assert host.mint(random_wallet()).token == 2**255 + 12345


def test_a_dry_run_sends_and_writes_nothing_and_shows_no_key(host, chain):
    wallet = random_wallet()
    run = host.mint(wallet, "--user-encrypted", "0x0102", "--dry-run")
    assert run.status == 0
    assert f"[DRY RUN] Would execute: mint(address,bytes) at {host.nft.address} on chain 31337" in run.out
    assert "0x***REDACTED***" in run.out and host.secret.hex() not in (run.out + run.err).lower()
    assert all(line.startswith("[DRY RUN] ") for line in run.out.splitlines())
    assert chain.nonce(host.account) == 0 and not host.mints.exists()
    plan = json.loads(host.mint(wallet, "--user-encrypted", "0x0102", "--dry-run", "--json").out)
    assert plan["status"] == "dry-run" and plan["nonce"] == 0 and plan["from"] == host.account
    assert plan["data"] == chain.tools.cast("calldata", "mint(address,bytes)", wallet, "0x0102")


def test_a_dry_run_finds_what_a_mint_would(host):
    host.nft.behave(2)
    host.mint(random_wallet(), "--dry-run").refuses("the contract refuses the mint: not today")


def test_many_at_once_share_a_key_and_no_nonce(host, chain):
    wallets = [random_wallet() for _ in range(6)]
    runs = [host.start(wallet) for wallet in wallets + wallets[:2]]
    tokens = sorted(Run(run).token for run in runs)
    assert tokens == list(range(8)) and host.nft.supply == 8
    assert chain.nonce(host.account) == 8
    owners = [host.nft.owner(token) for token in tokens]
    assert sorted(owners) == sorted(wallets + wallets[:2])
    suffixes = [path.suffix for path in host.mints.iterdir()]
    assert suffixes.count(".done") == 6 and suffixes.count(".closed") == 8 and len(suffixes) == 14


def test_confirmations_are_waited_for(host, chain):
    run = host.start(random_wallet(), "--confirmations", 3)
    while host.nft.supply == 0:
        assert run.poll() is None
    try:
        run.wait(timeout=0.7)
        raise AssertionError("it did not wait")
    except subprocess.TimeoutExpired:
        pass
    chain.mine(2)
    assert Run(run).token == 0


def test_a_signal_ends_the_wait_and_the_next_call_continues(host, chain):
    chain.ask("evm_setAutomine", False)
    wallet = random_wallet()
    run = host.start(wallet)
    while int(chain.ask("txpool_status")["pending"], 16) == 0:
        assert run.poll() is None
    run.send_signal(signal.SIGTERM)
    ended = Run(run, 5)
    assert ended.status == 143 and "interrupted by SIGTERM" in ended.err
    [entry] = host.open_entries()
    chain.fund(host.account, 1)  # what is signed is not looked at again
    said = json.loads(entry.read_text())
    assert "Would continue: transaction " + said["hash"] in host.mint(wallet, "--dry-run").out
    plan = json.loads(host.mint(wallet, "--dry-run", "--json").out)
    assert plan["continues"] == said["hash"] and plan["nonce"] == 0 and plan["gas"] is None
    assert plan["most_wei"] == str(int(said["most_wei"], 16))
    chain.fund(host.account)
    chain.ask("evm_setAutomine", True)
    chain.mine()
    run = host.mint(wallet, "--json")
    assert json.loads(run.out)["minted"] == "continued" and host.nft.supply == 1
    assert "continuing transaction" in run.err


def test_who_cannot_read_the_result_gets_it_again(host):
    wallet = random_wallet()
    with open("/dev/full", "w") as full:
        run = subprocess.run(host.words(wallet), env=host.env, stdout=full, stderr=subprocess.PIPE, text=True)
    assert run.returncode == 1 and host.nft.supply == 1
    assert host.mint(wallet).token == 0
    assert host.nft.supply == 1


def test_a_new_key_continues_what_the_old_one_signed(host, chain, tools):
    chain.ask("evm_setAutomine", False)
    wallet = random_wallet()
    host.mint(wallet, "--timeout", 1).refuses("is not confirmed")
    os.unlink(host.key_file)
    chain.mine()
    assert host.mint(wallet).token == 0


def test_a_token_costs_what_was_offered_at_most(host, chain):
    before = 100 * ETHER
    plan = json.loads(host.mint(random_wallet(), "--dry-run", "--json").out)
    host.mint(random_wallet())
    spent = before - int(chain.ask("eth_getBalance", host.account, "latest"), 16)
    assert 0 < spent <= int(plan["most_wei"])


def test_two_hosts_with_one_key_get_a_token_for_each_customer(host, chain, tools, tmp_path):
    """Their journals do not know each other: the chain decides who has the nonce, and the other signs anew."""
    other = Host(tmp_path / "other", tools)
    other.write_key(host.secret.hex())
    other.configure(chain.url, host.nft.address)
    orders = [(each, random_wallet()) for each in (host, other) for _ in range(2)]
    runs = [each.start(wallet, "--timeout", 2) for each, wallet in orders]
    chain.mine(1)
    late = [order for order, run in zip(orders, runs) if Run(run).status != 0]
    chain.mine(12)
    for each, wallet in late:
        run = each.mint(wallet, "--timeout", 20)
        assert run.status == 0 and "cannot be mined any more" in run.err, run.err
        chain.mine(12)
    assert host.nft.supply == len(orders)
    assert sorted(host.nft.owner(token) for token in range(4)) == sorted(wallet for _, wallet in orders)
