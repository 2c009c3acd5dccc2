# SPDX-License-Identifier: MIT
"""A libvirtd of the tests' own, in namespaces of its own: one that may be stopped, killed, restarted and given hooks.

/run, /etc/libvirt and libvirt's folders below /var are private to it; what is changed there goes with it. It begins with the
system's settings, but without its domains, pools and hooks, which are others'.
"""

import os
import pathlib
import signal
import subprocess

import pytest
from machine import wait_until

START = """
set -e
mount -t tmpfs none /run
for d in /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
    [ "$d" != /etc/libvirt ] || { mkdir /run/kept; cp -a /etc/libvirt/. /run/kept/; }
    mount -t tmpfs none $d
done
cp -a /run/kept/. /etc/libvirt/
rm -rf /etc/libvirt/qemu/*.xml /etc/libvirt/qemu/autostart /etc/libvirt/storage /etc/libvirt/hooks
chmod 0711 /var/lib/libvirt /var/cache/libvirt
mkdir -p /run/libvirt
mkdir /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs none /sys
mount --rbind /run/cgroup /sys/fs/cgroup
ip link set lo up
virtlogd >/dev/null 2>&1 --daemon --pid-file /run/virtlogd.pid
printf '%s' "$LIBVIRTD_SETTINGS" >>/etc/libvirt/libvirtd.conf
libvirtd >/dev/null 2>&1 --daemon --pid-file /run/libvirtd.pid
for d in virtlogd libvirtd; do echo "$(cat /run/$d.pid)"; done
exec sleep "$LIFETIME"
"""


class Daemon:
    """A libvirtd in its own mount and network namespaces. `settings`: lines for its libvirtd.conf. `lifetime`: after so many
    seconds it is gone even if nobody closes it."""

    def __init__(self, settings="", lifetime=1000):
        self.holder = subprocess.Popen(["unshare", "-mn", "--propagation", "private", "sh", "-c", START],
                                       stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
                                       env={**os.environ, "LIBVIRTD_SETTINGS": settings, "LIFETIME": str(lifetime)})
        try:
            self.virtlogd = int(self.holder.stdout.readline())
            self.pid = int(self.holder.stdout.readline())
        except ValueError:
            self.close()
            pytest.skip("a libvirtd of our own cannot be started in namespaces here")
        self.prefix = ["nsenter", "-t", str(self.holder.pid), "-m", "-n"]
        wait_until("the daemon to answer", 30, lambda: subprocess.run(
            [*self.prefix, "virsh", "-c", "qemu:///system", "capabilities"], capture_output=True).returncode == 0)

    def run(self, *words, check=True, **more):
        """A command where this daemon is."""
        return subprocess.run([*self.prefix, *map(str, words)], check=check, capture_output=True, text=True, **more)

    def virsh(self, *words, check=True):
        return self.run("virsh", "-c", "qemu:///system", *words, check=check)

    def send(self, number):
        os.kill(self.pid, number)

    def gone(self):
        """Whether the daemon's process has ended; nobody may have collected it yet."""
        try:
            return pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    def restart(self):
        subprocess.run([*self.prefix, "libvirtd", "--daemon", "--pid-file", "/run/libvirtd.pid"], check=True)
        self.pid = int(self.run("cat", "/run/libvirtd.pid").stdout)
        wait_until("the daemon to answer", 30, lambda: self.virsh("list", check=False).returncode == 0)

    def inhabitants(self):
        """Ids of the processes in this daemon's mount namespace: its own, its QEMUs' and the holder's."""
        def namespace(pid):
            try:
                return os.readlink(f"/proc/{pid}/ns/mnt")
            except OSError:
                return None
        here = namespace(self.holder.pid)
        if here in (None, namespace(os.getpid())):
            return []
        return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and namespace(pid) == here]

    def close(self):
        for pid in self.inhabitants():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.holder.kill()
        self.holder.wait()
