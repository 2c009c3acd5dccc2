# SPDX-License-Identifier: MIT
"""Where the key is, and is not: cores, memory that a core would have, the journal, output."""

import os
import pathlib
import re
import resource
import secrets
import signal
import subprocess
import time

import pytest
from evm import TOOL, random_wallet
from proxy import Proxy


def spellings(secret):
    return {"raw": secret, "lower": secret.hex().encode(), "upper": secret.hex().upper().encode()}


def found_in(content, secret):
    return [name for name, spelled in spellings(secret).items() if spelled in content]


def test_the_search_finds_each_spelling():
    secret = secrets.token_bytes(32)
    for name, spelled in spellings(secret).items():
        assert found_in(b"before" + spelled + b"after", secret) == [name]
    assert found_in(secrets.token_bytes(1 << 16), secret) == []


def core_of(folder, key_file, where):
    """The core of a process that is killed while it uses the key, as the kernel writes it."""
    if not re.fullmatch(r"core\.?(%p)?", pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()):
        pytest.skip("cores of this host do not go to the process's folder")

    def with_cores():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    run = subprocess.run([TOOL, "hold", key_file, where], cwd=folder, preexec_fn=with_cores, capture_output=True)
    assert run.returncode == -signal.SIGABRT, run.stderr
    cores = list(folder.glob("core*"))
    if not cores:
        pytest.skip("this host writes no cores")
    return cores[0].read_bytes()


@pytest.fixture
def key_file(tmp_path):
    made = tmp_path / "key"
    made.write_text(secrets.token_hex(32))
    made.chmod(0o600)
    return made


def test_the_core_of_a_process_that_uses_the_key_has_it_not(key_file, tmp_path):
    core = core_of(tmp_path, key_file, "vault")
    assert len(core) > 100_000 and str(key_file).encode() in core
    assert found_in(core, bytes.fromhex(key_file.read_text())) == []


def test_a_key_that_leaks_would_be_found_in_the_core(key_file, tmp_path):
    assert "raw" in found_in(core_of(tmp_path, key_file, "heap"), bytes.fromhex(key_file.read_text()))


def memory_of(pid):
    """What a core would have of a process, and what it would leave out (proc(5): "dd", do not dump)."""
    dumped, hidden = [], []
    maps = pathlib.Path(f"/proc/{pid}/smaps").read_text()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for first, last, rights, rest in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) (.*?)(?=^[0-9a-f]+-[0-9a-f]+ |\Z)",
                                                    maps, re.M | re.S):
            if not rights.startswith("r") or "[v" in rest:
                continue
            memory.seek(int(first, 16))
            flags = re.search(r"^VmFlags:(.*)$", rest, re.M)[1].split()
            (hidden if "dd" in flags else dumped).append(memory.read(int(last, 16) - int(first, 16)))
    return b"".join(dumped), b"".join(hidden)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into a process that leaves no core")
def test_a_mint_that_has_just_read_the_key_has_it_where_no_core_has_it(host, tmp_path):
    """It is stopped each time: for the key's address, and for signing."""
    log = tmp_path / "log"
    tracer = host.start(random_wallet(), before=[
        "strace", "-f", "-qq", "-o", str(log), "-P", str(host.key_file), "-e", "trace=pread64",
        "-e", "inject=pread64:signal=STOP:when=1"])
    children = pathlib.Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children")
    for use in (1, 2):
        deadline = time.monotonic() + 20
        while not log.exists() or log.read_text().count("--- SIGSTOP {") < use:
            assert tracer.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        pid = int(children.read_text().split()[0])
        dumped, hidden = memory_of(pid)
        assert "lower" in found_in(hidden, host.secret), "the moment was the right one"
        assert host.nft.address.encode() in dumped
        assert found_in(dumped, host.secret) == []
        os.kill(pid, signal.SIGCONT)
    assert tracer.communicate(timeout=20)[0].startswith("0\n")


@pytest.mark.parametrize("which, leaves_one", [("key", False), ("configuration", True)])
def test_a_mint_that_is_killed_while_it_has_the_key_leaves_no_core(host, tmp_path, which, leaves_one):
    """And one that is killed before does, so that the search is one."""
    if not re.fullmatch(r"core\.?(%p)?", pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()):
        pytest.skip("cores of this host do not go to the process's folder")
    file, call = (host.key_file, "pread64") if which == "key" else (host.etc / "web3-defaults.yaml", "read")
    run = host.mint(random_wallet(), before=[
        "prlimit", "--core=unlimited", "strace", "-f", "-qq", "-o", str(tmp_path / "log"), "-P", str(file), "-e", f"trace={call}",
        "-e", f"inject={call}:signal=ABRT:when=1"])
    assert "killed by SIGABRT" in (tmp_path / "log").read_text(), run.err
    cores = list(host.folder.glob("core*"))
    assert bool(cores) == leaves_one
    for path in cores + [path for path in host.root.rglob("*") if path.is_file() and path != host.key_file]:
        assert found_in(path.read_bytes(), host.secret) == [], path


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a look into another process's memory")
def test_a_mint_that_waits_has_no_key_at_all(host, chain):
    """Before anything is signed, while the transaction is under way, and when it is done."""
    looked = []
    with Proxy(chain) as proxy:
        begun = []

        def look(request, pass_on):
            answer = pass_on(request)
            while not begun:
                time.sleep(0.001)
            dumped, hidden = memory_of(begun[0].pid)
            looked.append((request["method"], found_in(dumped + hidden, host.secret), host.nft.address.encode() in dumped))
            return answer

        host.configure(proxy.url)
        for method in ("eth_estimateGas", "eth_sendRawTransaction", "eth_getTransactionReceipt"):
            proxy.on(method, look)
        begun.append(host.start(random_wallet()))
        assert begun[0].communicate(timeout=60)[0].startswith("0\n")
    assert {method for method, *_ in looked} == {"eth_estimateGas", "eth_sendRawTransaction", "eth_getTransactionReceipt"}
    assert all(found == [] and good for _, found, good in looked), looked


def test_no_file_and_no_word_has_the_key(host, chain):
    chain.ask("evm_setAutomine", False)
    open_run = host.mint(random_wallet(), "--timeout", 1)
    chain.ask("evm_setAutomine", True)
    runs = [open_run, host.mint(random_wallet()), host.mint(random_wallet(), "--dry-run"), host.mint(random_wallet(), "--json")]
    written = [path for path in host.root.rglob("*") if path.is_file() and path != host.key_file]
    assert len([path for path in written if path.parent == host.mints]) >= 3
    for path in written:
        assert found_in(path.read_bytes(), host.secret) == [], path
    for run in runs:
        assert found_in((run.out + run.err).encode(), host.secret) == []
    assert found_in(host.key_file.read_bytes(), host.secret) == ["lower"], "the search works"


def test_neither_arguments_nor_environment_have_the_key(host, chain):
    with Proxy(chain) as proxy:
        seen = []

        def look(request, pass_on):
            while not begun:
                time.sleep(0.001)
            seen.append(b"".join(pathlib.Path(f"/proc/{begun[0].pid}/{name}").read_bytes() for name in ("cmdline", "environ")))
            return pass_on(request)

        begun = []
        proxy.on("eth_sendRawTransaction", look)
        host.configure(proxy.url)
        begun.append(host.start(random_wallet()))
        begun[0].communicate(timeout=60)
    assert seen and all(b"mint-nft" in each and not found_in(each, host.secret) for each in seen)


def test_locked_memory_that_cannot_be_had_is_a_refusal(host):
    def without():
        if os.geteuid() == 0:  # root may lock all the same
            os.setgid(65534)
            os.setuid(65534)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))

    if os.geteuid() != 0:
        pytest.skip("needs another user than the one that runs the tests")
    for folder in [host.root, *host.root.rglob("*")]:
        os.chown(folder, 65534, 65534)
    for parent in host.root.parents:
        if not os.stat(parent).st_mode & 0o001 and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    host.mint(random_wallet(), preexec_fn=without).refuses("memory for the key cannot be locked", "LimitMEMLOCK")
