#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures the commands against references in the same run; tests/bench/run.sh prepares the host and calls it.

Parts (all, unless --part names some):
  startup   what an invocation costs before it does anything
  one       status and metrics of one VM with a guest that answers
  domains   list, metrics --all and others as the host fills up with domains
  records   what reads or changes the VM database as that grows
  node      the guests of a Proxmox node, of a stand-in with 200 of them
  desired   a plan over many VMs, beside reading them
  create    where a create's time goes, alone and many at once
  backup    backups and restores, beside restic alone on the same bytes

Prints a table. With --out, results.json and the plots there are made anew; of parts that were not run the old figures
stay. Exit status 1 when a ratio breaks its bar.
"""

import argparse
import base64
import datetime
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[0] / "system"), str(HERE.parents[0] / "pve")]

import backups  # noqa: E402
import desired as plans  # noqa: E402
import plots  # noqa: E402
from fits import fit  # noqa: E402
from machine import BINARY, BUILD, WALLET, Machine  # noqa: E402

PARTS = ("startup", "one", "domains", "records", "node", "desired", "create", "backup")
LINKS = BUILD / "symlinks"
LIBVIRT = ["-lvirt", "-lvirt-qemu"]
PROGRAMS = {"pairs": [], "empty": [], "rewrite": ["-static"], "rawstate": ["-static"], "rawmetrics": ["-static"],
            "rawlist": ["-static"], "rawstats": ["-static"], "metrics": LIBVIRT, "lvx": LIBVIRT, "node": ["-lcurl"]}
DOMAIN = ("<domain type='qemu'><name>{}</name><memory unit='MiB'>4</memory><vcpu>1</vcpu><os><type>hvm</type></os>"
          "<devices><memballoon model='none'/></devices></domain>")
DB = "bridge: br0\nip_pool: {network: 10.9.0.0/16, start: 10, end: 12, gateway: 10.9.0.1}\n"
STEEPEST = 1.1
"""Of a fit in logarithms: more would be worse than linear."""
SLACK = 0.1
"""By which a verb may be steeper than the call of libvirt's that it makes, where that is steeper than linear itself."""
STATES_CALL, STATS_CALL = "rawlist", "rawstats"
BY_RUNNING = ("metrics --all", STATS_CALL)


class Bench:
    """The programs, the folder they are in, and what was measured."""

    def __init__(self, folder, rounds):
        self.folder, self.rounds, self.results = folder, rounds, {}
        for name, words in PROGRAMS.items():
            source = next(path for path in (HERE / f"{name}.c", HERE / "yardsticks" / f"{name}.c") if path.exists())
            subprocess.run(["gcc", "-O2", "-o", folder / name, source, *words], check=True)

    def program(self, name, *words):
        return [str(self.folder / name), *map(str, words)]

    def measure(self, ours, reference, env, rounds=None, cwd=None):
        run = subprocess.run([self.folder / "pairs", str(rounds or self.rounds), *map(str, ours), "--", *map(str, reference)],
                             env=env, cwd=cwd or self.folder, capture_output=True, text=True)
        if run.returncode != 0:
            raise RuntimeError(run.stderr.strip())
        return json.loads(run.stdout)

    def pair(self, part, name, ours, against, reference, env, bar=None, clock="wall", **more):
        """`bar`: the most that the ratio may be."""
        row = {"name": name, "against": against, "clock": clock, "bar": bar}
        row |= self.measure(ours, reference, env, **more)
        row["kept"] = bar is None or row["ratio"][clock][0] <= bar
        self.results.setdefault(part, {}).setdefault("pairs", []).append(row)
        print(line_of(row), flush=True)
        return row


def line_of(row):
    a, b, ratio = (row[key] for key in ("a", "b", "ratio"))
    unit = f"{row['clock']}_ms"
    verdict = "" if row["bar"] is None else f"  at most {row['bar']:g}: " + ("kept" if row["kept"] else "BROKEN")
    return (f"{row['name']:<34} {a[unit][0]:>9.3f} ms   {row['against']:<28} {b[unit][0]:>9.3f} ms   "
            f"{row['clock']:<4} {ratio[row['clock']][0]:>7.3f}{verdict}")


def environment(root, **more):
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/root", "BLOCKHOST_ROOT": str(root), **more}


# startup

def loading(words, env):
    """What the loader says of it: relocations before main, and all shared libraries, those loaded later too."""
    said = subprocess.run(list(map(str, words)), env=env | {"LD_DEBUG": "statistics,files"}, capture_output=True, text=True).stderr
    found = {"libraries": len(set(re.findall(r"calling init: (\S+)", said)))}
    for name, key in (("symbols looked up at start", "number of relocations"), ("relative relocations", "number of relative relocations")):
        found[name] = int(re.search(rf"\s{key}: (\d+)", said).group(1))
    return found


def startup(bench, options):
    env = environment(bench.folder / "no-root")
    empty = bench.program("empty")
    bench.pair("startup", "blockhost-libvirt --version", [BINARY, "--version"], "an empty C program", empty, env, 3)
    bench.pair("startup", "blockhost-libvirt --help", [BINARY, "--help"], "an empty C program", empty, env, 5)
    detect = [BINARY, "detect"]
    if subprocess.run(detect, env=env, capture_output=True).returncode == 0:
        bench.pair("startup", "detect", detect, "an empty C program", empty, env, 4)
    else:
        print("detect: not measured, this host is refused", flush=True)
    loads = {"--version": loading([BINARY, "--version"], env), "status": loading([BINARY, "status", "nobody"], env),
             "status by the library": loading([BINARY, "status", "nobody"], env | {"BLOCKHOST_DRIVER": "libvirt"})}
    bench.results["startup"]["loading"] = loads
    for name, figures in loads.items():
        print(f"{name:<34} " + ", ".join(f"{value} {key}" for key, value in figures.items()), flush=True)


# one

def one(bench, options):
    machine = Machine("quick")
    try:
        vm = f"bench-{machine.tag}"
        run = machine.create(vm)
        if run.returncode != 0:
            sys.exit(run.stderr)
        env = machine.env
        library = env | {"BLOCKHOST_DRIVER": "libvirt"}
        status, metrics = [LINKS / "blockhost-vm-status", vm], [LINKS / "blockhost-vm-metrics", vm]
        subprocess.run(metrics, env=env, capture_output=True)  # which has the guest's slow values for a minute
        few = min(bench.rounds, 20)

        def pair(name, *words, **more):
            bench.pair("one", name, *words, **more)
        pair("status", status, "RPC in C (rawstate)", bench.program("rawstate", vm), env, bar=3)
        pair("status", status, "libvirt.so in C (lvx)", bench.program("lvx", "state", vm), env, bar=1)
        pair("status", status, "virsh domstate", ["/usr/bin/virsh", "-c", "qemu:///system", "domstate", vm], env, bar=1)
        pair("metrics NAME", metrics, "RPC in C (rawmetrics)", bench.program("rawmetrics", vm), env, bar=1.3)
        pair("metrics NAME", metrics, "libvirt.so in C (metrics)", bench.program("metrics", vm), env)
        pair("metrics NAME", metrics, "Python and virsh (metrics_py)", [HERE / "yardsticks/metrics_py.py", vm], env,
             bar=1 / 20, clock="cpu", rounds=few)
        pair("status by the library", status, "libvirt.so in C (lvx)", bench.program("lvx", "state", vm), library, bar=1.3)
        pair("metrics NAME by the library", metrics, "libvirt.so in C (metrics)", bench.program("metrics", vm), library, bar=1.5)
        if options.against:
            against(bench, options.against, vm, env)
    finally:
        machine.close()


def against(bench, folder, vm, env):
    """Another provisioner that answers to the contract's names."""
    for words in (["blockhost-vm-status", vm], ["blockhost-vm-metrics", vm], ["blockhost-vm-list"],
                  ["blockhost-provisioner-detect"]):
        try:
            bench.pair("one", words[0], [LINKS / words[0], *words[1:]], "the other one's",
                       [folder / words[0], *words[1:]], env, rounds=min(bench.rounds, 20))
        except RuntimeError as why:
            print(f"{words[0]}: not measured: {why}", flush=True)


# domains

def virsh(folder, commands):
    """All in one process; what fails is seen later."""
    batch = folder / "batch"
    batch.write_text("\n".join(commands) + "\n")
    with batch.open() as words:
        subprocess.run(["virsh", "-q", "-c", "qemu:///system"], stdin=words, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)


def record(name, number, status="active"):
    return {"vm_name": name, "vmid": 0, "ip_address": f"10.9.{number // 250 % 250}.{number % 250 + 1}", "ipv6_address": "",
            "expires_at": "2036-01-01T00:00:00+00:00", "owner": WALLET, "status": status,
            "created_at": "2026-01-01T00:00:00+00:00", "purpose": "", "wallet_address": WALLET, "username": "admin",
            "network_mode": "none"}


def write_database(path, records):
    path.write_text(json.dumps({"vms": records, "next_vmid": 1, "allocated_ips": [], "allocated_ipv6": []}, indent=2))


def make_root(root):
    for part in ("etc/blockhost/network-modes.enabled", "var/lib/blockhost/metrics", "run/blockhost"):
        (root / part).mkdir(parents=True)
    (root / "etc/blockhost/db.yaml").write_text(DB)
    (root / "etc/blockhost/web3-defaults.yaml").write_text("{}\n")
    (root / "etc/blockhost/network-modes.enabled/none.json").write_text("{}")


def sizes_up_to(most):
    return [n for n in (1, 10, 50, 100, 200, 500, 1000) if n < most] + [most]


def point_of(row, **more):
    return more | {"wall_ms": row["a"]["wall_ms"][0], "cpu_ms": row["a"]["cpu_ms"][0], "peak_kib": row["a"]["peak_kib"]}


def lists(bench, env, at):
    once = bench.program("rawlist")
    bench.pair("domains", "list" + at, [BINARY, "list"], "one bulk call in C (rawlist)", once, env, 1.5)
    bench.pair("domains", "list --json" + at, [BINARY, "list", "--json"], "one bulk call in C (rawlist)", once, env)
    bench.pair("domains", "list" + at, [BINARY, "list"], "virsh list --all",
               ["/usr/bin/virsh", "-c", "qemu:///system", "list", "--all"], env, 1, rounds=max(5, bench.rounds // 5))


def domains(bench, options):
    root, names = bench.folder / "root", [f"bhbench{os.getpid()}-{n:03d}" for n in range(options.domains)]
    make_root(root)
    env, empty = environment(root), bench.program("empty")
    verbs = {"list": ["list"], "list --json": ["list", "--json"], "metrics --all": ["metrics", "--all"], "gc": ["gc"],
             "status": ["status", names[0]], "metrics NAME": ["metrics", names[0]]}
    bulk = ("list", "list --json", "metrics --all", "gc")
    references = {"metrics --all": (STATS_CALL, bench.program("rawstats")), "list": (STATES_CALL, bench.program("rawlist"))}
    curves = {verb: [] for verb in [*verbs, STATS_CALL, STATES_CALL]}
    there, few = 0, max(10, bench.rounds // 5)
    try:
        for name in names:
            (bench.folder / f"{name}.xml").write_text(DOMAIN.format(name))
        virsh(bench.folder, [f"define {bench.folder}/{name}.xml" for name in names])
        write_database(root / "var/lib/blockhost/vms.json", {name: record(name, n) for n, name in enumerate(names)})
        lists(bench, env, f" ({len(names)} domains, none running)")
        virsh(bench.folder, [f"undefine {name}" for name in names])
        for size in sizes_up_to(options.domains):
            virsh(bench.folder, [f"define {bench.folder}/{name}.xml" for name in names[there:size]])
            virsh(bench.folder, [f"start {name}" for name in names[min(there, options.running):min(size, options.running)]])
            there = size
            write_database(root / "var/lib/blockhost/vms.json", {name: record(name, n) for n, name in enumerate(names[:size])})
            for verb, words in verbs.items():
                name, reference = references.get(verb, ("", empty))
                row = bench.measure([BINARY, *words], reference, env, rounds=5 if verb == "metrics --all" else few)
                curves[verb].append(point_of(row, n=size, running=min(size, options.running)))
                if name:
                    curves[name].append(point_of({"a": row["b"]}, n=size, running=min(size, options.running)))
            print(f"{size:>5} domains   " + "   ".join(f"{verb} {points[-1]['wall_ms']:.1f} ms"
                                                      for verb, points in curves.items()), flush=True)
        rows = json.loads(subprocess.run([BINARY, "metrics", "--all"], env=env, check=True, capture_output=True).stdout)
        running = sum(row["state"] == "running" for row in rows)
        at = f" ({there} domains, {running} running)"
        lists(bench, env, at)
        bench.pair("domains", "metrics --all" + at, [BINARY, "metrics", "--all"], "the bulk call alone (rawstats)",
                   bench.program("rawstats"), env, 3, rounds=5)
    finally:
        virsh(bench.folder, [f"destroy {name}" for name in names[:options.running]])
        virsh(bench.folder, [f"undefine {name}" for name in names])
    keep_curves(bench, "domains", curves, bulk, {verb: name for verb, (name, _) in references.items()})


def keep_curves(bench, part, curves, bulk, references=None):
    """With a fit for each verb that works on all of them; `references`: the call that a verb cannot be flatter than."""
    results = bench.results.setdefault(part, {})
    results["curves"] = curves
    def counted(name, point):
        """What costs by the running domain is told where all run."""
        return point["n"] >= 10 and (name not in BY_RUNNING or point["n"] == point["running"])
    fits = {name: fit([(p["n"], p["wall_ms"]) for p in points if counted(name, p)]) for name, points in curves.items()}
    for verb in bulk:
        floor = fits.get((references or {}).get(verb), {"slope": 0})["slope"]
        bar = max(STEEPEST, floor + SLACK)
        fits[verb] |= {"bar": round(bar, 3), "kept": fits[verb]["slope"] <= bar}
    results["fits"] = fits
    for name, found in fits.items():
        verdict = {True: "kept", False: "BROKEN", None: ""}[found.get("kept")]
        print(f"{name:<24} {found['fixed_ms']:9.2f} ms and {found['each_us']:8.1f} us each, steepness {found['slope']:.2f}"
              + (f", at most {found['bar']:.2f}: {verdict}" if verdict else ""), flush=True)


# records

def records(bench, options):
    root = bench.folder / "records-root"
    make_root(root)
    database, mock = root / "var/lib/blockhost/vms.json", bench.folder / "mock-db.json"
    env = environment(root)
    verbs = {"list": ["list"], "extend": ["extend", "vm-00000", "--days", "1"], "status": ["status", "vm-00000"],
             "create --mock": ["create", "fresh", "--owner-wallet", WALLET, "--mock"], "__vms": ["__vms", "live"]}
    curves = {verb: [] for verb in [*verbs, "rewrite"]}
    for size in (10, 100, 1000, 5000, 20000):
        everything = {f"vm-{n:05d}": record(f"vm-{n:05d}", n, "active" if n % 10 == 0 else "destroyed") for n in range(size)}
        for path in (database, mock):
            write_database(path, everything)
        rewrite = bench.program("rewrite", database)
        for verb, words in verbs.items():
            row = bench.measure([BINARY, *words], rewrite, env, rounds=max(10, bench.rounds // 8))
            curves[verb].append(point_of(row, n=size))
            if verb == "extend":
                curves["rewrite"].append({"n": size, "wall_ms": row["b"]["wall_ms"][0], "cpu_ms": row["b"]["cpu_ms"][0],
                                          "peak_kib": row["b"]["peak_kib"]})
        print(f"{size:>5} records   " + "   ".join(f"{verb} {points[-1]['wall_ms']:.1f} ms" for verb, points in curves.items()),
              flush=True)
    bench.pair("records", f"extend ({size} records)", [BINARY, *verbs["extend"]], "rewriting those bytes (rewrite)", rewrite,
               env, 4, rounds=max(10, bench.rounds // 4))
    keep_curves(bench, "records", curves, tuple(verbs))


# node

def node(bench, options):
    """Time of the stand-in's is in all three; CPU time is the client's own."""
    from node import StandIn
    root = bench.folder / "node-root"
    etc = root / "etc/blockhost"
    etc.mkdir(parents=True)
    with StandIn() as standin:
        for number in range(200):
            standin.add_vm(1000 + number, name=f"vm-{number}", memory=512)
        token = root / "token"
        token.touch(mode=0o600)
        token.write_text(standin.token() + "\n")
        host, _, port = standin.address.rpartition(":")
        certificate = ssl.get_server_certificate((host, int(port)))
        pin = "sha256//" + base64.b64encode(hashlib.sha256(public_key(certificate)).digest()).decode()
        (etc / "agent.json").write_text(json.dumps({"platform": {
            "kind": "proxmox", "origin": f"https://{standin.address}", "node": "pve1", "token_file": str(token), "pins": [pin]}}))
        env = environment(root)
        words = [BINARY, "guests", "--json"]
        told = subprocess.run(words, env=env, capture_output=True, text=True)
        if told.returncode != 0 or len(json.loads(told.stdout)["guests"]) != 200:
            sys.exit(told.stderr)
        few = min(bench.rounds, 20)
        in_c = bench.program("node", f"https://{standin.address}", "pve1", token, pin)
        bench.pair("node", "guests, 200 of a node", words, "libcurl in C", in_c, env, bar=1.5, rounds=few)
        bench.pair("node", "guests, 200 of a node", words, "libcurl in C", in_c, env, clock="cpu", rounds=few)
        python = ["/usr/bin/python3", HERE / "node_py.py", host, port, "pve1", token]
        if subprocess.run(["/usr/bin/python3", "-c", "import proxmoxer"], capture_output=True).returncode != 0:
            print("proxmoxer: not measured, python3-proxmoxer is not installed", flush=True)
        else:
            bench.pair("node", "guests, 200 of a node", words, "Python's proxmoxer", python, env, bar=1, rounds=few)
        plan_over(bench, root, env, few)


def plan_over(bench, root, env, rounds):
    """A plan beside the bare reading of the same guests, one by one."""
    reading, wanted = [BINARY, "dump-desired"], root / "desired.json"
    wanted.write_text(subprocess.run(reading, env=env, capture_output=True, text=True, check=True).stdout)
    for clock in ("wall", "cpu"):
        bench.pair("node", "plan over 200 of a node", [BINARY, "plan", wanted], "dump-desired, which reads them", reading, env,
                   clock=clock, bar=2, rounds=rounds)


def desired(bench, options):
    plans.part(bench, min(bench.rounds, 20))


def backup(bench, options):
    backups.part(bench, min(bench.rounds, 3))


def public_key(certificate):
    """Its DER form."""
    shown = subprocess.run(["openssl", "x509", "-noout", "-pubkey"], input=certificate, capture_output=True, text=True, check=True)
    return ssl.PEM_cert_to_DER_cert(shown.stdout.replace("PUBLIC KEY", "CERTIFICATE"))


# create

ROW = re.compile(r"^(\S+(?: \S+)*)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)$", re.MULTILINE)
OWN_SHARE_MS = 50


def stages_of(err):
    return {name: {"ms": float(ms), "libvirt_ms": float(libvirt), "own_ms": float(own)}
            for name, ms, libvirt, own in ROW.findall(err)}


def medians(tables):
    return {stage: {key: round(statistics.median(table[stage][key] for table in tables), 3) for key in figures}
            for stage, figures in tables[0].items()}


def create(bench, options):
    machine = Machine("quick")
    try:
        alone = []
        for number in range(options.creates):
            name = f"bench-{machine.tag}-{number}"
            run = machine.create(name, "--timings")
            if run.returncode != 0:
                sys.exit(run.stderr)
            alone.append(stages_of(run.stderr))
            machine.run("destroy", name)
        together = [machine.start(*machine.create_words(f"many-{machine.tag}-{n}", "--timings", "--ready-timeout", "900"))
                    for n in range(options.at_once)]
        outputs = [process.communicate()[1] for process in together]
        failed = [err for process, err in zip(together, outputs) if process.returncode != 0]
        if failed:
            sys.exit(failed[0])
        many = [stages_of(err) for err in outputs]
    finally:
        machine.close()
    own = statistics.median(table["until the domain runs"]["own_ms"] for table in alone)
    kept = own <= OWN_SHARE_MS
    bench.results["create"] = {"alone": medians(alone), "own_share": {"ms": own, "bar": OWN_SHARE_MS, "kept": kept}}
    print(f"create, own share until the domain runs: {own:.1f} ms, at most {OWN_SHARE_MS}: " + ("kept" if kept else "BROKEN"))
    if many:
        longest = {stage: {key: max(table[stage][key] for table in many) for key in many[0][stage]} for stage in many[0]}
        bench.results["create"] |= {"at_once": len(many), "together": medians(many), "longest_of_them": longest}
    for stage, figures in bench.results["create"]["alone"].items():
        line = f"  {stage:<24} {figures['ms']:>9.1f} ms, own {figures['own_ms']:>7.1f}"
        if many:
            line += f"   {len(many)} at once: {bench.results['create']['together'][stage]['ms']:>9.1f} ms, own " \
                    f"{bench.results['create']['together'][stage]['own_ms']:>7.1f}, longest {longest[stage]['own_ms']:>7.1f}"
        print(line, flush=True)


def host():
    version = subprocess.run(["virsh", "version"], capture_output=True, text=True).stdout
    found = re.search(r"Using library: libvirt (\S+)", version)
    return {"processors": os.cpu_count(), "kernel": platform.release(), "libvirt": found.group(1) if found else "",
            "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="minutes")}


def is_broken(value):
    if isinstance(value, dict):
        return value.get("kept") is False or any(map(is_broken, value.values()))
    return isinstance(value, list) and any(map(is_broken, value))


def keep(out, results):
    out.mkdir(parents=True, exist_ok=True)
    file = out / "results.json"
    everything = json.loads(file.read_text()) if file.exists() else {}
    everything |= {part: {"host": host(), **figures} for part, figures in results.items()}
    file.write_text(json.dumps(everything, indent=1) + "\n")
    plots.draw(everything, out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, default=[], help="this part alone; may be repeated")
    parser.add_argument("--rounds", type=int, default=100, help="pairs of a measurement")
    parser.add_argument("--domains", type=int, default=500, help="the most domains")
    parser.add_argument("--running", type=int, default=200, help="how many of them run; 20 MiB each")
    parser.add_argument("--creates", type=int, default=5, help="creates one after another")
    parser.add_argument("--at-once", type=int, default=16, help="creates at once; 200 MiB each")
    parser.add_argument("--against", type=pathlib.Path, metavar="DIR", help="another provisioner's commands")
    parser.add_argument("--out", type=pathlib.Path, help="folder for results.json and the plots (docs/performance)")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="blockhost-bench-", dir="/var/tmp"))
    try:
        bench = Bench(folder, options.rounds)
        for part in options.part or PARTS:
            print(f"\n{part}", flush=True)
            globals()[part](bench, options)
    finally:
        shutil.rmtree(folder)
    if options.out:
        keep(options.out, bench.results)
    return 1 if is_broken(bench.results) else 0


if __name__ == "__main__":
    sys.exit(main())
