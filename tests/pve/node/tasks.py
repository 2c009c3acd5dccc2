# SPDX-License-Identifier: MIT
"""Workers: what a UPID stands for. A worker is a generator that gets its task; what it raises is the exit status."""

import itertools
import re

from .clock import Signal
from .errors import ApiError, failed, invalid
from .formats import split_list
from .registry import call

UPID = re.compile(r"UPID:([a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?):([0-9A-Fa-f]{8}):([0-9A-Fa-f]{8,9}):"
                  r"([0-9A-Fa-f]{8}):([^:\s]+):([^:\s]*):([^:\s]+):")
SECONDS = {"qmcreate": 0.4, "qmstart": 0.4, "qmdestroy": 0.4, "qmsnapshot": 0.4, "qmdelsnapshot": 0.3,
           "qmrollback": 0.4,
           "vzcreate": 0.4, "vzstart": 1.5, "vzdestroy": 0.3, "vzrestore": 0.4, "vzdump": 0.4, "qmrestore": 0.4}
"""What a worker of that type takes, beside what it waits for."""
USUAL = 0.1
KEPT = 1000
INTERRUPT = "received interrupt"


class Task:
    def __init__(self, node, pid, pstart, started, kind, ident, who):
        self.node, self.pid, self.pstart, self.started = node, pid, pstart, int(started)
        self.kind, self.ident, self.who = kind, ident, who
        self.upid = f"UPID:{node}:{pid:08X}:{pstart:08X}:{int(started):08X}:{kind}:{ident}:{who}:"
        self.lines, self.warnings, self.status, self.ended = [], 0, None, None
        self.over, self.running, self.seconds = Signal(), None, None

    def log(self, text):
        self.lines += text.split("\n")

    def warn(self, text):
        self.warnings += 1
        self.log("WARN: " + text)

    @property
    def user(self):
        return self.who.partition("!")[0]

    @property
    def token(self):
        return self.who.partition("!")[2]

    def state(self):
        """How its end counts: ok, warning, error or unknown."""
        if self.status == "OK":
            return "ok"
        if self.status == "unexpected status":
            return "unknown"
        return "warning" if re.fullmatch(r"WARNINGS: \d+", self.status) else "error"

    def split_user(self):
        return {"user": self.user} | ({"tokenid": self.token} if self.token else {})


class Tasks:
    def __init__(self, world):
        self.world, self.clock = world, world.clock
        self.by_upid, self.pids, self.next_seconds = {}, itertools.count(1400), None
        self.seconds = dict(SECONDS)

    def fork(self, node, kind, ident, who, work):
        """Begins a worker; `work(task)` is a generator. Gives the UPID."""
        now = self.clock.shown()
        pstart = int((now - self.world.booted) * 100)
        task = Task(node, next(self.pids), pstart, now, kind, str(ident), who)
        task.seconds = self.seconds.get(kind, USUAL) if self.next_seconds is None else self.next_seconds
        self.next_seconds = None
        self.by_upid[task.upid] = task
        self._forget_old()
        self.world.journal(node, who, f"starting task {task.upid}")

        def ended(_, error):
            if task.status is None:
                self._close(task, error)

        def working():
            yield 0  # the UPID is out before anything happens
            began = self.clock.now()
            try:
                yield from work(task)
            except ApiError as error:
                if error.text != INTERRUPT:
                    yield max(0, began + task.seconds - self.clock.now())  # who fails early does not fail at once
                raise

        task.running = self.clock.spawn(working(), ended)
        return task.upid

    def _close(self, task, error):
        task.ended = int(self.clock.shown())
        if error is not None:
            if not isinstance(error, ApiError):
                error = failed(f"{type(error).__name__}: {error}")
            text = error.text.strip()
            if error.status == 403:
                text = f"403 {text}"
            task.status = text.replace("\n", " ")
            task.log("TASK ERROR: " + text)
        elif task.warnings:
            task.status = f"WARNINGS: {task.warnings}"
            task.log("TASK " + task.status)
        else:
            task.status = "OK"
            task.log("TASK OK")
        self.world.journal(task.node, task.who, f"end task {task.upid} {task.status}")
        task.over.fire()

    def interrupt(self, task):
        if task.status is None:
            task.running.interrupt(ApiError(500, INTERRUPT))

    def kill(self, task):
        """As by SIGKILL: nobody writes an end."""
        if task.status is None:
            task.status, task.ended = "unexpected status", int(self.clock.shown())
            task.running.abandon()
            task.over.fire()

    def vanish(self, upid):
        del self.by_upid[upid]

    def _forget_old(self):
        if len(self.by_upid) > KEPT * 2:
            done = [upid for upid, task in self.by_upid.items() if task.status is not None]
            for upid in done[:len(done) - KEPT]:
                del self.by_upid[upid]

    def running(self, kind=None, ident=None):
        return [task for task in self.by_upid.values() if task.status is None and kind in (None, task.kind)
                and ident in (None, task.ident)]

    def visible(self, who, node=None):
        """A token sees its own, a user those of its tokens, an auditor all; newest first."""
        audits = {name: self.world.access.has(who, f"/nodes/{name}", "Sys.Audit") for name in self.world.nodes}
        found = [task for task in self.by_upid.values() if node in (None, task.node)
                 and (audits.get(task.node) or owns(who, task))]
        return sorted(enumerate(found), key=lambda pair: (pair[1].started, pair[0]), reverse=True)


def owns(who, task):
    return task.who == who or ("!" not in who and task.user == who)


def _find(request, node, upid, for_log=False):
    if not UPID.fullmatch(upid):
        raise invalid(upid="unable to parse worker upid")
    task = request.world.tasks.by_upid.get(upid)
    who, access = request.who, request.world.access
    found = UPID.fullmatch(upid)
    its_owner = found[8]
    if not (its_owner == who or ("!" not in who and its_owner.partition("!")[0] == who)):
        access.need(who, f"/nodes/{node}", "Sys.Audit")
    if (task is None or task.node != node) and not for_log:
        raise invalid(upid="no such task")
    return task


@call("GET", "/nodes/{node}/tasks/{upid}/status")
def status(request, node, upid):
    task = _find(request, node, upid)
    found = {"upid": upid, "node": task.node, "pid": task.pid, "pstart": task.pstart, "starttime": task.started,
             "type": task.kind, "id": task.ident, "status": "running" if task.status is None else "stopped"}
    return found | task.split_user() | ({} if task.status is None else {"exitstatus": task.status})


@call("GET", "/nodes/{node}/tasks/{upid}/log")
def log(request, node, upid, start=0, limit=50, download=0):
    task = _find(request, node, upid, for_log=True)
    if task is None:
        lines = ["unable to open file - No such file or directory"]
    else:
        lines = task.lines
    if download:
        request.plain_text = "".join(line + "\n" for line in lines)
        return None
    request.total = len(lines) or 1
    if not lines:
        return [{"n": 1, "t": "no content"}]
    numbered = [{"n": number, "t": line} for number, line in enumerate(lines, 1)]
    return numbered[start:start + limit] if limit else numbered[start:]


@call("DELETE", "/nodes/{node}/tasks/{upid}")
def stop(request, node, upid):
    if not UPID.fullmatch(upid):
        raise invalid(upid="unable to parse worker upid")
    task = request.world.tasks.by_upid.get(upid)
    if task is None:
        raise invalid(upid="no such task")
    if not owns(request.who, task):
        request.world.access.need(request.who, f"/nodes/{node}", "Sys.Modify")
    if task.status is None:
        request.world.tasks.interrupt(task)
        yield 1.0
    return None


def _row(task, split):
    found = {"upid": task.upid, "node": task.node, "pid": task.pid, "pstart": task.pstart, "starttime": task.started,
             "type": task.kind, "id": task.ident}
    if split:
        return found | task.split_user() | {"endtime": task.ended, "status": task.status}
    return found | {"user": task.who, "saved": "0", "status": "RUNNING"}


@call("GET", "/nodes/{node}/tasks")
def node_tasks(request, node, start=0, limit=50, source="archive", vmid=None, errors=0, statusfilter=None,
               typefilter=None,
               userfilter=None, since=None, until=None):
    states = {"error", "warning", "unknown"} if errors else set(split_list(statusfilter)) if statusfilter else None
    found = []
    for _, task in request.world.tasks.visible(request.who, node):
        active = task.status is None
        if (active and source == "archive") or (not active and source == "active"):
            continue
        if vmid is not None and task.ident != str(vmid) or typefilter and task.kind != typefilter:
            continue
        if userfilter and userfilter.lower() not in task.who.lower():
            continue
        if since is not None and task.started < since or until is not None and task.started > until:
            continue
        if states and (active or task.state() not in states):
            continue
        found.append(_row(task, split=not active))
    found.sort(key=lambda row: row["status"] != "RUNNING")
    request.total = len(found)
    return found[start:start + limit] if limit else found[start:]


@call("GET", "/nodes/{node}/tasks/{upid}")
def index(_request, **_):
    return [{"name": "log"}, {"name": "status"}]


@call("GET", "/cluster/tasks")
def cluster_tasks(request):
    found = []
    for _, task in request.world.tasks.visible(request.who)[:25]:
        row = {"upid": task.upid, "node": task.node, "starttime": task.started, "type": task.kind, "id": task.ident}
        row |= task.split_user()
        found.append(row | ({"pid": task.pid} if task.status is None else
                            {"endtime": task.ended, "status": task.status, "saved": "1"}))
    return found


