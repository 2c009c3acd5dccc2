#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A program that shares the VM database with ours, written from docs/contract.md ("VM database") and nothing of ours.

    other_program.py FILE NAME SEED UNTIL LEAST

changes the database until the file UNTIL is there, LEAST times at any rate, and prints as JSON what it has done. A change is
read, made and put in place under flock(2) on FILE.lock, by a file beside it and a rename. As engines do it extends VMs and
sets fields of theirs; it counts, notes each change in a list of its own, and registers and destroys VMs that have no domain.
"""

import contextlib
import datetime
import fcntl
import json
import os
import random
import sys
import tempfile
import time


@contextlib.contextmanager
def changing(file):
    with open(file + ".lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(file) as source:
            registry = json.load(source)
        yield registry
        descriptor, path = tempfile.mkstemp(dir=os.path.dirname(file), suffix=".tmp")
        with os.fdopen(descriptor, "w") as target:
            json.dump(registry, target, indent=2)
        os.rename(path, file)


def read(file):
    with open(file) as source:
        fcntl.flock(source, fcntl.LOCK_SH)
        return json.load(source)


class Program:
    def __init__(self, name, seed):
        self.name, self.chance = name, random.Random(seed)
        self.changes, self.days, self.fields, self.own, self.gone = 0, {}, {}, {}, []

    def extend(self, vms):
        vm, days = self.chance.choice(self.shared(vms)), self.chance.randint(1, 3)
        expires = datetime.datetime.fromisoformat(vms[vm]["expires_at"]) + datetime.timedelta(days=days)
        vms[vm]["expires_at"] = expires.isoformat()
        self.days[vm] = self.days.get(vm, 0) + days

    def set_field(self, vms):
        vm = self.chance.choice(self.shared(vms))
        vms[vm][f"of_{self.name}"] = self.fields[vm] = f"{self.changes} ✓"

    def register(self, registry):
        """The first address that is free."""
        vm = f"{self.name}-{self.changes}"
        taken = registry["allocated_ips"]
        ip = next(f"10.9.0.{i}" for i in range(10, 250) if f"10.9.0.{i}" not in taken)
        taken.append(ip)
        registry["vms"][vm] = {"vm_name": vm, "vmid": 0, "ip_address": ip, "ipv6_address": "", "status": "active",
                               "expires_at": "2099-01-01T00:00:00+00:00", "created_at": "2026-01-01T00:00:00+00:00"}
        self.own[vm] = ip

    def destroy(self, registry):
        vm, ip = self.own.popitem()
        registry["vms"][vm]["status"] = "destroyed"
        registry["allocated_ips"].remove(ip)
        self.gone.append(vm)

    @staticmethod
    def shared(vms):
        return [vm for vm in vms if vm.startswith("shared-")]

    def change(self, file):
        kind = self.chance.random()
        with changing(file) as registry:
            if kind < 0.4:
                self.extend(registry["vms"])
            elif kind < 0.8:
                self.set_field(registry["vms"])
            elif kind < 0.9 and len(self.own) < 5:
                self.register(registry)
            elif self.own:
                self.destroy(registry)
            registry["programs"].setdefault(self.name, []).append(self.changes)
        self.changes += 1


def main():
    file, name, seed, until, least = sys.argv[1:]
    program = Program(name, int(seed))
    while program.changes < int(least) or not os.path.exists(until):
        program.change(file)
        time.sleep(program.chance.uniform(0, 0.004))
    while program.own:
        with changing(file) as registry:
            program.destroy(registry)
    print(json.dumps({"changes": program.changes, "days": program.days, "fields": program.fields, "gone": program.gone}))


if __name__ == "__main__":
    main()
