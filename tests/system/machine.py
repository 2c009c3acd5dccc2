# SPDX-License-Identifier: MIT
"""A BlockHost machine of its own for the system suite: root folder, bridge, configuration, template; and its removal.

Everything carries a prefix of this process, lives in a folder of its own and is removed in close(), whatever happened.
Other domains, pools, filters and bridges on the host are left alone.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests"))
import invariants  # noqa: E402

BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build"))
BINARY = BUILD / "blockhost-libvirt"
WALLET = "0x" + "ab" * 20


class Failed(subprocess.CalledProcessError):
    def __str__(self):
        return f"{super().__str__()} {self.stderr}"


def sh(*words, check=True, **more):
    run = subprocess.run(words, capture_output=True, text=True, **more)
    if check and run.returncode != 0:
        raise Failed(run.returncode, words, run.stdout, run.stderr)
    return run


def guest(kind):
    """Folder and variables of a test guest, built at first need and cached."""
    out = sh(TREE / "tests/guest" / f"build-{kind}.sh", stdin=subprocess.DEVNULL)
    folder = pathlib.Path(out.stdout.strip().splitlines()[-1])
    settings = {}
    for line in (folder / "guest.env").read_text().splitlines():
        key, _, value = line.partition("=")
        settings[key] = " ".join(shlex.split(value))
    return settings


class Machine:
    """One relocated root with its bridge. `kind`: the guest that becomes its template. `prefix`: words before every
    command, for a machine that lives in namespaces of its own."""

    counter = 0

    def __init__(self, kind="quick", ipv6=True, prefix=()):
        Machine.counter += 1
        self.tag = f"{os.getpid() % 100000:05d}{Machine.counter}"
        self.bridge = f"bht{self.tag}"
        self.subnet = 1 + (os.getpid() * 7 + Machine.counter) % 250
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=f"blockhost-test-{self.tag}-", dir="/var/tmp"))
        self.root.chmod(0o711)
        self.uri = "qemu:///system"
        self.prefix = list(prefix)
        self.env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/root", "BLOCKHOST_ROOT": str(self.root),
                    "BLOCKHOST_LIBVIRT_URI": self.uri}
        self.foreign = f"foreign-{self.tag}"
        if "BLOCKHOST_DRIVER" in os.environ:  # the suite may be run with either driver
            self.env["BLOCKHOST_DRIVER"] = os.environ["BLOCKHOST_DRIVER"]
        try:
            self.configure(kind, ipv6)
        except BaseException:
            self.close()
            raise

    # making

    def configure(self, kind, ipv6):
        for folder in ("etc/blockhost/network-modes.enabled", "var/lib", "run/blockhost", "usr/share/blockhost"):
            path = self.root / folder
            path.mkdir(parents=True, exist_ok=True)
            for each in (path, *path.parents):
                if each == self.root:
                    break
                each.chmod(0o711)
        # blockhost-common's modes, then the package's own program: no test is kinder than what is installed.
        self.state.mkdir(mode=0o750)
        self.sh("/usr/bin/python3", TREE / "data/make-folders.py", self.state)
        (self.etc / "network-modes.enabled/none.json").write_text("{}")
        self.settings = guest(kind)
        if ipv6:
            (self.etc / "broker-allocation.json").write_text(json.dumps({"prefix": f"fd00:b10c:{self.subnet:x}::/120"}))
        self.write_db_yaml()
        self.build_template(self.settings["GUEST_TEMPLATE"])
        self.sh("ip", "link", "add", self.bridge, "type", "bridge")
        self.sh("ip", "addr", "add", f"10.213.{self.subnet}.1/24", "dev", self.bridge)
        self.sh("ip", "link", "set", self.bridge, "up")

    def write_db_yaml(self, extra=""):
        kernel = ""
        if self.settings.get("GUEST_KERNEL") and "quick" in self.settings["GUEST_TEMPLATE"]:
            kernel = (f"boot_kernel: {self.settings['GUEST_KERNEL']}\nboot_initrd: {self.settings['GUEST_INITRD']}\n"
                      f"boot_arguments: \"{self.settings['GUEST_ARGUMENTS']}\"\n")
        (self.etc / "db.yaml").write_text(
            f"db_file: {self.state}/vms.json\nbridge: {self.bridge}\n{kernel}{extra}"
            f"ip_pool:\n  network: 10.213.{self.subnet}.0/24\n  start: 10\n  end: 60\n"
            f"  gateway: 10.213.{self.subnet}.1\n")

    @property
    def etc(self):
        return self.root / "etc/blockhost"

    @property
    def state(self):
        return self.root / "var/lib/blockhost"

    # using

    def sh(self, *words, check=True):
        """A command of the host, where this machine's libvirt and bridge are."""
        return sh(*self.prefix, *words, check=check)

    def command(self, verb, *words):
        return [*self.prefix, str(BINARY), verb, *map(str, words)]

    def run(self, verb, *words, **more):
        return subprocess.run(self.command(verb, *words), env=self.env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, cwd=self.root, **more)

    def start(self, verb, *words):
        return subprocess.Popen(self.command(verb, *words), env=self.env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, cwd=self.root)

    def build_template(self, image):
        """Makes that image, as it is, the current template; returns the version's file."""
        run = self.run("build-template", "--source", f"file:{image}", "--as-is")
        assert run.returncode == 0, run.stderr
        return self.template()

    def template(self):
        """The file that the next VM's disk will stand on."""
        stand_in = self.state / "templates/blockhost-base.current"
        return (stand_in if stand_in.exists() else self.state / "templates/blockhost-base.qcow2").resolve()

    def create_words(self, name, *more):
        return ("create", name, "--owner-wallet", WALLET, "--memory", "128", "--disk", "1", "--apply", *more)

    def answered(self, verb, *words):
        """As run, and again where libvirt did not answer in the program's time, which a host under load may need and which
        changes nothing."""
        for _ in range(4):
            run = self.run(verb, *words)
            if "does not answer" not in run.stderr:
                break
        return run

    def create(self, name, *more):
        return self.answered(*self.create_words(name, *more))

    def set_up_backups(self, repository=None):
        """The repository that backups go to, made unless a test of the module made one before."""
        repository = repository or self.root / "repository"
        if not (self.etc / "backup.json").exists():
            setup = self.run("backup", "setup", "--user", "nobody", "--repository", repository)
            assert setup.returncode == 0, setup.stderr
        return repository

    def restic(self, *words, **more):
        """What restic itself answers of the repository that backups go to, as its user."""
        repository = json.loads((self.etc / "backup.json").read_text())["repository"]
        key = (self.etc / "backup.password").read_bytes()
        run = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "restic", "--quiet", "--no-cache", "--repo",
                              repository, *words], input=key, capture_output=True, **more)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def forget_backup(self, snapshot):
        """As somebody else would, behind our back."""
        self.restic("unlock", "--remove-all")  # a restic that a test before killed left its lock
        self.restic("forget", snapshot)

    def result(self, run):
        """What an engine of the newer generation reads."""
        lines = [line for line in run.stdout.splitlines() if line.startswith("BLOCKHOST_RESULT: ")]
        return json.loads(lines[0].split(": ", 1)[1])

    def registry(self):
        path = self.state / "vms.json"
        return json.loads(path.read_text()) if path.exists() else {"vms": {}, "allocated_ips": [], "allocated_ipv6": []}

    def write(self, registry):
        """Rewrites the VM database, as another program would."""
        path = self.state / "vms.json"
        fresh = path.with_name("another-program.json")
        fresh.write_text(json.dumps(registry, indent=2))
        fresh.replace(path)

    def change(self, name, **fields):
        registry = self.registry()
        registry["vms"][name] |= fields
        self.write(registry)

    def virsh(self, *words, check=True):
        return self.sh("virsh", "-c", self.uri, *words, check=check).stdout

    def instance(self):
        path = self.state / "instance-id"
        return path.read_text().strip() if path.exists() else ""

    def domains(self):
        names = [n for n in self.virsh("list", "--all", "--name").split() if n]
        mine = []
        for name in names:
            xml = self.sh("virsh", "-c", self.uri, "dumpxml", name, check=False).stdout
            if str(self.root) in xml:
                mine.append(name)
        return sorted(mine)

    def volumes(self):
        return self.names("vms")

    # judging

    def names(self, folder):
        path = self.state / folder
        return sorted(p.name for p in path.iterdir()) if path.exists() else []

    def states(self):
        """Name -> "off", or what else it is, of the domains that name this machine's root."""
        off = set(self.virsh("list", "--name", "--state-shutoff").split())
        return {name: "off" if name in off else "alive" for name in self.domains()}

    def processes(self):
        """Name of the domain -> process ids, of the QEMU that name this machine's root."""
        found = {}
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if "qemu" in words[0] and str(self.root) in "\0".join(words):
                name = re.search("guest=([^,]*)", "\0".join(words))
                found.setdefault(name.group(1) if name else words[0], []).append(int(path.parent.name))
        return found

    def things(self):
        """What there is, for invariants.py."""
        kernel = []
        for words in (("-6", "route", "show"), ("neigh", "show", "nud", "permanent")):
            lines = self.sh("ip", *words, check=False).stdout.splitlines()
            kernel += [line.split()[0] for line in lines if self.bridge in line and "/" not in line.split()[0]]
        bindings = [line.split() for line in self.virsh("nwfilter-binding-list").splitlines()]
        ports = self.sh("ls", f"/sys/class/net/{self.bridge}/brif", check=False).stdout.split()
        bench = self.root / "var/cache/blockhost/build"
        return invariants.Things(
            registry=self.registry(),
            domains={name: state for name, state in self.states().items() if name != self.foreign},
            disks=[name for name in self.volumes() if name != f"{self.foreign}.raw"],
            seeds=self.names("cloud-init"),
            notes={folder: self.names(folder) for folder in ("console", "metrics", "suspended", "kept-off", "half-kept", "replaced")},
            addresses=kernel,
            journal=[name for name in self.names("journal") if name != "history"],
            locks=sorted(p.name for p in (self.root / "run/blockhost").iterdir() if not p.is_socket()),
            builds=sorted(p.name for p in bench.iterdir()) if bench.exists() else [],
            temporary=[path.relative_to(self.root) for path in self.state.rglob(".*") if path.is_file()],
            processes=[name for name, ids in self.processes().items() for _ in ids],
            ports=ports,
            filtered=[line[0] for line in bindings if len(line) == 2 and line[0] in ports])

    def leftovers(self, survivors=()):
        """What does not hold where exactly the survivors should live, by kind; empty is what a test wants to see."""
        return invariants.not_just(self, survivors)

    def temporary_files(self):
        return sorted(map(str, self.things().temporary))

    def kept(self, name):
        """What of a VM nothing may change that is not about it."""
        return {"domain": self.virsh("dumpxml", "--inactive", name), "process": self.processes().get(name),
                "seed": self.names(f"cloud-init/{name}"),
                "disks": [volume for volume in self.volumes() if volume.startswith(name + ".")]}

    def plant_foreign(self, like):
        """A domain of another instance that resembles one of ours, with a disk in our pool's folder."""
        mark = re.search("<metadata>.*</metadata>", self.virsh("dumpxml", "--inactive", like), re.DOTALL).group(0)
        disk = self.state / "vms" / f"{self.foreign}.raw"
        disk.write_bytes(b"somebody's" * 1000)
        definition = self.root / "foreign.xml"
        definition.write_text(
            f"<domain type='qemu'><name>{self.foreign}</name>"
            f"{mark.replace(self.instance(), 'f' * 32).replace(like, self.foreign)}<memory unit='MiB'>64</memory>"
            "<os><type>hvm</type></os><devices><disk type='file' device='disk'><driver name='qemu' type='raw'/>"
            f"<source file='{disk}'/><target dev='vda' bus='virtio'/></disk></devices></domain>")
        self.virsh("define", str(definition))

    def kept_foreign(self):
        disk = self.state / "vms" / f"{self.foreign}.raw"
        return {"foreign domain": self.virsh("dumpxml", self.foreign, check=False),
                "foreign disk": disk.read_bytes() if disk.exists() else None}

    # removing

    def wipe(self):
        """Removes every VM by force, with all that is left of it."""
        for name in self.domains():
            self.sh("virsh", "-c", self.uri, "destroy", name, check=False)
            self.sh("virsh", "-c", self.uri, "undefine", name, "--nvram", check=False)
        for folder in ("vms", "cloud-init", "console", "journal", "metrics", "suspended", "kept-off", "half-kept", "replaced"):
            for path in (self.state / folder).glob("*"):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
        (self.state / "vms.json").unlink(missing_ok=True)
        self.sh("ip", "neigh", "flush", "dev", self.bridge, "nud", "permanent", check=False)
        self.sh("ip", "-6", "route", "flush", "dev", self.bridge, "proto", "boot", check=False)

    def close(self):
        self.wipe()
        tag = self.instance()[:8]
        if tag:
            self.sh("virsh", "-c", self.uri, "pool-destroy", f"blockhost-{tag}", check=False)
            self.sh("virsh", "-c", self.uri, "pool-undefine", f"blockhost-{tag}", check=False)
            for line in self.sh("virsh", "-c", self.uri, "nwfilter-list", check=False).stdout.split():
                if line.endswith(tag):
                    self.sh("virsh", "-c", self.uri, "nwfilter-undefine", line, check=False)
        self.sh("ip", "link", "del", self.bridge, check=False)
        shutil.rmtree(self.root, ignore_errors=True)


def wait_until(what, seconds, condition):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")
