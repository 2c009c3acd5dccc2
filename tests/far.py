# SPDX-License-Identifier: MIT
"""Another host, as far as restic can tell: an SSH server that gives one user files, and an HTTP server that only takes."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import time

from ports import free_port

MISSING = [each for each in ("dropbear", "rclone", "restic") if not shutil.which(each)]
SAVER, KEEPER = 64901, 64902
"""Users of these tests' own: who runs restic here, and whose files they are there."""
PROBE_SECONDS = 20


class Far:
    """`folder`: every user may pass through it. Both users are in a user database that only `wrapped` commands see."""

    def __init__(self, folder):
        self.folder, self.running = pathlib.Path(folder), []
        self.home, self.there = self.folder / "home", self.folder / "there"
        self.port = free_port()
        for path, user in ((self.home, SAVER), (self.there, KEEPER)):
            (path / ".ssh").mkdir(mode=0o700, parents=True)
            path.chmod(0o700)
        (self.folder / "passwd").write_text(pathlib.Path("/etc/passwd").read_text()
                                            + f"bh-saver:x:{SAVER}:{SAVER}::{self.home}:/usr/sbin/nologin\n"
                                            + f"bh-keeper:x:{KEEPER}:{KEEPER}::{self.there}:/bin/sh\n")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.home / ".ssh/id_ed25519"], check=True)
        shutil.copy(self.home / ".ssh/id_ed25519.pub", self.there / ".ssh/authorized_keys")
        made = subprocess.run(["dropbearkey", "-t", "ed25519", "-f", self.folder / "host-key"], check=True, capture_output=True, text=True)
        key = next(line for line in made.stdout.splitlines() if line.startswith("ssh-ed25519 "))
        (self.home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{self.port} {key}\n")
        for path, user in ((self.home, SAVER), (self.there, KEEPER)):
            for each in (path, *path.rglob("*")):
                os.chown(each, user, user)

    def wrapped(self, *words):
        """The command, where the users are."""
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', self.folder / "passwd", *words]

    def address(self, name="repository"):
        return f"sftp://bh-keeper@127.0.0.1:{self.port}/{self.there}/{name}"

    def start(self, port, *words):
        log = (self.folder / "server.log").open("a")
        process = subprocess.Popen(list(map(str, words)), stdout=log, stderr=log)
        self.running.append(process)
        end = time.monotonic() + PROBE_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return process
            assert process.poll() is None and time.monotonic() < end, (self.folder / "server.log").read_text()
            time.sleep(0.05)

    def ssh(self):
        return self.start(self.port, *self.wrapped("dropbear", "-F", "-E", "-s", "-j", "-k", "-P", "", "-r", self.folder / "host-key",
                                                   "-p", f"127.0.0.1:{self.port}"))

    def takes_only(self):
        """A server that lets nobody remove anything but locks; its address."""
        port, folder = free_port(), self.folder / "taken"
        folder.mkdir()
        self.start(port, "rclone", "--config", "", "serve", "restic", "--append-only", "--addr", f"127.0.0.1:{port}", folder)
        return f"rest:http://127.0.0.1:{port}/"

    def stop(self, *processes):
        for process in processes or self.running:
            process.terminate()
            process.wait()
