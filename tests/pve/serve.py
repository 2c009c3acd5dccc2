#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the stand-in node by itself. Prints where it is, one `name: value` a line, and serves until it is told to end.

    python3 tests/pve/serve.py --guests 200

The control socket takes the knobs of node/knobs.py, one JSON object a line:

    {"do": "next", "kind": "lose_after", "pattern": "/status/start"}
"""

import argparse
import pathlib
import signal
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from node import StandIn  # noqa: E402
from node.control import Control  # noqa: E402


def populate(standin, guests):
    """Two VMs for each container, two of three running."""
    standin.add_template()
    for number in range(guests):
        vmid, running = 100 + number, number % 3 != 2
        if number % 3 == 1:
            standin.add_container(vmid, running=running, network=True, tags="stand-in")
        else:
            standin.add_vm(vmid, running=running, name=f"vm-{vmid}", cores=1, memory=512, disks={"scsi0": 4},
                           tags="stand-in")
    standin.send_broadcast()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--guests", type=int, default=0, metavar="N", help="how many guests there are in the beginning")
    parser.add_argument("--nodes", default="pve1", metavar="NAMES", help="the cluster's nodes, separated by commas")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="time runs X times as fast")
    parser.add_argument("--manual", action="store_true", help="time stands still but for the knob `advance`")
    parser.add_argument("--token", default="agent@pve!main", metavar="USER@REALM!ID", help="the token that is made")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="blockhost-pve-") as folder, StandIn(
            options.nodes.split(","), scale=options.scale, manual=options.manual) as standin:
        folder = pathlib.Path(folder)
        populate(standin, options.guests)
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(standin.token(options.token) + "\n")
        control = Control(standin, folder / "control")
        (folder / "ca.pem").write_text(next(iter(standin.nodes.values())).certificates.ca.text)
        for name, front in standin.fronts.items():
            print(f"address of {name}: https://127.0.0.1:{front.port}")
        print(f"token: {token}\nfingerprint: {standin.fingerprint}\nca: {folder / 'ca.pem'}")
        print(f"control: {folder / 'control'}", flush=True)
        try:
            signal.pause()
        finally:
            control.close()


if __name__ == "__main__":
    main()
