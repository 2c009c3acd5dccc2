# SPDX-License-Identifier: MIT
"""A host below a root of its own on which templates are built by the real programs, and what must hold there always."""

import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build"))
BINARY = BUILD / "blockhost-libvirt"
QEMU_IMG = "/usr/bin/qemu-img"
IMAGE = re.compile(r"blockhost-base-([0-9a-f]{12})\.qcow2")
PATIENCE = 40


def missing():
    """Why nothing can be tested here; empty when it can."""
    if os.geteuid() != 0:
        return "building templates with the real programs needs root"
    if not os.access(QEMU_IMG, os.X_OK):
        return f"{QEMU_IMG} is missing (apt-get install qemu-utils)"
    return ""


def sh(*words, **more):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **more)


def make_image(folder, seed, content=3 << 20, name="image.qcow2", options=()):
    """A qcow2 image of 64 MiB, with some of it used."""
    raw = folder / "content.raw"
    raw.write_bytes(random.Random(seed).randbytes(content))
    os.truncate(raw, 64 << 20)
    sh(QEMU_IMG, "convert", "-f", "raw", "-O", "qcow2", *options, raw, folder / name)
    raw.unlink()
    return folder / name


def sha512(path):
    return hashlib.sha512(pathlib.Path(path).read_bytes()).hexdigest()


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def same_content(one, other):
    """A guest would see the same on both."""
    compared = subprocess.run([QEMU_IMG, "compare", "-q", "-f", "qcow2", "-F", "qcow2", one, other], stdin=subprocess.DEVNULL)
    assert compared.returncode in (0, 1)
    return compared.returncode == 0


def wait_until(what, seconds=20):
    """Until `what` is true; false when that takes too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def processes_with(text):
    """Processes with that text in their command line."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(text) in words and int(path.parent.name) != os.getpid():
            found.append(words)
    return found


class TemplateHost:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bh-t-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.root = self.folder / "root"
        self.etc = self.root / "etc/blockhost"
        self.etc.mkdir(parents=True)
        self.cache = self.root / "var/cache/blockhost"
        self.state = self.root / "var/lib/blockhost"
        self.templates = self.state / "templates"
        self.packages = self.state / "template-packages"
        self.link = self.templates / "blockhost-base.qcow2"
        self.stand_in = self.templates / "blockhost-base.current"
        self.env = {"PATH": os.environ["PATH"], "BLOCKHOST_ROOT": str(self.root)}
        self.started = []

    def close(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        shutil.rmtree(self.folder)

    # Calls

    def start(self, *words, within=(), verb="build-template"):
        process = subprocess.Popen([*map(str, within), BINARY, verb, *map(str, words)], env=self.env, cwd=self.folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))  # not as under nohup
        self.started.append(process)
        return process

    def run(self, *words, **more):
        process = self.start(*words, **more)
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def build(self, source, *words, **more):
        """A build that must succeed; `source` is a path or what --source takes."""
        named = f"file:{source}" if isinstance(source, pathlib.Path) else source
        run = self.run("--source", named, "--as-is", *words, **more)
        assert run.returncode == 0, run.stderr
        assert run.stdout.splitlines()[-1] == f"Template built successfully: {self.link}"
        return run

    def refuses(self, *words, status=1, says=(), **more):
        """A build that must fail, in one sentence, and change no template. Returns the sentence."""
        before = self.published()
        run = self.run(*words, **more)
        assert run.returncode == status, (run.returncode, run.stdout, run.stderr)
        assert run.stdout == ""
        last = run.stderr.splitlines()[-1]
        assert last.startswith("[build-template] ERROR: "), run.stderr
        assert run.stderr.count("[build-template] ERROR: ") == 1
        for sentence in [says] if isinstance(says, str) else says:
            assert sentence in last, last
        assert self.published() == before
        self.is_clean()
        return last

    # What is there

    def published(self):
        """Everything in the templates folder that a changed template would show in."""
        if not self.templates.is_dir():
            return {}
        found = {}
        for path in self.templates.iterdir():
            now = path.lstat()
            target = os.readlink(path) if path.is_symlink() else None
            found[path.name] = now.st_ino, now.st_mtime_ns, now.st_size, now.st_mode, target
        return found

    def versions(self):
        return sorted(match[1] for match in map(IMAGE.fullmatch, os.listdir(self.templates)) if match)

    def image(self, version):
        return self.templates / f"blockhost-base-{version}.qcow2"

    def manifest(self, version):
        return json.loads((self.templates / f"blockhost-base-{version}.json").read_text())

    def current(self, link=None):
        """The version that the link leads to, after a look at all that must hold of it."""
        link = link or self.link
        target = os.readlink(link)
        match = IMAGE.fullmatch(target)
        assert match, f"{link} leads to {target}"
        self.is_whole(match[1])
        return match[1]

    def is_whole(self, version):
        image, manifest = self.image(version), self.manifest(version)
        found = image.lstat()
        assert oct(found.st_mode) == "0o100444" and found.st_uid == 0
        assert (manifest["version"], manifest["bytes"], manifest["sha256"]) == (version, found.st_size, sha256(image))
        sh(QEMU_IMG, "check", "-q", "-f", "qcow2", image)

    def is_clean(self):
        """No build's leftovers, whatever they are."""
        known = re.compile(r"build\.lock|downloads(/(digest-[0-9a-f]{16}\.json|image-[0-9a-f]{16}(\.checked|\.partial"
                           r"(\.json)?)?))?")
        cache = [str(path.relative_to(self.cache)) for path in self.cache.rglob("*")]
        assert [name for name in cache if not known.fullmatch(name)] == []
        if not self.templates.is_dir():
            return
        names = set(os.listdir(self.templates))
        assert [name for name in names if name.startswith(".")] == []
        alone = [name for name in names if name.endswith(".json") and name[:-5] + ".qcow2" not in names]
        assert alone == []

    # Configuration

    def configure(self, **keys):
        lines = ["bridge: br0", "ip_pool: {network: 10.9.9.0/24, start: 10, end: 12, gateway: 10.9.9.1}"]
        lines += [f"{key}: {json.dumps(value)}" for key, value in keys.items()]
        (self.etc / "db.yaml").write_text("\n".join(lines) + "\n")


class MountSpace:
    """A mount namespace of our own, in which something else may lie at a path. `words` go before a command that shall
    run in it; its mounts end with it."""

    def __init__(self):
        self.holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private",
                                        "sleep", "infinity"], stdin=subprocess.DEVNULL)
        comm = pathlib.Path(f"/proc/{self.holder.pid}/comm")
        assert wait_until(lambda: comm.read_text() == "sleep\n")
        self.words = ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", "--"]

    def close(self):
        self.holder.kill()
        self.holder.wait()

    def sh(self, *words):
        return sh(*self.words, *words)

    def mount_tmpfs(self, folder, size):
        folder.mkdir(parents=True, exist_ok=True)
        self.sh("mount", "-t", "tmpfs", "-o", f"size={size},mode=0711", "tmpfs", folder)

    def path(self, path):
        """Where we see what it sees at `path`."""
        return pathlib.Path(f"/proc/{self.holder.pid}/root{path}")

    def replace_qemu_img(self, folder, script):
        """`$REAL` in the script is the real one."""
        real, fake = folder / "real-qemu-img", folder / "qemu-img"
        real.touch()
        fake.write_text(f"#!/bin/sh\nREAL={real}\n{script}\n")
        fake.chmod(0o755)
        self.sh("mount", "--bind", QEMU_IMG, real)
        self.sh("mount", "--bind", fake, QEMU_IMG)

    def make_qemu_img_wait(self, folder):
        """It writes half an image and goes on when the file `go` appears in the folder, for which it waits long. Returns
        what tells whether it waits."""
        self.replace_qemu_img(folder, f"""
            if [ "$1" = convert ]; then
                for last; do :; done
                head -c 100000 /dev/zero > "$last"
                touch {folder}/waits
                while [ ! -e {folder}/go ]; do sleep 0.0{os.getpid()}; done
                rm "$last"
            fi
            exec $REAL "$@" """)
        return lambda: (folder / "waits").exists()


def ended(process, status, seconds=10):
    """Its end, which must come soon."""
    out, err = process.communicate(timeout=seconds)
    assert process.returncode == status, (process.returncode, out, err)
    return err


KILLED, TERMINATED, INTERRUPTED = -signal.SIGKILL, 143, 130
