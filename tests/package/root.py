"""A clean Debian 12 root to install packages in, and packages that stand in for others."""

import json
import os
import pathlib
import shutil
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = "blockhost-provisioner-libvirt"
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


def make_deb(folder, name, version, files=(), scripts=(), **fields):
    """`files`: path -> (text, mode); `scripts`: maintainer script -> its lines. Returns the package's path."""
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
    deb = folder / f"{name}_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, deb], check=True, capture_output=True)
    return deb


def make_common(folder, user="yes"):
    """blockhost-common as far as we stand on it: user, group and folders."""
    postinst = "mkdir -p /var/lib/blockhost /etc/blockhost\n"
    if user == "yes":
        postinst = ("id blockhost >/dev/null 2>&1 || useradd --system --home-dir /var/lib/blockhost blockhost\n" +
                    postinst + "chown blockhost:blockhost /var/lib/blockhost\nchmod 0750 /var/lib/blockhost\n")
    return make_deb(folder, "blockhost-common", "0.1.0", scripts={"postinst": postinst})


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


def base_root():
    made = subprocess.run([TREE / "tests/package/build-root.sh"], check=True, stdout=subprocess.PIPE, text=True)
    return pathlib.Path(made.stdout.splitlines()[-1]) / "root"


def build_package():
    """./build-deb.sh, whose last line names what it made."""
    made = subprocess.run([TREE / "build-deb.sh"], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
                          env=dict(os.environ))
    assert made.returncode == 0, "the package cannot be built"
    return pathlib.Path(made.stdout.splitlines()[-1])
