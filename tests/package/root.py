# SPDX-License-Identifier: MIT
"""A clean Debian 12 root to install packages in, and packages that stand in for others."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = "blockhost-provisioner-libvirt"
VERSION = re.search(r"^  version: '(.+)',$", (TREE / "meson.build").read_text(), re.M)[1]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Own mounts, processes and network: nothing that a package's script does reaches the host, whose /dev is not there.
ENTER = """
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mount -t proc proc "$2/root/proc"
inside=$2/root
shift 2
exec chroot "$inside" "$@"
"""

SNAPSHOT = """
import hashlib, json, os, stat
SKIPPED = ("/dev", "/proc", "/sys", "/root", "/tmp", "/var/cache", "/var/log", "/var/lib/dpkg")
found = {}
for folder, names, files in os.walk("/"):
    for name in names + files:
        path = os.path.join(folder, name)
        entry = os.lstat(path)
        what = ""
        if stat.S_ISLNK(entry.st_mode):
            what = os.readlink(path)
        elif stat.S_ISREG(entry.st_mode):
            what = hashlib.sha256(open(path, "rb").read()).hexdigest()
        if not path.startswith(SKIPPED):
            found[path] = [oct(entry.st_mode), entry.st_uid, entry.st_gid, what]
    names[:] = [name for name in names if not os.path.join(folder, name).startswith(SKIPPED)]
print(json.dumps(found))
"""


class Root:
    """Changes to it stay with this object; `base` is never written to."""

    def __init__(self, folder, base):
        self.folder, self.base = folder, base
        for name in ("upper", "work", "root"):
            (folder / name).mkdir(parents=True)

    def run(self, *words, text=None, check=True, **environment):
        run = subprocess.run(
            ["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child",
             "sh", "-e", "-c", ENTER, "sh", self.base, self.folder, *words],
            input=text if text is not None else "", capture_output=True, text=True,
            env={"PATH": PATH, "LC_ALL": "C", "HOME": "/root", "PYTHONDONTWRITEBYTECODE": "1", **environment})
        if check:
            assert run.returncode == 0, (words, run.returncode, run.stdout, run.stderr)
        return run

    def sh(self, script, **more):
        """A shell script's stdout, without the last line's end."""
        return self.run("bash", "-euo", "pipefail", "-c", script, **more).stdout.rstrip("\n")

    def write(self, path, text, mode="0644"):
        self.run("sh", "-ec", 'mkdir -p "$(dirname "$1")"; cat >"$1"; chmod "$2" "$1"', "sh", path, mode, text=text)

    def put(self, *debs):
        """Copies packages to /root; their paths there."""
        for deb in debs:
            with open(deb, "rb") as source:
                subprocess.run(["unshare", "--mount", "sh", "-e", "-c", ENTER, "sh", self.base, self.folder, "sh", "-c",
                                f"cat >/root/{deb.name}"], stdin=source, check=True)
        return [f"/root/{deb.name}" for deb in debs]

    def install(self, *debs, check=True):
        return self.run("dpkg", "-i", *self.put(*debs), check=check)

    def there(self, path):
        return self.run("test", "-e", path, "-o", "-L", path, check=False).returncode == 0

    def link(self, path):
        return self.run("readlink", path, check=False).stdout.strip()

    def owners(self, folder):
        """Name of each entry -> "user:group mode"."""
        lines = self.sh(f"cd {folder}; stat -c '%n %U:%G %a' *").splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def snapshot(self):
        """Every file: its mode, owner and content. Not logs, caches, dpkg's own database."""
        return json.loads(self.run("python3", "-", text=SNAPSHOT).stdout)

    def fake_systemd(self):
        """As if systemd ran: systemctl notes in /root/systemctl what it is asked, and every unit is enabled."""
        self.write("/usr/bin/systemctl", '#!/bin/sh\necho "$*" >>/root/systemctl\n'
                   'case "$*" in *is-enabled*) echo enabled ;; esac\n', "0755")
        self.sh("mkdir -p /run/systemd/system; : >/root/systemctl")

    def asked_of_systemctl(self):
        return self.sh("cat /root/systemctl; : >/root/systemctl").splitlines()


# Lays the root over $1, and has $3 make a host of it where libvirtd runs for $4 seconds.
LIVE = """
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
echo blockhost-test >"$2/root/etc/hostname"
exec "$3" "$2/root" sh -ec '
    printf "auth_unix_ro = \\"none\\"\\nauth_unix_rw = \\"none\\"\\nunix_sock_group = \\"libvirt\\"\\nunix_sock_rw_perms = \\"0770\\"\\n" >>/etc/libvirt/libvirtd.conf
    virtlogd --daemon >/dev/null 2>&1
    libvirtd --daemon >/dev/null 2>&1
    echo started
    exec sleep "$1"' sh "$4"
"""


class LiveRoot(Root):
    """A root that stays, where libvirtd runs and machines live: a host of its own, gone with close() or after `seconds`.
    `shared`: a folder of this host's that is /mnt/shared there."""

    def __init__(self, folder, base, shared, seconds=1500):
        super().__init__(folder, base)
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-e", "-c", LIVE, "sh", base, folder,
             TREE / "tests/tools/in-root.sh", str(seconds)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            env={"PATH": PATH, "LC_ALL": "C", "BLOCKHOST_SHARED": str(shared)})
        if self.holder.stdout.readline() != "started\n":
            self.close()
            raise RuntimeError("a host of our own cannot be started in namespaces here")
        self.inside = ["nsenter", "-t", str(self.sleeper()), "-m", "-p", "-n", "-u", "-i", "-r", "-w"]

    def sleeper(self):
        """The process id, as it is outside, of what keeps the host up."""
        end = time.monotonic() + 60
        while self.holder.poll() is None and time.monotonic() < end:
            for pid in self.descendants():
                if self.of(pid, "comm") == "sleep\n":
                    return pid
            time.sleep(0.05)
        raise RuntimeError("the host ended as it was started")

    def descendants(self):
        below = [self.holder.pid]
        while below:
            pid = below.pop()
            yield pid
            below += map(int, self.of(pid, f"task/{pid}/children").split())

    @staticmethod
    def of(pid, name):
        """What /proc tells of a process; nothing when it has ended."""
        try:
            return pathlib.Path(f"/proc/{pid}/{name}").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return ""

    def run(self, *words, text=None, check=True, **environment):
        run = subprocess.run([*self.inside, *map(str, words)], input=text or "", capture_output=True, text=True,
                             env={"PATH": PATH, "LC_ALL": "C", "HOME": "/root", "PYTHONDONTWRITEBYTECODE": "1", **environment})
        if check:
            assert run.returncode == 0, (words, run.returncode, run.stdout, run.stderr)
        return run

    def put(self, *debs):
        for deb in debs:
            with open(deb, "rb") as source:
                subprocess.run([*self.inside, "sh", "-c", f"cat >/root/{deb.name}"], stdin=source, check=True)
        return [f"/root/{deb.name}" for deb in debs]

    def close(self):
        """Its processes, QEMU's among them, go with their namespace."""
        self.holder.terminate()
        self.holder.wait()


def make_deb(folder, name, version, files=(), scripts=(), folders=(), **fields):
    """`files`: path -> (text, mode); `scripts`: maintainer script -> its lines; `folders`: empty ones. Returns the package's
    path."""
    tree = folder / f"{name}-{version}"
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "DEBIAN").mkdir(parents=True)
    fields = {"Package": name, "Version": version, "Architecture": "all", "Maintainer": "Tests <tests@example.org>",
              "Description": "stands in for a package", **fields}
    (tree / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    for script, lines in dict(scripts).items():
        (tree / "DEBIAN" / script).write_text("#!/bin/sh\nset -e\n" + lines)
        (tree / "DEBIAN" / script).chmod(0o755)
    for path, (text, mode) in dict(files).items():
        place = tree / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)
    for path in folders:
        (tree / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    deb = folder / f"{name}_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, deb], check=True, capture_output=True)
    return deb


def make_common(folder):
    """blockhost-common as far as it and we share a host: user, group, folders, its Python package."""
    postinst = """getent group blockhost >/dev/null || addgroup --quiet --system blockhost
id -u blockhost >/dev/null 2>&1 || adduser --quiet --system --ingroup blockhost --home /var/lib/blockhost \\
    --shell /usr/sbin/nologin --no-create-home blockhost
chown root:blockhost /etc/blockhost
chown blockhost:blockhost /var/lib/blockhost
chmod 750 /etc/blockhost /var/lib/blockhost
"""
    files = {"/usr/lib/python3/dist-packages/blockhost/__init__.py": ("COMMON = True\n", 0o644)}
    return make_deb(folder, "blockhost-common", "0.1.0", files, {"postinst": postinst},
                    ["/var/lib/blockhost", "/etc/blockhost"])


def make_old(folder):
    """The 0.2.0 package as far as an upgrade meets it: scripts where links come, the same units, folders of root's."""
    names = ["build-template", "provisioner-detect", *(f"vm-{verb}" for verb in (
        "create destroy gc guest-exec kill list metrics resume start status stop throttle update-gecos").split())]
    files = {f"/usr/bin/blockhost-{name}": ("#!/bin/sh\necho the old one\n", 0o755) for name in names}
    files |= {
        "/usr/lib/systemd/system/blockhost-gc.service": ("[Service]\nExecStart=/usr/bin/blockhost-vm-gc\n", 0o644),
        "/usr/lib/systemd/system/blockhost-gc.timer": ("[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n",
                                                       0o644),
        "/usr/share/blockhost/provisioner.json": ('{"version": "0.2.0"}\n', 0o644),
        "/usr/share/blockhost/provisioner-hooks/first-boot.sh": ("#!/bin/sh\n", 0o755),
        "/usr/share/blockhost/root-agent-actions/virsh.py": ("# old\n", 0o644),
        "/usr/lib/python3/dist-packages/blockhost/vm_creator.py": ("# old\n", 0o644),
    }
    wanted = "/etc/systemd/system/timers.target.wants/blockhost-gc.timer"
    scripts = {
        "postinst": "for folder in templates vms cloud-init; do\n"
                    "  [ -d /var/lib/blockhost/$folder ] || mkdir -p /var/lib/blockhost/$folder\n"
                    "  chown root:blockhost /var/lib/blockhost/$folder\n  chmod 750 /var/lib/blockhost/$folder\ndone\n"
                    f"ln -sf /usr/lib/systemd/system/blockhost-gc.timer {wanted}\n",
        "prerm": f'case "$1" in remove | upgrade | deconfigure) rm -f {wanted} ;; esac\n',
    }
    return make_deb(folder, PACKAGE, "0.2.0", files, scripts, Depends="python3 (>= 3.10), blockhost-common (>= 0.1.0)",
                    Provides="blockhost-provisioner", Conflicts="blockhost-provisioner")


def base_root(*kind):
    made = subprocess.run([TREE / "tests/package/build-root.sh", *kind], check=True, stdout=subprocess.PIPE, text=True)
    return pathlib.Path(made.stdout.splitlines()[-1]) / "root"


def build_package():
    """./build-deb.sh, whose last line names what it made."""
    made = subprocess.run([TREE / "build-deb.sh"], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
                          env=dict(os.environ))
    assert made.returncode == 0, "the package cannot be built"
    return pathlib.Path(made.stdout.splitlines()[-1])
