#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make-folders.py [STATE]: makes BlockHost's state folders, or gives them the owner and mode that they need.

May be run at any time, as root: the package does when it is configured, and the first-boot hook once libvirt is
there. Only the folders themselves are changed, never what is in them. The state folder is the blockhost user's, so that
nothing in it is opened through a link: one that an admin put there is left as it is.
"""

import grp
import os
import pwd
import stat
import sys

STATE = "/var/lib/blockhost"
USER = "blockhost"
HYPERVISOR_GROUP = "libvirt-qemu"

READ_BY_QEMU = ("vms", "cloud-init")
WALKED_THROUGH = ("console",)
OURS = ("metrics", "journal", "suspended", "kept-off", "half-kept", "replaced")
# What lies in here goes into every guest, or is what every guest's disk stands on.
ROOTS = ("template-packages", "templates")


def ids_of_user(name):
    """Uid and gid; root's where there is no such user."""
    try:
        entry = pwd.getpwnam(name)
        return entry.pw_uid, entry.pw_gid
    except KeyError:
        return 0, 0


def gid_of(group):
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def folders():
    """Name, uid, gid and mode of each."""
    user, group = ids_of_user(USER)
    hypervisor = gid_of(HYPERVISOR_GROUP)
    for name in READ_BY_QEMU:
        yield (name, user, group, 0o711) if hypervisor is None else (name, user, hypervisor, 0o710)
    for name in WALKED_THROUGH:
        yield name, user, group, 0o711
    for name in OURS:
        yield name, user, group, 0o750
    for name in ROOTS:
        yield name, 0, 0, 0o755


def make_state(path):
    """Made here only where the package, or blockhost-common's, has not done it; as they do."""
    try:
        os.mkdir(path, 0o750)
    except FileExistsError:
        return
    os.chown(path, *ids_of_user(USER))


def make(state, name, user, group, mode):
    try:
        os.mkdir(name, 0o700, dir_fd=state)
    except FileExistsError:
        pass
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=state)
    try:
        found = os.fstat(folder)
        if (found.st_uid, found.st_gid) != (user, group):
            os.fchown(folder, user, group)
        if stat.S_IMODE(found.st_mode) != mode:
            os.fchmod(folder, mode)
    finally:
        os.close(folder)


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else STATE
    make_state(path)
    state = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name, user, group, mode in folders():
        try:
            make(state, name, user, group, mode)
        except OSError as reason:
            print(f"{path}/{name} is left as it is: {reason.strerror}", file=sys.stderr)


if __name__ == "__main__":
    main()
