# SPDX-License-Identifier: MIT
"""detect: silent, by exit status alone, without libvirt in memory; with --explain it says what there is and what is not."""

import json
import os
import pathlib
import shutil
import socket
import subprocess

import host as host_module
import pytest
from host import BINARY, BUILD, DB

LINK = BUILD / "symlinks/blockhost-provisioner-detect"


class Host(host_module.Host):
    """A root of its own, a socket that nobody listens on, and the program where its module is."""

    def __init__(self, folder):
        super().__init__(folder)
        self.socket = folder / "sock"
        self.libraries = folder / "libraries"
        self.libraries.mkdir()
        for name in ("libvirt.so.0", "libvirt-qemu.so.0"):
            (self.libraries / name).write_bytes(BINARY.read_bytes()[:64])
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.socket))
        self.env |= {"LD_LIBRARY_PATH": str(self.libraries),
                     "BLOCKHOST_LIBVIRT_URI": f"qemu+unix:///system?socket={self.socket}"}

    def findings(self, *more, program=BINARY, **env):
        run = self.run("detect", "--explain", "--json", *more, program=program, **env)
        answer = json.loads(run.stdout)
        assert run.returncode == (0 if answer["works"] else 1)
        assert "Traceback" not in run.stderr and run.stderr == ""
        return {each["finding"]: each for each in answer["findings"]}


@pytest.fixture()
def host():
    short = pathlib.Path("/tmp") / f"bh-detect-{os.getpid()}"  # a socket's path is short
    shutil.rmtree(short, ignore_errors=True)
    short.mkdir()
    yield Host(short)
    shutil.rmtree(short)


def silent(run, status):
    assert (run.returncode, run.stdout, run.stderr) == (status, "", "")


def test_it_says_yes_where_module_libraries_and_socket_are(host):
    silent(host.run("detect"), 0)
    silent(host.run(program=LINK), 0)


def test_it_says_no_without_a_socket(host):
    host.socket.unlink()
    silent(host.run("detect"), 1)
    silent(host.run(program=LINK), 1)
    host.socket.write_text("")
    silent(host.run("detect"), 1)
    assert host.findings()["daemon socket"]["ok"] is False


def test_it_says_no_without_the_module(host):
    alone = host.folder / "blockhost-libvirt"
    shutil.copy(BINARY, alone)
    installed = subprocess.run([alone, "detect", "--json"], env=host.env, capture_output=True, text=True, cwd=host.folder)
    module = json.loads(installed.stdout)["findings"][0]
    if module["ok"]:
        pytest.skip(f"the module is installed on this host: {module['found']}")
    silent(host.run("detect", program=alone), 1)
    assert "reinstall" in host.findings(program=alone)["driver module"]["advice"]


def test_it_says_no_without_libvirts_libraries(host):
    """In a mount namespace whose library folder has no libvirt."""
    if os.geteuid() != 0:
        pytest.skip("a mount namespace needs root")
    shutil.rmtree(host.libraries)
    real = subprocess.run(["find", "/usr/lib", "/usr/local/lib", "-name", "libvirt-qemu.so.0"], capture_output=True,
                          text=True).stdout.split()
    blank = host.folder / "blank"
    blank.write_bytes(b"")
    hide = "".join(f"mount --bind {blank} {path} && " for path in real)
    run = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", f'{hide} exec "$0" detect --json',
                          BINARY], env=host.env, capture_output=True, text=True)
    assert run.returncode == 1, run.stderr
    found = {each["finding"]: each for each in json.loads(run.stdout)["findings"]}
    assert found["libvirt client"]["ok"] is False and "apt-get install" in found["libvirt client"]["advice"]


def test_it_loads_no_libvirt_and_connects_to_nobody(host):
    """A listener would see a connection; the loader tells which files it opens."""
    host.socket.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(host.socket))
        listener.listen()
        listener.settimeout(0.2)
        run = host.run("detect", LD_DEBUG="files")
        assert run.returncode == 0
        assert "libc.so.6" in run.stderr and "libvirt" not in run.stderr.replace(str(BINARY), "")
        with pytest.raises(TimeoutError):
            listener.accept()


def test_explain_says_each_thing_in_a_line_and_the_links_status_is_the_same(host):
    for program, words in ((BINARY, ["detect", "--explain"]), (LINK, ["--explain"])):
        run = host.run(*words, program=program)
        assert run.returncode == 0
        lines = run.stdout.splitlines()
        assert all(line.startswith(("ok      ", "missing ")) for line in lines)
        assert [line[8:].split(":")[0] for line in lines] == [
            "driver module", "libvirt client", "daemon socket", "connection", "configuration", "virtualization", "bridge",
            "storage pool", "domains", "template", "definitions", "clock", "start veto", "backups"]


def test_what_is_missing_comes_with_what_to_do(host):
    found = host.findings()
    assert found["configuration"]["ok"] is True
    assert found["bridge"]["ok"] is False and "br0 is not a bridge" in found["bridge"]["found"]
    assert str(host.etc / "db.yaml") in found["bridge"]["advice"]
    assert found["template"]["ok"] is False and "build it" in found["template"]["advice"]
    (host.folder / "root/var/lib/blockhost/templates").mkdir(parents=True)
    (host.folder / "root/var/lib/blockhost/templates/blockhost-base.qcow2").write_text("")
    assert host.findings()["template"]["ok"] is True


@pytest.mark.parametrize("content", [None, "bridge: [", "", "bridge: a b\n", "\0"])
def test_a_configuration_that_cannot_be_read_is_a_finding(host, content):
    (host.etc / "db.yaml").unlink()
    if content is not None:
        (host.etc / "db.yaml").write_text(content)
    found = host.findings()
    assert found["configuration"]["ok"] is False and "db.yaml" in found["configuration"]["found"]
    assert found["bridge"]["ok"] is False and found["storage pool"]["ok"] is False
    silent(host.run("detect"), 0)


def test_a_configuration_that_is_no_file_or_has_no_folder_is_a_finding(host):
    (host.etc / "db.yaml").unlink()
    (host.etc / "db.yaml").mkdir()
    assert host.findings()["configuration"]["ok"] is False
    shutil.rmtree(host.folder / "root")
    assert host.findings()["configuration"]["ok"] is False


def test_kvm_is_missing_only_where_it_is_wanted(host):
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    works = pathlib.Path("/dev/kvm").exists() and (" vmx " in flags or " svm " in flags)
    for kind, ok, word in (("auto", True, "KVM"), ("qemu", True, "emulation"), ("kvm", works, "KVM")):
        (host.etc / "db.yaml").write_text(DB + f"domain_type: {kind}\n")
        found = host.findings()["virtualization"]
        assert (found["ok"], word in found["found"]) == (ok, True)


def test_a_daemon_that_nobody_answers_for_is_a_finding_too(host):
    """The socket is there, so that the driver could work; the pool cannot be asked for."""
    (host.folder / "root/var/lib/blockhost").mkdir(parents=True)
    (host.folder / "root/var/lib/blockhost/instance-id").write_text("0123456789abcdef" * 2 + "\n")
    found = host.findings(LD_LIBRARY_PATH="")
    if not found["libvirt client"]["ok"]:
        pytest.skip("libvirt is not installed")
    assert found["storage pool"]["ok"] is False


def test_the_simulated_world_always_works(host):
    silent(host.run("detect", "--mock"), 0)
    found = host.findings("--mock")
    assert found["driver"]["ok"] and found["bridge"]["ok"] and found["template"]["ok"] and found["storage pool"]["ok"]
    run = host.run("create", "vm-1", "--owner-wallet", "0x" + "ef" * 20, "--memory", "128", "--disk", "4", "--mock",
                   "--apply")
    assert run.returncode == 0, run.stderr
    assert "free" in host.findings("--mock")["storage pool"]["found"]


def test_explain_says_of_a_clock_in_doubt_that_gc_will_refuse(host):
    assert host.findings("--mock")["clock"]["ok"] is True
    (host.folder / "mock-world/clock-unsynchronised").touch()
    found = host.findings("--mock")["clock"]
    assert found["ok"] is False and "not synchronised" in found["found"] and "gc refuses" in found["found"]
    assert "timedatectl" in found["advice"] and "--force-clock" in found["advice"]
    (host.folder / "mock-world/clock-unsynchronised").unlink()
    gc = json.loads('{"last_run": "2999-01-01T00:00:00+00:00"}')
    (host.folder / "mock-world/gc.json").write_text(json.dumps(gc))
    assert "gc ran last at 2999" in host.findings("--mock")["clock"]["found"]


def test_wrong_words_are_refused(host):
    assert host.run("detect", "surplus").returncode == 2
    assert host.run("--bogus", program=LINK).returncode == 2


@pytest.mark.parametrize("name", ["broker-allocation.json", "web3-defaults.yaml"])
def test_configuration_that_a_create_would_refuse_is_not_called_good(host, name):
    (host.etc / name).write_text("{")
    finding = host.findings()["configuration"]
    assert finding["ok"] is False and name in finding["found"]
