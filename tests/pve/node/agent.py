# SPDX-License-Identifier: MIT
"""Calls that a VM's guest agent answers, if there is one."""

import itertools

from .errors import failed
from .guests import agent_enabled
from .registry import call

SILENCE = 3
AT = "/nodes/{node}/qemu/{vmid}/agent/"
INFO = {"version": "7.2.0", "supported_commands": []}


def answering(request, node, vmid):
    """A generator: what this guest's agent answers, after finding out that there is one."""
    guest = request.world.guests.find(node, "qemu", vmid)
    if not agent_enabled(guest.config):
        raise failed("No QEMU guest agent configured")
    if not guest.running:
        raise failed(f"VM {vmid} is not running")
    if guest.agent is None:
        yield SILENCE
        raise failed("QEMU guest agent is not running")
    return guest.agent


def told(name, default):
    """A call whose answer a test prepared under that name."""
    def serve(request, node, vmid, **_):
        agent = yield from answering(request, node, vmid)
        return {"result": agent.get(name, default)}
    return serve


for _name, _default in {"get-fsinfo": [], "network-get-interfaces": [], "info": INFO, "get-osinfo": {},
                        "get-host-name": {},
                        "get-time": 0, "get-timezone": {"offset": 0}, "get-users": [], "get-vcpus": []}.items():
    call("GET", AT + _name)(told(_name, _default))
for _name, _default in {"ping": {}, "fsfreeze-status": "thawed", "fsfreeze-freeze": 1, "fsfreeze-thaw": 1,
                        "fstrim": {"paths": []}}.items():
    call("POST", AT + _name)(told(_name, _default))


@call("POST", AT + "shutdown")
def shutdown(request, node, vmid):
    yield from answering(request, node, vmid)
    guest = request.world.guests.find(node, "qemu", vmid)
    request.world.clock.call_in(guest.reacts or 0, guest.turn_off)
    return {"result": {}}


@call("POST", AT + "exec")
def execute(request, node, vmid, command, input_data=None):
    """`agent["exec"]` is a function: words, input -> (exit code, output, errors), or a dict by the words joined."""
    agent = yield from answering(request, node, vmid)
    known = agent.get("exec", {})
    words = " ".join(command)
    result = known(command, input_data) if callable(known) else known.get(words, (127, "", f"{words}: not found\n"))
    pid = next(agent.setdefault("pids", itertools.count(1200)))
    agent.setdefault("processes", {})[pid] = (request.world.clock.now() + agent.get("seconds", 0), tuple(result))
    return {"pid": pid}


@call("GET", AT + "exec-status")
def exec_status(request, node, vmid, pid):
    agent = yield from answering(request, node, vmid)
    processes = agent.setdefault("processes", {})
    if pid not in processes:
        raise failed(f"Agent error: Invalid parameter 'pid'\nPID {pid} does not exist")
    ends, (code, output, errors) = processes[pid]
    if request.world.clock.now() < ends:
        return {"exited": 0}
    del processes[pid]
    found = {"exited": 1, "exitcode": code}
    found |= {"out-data": output} if output else {}
    return found | ({"err-data": errors} if errors else {})


@call("GET", AT + "file-read")
def file_read(request, node, vmid, file):
    agent = yield from answering(request, node, vmid)
    files = agent.setdefault("files", {})
    if file not in files:
        raise failed(f"Agent error: failed to open file '{file}' (mode: 'r'): No such file or directory")
    return {"content": files[file], "bytes-read": len(files[file].encode())}


@call("POST", AT + "file-write")
def file_write(request, node, vmid, file, content, encode=1):
    agent = yield from answering(request, node, vmid)
    agent.setdefault("files", {})[file] = content
