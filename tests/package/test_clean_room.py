# SPDX-License-Identifier: MIT
"""tests/tools/in-root.sh, in which tests/fresh.sh plays the README: nothing of this host is there, and nothing stays here."""

import json
import os
import pathlib
import subprocess

import pytest
from root import TREE

RUN = """
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
echo clean-room >"$2/root/etc/hostname"
room=$2/root
script=$3
shift 3
exec "$script" "$room" "$@"
"""

LOOK = """
import json, os, socket
print(json.dumps({
    "mounts": sorted({line.split()[2] for line in open("/proc/self/mounts")}),
    "processes": [open(f"/proc/{pid}/comm").read().strip() for pid in os.listdir("/proc") if pid.isdigit()],
    "interfaces": sorted(os.listdir("/sys/class/net")), "name": socket.gethostname(),
    "groups": {line.strip().split(":", 2)[2] for line in open("/proc/self/cgroup")} - {"/", "/init"} == set(),
    "tree": os.path.exists(TREE), "null": os.access("/dev/null", os.W_OK), "devices": os.listdir("/dev")}))
"""


@pytest.fixture()
def room(make_root):
    made = make_root()

    def run(*words, check=True):
        ran = subprocess.run(["unshare", "--mount", "sh", "-e", "-c", RUN, "sh", made.base, made.folder,
                              TREE / "tests/tools/in-root.sh", *words], capture_output=True, text=True, timeout=120)
        assert not check or ran.returncode == 0, ran.stderr
        return ran
    return run


def cgroups():
    return {line.split()[1] for line in open("/proc/self/mounts") if line.split()[2].startswith("cgroup")}


def left_behind():
    """Names with a process id that is nobody's any more."""
    return [str(path) for place in cgroups() for path in pathlib.Path(place).glob("**/blockhost-root-*")
            if not os.path.exists(f"/proc/{path.name.rsplit('-', 1)[1]}")]


def test_it_is_a_host_of_its_own_with_a_network(room):
    found = json.loads(room("python3", "-c", f"TREE = {str(TREE)!r}\n{LOOK}").stdout)
    assert set(found["mounts"]) <= {"overlay", "proc", "sysfs", "tmpfs", "devpts", "cgroup", "cgroup2"}
    assert found["processes"] == ["bash", "python3"]
    assert (found["interfaces"], found["name"]) == (["lo", "tap0"], "clean-room")
    assert found["groups"] and found["null"] and not found["tree"]
    assert not {"vda", "sda", "mem", "kmsg"} & set(found["devices"])
    assert left_behind() == []


def test_it_passes_the_exit_status_on_and_ends_what_was_left_running(room):
    ran = room("sh", "-c", "setsid sleep 1000 & exit 7", check=False)
    assert ran.returncode == 7, ran.stderr
    assert left_behind() == []
