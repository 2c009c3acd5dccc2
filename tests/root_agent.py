# SPDX-License-Identifier: MIT
"""The host's root agent, written after docs/contract.md ("Root agent"): a Unix socket, one framed JSON request a
connection, one action at a time. Actions come from plugin files; `ip6-route-add` and `ip6-route-del` are its own, with
the validation that the real one has.

    python3 root_agent.py SOCKET GROUP PROGRAM PLUGIN...

PROGRAM stands in for /usr/bin/blockhost-libvirt. Each action asked for is a line on stdout: its name, and its step.
"""

import asyncio
import json
import os
import re
import shutil
import struct
import subprocess
import sys

LARGEST = 10 << 20
BRIDGES = {"vmbr0", "virbr0", "br0", "br-ext", "docker0"}


def change_route(verb):
    def carry_out(params):
        address, dev = params["address"], params["dev"]
        if not re.fullmatch(r"[0-9a-fA-F:]+/128", address):
            raise ValueError(f"Invalid address: {address!r}")
        if dev not in BRIDGES and not re.fullmatch(r"tap\d+i\d+", dev):
            raise ValueError(f"Invalid device: {dev!r}")
        run = subprocess.run(["ip", "-6", "route", verb, address, "dev", dev], capture_output=True, text=True)
        return {"ok": run.returncode == 0, "output": run.stdout, "error": run.stderr.strip()}
    return carry_out


def load(path, program):
    names = {"__name__": os.path.basename(path)}
    exec(compile(open(path).read(), path, "exec"), names)
    names["PROGRAM"] = program
    return names["ACTIONS"]


class Agent:
    def __init__(self, actions):
        self.actions = actions

    def answer(self, request):
        name, params = request.get("action"), request.get("params", {})
        print(name, params.get("step", ""), flush=True)
        if name not in self.actions:
            return {"ok": False, "error": f"Unknown action: {name}"}
        try:
            return self.actions[name](params)
        except Exception as error:  # as the real one
            return {"ok": False, "error": str(error)}

    async def serve(self, reader, writer):
        try:
            size = struct.unpack(">I", await asyncio.wait_for(reader.readexactly(4), 10))[0]
            if size > LARGEST:
                return
            request = json.loads(await asyncio.wait_for(reader.readexactly(size), 10))
            reply = json.dumps(self.answer(request)).encode()
            writer.write(struct.pack(">I", len(reply)) + reply)
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError, ConnectionError):
            pass
        finally:
            writer.close()


async def main(socket, group, program, *plugins):
    actions = {"ip6-route-add": change_route("replace"), "ip6-route-del": change_route("del")}
    for plugin in plugins:
        for name, action in load(plugin, program).items():
            actions.setdefault(name, action)
    server = await asyncio.start_unix_server(Agent(actions).serve, socket)
    os.chmod(socket, 0o660)
    shutil.chown(socket, "root", int(group))
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
