# SPDX-License-Identifier: MIT
"""Keccak, checksums, calls and signatures against cast, a program by others."""

import random
import secrets
import subprocess

import pytest
from evm import TOOL


@pytest.fixture
def of_seed():
    return random.Random(8)


def ours(*words):
    return subprocess.run([TOOL, *map(str, words)], check=True, capture_output=True, text=True).stdout.splitlines()


def test_keccak(tools, of_seed):
    for size in [0, 1, 31, 32, 55, 135, 136, 137, 271, 272, 273, 1000, 5000]:
        data = "0x" + of_seed.randbytes(size).hex()
        assert ours("keccak", data) == [tools.cast("keccak", data)], size


def test_checksums_of_addresses(tools, of_seed):
    for _ in range(20):
        address = "0x" + of_seed.randbytes(20).hex()
        assert ours("checksum", address) == [tools.cast("to-check-sum-address", address)]


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 64, 1000])
def test_calls_of_both_contracts(tools, of_seed, size):
    wallet, data = "0x" + of_seed.randbytes(20).hex(), "0x" + of_seed.randbytes(size).hex()
    secret = "ä" * (size // 2) + "x"
    assert ours("current", wallet, data) == [tools.cast("calldata", "mint(address,bytes)", wallet, data)]
    assert ours("legacy", wallet, data, secret) == [
        tools.cast("calldata", "mint(address,bytes,string,string,string,string,uint256)", wallet, data, secret, "IYKYK", "",
                   "", 0)]


NUMBERS = [  # chain, nonce, priority, max, gas
    (1, 0, 0, 1, 21000), (31337, 127, 10**9, 3 * 10**9, 120_000), (11155111, 128, 1, 2**63, 30_000_000),
    (2**32, 2**16, 255, 256, 55_000), (100, 2**33, 2**40, 2**41, 10**6)]


@pytest.mark.parametrize("numbers", NUMBERS, ids=map(str, range(len(NUMBERS))))
def test_signed_transactions(tools, chain, tmp_path, of_seed, numbers):
    """The same key, the same bytes: both sign as RFC 6979 has it."""
    secret = secrets.token_hex(32)
    (tmp_path / "key").write_text(secret)
    (tmp_path / "key").chmod(0o600)
    assert ours("account", tmp_path / "key") == [tools.cast("wallet", "address", "--private-key", secret)]
    to, data = tools.cast("to-check-sum-address", "0x" + of_seed.randbytes(20).hex()), "0x" + of_seed.randbytes(150).hex()
    chain_id, nonce, priority, most, gas = numbers
    raw, digest = ours("sign", tmp_path / "key", *numbers[:2], *numbers[2:], to, data)
    theirs = tools.cast("mktx", "--private-key", secret, "--chain", chain_id, "--nonce", nonce, "--priority-gas-price",
                        priority, "--gas-price", most, "--gas-limit", gas, "--rpc-url", chain.url, to, data)
    assert raw == theirs
    assert digest == tools.cast("keccak", raw)
