# SPDX-License-Identifier: MIT
"""Bad input and bad days: each has a sentence of its own, and nothing is minted twice."""

import json
import time

import pytest
from evm import ETHER, Run, random_wallet
from proxy import Raw, error, result

WALLET = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"


def minted_once_after(host, chain, wallet, *more):
    """The same call again, on a good day."""
    host.configure(chain.url)
    assert host.mint(wallet, *more).token == 0
    assert host.nft.supply == 1 and host.open_entries() == []


# What is given.


@pytest.mark.parametrize("words, sentence", [
    (["--owner-wallet", WALLET.replace("B", "b", 1)], "--owner-wallet: 0xfb6916095ca1df60bB79Ce92cE3Ea74c37c5d359 has a wrong checksum"),
    (["--owner-wallet", WALLET[:-1]], "is no address"),
    (["--owner-wallet", "0x" + "0" * 40], "the zero address owns nothing"),
    (["--owner-wallet", WALLET, "--user-encrypted", "0x0"], "--user-encrypted: '0x0' is not hexadecimal"),
    (["--owner-wallet", WALLET, "--user-encrypted", "ff"], "--user-encrypted: 'ff' is not hexadecimal"),
    (["--owner-wallet", WALLET, "--machine-id", "a/b"], "Invalid VM name: a/b"),
    (["--owner-wallet", WALLET, "--mock"], "there is no simulated chain"),
])
def test_values_are_refused_before_anything_is_asked(host, proxy, words, sentence):
    host.mint(WALLET, *words).refuses(sentence)
    assert proxy.methods == []


@pytest.mark.parametrize("words, sentence", [
    (["--public-secret", "s"], "--public-secret goes with --machine-id"),
    (["--confirmations", "0"], "--confirmations"),
    (["--max-fee", "x"], "--max-fee"),
])
def test_malformed_usage(host, words, sentence):
    run = host.mint(WALLET, *words)
    assert run.status in (1, 2) and sentence in run.err and run.out == ""


def test_addresses_of_one_case_have_no_checksum(host):
    assert host.mint(WALLET.lower()).token == 0
    assert host.mint("0x" + WALLET[2:].upper(), "--once").token == 0


# What is configured.


def test_a_configuration_that_is_not_there(host):
    host.configure(rpc_url=None)
    host.mint(WALLET).refuses("blockchain.rpc_url: is missing")
    (host.etc / "web3-defaults.yaml").write_text("blockchain: {rpc_url: 'http://h', nft_contract: '0x1'}\n")
    host.mint(WALLET).refuses("deployer.private_key_file: is missing")
    (host.etc / "web3-defaults.yaml").unlink()
    host.mint(WALLET).refuses("web3-defaults.yaml is missing")


def test_a_key_in_the_place_of_its_files_name_is_not_repeated(host):
    (host.etc / "web3-defaults.yaml").write_text("blockchain: {rpc_url: 'http://h', nft_contract: '0x1'}\n"
                                                 f"deployer: {{private_key_file: '{host.secret.hex()}'}}\n")
    run = host.mint(WALLET).refuses("deployer.private_key_file: is no absolute path")
    assert host.secret.hex() not in run.err


@pytest.mark.parametrize("url, sentence", [
    ("ftp://node/", "blockchain.rpc_url is neither https nor http"),
    ("http://user:secret@node/", "blockchain.rpc_url has a user name or password in it"),
    ("http://", "blockchain.rpc_url names no host"),
])
def test_urls_that_are_not_asked(host, url, sentence):
    host.configure(url)
    run = host.mint(WALLET).refuses(sentence)
    assert "secret" not in run.err


def test_http_to_another_host_is_warned_of(host, monkeypatch):
    host.configure("http://node.invalid/path")
    assert "answers may be changed on their way" in host.mint(WALLET).err
    host.configure("http://localhost:1/path")
    assert "answers may be changed on their way" not in host.mint(WALLET).err


@pytest.mark.parametrize("text, mode, sentence", [
    ("", 0o600, "is empty"),
    ("not a key\n", 0o600, "holds no key"),
    (None, 0o644, "can be read or changed by others (mode 0644)"),
    (None, 0o660, "can be read or changed by others (mode 0660)"),
    ("f" * 64, 0o600, "is no key of secp256k1"),
])
def test_keys_that_are_none(host, text, mode, sentence):
    host.write_key(host.secret.hex() if text is None else text, mode)
    run = host.mint(WALLET).refuses("key file", sentence)
    assert host.secret.hex() not in run.err and host.nft.supply == 0


def test_a_key_file_that_is_missing(host):
    host.key_file.unlink()
    host.mint(WALLET).refuses("key file", "is missing", "deployer.private_key_file")


def test_an_address_without_a_contract(host, chain):
    empty = chain.tools.cast("to-check-sum-address", random_wallet())
    host.configure(contract=empty)
    host.mint(WALLET).refuses(f"there is no contract at {empty} on chain 31337")


def test_a_contract_address_with_a_wrong_checksum(host):
    swapped = host.nft.address[:2] + host.nft.address[2:].swapcase()
    host.configure(contract=swapped)
    host.mint(WALLET).refuses("blockchain.nft_contract:", "wrong checksum")


def test_another_chain_is_refused_before_signing(host, chain):
    host.configure(chain_id=1)
    host.mint(WALLET).refuses("is on chain 31337, not on 1 as configured")
    assert not host.mints.exists()
    host.configure(chain_id=31337)
    assert host.mint(WALLET).token == 0


# The node.


def test_a_node_that_is_down(host):
    host.configure("http://127.0.0.1:1/key-of-mine")
    run = host.mint(WALLET).refuses("http://127.0.0.1:1 cannot be reached", "(4 attempts)")
    assert "key-of-mine" not in run.err


@pytest.mark.parametrize("rule, sentence", [
    (lambda *_: Raw(429, b"slow down"), "refused the request: it answered 429"),
    (lambda *_: Raw(403, b"no"), "refused the request: it answered 403"),
    (lambda *_: Raw(302, b"", {"Location": "http://elsewhere/secret"}), "redirects to http://elsewhere"),
    (lambda *_: Raw(200, b"<!DOCTYPE html><html>maintenance</html>"), 'its answer begins with "<!DOCTYPE html>'),
    (lambda *_: Raw(200, b'{"jsonrpc": "2.0", "id": 1, "resu'), "speaks no JSON-RPC"),
    (lambda *_: Raw(200, b"["), "speaks no JSON-RPC"),
    (lambda *_: Raw(200, b" " * (5 << 20)), "is larger than 4194304 bytes"),
    (lambda *_: Raw(200, None), "broke off"),
    (lambda request, _: {"jsonrpc": "2.0", "id": 77, "result": "0x7a69"}, "answers another question"),
    (lambda request, _: error(request, "nonce too low") | {"id": 77}, "answers another question"),
    (lambda request, _: error(request, "what?") | {"id": None}, "refuses: what?"),
    (lambda request, _: {"jsonrpc": "2.0", "id": request["id"]}, "neither a result nor an error"),
    (lambda request, _: error(request, "the method is switched off", -32601), "refuses: the method is switched off"),
    (lambda request, _: result(request, "thirteen"), "the chain id is not as it should be"),
    (lambda request, _: result(request, "0x" + "f" * 65), "the chain id is not as it should be"),
], ids=["429", "403", "redirect", "html", "torn", "list", "endless", "silent", "wrong-id", "error-of-another",
        "error-of-none", "nothing", "refusal", "word", "huge"])
def test_answers_that_are_none(host, proxy, rule, sentence):
    proxy.on("eth_chainId", rule)
    run = host.mint(WALLET).refuses(sentence)
    assert proxy.sent == [] and "secret" not in run.err


def test_a_node_that_is_asked_too_often_is_asked_again(host, proxy):
    proxy.once("eth_chainId", lambda *_: Raw(429), times=2)
    proxy.once("eth_getCode", lambda request, _: error(request, "rate limit", -32005))
    assert host.mint(WALLET).token == 0


def test_a_slow_node_is_waited_for(host, proxy):
    def slowly(request, pass_on):
        time.sleep(1)
        return pass_on(request)

    proxy.once("eth_estimateGas", slowly)
    assert host.mint(WALLET).token == 0


def test_a_node_that_never_answers_can_be_interrupted(host, proxy):
    proxy.on("eth_getCode", lambda *_: time.sleep(150))
    run = host.start(WALLET)
    while "eth_getCode" not in proxy.methods:
        time.sleep(0.01)
    run.terminate()
    assert Run(run).status == 143


def test_a_chain_without_base_fees(host, proxy):
    def without(request, pass_on):
        answer = pass_on(request)
        del answer["result"]["baseFeePerGas"]
        return answer

    proxy.on("eth_getBlockByNumber", without)
    host.mint(WALLET).refuses("has no base fee")


def test_a_node_without_a_block(host, proxy):
    proxy.on("eth_getBlockByNumber", lambda request, _: result(request, None))
    host.mint(WALLET).refuses("has no block yet")


@pytest.mark.parametrize("status", [400, 500])
def test_errors_that_come_with_a_status_of_http_keep_their_reason(host, proxy, chain, status):
    """Some nodes and gateways answer so."""
    proxy.on("eth_estimateGas", lambda request, _: Raw(status, json.dumps(
        error(request, "execution reverted: not today", 3)).encode()))
    host.mint(WALLET).refuses("the contract refuses the mint: not today")
    proxy.rules.clear()
    chain.ask("evm_setAutomine", False)
    proxy.on("eth_sendRawTransaction", lambda request, pass_on: (pass_on(request), Raw(
        status, json.dumps(error(request, "already known")).encode()))[1])
    host.mint(WALLET, "--timeout", 1).refuses("is not confirmed", "call again")
    chain.mine()
    minted_once_after(host, chain, WALLET)


def test_a_node_without_an_opinion_on_priority_fees(host, proxy):
    proxy.on("eth_maxPriorityFeePerGas", lambda request, _: error(request, "no such method", -32601))
    assert host.mint(WALLET).token == 0


# Money.


def test_fees_above_the_cap(host, proxy, chain):
    proxy.on("eth_maxPriorityFeePerGas", lambda request, _: result(request, hex(80 * 10**9)))
    host.mint(WALLET, "--max-fee", 50).refuses("and 80 gwei per gas, which is above the cap of 50 gwei", "--max-fee")
    host.configure(max_fee_gwei=60)
    host.mint(WALLET).refuses("above the cap of 60 gwei")
    assert proxy.sent == []
    assert host.mint(WALLET, "--max-fee", 100).token == 0


def test_too_little_money_is_told_with_the_amounts(host, chain):
    chain.fund(host.account, ETHER // 10**6)
    host.mint(WALLET).refuses(f"{host.account} has 0.000001 ETH, and the mint may cost up to 0.000", "send it some")
    assert host.open_entries() == [], "nothing was signed"
    chain.fund(host.account)
    minted_once_after(host, chain, WALLET)


def test_money_that_went_meanwhile(host, proxy, chain):
    def spend_first(request, pass_on):
        chain.fund(host.account, 1)
        return pass_on(request)

    proxy.once("eth_sendRawTransaction", spend_first)
    host.mint(WALLET).refuses(f"{host.account} has 0.000000000000000001 ETH, and the mint may cost up to")
    chain.fund(host.account)
    minted_once_after(host, chain, WALLET)


# The contract.


@pytest.mark.parametrize("mood, sentence", [
    (2, "the contract refuses the mint: not today"), (3, "the contract refuses the mint: by its own error 0x"),
    (4, "the contract refuses the mint: a division by zero (panic 0x12)"),
    (5, "the contract refuses the mint: without a reason"),
])
def test_a_contract_that_refuses(host, mood, sentence):
    host.nft.behave(mood)
    host.mint(WALLET).refuses(sentence)
    assert not host.open_entries()


def test_a_key_that_may_not_mint(host, chain):
    host.configure(contract=chain.deploy("Current", random_wallet()).address)
    host.mint(WALLET).refuses("only the minter mints", f"look whether {host.account} may mint there")


def test_a_transaction_that_is_reverted_says_why_and_is_history(host, proxy, chain):
    def change_mood_first(request, pass_on):
        host.nft.behave(2)
        return pass_on(request)

    proxy.once("eth_sendRawTransaction", change_mood_first)
    host.mint(WALLET).refuses("the contract reverted transaction 0x", ": not today", "nothing was minted")
    assert chain.nonce(host.account) == 1
    host.nft.behave(0)
    host.mint(WALLET).refuses("the contract reverted transaction 0x", "once 12 blocks are mined, a call is a new mint")
    chain.mine(12)
    host.configure(chain.url)
    run = host.mint(WALLET)
    assert run.token == 0 and "reverted transaction 0x" in run.err and "signing another" in run.err
    assert host.nft.supply == 1 and host.open_entries() == []


def test_once_remembers_the_token_over_a_later_call_that_made_none(host, proxy, chain):
    assert host.mint(WALLET).token == 0

    def change_mood_first(request, pass_on):
        host.nft.behave(2)
        return pass_on(request)

    proxy.once("eth_sendRawTransaction", change_mood_first)
    run = host.start(WALLET, "--confirmations", 13)
    while chain.nonce(host.account) == 1:
        assert run.poll() is None
    chain.mine(13)
    Run(run).refuses("the contract reverted transaction 0x", "the next call is a new mint")
    assert host.mint(WALLET, "--once").token == 0
    assert host.nft.supply == 1


def test_a_revert_in_a_block_that_was_taken_back_is_none(host, proxy, chain):
    """A node of the past: its receipt is of a block that the chain has not, so that its height says nothing."""
    chain.ask("evm_setAutomine", False)
    run = host.start(WALLET)
    proxy.await_taken(1, run)
    chain.mine(1)
    assert Run(run).token == 0

    def of_the_past(request, pass_on):
        answer = pass_on(request)
        if answer["result"]:
            answer["result"] |= {"status": "0x0", "blockHash": "0x" + "ab" * 32, "logs": []}
        return answer

    proxy.on("eth_getTransactionReceipt", of_the_past)
    run = host.start(WALLET, "--timeout", 4)
    proxy.await_taken(2, run)
    chain.mine(20)
    Run(run).refuses("is not confirmed")
    proxy.rules.clear()
    assert host.mint(WALLET).token == 1
    assert host.nft.supply == 2 and len(set(proxy.sent)) == 2


def test_a_reverted_transaction_that_is_deep_is_history(host, proxy, chain):
    def change_mood_first(request, pass_on):
        host.nft.behave(2)
        return pass_on(request)

    proxy.once("eth_sendRawTransaction", change_mood_first)
    run = host.start(WALLET, "--confirmations", 13)
    while chain.nonce(host.account) == 0:
        assert run.poll() is None
    chain.mine(13)
    Run(run).refuses("the contract reverted transaction 0x", "the next call is a new mint")
    assert len(proxy.sent) == 1 and host.open_entries() == []


def test_a_receipt_without_the_event(host, chain):
    assert host.mint(WALLET).token == 0
    host.nft.behave(1)
    run = host.mint(WALLET)
    assert run.token == 1 and "totalSupply() - 1" in run.err


def test_a_receipt_without_the_event_and_a_token_that_is_anothers(host, chain):
    host.nft.behave(6)
    host.mint(WALLET).refuses("is mined, but which token it made cannot be told", "calling again mints nothing")
    host.mint(WALLET).refuses("cannot be told")
    assert host.nft.supply == 1 and len(host.open_entries()) == 1


# The transaction's way.


def lost(request, pass_on):
    """The node takes it, and nobody hears that."""
    pass_on(request)
    return Raw(body=None)


def never_arrives(*_):
    return Raw(body=None)


@pytest.mark.parametrize("rule", [lost, never_arrives])
def test_an_answer_that_is_lost(host, proxy, rule):
    proxy.once("eth_sendRawTransaction", rule)
    assert host.mint(WALLET).token == 0
    assert host.nft.supply == 1 and len(set(proxy.sent)) == 1


def test_a_node_that_goes_down_behind_the_sending(host, proxy, chain):
    proxy.on("eth_getTransactionReceipt", lambda *_: Raw(503, b"no"))
    run = host.mint(WALLET, "--timeout", 2).refuses("is not confirmed: ", "answered 503", "never a second one")
    assert "asking again" in run.err and host.nft.supply == 1
    minted_once_after(host, chain, WALLET)


def test_a_node_that_is_back_before_the_time_is_over(host, proxy):
    proxy.once("eth_getTransactionReceipt", lambda *_: Raw(200, b"<html>"), times=2)
    assert host.mint(WALLET).token == 0
    assert host.nft.supply == 1


def test_a_node_that_forgets_the_transaction_gets_the_same_again(host, proxy, chain):
    proxy.once("eth_sendRawTransaction", lambda request, _: result(request, "0x" + "00" * 32))
    assert host.mint(WALLET, "--timeout", 20).token == 0
    assert len(proxy.sent) == 2 and len(set(proxy.sent)) == 1


def test_a_forgetful_node_and_two_calls(host, proxy, chain):
    proxy.on("eth_sendRawTransaction", lambda request, _: result(request, "0x" + "00" * 32))
    host.mint(WALLET, "--timeout", 2).refuses("is not confirmed")
    proxy.rules.clear()
    assert host.mint(WALLET).token == 0
    assert host.nft.supply == 1 and len(set(proxy.sent)) == 1


def test_a_transaction_that_nobody_mines(host, chain):
    chain.ask("evm_setAutomine", False)
    host.mint(WALLET, "--timeout", 1).refuses("(nonce 0) is not confirmed", "call again")
    host.mint(WALLET, "--timeout", 1).refuses("(nonce 0) is not confirmed")
    chain.mine()
    minted_once_after(host, chain, WALLET)


def test_a_fee_that_has_become_too_low(host, proxy, chain):
    def raise_first(request, pass_on):
        chain.ask("anvil_setNextBlockBaseFeePerGas", hex(10**12))
        chain.mine()
        return pass_on(request)

    proxy.once("eth_sendRawTransaction", raise_first)
    run = host.mint(WALLET, "--timeout", 2)
    run.refuses("call again")
    chain.ask("anvil_setNextBlockBaseFeePerGas", hex(10**9))
    chain.mine()
    minted_once_after(host, chain, WALLET)


def other_transaction(host, chain, nonce, gwei):
    """Somebody else uses the key."""
    return chain.tools.cast("send", "--async", "--private-key", "0x" + host.secret.hex(), "--rpc-url", chain.url, "--nonce",
                            nonce, "--gas-price", f"{gwei}gwei", "--priority-gas-price", f"{gwei}gwei", "--value", 1,
                            random_wallet())


def test_another_transaction_of_that_nonce_that_pays_more(host, proxy, chain):
    """The nodes of large providers do not know of what waits at one another."""
    chain.ask("evm_setAutomine", False)
    proxy.on("eth_getTransactionCount", lambda request, pass_on: result(request, "0x0"))
    other_transaction(host, chain, 0, 400)
    host.mint(WALLET, "--timeout", 5).refuses("another transaction of", "with nonce 0 is waiting", "does not replace it")
    [entry] = host.open_entries()
    chain.ask("evm_setAutomine", True)
    chain.mine(13)
    host.configure(chain.url)
    run = host.mint(WALLET)
    assert run.token == 0 and "cannot be mined any more: something else used nonce 0" in run.err
    assert host.nft.supply == 1 and not entry.exists()


def test_a_nonce_that_was_used_is_believed_only_once_it_is_deep(host, proxy, chain):
    def use_first(request, pass_on):
        other_transaction(host, chain, 0, 5)
        return pass_on(request)

    proxy.once("eth_sendRawTransaction", use_first)
    host.mint(WALLET, "--timeout", 3).refuses("its nonce is used, not long enough ago to be sure by what")
    assert len(host.open_entries()) == 1 and host.nft.supply == 0
    chain.mine(12)
    host.configure(chain.url)
    assert host.mint(WALLET).token == 0
    assert host.nft.supply == 1


def test_a_node_that_does_not_count_what_waits(host, proxy, chain):
    chain.ask("evm_setAutomine", False)
    proxy.on("eth_getTransactionCount", lambda request, pass_on: pass_on(request | {"params": [request["params"][0], "latest"]}))
    first = host.start(WALLET)
    proxy.await_taken(1, first)
    second = host.start(random_wallet())
    proxy.await_taken(2, second)
    chain.mine()
    assert sorted([Run(first).token, Run(second).token]) == [0, 1]


def test_a_nonce_gap_is_told(host, proxy, chain):
    proxy.on("eth_getTransactionCount",
             lambda request, pass_on: result(request, "0x1") if request["params"][1] == "pending" else pass_on(request))
    host.mint(WALLET, "--timeout", 2).refuses("(nonce 1) is not confirmed: it waits for the account's transaction 0")
    other_transaction(host, chain, 0, 5)
    minted_once_after(host, chain, WALLET)


def test_a_dead_neighbours_transaction_is_sent_before_ones_own(host, proxy, chain):
    proxy.on("eth_sendRawTransaction", never_arrives)
    other = random_wallet()
    host.mint(other, "--timeout", 1).refuses("is not confirmed")
    host.configure(chain.url)
    assert host.mint(WALLET).token == 1
    assert host.mint(other).token == 0
    assert host.nft.supply == 2 and chain.nonce(host.account) == 2


def test_a_dead_neighbours_transaction_is_sent_before_one_that_waits_for_it(host, proxy, chain):
    """The lower nonce's process died; the higher one's call came to its time, and is called again."""
    chain.ask("evm_setAutomine", False)
    proxy.on("eth_sendRawTransaction", lambda request, _: result(request, "0x" + "00" * 32))
    other = random_wallet()
    host.mint(other, "--timeout", 1).refuses("is not confirmed")
    [entry] = host.open_entries()
    aside = entry.rename(host.folder / "aside")
    proxy.on("eth_getTransactionCount",
             lambda request, pass_on: result(request, "0x1") if request["params"][1] == "pending" else pass_on(request))
    host.mint(WALLET, "--timeout", 1).refuses("it waits for the account's transaction 0")
    aside.rename(entry)
    proxy.rules.clear()
    proxy.on("eth_sendRawTransaction", lambda request, _: error(request, "I dislike it"))
    ended = host.mint(WALLET, "--timeout", 1).refuses("is not confirmed", "I dislike it")
    assert "in the way (transaction 0x" in ended.err and f"remove {entry}" in ended.err
    proxy.rules.clear()
    chain.ask("evm_setAutomine", True)
    assert host.mint(WALLET, "--timeout", 20).token == 1
    assert host.nft.owner(0) == other


def test_a_dead_neighbours_transaction_that_cannot_be_sent_is_named(host, proxy, chain):
    proxy.on("eth_sendRawTransaction", never_arrives)
    host.mint(random_wallet(), "--timeout", 1).refuses("is not confirmed")
    proxy.on("eth_sendRawTransaction", lambda request, _: error(request, "I dislike it"))
    [entry] = host.open_entries()
    host.mint(WALLET).refuses("an earlier mint of", "is in the way (transaction 0x", ", nonce 0): ", "I dislike it",
                              f"if no block explorer knows that transaction, remove {entry} and call again")
    assert host.open_entries() == [entry]
    entry.unlink()
    minted_once_after(host, chain, WALLET)


def test_the_money_of_a_mint_under_way_is_not_offered_twice(host, proxy, chain):
    chain.ask("evm_setAutomine", False)
    first = host.start(random_wallet())
    proxy.await_taken(1, first)
    [entry] = host.open_entries()
    most = int(json.loads(entry.read_text())["most_wei"], 16)
    chain.fund(host.account, most + most // 2)
    host.mint(WALLET).refuses(f"{host.account} has 0.", ", besides 0.", " ETH for mints that are under way", "send it some")
    assert len(proxy.sent) == 1
    chain.mine()
    assert Run(first).token == 0
    chain.fund(host.account)
    chain.ask("evm_setAutomine", True)
    assert host.mint(WALLET).token == 1


def test_fees_are_those_of_the_moment_of_signing(host, proxy, chain):
    """Whoever waits for the account looks at the chain when the account is free, not before."""
    first = host.start(random_wallet())

    def while_another_waits(request, pass_on):
        while not waiting:
            time.sleep(0.01)
        time.sleep(1)
        answer = pass_on(request)
        chain.receipt(answer["result"])
        chain.ask("anvil_setNextBlockBaseFeePerGas", hex(80 * 10**9))
        chain.mine()
        return answer

    waiting = []
    proxy.once("eth_sendRawTransaction", while_another_waits)
    while not host.open_entries():
        assert first.poll() is None
        time.sleep(0.01)
    waiting.append(host.start(WALLET, "--timeout", 20))
    assert Run(first).token == 0
    assert Run(waiting[0]).token == 1
    assert len(proxy.sent) == 2


def test_gas_that_no_block_would_hold_is_not_asked_for(host, proxy, chain):
    limit = int(chain.ask("eth_getBlockByNumber", "latest", False)["gasLimit"], 16)
    proxy.on("eth_estimateGas", lambda request, _: result(request, hex(limit - 1)))
    assert json.loads(host.mint(WALLET, "--dry-run", "--json").out)["gas"] == limit
    assert host.mint(WALLET).token == 0


def test_a_refused_repetition_gives_up_nothing_that_is_on_its_way(host, proxy, chain):
    """One node behind the name has taken the transaction, another does not know it and refuses it."""
    chain.ask("evm_setAutomine", False)
    taken = []

    def first_alone(request, pass_on):
        taken.append(request)
        return pass_on(request) if len(taken) == 1 else error(request, "insufficient funds for gas * price + value")

    proxy.on("eth_sendRawTransaction", first_alone)
    proxy.on("eth_getTransactionByHash", lambda request, _: result(request, None))
    run = host.start(WALLET)
    while len(taken) < 2:
        assert run.poll() is None
        time.sleep(0.01)
    chain.mine()
    ended = Run(run)
    assert ended.token == 0 and "asking again" in ended.err
    assert host.nft.supply == 1 and len(set(proxy.sent)) == 1


def test_a_nonce_that_was_mined_is_not_signed_again_for_a_node_that_lags(host, proxy, chain):
    assert host.mint(random_wallet()).token == 0
    proxy.on("eth_getTransactionCount", lambda request, _: result(request, "0x0"))
    assert host.mint(WALLET).token == 1
    assert chain.nonce(host.account) == 2 and len(proxy.sent) == 2


def test_a_finished_mint_that_the_chain_took_back_is_sent_again_before_another(host, proxy, chain):
    before = chain.ask("evm_snapshot")
    first = random_wallet()
    assert host.mint(first).token == 0
    chain.ask("evm_revert", before)
    assert host.nft.supply == 0
    assert host.mint(WALLET).token == 1
    assert host.nft.owner(0) == first and host.nft.supply == 2
    assert len(set(proxy.sent)) == 2


def test_what_is_settled_is_not_kept(host, chain):
    for token in range(3):
        assert host.mint(random_wallet()).token == token
    assert len(list(host.mints.glob("*.closed"))) == 3
    chain.mine(13)
    assert host.mint(random_wallet()).token == 3
    assert len(list(host.mints.glob("*.closed"))) == 1


def test_a_node_without_an_index_does_not_make_a_second_mint_of_one_that_is_mined(host, proxy, chain):
    """Our own transaction used the nonce; the node has neither a receipt nor the transaction by its hash."""
    for method in ("eth_getTransactionReceipt", "eth_getTransactionByHash"):
        proxy.on(method, lambda request, _: result(request, None))
    run = host.start(WALLET, "--timeout", 8)
    while host.nft.supply == 0:
        assert run.poll() is None
        time.sleep(0.02)
    chain.mine(14)
    Run(run).refuses("it is in block", "gives no receipt of it", "name another one")
    assert len(set(proxy.sent)) == 1 and len(host.open_entries()) == 1
    minted_once_after(host, chain, WALLET)


def test_a_node_that_keeps_no_old_state_cannot_tell_who_used_the_nonce(host, proxy, chain):
    def use_first(request, pass_on):
        other_transaction(host, chain, 0, 5)
        return pass_on(request)

    def of_late(request, pass_on):
        at, head = request["params"][1], int(chain.ask("eth_blockNumber"), 16)
        if at.startswith("0x") and int(at, 16) < head - 20:
            return error(request, "missing trie node")
        return pass_on(request)

    proxy.once("eth_sendRawTransaction", use_first)
    host.mint(WALLET, "--timeout", 1).refuses("is not confirmed")
    chain.mine(60)
    proxy.on("eth_getTransactionCount", of_late)
    [entry] = host.open_entries()
    host.mint(WALLET, "--timeout", 2).refuses("does not tell by which transaction: missing trie node",
                                              "name a node that keeps old blocks", f"remove {entry}")
    assert len(set(proxy.sent)) == 1 and host.open_entries() == [entry]
    entry.unlink()
    minted_once_after(host, chain, WALLET)


def test_looks_at_nodes_of_different_ages_displace_nothing(host, proxy, chain):
    """Some looks find the receipt of a mint that has too few confirmations, the others a nonce that was used."""
    looks = []

    def now_and_then(request, pass_on):
        looks.append(1)
        return pass_on(request) if len(looks) % 3 == 0 else result(request, None)

    proxy.on("eth_getTransactionReceipt", now_and_then)
    proxy.on("eth_getTransactionByHash", lambda request, _: result(request, None))
    run = host.start(WALLET, "--confirmations", 100, "--timeout", 12)
    while host.nft.supply == 0:
        assert run.poll() is None
        time.sleep(0.02)
    chain.mine(30)
    Run(run).refuses("is not confirmed")
    assert len(looks) >= 6 and len(set(proxy.sent)) == 1
    minted_once_after(host, chain, WALLET)


def test_a_reorganisation_behind_the_inclusion(host, proxy, chain):
    """The block is taken back while its confirmations are waited for; the same transaction is mined again."""
    before = chain.ask("evm_snapshot")
    run = host.start(WALLET, "--confirmations", 3, "--timeout", 30)
    while proxy.methods.count("eth_getTransactionReceipt") < 2:
        assert run.poll() is None
        time.sleep(0.02)
    assert host.nft.supply == 1
    chain.ask("evm_revert", before)
    assert host.nft.supply == 0
    while host.nft.supply == 0:
        assert run.poll() is None
        time.sleep(0.05)
    chain.mine(2)
    ended = Run(run)
    assert ended.token == 0 and "has taken back block" in ended.err
    assert len(set(proxy.sent)) == 1 and len(proxy.sent) == 2


def test_the_same_order_at_once_waits_and_says_who_holds_it(host, chain):
    chain.ask("evm_setAutomine", False)
    first = host.start(WALLET)
    while not host.open_entries():
        assert first.poll() is None
        time.sleep(0.01)
    host.mint(WALLET, "--timeout", 1).refuses("this very mint is busy", f"(process {first.pid})")
    second = host.start(WALLET)
    chain.ask("evm_setAutomine", True)
    chain.mine()
    assert sorted([Run(first).token, Run(second).token]) == [0, 1]


def test_an_entry_that_is_torn_is_refused(host, proxy, chain):
    proxy.on("eth_sendRawTransaction", never_arrives)
    host.mint(WALLET, "--timeout", 1).refuses("is not confirmed")
    [entry] = host.open_entries()
    entry.write_text(entry.read_text()[:100])
    host.configure(chain.url)
    host.mint(WALLET).refuses(entry.name, "before removing it")
    host.mint(random_wallet()).refuses(entry.name)
    assert host.nft.supply == 0


def test_a_node_that_drips_is_given_up_within_the_time_that_the_call_has(host, proxy):
    """More than 1 KiB/s arrives, and the answer would take an hour."""
    def dripping():
        while True:
            yield b" " * 200
            time.sleep(0.1)

    proxy.on("eth_chainId", lambda *_: Raw(200, dripping(), {"Content-Length": 4 << 20}))
    run = host.mint(WALLET, "--timeout", 2).refuses("within 2 s")
    assert proxy.sent == [] and "(attempt 1)" in run.err
