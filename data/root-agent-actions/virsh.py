# SPDX-License-Identifier: MIT
"""Actions of the blockhost-libvirt provisioner for the root agent.

Each is one run of blockhost-libvirt as root: parameters go in as JSON on stdin, the reply comes out as JSON on
stdout. What is allowed is decided there, in one place; nothing of a request reaches a command line.
"""

import json
import os
import subprocess

PROGRAM = "/usr/bin/blockhost-libvirt"

# Seconds that each action may take: the agent carries out one at a time.
LIMITS = {
    "virsh-start": 120,
    "virsh-destroy": 120,
    "virsh-shutdown": 300,
    "virsh-define": 30,
    "virsh-undefine": 60,
    "virsh-guest-exec": 150,
    "vm-step": 120,
}


def _environment():
    kept = {name: value for name, value in os.environ.items() if name.startswith("BLOCKHOST_")}
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **kept}


def _action(name, seconds):
    def carry_out(params):
        try:
            run = subprocess.run([PROGRAM, "__root-action", name], input=json.dumps(params).encode(),
                                 capture_output=True, timeout=seconds, env=_environment(), check=False)
        except subprocess.TimeoutExpired:
            # It may still take effect: callers of ours look again before they conclude anything.
            return {"ok": False, "error": f"{name} did not end within {seconds} s", "code": "no_answer"}
        except OSError as error:
            return {"ok": False, "error": f"{PROGRAM} cannot be run: {error.strerror}"}
        try:
            reply = json.loads(run.stdout.decode("utf-8", "replace"))
        except ValueError:
            reply = None
        if isinstance(reply, dict):
            return reply
        said = run.stderr.decode("utf-8", "replace").strip()
        return {"ok": False, "error": said or f"{PROGRAM} ended with status {run.returncode} and no reply"}

    return carry_out


ACTIONS = {name: _action(name, seconds) for name, seconds in LIMITS.items()}
