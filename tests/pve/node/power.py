# SPDX-License-Identifier: MIT
"""Starting and stopping VMs and containers. The same mistake is late for one and at once for the other."""

from .clock import Wait
from .errors import failed
from .registry import call
from .starting import begin_container_start, begin_start
from .vm import refuse_skiplock, world_guest

ABORT_SECONDS = 3
DEFAULT_TIMEOUT = {"qemu": 180, "lxc": 60}


@call("POST", "/nodes/{node}/qemu/{vmid}/status/start")
def start_vm(request, node, vmid, **_):
    refuse_skiplock(request.parameters)
    return begin_start(request.world, node, vmid, request.who)


@call("POST", "/nodes/{node}/lxc/{vmid}/status/start")
def start_container(request, node, vmid, **_):
    refuse_skiplock(request.parameters)
    guest = request.world.guests.find(node, "lxc", vmid)
    if guest.running:
        raise failed(f"CT {vmid} already running")
    return begin_container_start(request.world, guest, request.who)


def refuse_stopped(guest):
    if not guest.running:
        raise failed(f"{guest.word} {guest.vmid} not running")


@call("POST", "/nodes/{node}/qemu/{vmid}/status/stop")
@call("POST", "/nodes/{node}/lxc/{vmid}/status/stop")
def stop(request, node, vmid, overrule_shutdown=0, **_):
    refuse_skiplock(request.parameters)
    guest, world = world_guest(request, node, vmid), request.world
    if guest.kind == "lxc":
        refuse_stopped(guest)
    kind = "qm" if guest.kind == "qemu" else "vz"

    def work(task):
        if overrule_shutdown:
            others = world.tasks.running(kind + "shutdown", str(vmid))
            for other in others:
                world.tasks.interrupt(other)
            if others:
                listed = ", ".join(other.upid for other in others)
                task.log(f"overruled {kind}shutdown tasks: {listed}")
                yield ABORT_SECONDS
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            yield task.seconds
            if guest.running:
                guest.check_lock()
                guest.turn_off()

    return world.tasks.fork(node, kind + "stop", vmid, request.who, work)


def shutting_down(guest, task, timeout, force):
    """A generator, with the lock held: waits for the guest, which may never react."""
    if guest.reacts is not None and guest.reacts <= timeout and not guest.paused:
        yield guest.reacts
    else:
        yield max(0, timeout - task.seconds)
        if not force:
            raise failed("VM quit/powerdown failed - got timeout" if guest.kind == "qemu" else "container did not stop")
        if guest.kind == "qemu":
            task.log("VM still running - terminating now with SIGTERM")
    guest.turn_off()


@call("POST", "/nodes/{node}/qemu/{vmid}/status/shutdown")
@call("POST", "/nodes/{node}/lxc/{vmid}/status/shutdown")
def shutdown(request, node, vmid, timeout=None, forceStop=0, **_):
    refuse_skiplock(request.parameters)
    guest, world = world_guest(request, node, vmid), request.world
    if guest.kind == "lxc":
        refuse_stopped(guest)
    kind = "qm" if guest.kind == "qemu" else "vz"
    limit = DEFAULT_TIMEOUT[guest.kind] if timeout is None else timeout

    def work(task):
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            yield task.seconds
            if guest.running:
                guest.check_lock()
                yield from shutting_down(guest, task, limit, forceStop)

    return world.tasks.fork(node, kind + "shutdown", vmid, request.who, work)


@call("POST", "/nodes/{node}/qemu/{vmid}/status/reboot")
@call("POST", "/nodes/{node}/lxc/{vmid}/status/reboot")
def reboot(request, node, vmid, timeout=None, **_):
    guest, world = world_guest(request, node, vmid), request.world
    refuse_stopped(guest)
    kind = "qm" if guest.kind == "qemu" else "vz"
    limit = DEFAULT_TIMEOUT[guest.kind] if timeout is None else timeout

    def work(task):
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            guest.check_lock()
            yield task.seconds
            yield from shutting_down(guest, task, limit, force=0)
            guest.turn_on()

    return world.tasks.fork(node, kind + "reboot", vmid, request.who, work)


def begin_pause(request, node, vmid, kind, act):
    guest, world = world_guest(request, node, vmid), request.world

    def work(task):
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            yield task.seconds
            act(guest)

    return world.tasks.fork(node, kind, vmid, request.who, work)


@call("POST", "/nodes/{node}/qemu/{vmid}/status/suspend")
def suspend(request, node, vmid, todisk=0, **_):
    refuse_skiplock(request.parameters)
    guest = request.world.guests.find(node, "qemu", vmid)
    refuse_stopped(guest)
    if todisk:
        def to_disk(guest):
            guest.check_lock()
            guest.turn_off()
            guest.config["lock"] = "suspended"
        return begin_pause(request, node, vmid, "qmsuspend", to_disk)

    def pause(guest):
        guest.check_lock()
        guest.paused = True
    return begin_pause(request, node, vmid, "qmpause", pause)


@call("POST", "/nodes/{node}/qemu/{vmid}/status/resume")
def resume(request, node, vmid, **_):
    refuse_skiplock(request.parameters)
    guest = request.world.guests.find(node, "qemu", vmid)
    if guest.config.get("lock") != "suspended":
        refuse_stopped(guest)

    def go_on(guest):
        if guest.config.get("lock") == "suspended":
            del guest.config["lock"]
            guest.turn_on()
        guest.paused = False
    return begin_pause(request, node, vmid, "qmresume", go_on)


@call("POST", "/nodes/{node}/qemu/{vmid}/status/reset")
def reset(request, node, vmid, **_):
    refuse_skiplock(request.parameters)
    guest = request.world.guests.find(node, "qemu", vmid)
    refuse_stopped(guest)
    return begin_pause(request, node, vmid, "qmreset", lambda guest: guest.check_lock())


def wait_for_task(world, upid, seconds):
    """A generator: None when it ended well in time, the UPID when it still runs, its error otherwise."""
    task = world.tasks.by_upid[upid]
    if task.status is None and not (yield Wait(task.over, seconds)):
        return upid
    if task.state() in ("ok", "warning"):
        return None
    raise failed(task.status)
