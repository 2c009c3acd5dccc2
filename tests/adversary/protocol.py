# SPDX-License-Identifier: MIT
"""The wire to the program under test, tests/unit/agent/agent-call in the build: a test program around the agent's gate, queue and
engine. It reads one request a line from stdin and answers each by one line on stdout; both are JSON objects. It ends at the end
of stdin. A request that cannot be carried out is answered by {"error": {"code": CODE, "message": SENTENCE}}, and has changed
nothing.

A request has a member "call", and those that are named here. What is given back stands behind the arrow. The first request is

open        folder, host, now, roles, two_signers, require_signatures, acknowledged -> {}
            `folder` has these, and the program writes to no other place:
              world/             the simulated platform's (src/platform/simulated); the program makes an empty one
              state/             the agent's own, made by the program: state/agent/agent.db, its database (and files of SQLite's
                                 beside it, agent.db-wal), and state/agent/audit.jsonl, its record
              authority/         allowed_signers and revoked_keys, as OpenSSH reads them
            `host`               this host's name
            `now`                Unix seconds: the agent's clock stands there until `clock` sets it; the platform's does not
            `roles`              [{"name", "principals", "changes"}]: authority::Roles::all
            `two_signers`        ["delete-backup"]: authority::Roles::two_signers
            `require_signatures` "all": also what an admin does at the shell needs them; "others": it does not
            `acknowledged`       the mark that the hub acknowledged last, as `mark` gave it; null: the hub knows none
            The program recovers what a dead one left in `run`, not here. All patience is short: locks 0, traces 50 ms.

clock       now -> {}
submit      source, action, guest, incarnation, key -> {"id": OPERATION}
            One change, from whom: "hub" (a job), "shell" (an admin), "local" (a program's or a guest's own door). `action` as
            platform/action_json.hpp writes it. `key`: the same text is the same wish. Nothing is begun yet.
scratch     action, guest, incarnation, key -> {"id": OPERATION}
            The same, from the agent itself for a trial: what the action makes (a guest, a snapshot, a backup) is scratch by the
            agent's own journal. Refused by a program that makes no trials.
take back   operation -> {"id": OPERATION}
            Queues the removal of the guest that this operation made (Journal::take_back).
desired     document -> {}
            A desired state, as text. An answer without an error: it is accepted, and followed from now on.
run         most?, fault? -> {"begun": NUMBER}
            The agent's loop: recovers what a dead process left, looks at the guests, heals, plans from the accepted desired
            state, and lets the queue work, until nothing more moves at this clock or until `most` actions were begun at the
            platform. What waits for a signature is left. The agent remembers the clock.
            `fault`: as in BLOCKHOST_FAULT, "kill@7", for this request alone (fault::arm before it, and again with a number
            that is never reached after it). Once the point is reached there is no answer: the program is dead.
pending     -> {"pending": [{"operation": ID, "envelope": TEXT}]}
            What waits for a signature, in order of arrival, each with the exact text to sign.
approve     envelope, signatures, door, fault? -> {"operation": ID}
            A signed operation, as it came: the envelope's bytes in base64, the signatures' texts. `door`: "verb": as an operator's
            call takes it, which looks at it first; "gate": it goes to the queue as it is, and the gate alone judges it. An answer without an error: it
            is taken, and the next `run` carries it out. It may be refused here, or at its turn in `run`: that burns nothing, and
            what it was for waits on.
reject      operation -> {}
operations  -> {"operations": [{"id": ID, "state": WORD, "detail": TEXT}]}
            All that are known. States as execution::to_string writes them; the detail has the error's sentence, if there is one.
mark        -> {"mark": TEXT}
            What a report tells the hub, by which an older copy of the database is known. Opaque.
classes     -> {"classes": [{"change": KIND, "provenance": WORDS, "class": "benign" or "destructive"}]}
            What authority::class_of says of each kind, "rotate-keys" included, and each provenance.

What the world's file has to tell of each action that was begun: `actions`, note -> {"kind", "guest", "error" if it failed, and
"action": the action as JSON, "incarnation": of the guest as the platform found it, of a create or restore: as it made it}, in the
order in which they were begun. The suite judges by that file; it believes no answer of the program.
"""

import base64
import json
import os
import pathlib
import subprocess

PROGRAM = "tests/unit/agent/agent-call"


def program():
    """The program in the build; None where the build has none."""
    tree = pathlib.Path(__file__).resolve().parents[2]
    path = pathlib.Path(os.environ.get("BLOCKHOST_BUILD") or tree / "build") / PROGRAM
    return path if os.access(path, os.X_OK) else None


class Died(Exception):
    """The program ended, and did not answer."""


class Refused(Exception):
    """The answer is an error."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.code = error["code"]


def encoded(sent):
    """The members `envelope` and `signatures` of a signed operation (envelope.Sent)."""
    return {"envelope": base64.b64encode(sent.raw).decode(), "signatures": [each.text for each in sent.signatures]}


def understood(answer):
    if "error" in answer:
        raise Refused(answer["error"])
    return answer


class Process:
    """The program under test. `left_out`: a name of knobs.py."""

    def __init__(self, *words, left_out=None):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BLOCKHOST_")}
        if left_out:
            environment["BLOCKHOST_LEAVE_OUT"] = left_out
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def call(self, name, **members):
        """Raises Refused, or Died."""
        try:
            self.process.stdin.write(json.dumps({"call": name, **members}).encode() + b"\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            self.close()
            raise Died(f"the program ended with status {self.process.returncode} in \"{name}\"")
        return understood(json.loads(line))

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()
