# SPDX-License-Identifier: MIT
"""A plan over many VMs of the simulated world, beside the readings of the same VMs: bench.py's part `desired`.

Alone, without a host that bench.py prepares: tests/bench/desired.py [ROUNDS]
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import types
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lifecycle"))

from simulated import BINARY, Mock  # noqa: E402

COUNTS = (100, 200, 500)
MOST_KIB = 64 << 10
AGAINST = (("guests", None), ("dump-desired", 2))
"""The list of the same VMs, which tells less of each; and what reads all that a plan compares."""


def world_of(folder, count):
    """A world of so many VMs: one that was made, and copies that differ in what tells VMs from each other."""
    mock = Mock(folder)
    assert mock.create("vm-0").returncode == 0 and mock.run("kill", "vm-0").returncode == 0
    domains, record = mock.folder / "mock-world/domains", mock.record("vm-0")
    texts = {end: (domains / f"vm-0.{end}").read_text() for end in ("json", "xml")}
    mark = re.search(r"<uuid>(.*?)</uuid>", texts["xml"]).group(1)
    [disk] = mock.files("vms")
    registry = mock.registry()
    for number in range(1, count):
        name, own = f"vm-{number}", str(uuid.UUID(int=number, version=4))
        for end, text in texts.items():
            (domains / f"{name}.{end}").write_text(text.replace("vm-0", name).replace(mark, own))
        data = (mock.folder / "mock-world/vms" / disk).read_bytes()
        (mock.folder / "mock-world/vms" / disk.replace("vm-0", name)).write_bytes(data)
        registry["vms"][name] = record | {"vm_name": name, "ip_address": f"10.8.{number // 250}.{number % 250 + 1}",
                                          "ipv6_address": ""}
    mock.write(registry)
    return mock


def plans(measure):
    """`measure(name, ours, against, reference, env, cwd, bar)` for each pair; the rows."""
    rows = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory(prefix="blockhost-bench-", dir="/var/tmp") as folder:
            mock = world_of(folder, count)
            wanted = mock.folder / "desired.json"
            wanted.write_text(mock.run("dump-desired").stdout)
            assert len(json.loads(wanted.read_text())["guests"]) == count
            plan = [BINARY, "plan", wanted, "--mock"]
            assert subprocess.run(plan, env=mock.environment(), cwd=folder, capture_output=True).returncode == 0
            for verb, bar in AGAINST:
                rows.append(measure(f"plan over {count} VMs", plan, verb, [BINARY, verb, "--mock"], mock.environment(), folder, bar))
    return rows


def part(bench, rounds):
    """Also judges the memory of the plan over the most of them."""
    rows = plans(lambda name, ours, against, reference, env, cwd, bar: bench.pair(
        "desired", name, ours, against, reference, env, bar=bar, rounds=rounds, cwd=cwd))
    peak = max(row["a"]["peak_kib"] for row in rows)
    print(f"plan's peak memory: {peak} KiB, at most {MOST_KIB}: " + ("kept" if peak <= MOST_KIB else "BROKEN"), flush=True)
    bench.results["desired"]["peak"] = {"kib": peak, "kept": peak <= MOST_KIB}


def main():
    import bench
    folder = pathlib.Path(tempfile.mkdtemp(prefix="blockhost-bench-", dir="/var/tmp"))
    try:
        subprocess.run(["gcc", "-O2", "-o", folder / "pairs", bench.HERE / "pairs.c"], check=True)
        alone = types.SimpleNamespace(folder=folder, rounds=5, results={})
        alone.measure = types.MethodType(bench.Bench.measure, alone)
        alone.pair = types.MethodType(bench.Bench.pair, alone)
        part(alone, int(sys.argv[1]) if len(sys.argv) > 1 else 10)
        return 1 if bench.is_broken(alone.results) else 0
    finally:
        bench.shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
