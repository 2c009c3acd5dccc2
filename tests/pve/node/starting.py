# SPDX-License-Identifier: MIT
"""The workers that start a VM or a container: of a start, and behind a create or a restore."""

from .errors import failed


def begin_start(world, node, vmid, who):
    """The UPID of a start of a VM; whether there is such a VM is found out by the worker."""
    def work(task):
        guest = world.guests.find(node, "qemu", vmid)
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            guest.check_lock()
            yield task.seconds
            if guest.running:
                raise failed(f"VM {vmid} already running")
            if guest.config.get("template") == "1":
                raise failed("you can't start a vm if it's a template")
            for key in guest.disk_keys():
                if "iothread=1" in guest.config[key] and key.startswith("scsi") and (
                        guest.config.get("scsihw") != "virtio-scsi-single"):
                    task.warn("iothread is only valid with virtio disk or virtio-scsi-single controller, ignoring")
            guest.turn_on()
    return world.tasks.fork(node, "qmstart", vmid, who, work)


def begin_container_start(world, guest, who):
    def work(task):
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            guest.check_lock()
            yield task.seconds
            guest.turn_on()
    return world.tasks.fork(guest.node, "vzstart", guest.vmid, who, work)
