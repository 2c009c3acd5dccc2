# SPDX-License-Identifier: MIT
"""A real EVM node on loopback with the contracts of access_nft.sol, and a host whose web3-defaults.yaml names them."""

import hashlib
import http.client
import json
import os
import pathlib
import secrets
import socket
import subprocess
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[1]
BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build"))
BINARY, TOOL = BUILD / "blockhost-libvirt", BUILD / "tests/unit/chain/chain-tool"
ETHER = 10**18


class Tools:
    """Programs of npm's packages."""

    def __init__(self, folder):
        self.folder = folder
        self.anvil = folder / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
        self.cast_program = folder / "node_modules/@foundry-rs/cast-linux-amd64/bin/cast"
        source = HERE / "access_nft.sol"
        recipe = source.read_bytes() + (HERE / "compile.cjs").read_bytes()
        compiled = folder / f"contracts-{hashlib.sha256(recipe).hexdigest()[:16]}.json"
        if not compiled.exists():
            made = subprocess.run(["node", HERE / "compile.cjs", source], check=True, capture_output=True, text=True,
                                  env=os.environ | {"NODE_PATH": str(folder / "node_modules")})
            fresh = compiled.with_suffix(f".{os.getpid()}")
            fresh.write_text(made.stdout)
            fresh.rename(compiled)
        self.bytecode = json.loads(compiled.read_text())

    def cast(self, *words):
        return subprocess.run([self.cast_program, *map(str, words)], check=True, capture_output=True, text=True,
                              env={"PATH": os.environ["PATH"], "HOME": str(self.folder)}).stdout.strip()


@pytest.fixture(scope="session")
def tools():
    made = subprocess.run([HERE / "install-tools.sh"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if made.returncode == 77:
        pytest.skip(f"no EVM node: {made.stderr.strip()}")
    assert made.returncode == 0, made.stderr
    return Tools(pathlib.Path(made.stdout.strip()))


class Refused(Exception):
    pass


def word(number):
    return f"{number:064x}"


class Chain:
    """anvil: each transaction makes a block, unless `automine` says otherwise."""

    def __init__(self, tools, folder):
        self.tools = tools
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = open(folder / "anvil.log", "wb")
        self._process = subprocess.Popen(
            [tools.anvil, "--host", "127.0.0.1", "--port", str(self.port), "--auto-impersonate", "--accounts", "1"],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)})
        deadline = time.monotonic() + 20
        while True:
            try:
                self.dev = self.ask("eth_accounts")[0]
                break
            except OSError:
                assert self._process.poll() is None and time.monotonic() < deadline, "anvil does not start"
                time.sleep(0.02)

    def close(self):
        self._process.kill()
        self._process.wait()
        self._log.close()

    def pass_on(self, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        answer = connection.getresponse().read()
        connection.close()
        return answer

    def ask(self, method, *parameters):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
        answer = json.loads(self.pass_on(body))
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["result"]

    def transact(self, **transaction):
        return self.receipt(self.ask("eth_sendTransaction", {"from": self.dev, "gas": hex(5_000_000)} | transaction))

    def receipt(self, transaction):
        """Waited for: anvil answers that it has a transaction before it makes the block."""
        deadline = time.monotonic() + 20
        while not (receipt := self.ask("eth_getTransactionReceipt", transaction)):
            assert time.monotonic() < deadline, "nobody mines"
            time.sleep(0.005)
        return receipt

    def mine(self, blocks=1):
        self.ask("anvil_mine", hex(blocks))

    def fund(self, account, wei=100 * ETHER):
        self.ask("anvil_setBalance", account, hex(wei))

    def deploy(self, name, minter):
        code = "0x" + self.tools.bytecode[name] + word(int(minter, 16))
        return Contract(self, self.transact(data=code)["contractAddress"])

    def nonce(self, account):
        return int(self.ask("eth_getTransactionCount", account, "latest"), 16)


class Contract:
    def __init__(self, chain, address):
        self.chain, self.address = chain, chain.tools.cast("to-check-sum-address", address)
        self.selectors = {}

    def _data(self, signature, *arguments):
        if signature not in self.selectors:
            self.selectors[signature] = self.chain.tools.cast("sig", signature)
        return self.selectors[signature] + "".join(word(argument) for argument in arguments)

    def call(self, signature, *arguments):
        return self.chain.ask("eth_call", {"to": self.address, "data": self._data(signature, *arguments)}, "latest")

    def do(self, signature, *arguments):
        self.chain.transact(to=self.address, data=self._data(signature, *arguments))

    def behave(self, mood):
        self.do("behave(uint256)", mood)

    @property
    def supply(self):
        return int(self.call("totalSupply()"), 16)

    def owner(self, token):
        return "0x" + self.call("ownerOf(uint256)", token)[-40:]

    def bytes_of(self, getter, token):
        answer = bytes.fromhex(self.call(getter, token)[2:])
        size = int.from_bytes(answer[32:64], "big")
        return answer[64:64 + size]


def random_wallet():
    return "0x" + secrets.token_hex(20)


class Host:
    """A BlockHost root with a key of its own, which the contract lets mint."""

    def __init__(self, folder, tools):
        self.folder, self.root = folder, folder / "root"
        self.etc, self.state = self.root / "etc/blockhost", self.root / "var/lib/blockhost"
        self.etc.mkdir(parents=True)
        self.state.mkdir(parents=True)
        self.key_file, self.secret = self.etc / "deployer.key", secrets.token_bytes(32)
        self.write_key(self.secret.hex())
        self.account = subprocess.run([TOOL, "account", self.key_file], check=True, capture_output=True,
                                      text=True).stdout.strip()
        self.env = {"PATH": os.environ["PATH"], "BLOCKHOST_ROOT": str(self.root)}
        self.contract = self.url = None

    @property
    def mints(self):
        return self.state / "mints"

    def write_key(self, text, mode=0o600):
        self.key_file.write_text(text)
        self.key_file.chmod(mode)

    def configure(self, url=None, contract=None, **more):
        """`more` are other keys of the section blockchain."""
        self.url, self.contract = url or self.url, contract or self.contract
        keys = {"rpc_url": self.url, "nft_contract": self.contract} | more
        (self.etc / "web3-defaults.yaml").write_text(
            "blockchain:\n" + "".join(f"  {key}: '{value}'\n" for key, value in keys.items() if value is not None) +
            f"deployer:\n  private_key_file: {self.key_file}\n")

    def words(self, wallet, *more, program=BINARY):
        verb = [program, "mint-nft"] if program == BINARY else [program]
        return [*verb, "--owner-wallet", wallet, *map(str, more)]

    def start(self, wallet, *more, before=(), **kept):
        return subprocess.Popen([*before, *self.words(wallet, *more)], env=self.env, cwd=self.folder, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kept)

    def mint(self, wallet, *more, **kept):
        return Run(self.start(wallet, *more, **kept))

    def open_entries(self):
        return sorted(self.mints.glob("*.open"))


class Run:
    def __init__(self, process, seconds=60):
        self.out, self.err = process.communicate(timeout=seconds)
        self.status = process.returncode

    @property
    def token(self):
        """As the engines' generations read it."""
        assert self.status == 0, (self.status, self.out, self.err)
        first, second = self.out.splitlines()
        assert second == f"BLOCKHOST_RESULT: {first}" and first.isdigit()
        return int(first)

    def refuses(self, *sentences, status=1):
        assert self.status == status and self.out == "", (self.status, self.out, self.err)
        last = self.err.strip().splitlines()[-1]
        assert last.startswith("[mint-nft] ERROR: "), self.err
        for sentence in sentences:
            assert sentence in last, self.err
        return self


@pytest.fixture
def chain(tools, tmp_path):
    made = Chain(tools, tmp_path)
    yield made
    made.close()


@pytest.fixture
def host(tools, chain, tmp_path):
    made = Host(tmp_path, tools)
    chain.fund(made.account)
    made.nft = chain.deploy("Current", made.account)
    made.configure(chain.url, made.nft.address)
    return made
