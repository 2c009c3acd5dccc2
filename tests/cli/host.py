# SPDX-License-Identifier: MIT
"""A host as a stranger meets it: a root with configuration, the program in the simulated world, and what a refusal is."""

import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pace  # noqa: E402

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build"))
BINARY = BUILD / "blockhost-libvirt"
WALLET = "0x" + "ef" * 20
DB = "bridge: br0\nip_pool: {network: 10.9.9.0/24, start: 10, end: 12, gateway: 10.9.9.1}\n"


class Host:
    def __init__(self, folder):
        self.folder = folder
        self.etc = folder / "root/etc/blockhost"
        (self.etc / "network-modes.enabled").mkdir(parents=True)
        (self.etc / "network-modes.enabled/none.json").write_text("{}")
        (self.etc / "db.yaml").write_text(DB)
        self.env = {"PATH": os.environ["PATH"], "BLOCKHOST_ROOT": str(folder / "root")}

    def run(self, *words, program=BINARY, **env):
        return subprocess.run([program, *words], env=self.env | env, cwd=self.folder, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)

    def timed(self, *words, program=BINARY, **env):
        """As run; and how many seconds it would have taken on a host with nothing else to do."""
        return pace.timed([program, *words], env=self.env | env, cwd=self.folder)

    def create(self, name="vm-1", *more, wallet=WALLET, **env):
        return self.run("create", name, "--owner-wallet", wallet, "--memory", "128", "--disk", "4", "--mock", "--apply",
                        *more, **env)

    def behave(self, **knobs):
        """How the simulated world misbehaves."""
        folder = self.folder / "mock-world"
        folder.mkdir(exist_ok=True)
        (folder / "behaviour.json").write_text(json.dumps(knobs))

    def set_state(self, state, name="vm-1"):
        """What somebody else did to the domain."""
        path = self.folder / f"mock-world/domains/{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"state": state}))

    def everything(self):
        """What a refusal must not change: VMs, addresses, disks, seeds, journal."""
        kept = {}
        for path in sorted(self.folder.rglob("*")):
            relative = str(path.relative_to(self.folder))
            if path.is_file() and re.search(r"mock-db\.json$|mock-world/(domains|vms|cloud-init|console|journal|network)/",
                                            relative):
                kept[relative] = path.read_bytes()
        return kept


def refused(host, run, *words, status=1):
    assert run.returncode == status, (run.returncode, run.stdout, run.stderr)
    last = run.stderr.strip().splitlines()[-1]
    for word in words:
        assert word.lower() in run.stderr.lower(), run.stderr
    assert "Traceback" not in run.stderr and "terminate called" not in run.stderr
    return last


BAD_NAMES = ["a" * 65, "name\n", "..", ".hidden", "a/b", "", " a", "a b", "ä", "-x;rm"]
