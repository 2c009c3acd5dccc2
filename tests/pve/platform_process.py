# SPDX-License-Identifier: MIT
"""The program under test: a node as a platform, one command a line (tests/unit/platform/platform_call.cpp)."""

import json
import os
import pathlib
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build")) / "tests/unit/platform/platform-call"


class Failed(Exception):
    """The program's error; `code`, `message`, `hint`, `lost` when nobody knows what came of a change, and what the node
    meant by its refusal: `kind`, `words`, `path`, `privileges`, `lock`, `parameters`."""

    def __init__(self, told):
        super().__init__(told["message"] + ("; " + told["hint"] if told["hint"] else ""))
        self.code, self.message, self.hint, self.lost = told["code"], told["message"], told["hint"], told.get("lost", False)
        self.refusal = told.get("refusal", {})


class Platform:
    """A process that speaks to a platform: to the stand-in, whose certificate is pinned, or to what the settings say."""

    def __init__(self, standin, secrets, /, *, token=None, role="Agent16", token_text=None, env=None, cwd=None, **settings):
        told = settings
        if standin:
            secrets.mkdir(exist_ok=True, parents=True)
            secret = secrets / "token"
            secret.touch(mode=0o600)
            secret.write_text((token_text or standin.token(token or "agent@pve!main", role)) + "\n")
            told = {"origin": f"https://{standin.address}", "token_file": str(secret),
                    "pins": ["sha256:" + standin.fingerprint.replace("SHA256:", "")]} | settings
        self.process = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={"PATH": os.environ["PATH"], **(env or {})}, cwd=cwd)
        self.send(told)

    def send(self, line):
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()

    def answer(self):
        return json.loads(self.process.stdout.readline())

    def do(self, wish, **command):
        self.send({"do": wish, **command})
        told = self.answer()
        if "error" in told:
            raise Failed(told["error"])
        return told["answer"]

    def get(self, path, **parameters):
        return self.do("get", path=path, parameters=parameters)

    def change(self, method, path, **parameters):
        return self.do("change", method=method, path=path, parameters=parameters)

    def guest(self, number):
        return self.do("guest", guest=str(number))

    def wanted(self, number, kind, incarnation=None, **action):
        """A target and an action, as "note", "begin" and "recover" take them."""
        if incarnation is None:
            incarnation = self.guest(number)["incarnation"]
        return {"guest": str(number), "incarnation": incarnation, "action": {"kind": kind, **action}}

    def begin(self, number, kind, incarnation=None, **action):
        wanted = self.wanted(number, kind, incarnation, **action)
        return self.do("begin", **wanted, note=self.do("note", **wanted))

    def carry_out(self, number, kind, **action):
        """Begins an action and waits for its end."""
        return self.do("await", handle=self.begin(number, kind, **action))

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()
