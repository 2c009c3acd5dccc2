# SPDX-License-Identifier: MIT
"""Scripts that install packages wait for whoever else uses apt: unattended upgrades, on a machine that was just installed."""

import pytest
import root as roots
from root import TREE

LOCKS = {"/var/lib/dpkg/lock-frontend": "install", "/var/lib/dpkg/lock": "install", "/var/cache/apt/archives/lock": "install",
         "/var/lib/apt/lists/lock": "update"}

# Holds apt's lock $1 as apt does, until the file /root/release is there.
HOLD = """
import fcntl, os, sys, time
lock = open(sys.argv[1], "a")
fcntl.lockf(lock, fcntl.LOCK_EX)
open("/root/held", "w").close()
while not os.path.exists("/root/release"):
    time.sleep(0.05)
"""

# $1: the lock, or none; $2: what apt is asked. Whoever holds the lock gives it back once that was said.
SCRIPT = """
package_log=/root/log
say() { echo "said: $*"; : >/root/release; }
fail() { echo "failed: $*"; exit 1; }
. /root/lib.sh
apt_patience=${PATIENCE:-60}
python3 /root/hold.py "$1" &
until [ -e /root/held ]; do sleep 0.05; done
ways="-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=/dev/null"
case $2 in
    update) apt_get update $ways ;;
    install) apt_get install $ways -y /root/waited-for_1_all.deb ;;
esac
echo "status $?"
: >/root/release
"""


@pytest.fixture()
def host(make_root, stand_ins):
    made = make_root()
    made.put(roots.make_deb(stand_ins, "waited-for", "1"))
    made.write("/root/lib.sh", (TREE / "packaging/lib.sh").read_text())
    made.write("/root/hold.py", HOLD)
    return made


@pytest.mark.parametrize("lock", LOCKS)
def test_who_else_uses_apt_is_waited_for_and_that_is_said(host, lock):
    out = host.run("bash", "-uc", SCRIPT, "bash", lock, LOCKS[lock]).stdout.splitlines()
    said = [line for line in out if line.startswith("said: ")]
    assert len(said) == 1 and "waiting for another program that uses apt" in said[0] and "lock" in said[0]
    assert out[-1] == "status 0"
    if LOCKS[lock] == "install":
        assert host.sh("dpkg-query -W -f '${db:Status-Status}' waited-for") == "installed"


def test_it_is_not_waited_for_without_end_and_another_failure_is_not_waited_for_at_all(host):
    out = host.run("bash", "-uc", SCRIPT, "bash", "/var/lib/dpkg/lock-frontend", "install", PATIENCE="0").stdout
    assert "said: " not in out and "status 100" in out
    host.sh("rm -f /root/held /root/release /root/waited-for_1_all.deb")
    out = host.run("bash", "-uc", SCRIPT, "bash", "/root/nobodys", "install").stdout
    assert "said: " not in out and "status 100" in out
