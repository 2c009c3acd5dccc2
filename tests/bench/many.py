#!/usr/bin/python3
"""What list and metrics --all take where a host has hundreds of domains, against the one bulk call behind each.

    tests/bench/many.py [RUNNING [DEFINED [ROUNDS]]]      default: 200 running, 500 defined in all, 100 rounds

The domains are tiny, without disks and guests, made for the measurement and removed after it, with their records in a
root folder of its own; BLOCKHOST_BUILD names the build folder. Exit status 1 when a ratio breaks its bar: 1.5 for list, 3
for metrics --all.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", HERE.parents[1] / "build"))
DB = "bridge: br0\nip_pool: {network: 10.9.0.0/22, start: 10, end: 12, gateway: 10.9.0.1}\n"
DOMAIN = ("<domain type='qemu'><name>{}</name><memory unit='MiB'>4</memory><vcpu>1</vcpu><os><type>hvm</type></os>"
          "<devices><memballoon model='none'/></devices></domain>")


def virsh(folder, commands):
    """All in one process; what fails is seen later."""
    batch = folder / "batch"
    batch.write_text("\n".join(commands) + "\n")
    with batch.open() as words:
        subprocess.run(["virsh", "-q", "-c", "qemu:///system"], stdin=words, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)


def record(name, number):
    return {"vm_name": name, "status": "active", "vmid": number, "ip_address": f"10.9.{number // 250}.{number % 250 + 1}",
            "created_at": "2026-01-01T00:00:00+00:00", "owner_wallet": "0x" + "be" * 20}


def prepare(folder, names, running):
    for part in ("etc/blockhost", "var/lib/blockhost/metrics", "run/blockhost"):
        (folder / "root" / part).mkdir(parents=True)
    (folder / "root/etc/blockhost/db.yaml").write_text(DB)
    records = {name: record(name, number) for number, name in enumerate(names)}
    (folder / "root/var/lib/blockhost/vms.json").write_text(json.dumps(
        {"vms": records, "next_vmid": len(names), "allocated_ips": [], "allocated_ipv6": []}, indent=2))
    for name in names:
        (folder / f"{name}.xml").write_text(DOMAIN.format(name))
    virsh(folder, [f"define {folder}/{name}.xml" for name in names])
    virsh(folder, [f"start {name}" for name in names[:running]])


def build(folder, source, *more):
    subprocess.run(["gcc", "-O2", *more, "-o", folder / source, HERE / f"{source}.c"], check=True)


def main():
    running, defined, rounds = (int(word) for word in (*sys.argv[1:], *("200", "500", "100")[len(sys.argv) - 1:]))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="blockhost-bench-", dir="/var/tmp"))
    names = [f"bhmany{os.getpid()}-{number:03d}" for number in range(defined)]
    broken = 0
    try:
        build(folder, "pairs")
        for source in ("rawlist", "rawstats"):
            build(folder, source, "-static")
        prepare(folder, names, running)
        environment = {"PATH": os.environ["PATH"], "BLOCKHOST_ROOT": str(folder / "root")}
        rows = json.loads(subprocess.run([BUILD / "blockhost-libvirt", "metrics", "--all"], env=environment, check=True,
                                         capture_output=True).stdout)
        print(f"{len(rows)} rows, {sum(row['state'] == 'running' for row in rows)} running", flush=True)
        for bar, verb, yardstick in (("1.5", ["list"], "rawlist"), ("1.5", ["list", "--json"], "rawlist"),
                                     ("3", ["metrics", "--all"], "rawstats")):
            broken |= subprocess.run([folder / "pairs", str(rounds), bar, " ".join(verb), BUILD / "blockhost-libvirt", *verb,
                                      "--", yardstick, folder / yardstick], env=environment).returncode
    finally:
        virsh(folder, [f"destroy {name}" for name in names[:running]])
        virsh(folder, [f"undefine {name}" for name in names])
        shutil.rmtree(folder)
    return broken


if __name__ == "__main__":
    sys.exit(main())
