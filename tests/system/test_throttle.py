# SPDX-License-Identifier: MIT
"""throttle on a real guest: what it does inside, and what libvirt and the kernel show."""

import json
import re
import time
import xml.etree.ElementTree as ET

import pytest

NAME = "slow-001"


@pytest.fixture(scope="module")
def vm(whole_module):
    run = whole_module.create(NAME)
    assert run.returncode == 0, run.stderr
    yield whole_module
    assert whole_module.run("destroy", NAME).returncode == 0


@pytest.fixture(autouse=True)
def untouched(vm):
    yield
    vm.run("throttle", NAME, "--reset", "--persist")


def shares(vm):
    return dict(re.findall(r"(\w+)\s*: (-?\d+)", vm.virsh("schedinfo", NAME, "--live")))


def iops(vm, *scope):
    found = dict(re.findall(r"(\w+)\s*: (\d+)", vm.virsh("blkdeviotune", NAME, "vda", *scope)))
    return int(found["read_iops_sec"]), int(found["write_iops_sec"])


def agent(vm, command, **arguments):
    message = json.dumps({"execute": command, "arguments": arguments})
    return json.loads(vm.virsh("qemu-agent-command", NAME, message))["return"]


def cpu_seconds(vm):
    return int(re.search(r"cpu.time=(\d+)", vm.virsh("domstats", "--cpu-total", NAME)).group(1)) / 1e9


def busy_share(vm, seconds=4):
    """CPU time that the whole QEMU took, by time that went by."""
    began, before = time.monotonic(), cpu_seconds(vm)
    time.sleep(seconds)
    return (cpu_seconds(vm) - before) / (time.monotonic() - began)


def test_a_quota_of_half_halves_a_busy_loop_inside(vm):
    started = agent(vm, "guest-exec", path="/bin/sh", arg=["-c", "while :; do :; done"])
    try:
        time.sleep(1)
        free = busy_share(vm)
        assert vm.run("throttle", NAME, "--cpu-quota", "50").stdout == "CPU quota set to 50%\n"
        halved = busy_share(vm)
        assert vm.run("throttle", NAME, "--cpu-quota", "20").returncode == 0
        fifth = busy_share(vm)
        print(f"busy loop: free {free:.2f}, quota 50 {halved:.2f}, quota 20 {fifth:.2f}")
        assert free > 0.3, "a host this busy shows nothing"
        assert halved < 0.6 and fifth < 0.3
        assert halved < 0.75 * free or free < 0.75
        assert fifth < 0.75 * free
    finally:
        vm.run("throttle", NAME, "--reset")
        agent(vm, "guest-exec", path="/bin/sh", arg=["-c", f"kill -9 {started['pid']}"])


def test_shares_and_quota_are_set_and_reset(vm):
    before = shares(vm)
    run = vm.run("throttle", NAME, "--cpu-shares", "200", "--cpu-quota", "30")
    assert (run.returncode, run.stdout) == (0, "CPU shares set to 200\nCPU quota set to 30%\n")
    now = shares(vm)
    assert (now["cpu_shares"], now["vcpu_quota"], now["vcpu_period"]) == ("200", "30000", "100000")
    run = vm.run("throttle", NAME, "--reset")
    assert run.returncode == 0, run.stderr
    assert f"CPU shares set to {before['cpu_shares']}\nCPU quota removed (unlimited)\n" in run.stdout
    assert shares(vm) == before


def test_the_least_weight_is_the_hosts(vm):
    run = vm.run("throttle", NAME, "--cpu-shares", "1")
    assert run.returncode == 0
    assert run.stdout == f"CPU shares set to {shares(vm)['cpu_shares']}\n"


def test_one_iops_limit_keeps_its_sibling(vm):
    run = vm.run("throttle", NAME, "--iops-read", "500", "--iops-write", "300")
    assert (run.returncode, run.stdout) == (0, "IOPS read set to 500\nIOPS write set to 300\n")
    assert iops(vm) == (500, 300)
    assert vm.run("throttle", NAME, "--iops-read", "100").stdout == "IOPS read set to 100\n"
    assert iops(vm) == (100, 300)
    assert vm.run("throttle", NAME, "--iops-write", "0").stdout == "IOPS write limit removed (unlimited)\n"
    assert iops(vm) == (100, 0)
    assert vm.run("throttle", NAME, "--reset").returncode == 0
    assert iops(vm) == (0, 0)


OPERATORS = {"total_iops_sec": "500", "total_iops_sec_max": "900", "total_iops_sec_max_length": "5", "size_iops_sec": "4096",
             "total_bytes_sec": "100000000", "total_bytes_sec_max": "200000000", "group_name": "operators"}


def set_operators(vm, scope):
    words = [word for name, value in OPERATORS.items() for word in ("--" + name.replace("_", "-"), value)]
    vm.virsh("blkdeviotune", NAME, "vda", *words, scope)


def tune_of(vm, scope):
    """The elements of limits as libvirt writes them."""
    xml = ET.fromstring(vm.virsh("dumpxml", *(["--inactive"] if scope == "--config" else []), NAME))
    found = xml.find("devices/disk/iotune")
    cpu = xml.find("cputune")
    return ({each.tag: each.text for each in found} if found is not None else {},
            {each.tag: each.text for each in cpu} if cpu is not None else {})


def clear_operators(vm, scope):
    names = [f"{kind}-{unit}-sec{end}" for kind in ("total", "read", "write") for unit in ("iops", "bytes")
             for end in ("", "-max", "-max-length")]
    vm.virsh("blkdeviotune", NAME, "vda", scope, *(word for name in [*names, "size-iops-sec"] for word in (f"--{name}", "0")))
    vm.virsh("blkdeviotune", NAME, "vda", scope, "--group-name", "", check=False)


@pytest.mark.parametrize("scope", ["--live", "--config"])
def test_an_operators_disk_limits_stand_aside_for_ours_and_come_back_exactly(vm, scope):
    persist = ["--persist"] if scope == "--config" else []
    set_operators(vm, scope)
    try:
        before = tune_of(vm, scope)
        assert before[0] == OPERATORS
        run = vm.run("throttle", NAME, "--iops-read", "100", *persist)
        assert run.returncode == 0, run.stderr
        during = tune_of(vm, scope)[0]
        assert during["read_iops_sec"] == "100" and "total_iops_sec" not in during
        assert (during["write_iops_sec"], during["write_iops_sec_max"]) == ("500", "900"), "it holds for the other meanwhile"
        for name in ("size_iops_sec", "total_bytes_sec", "total_bytes_sec_max", "group_name"):
            assert during[name] == OPERATORS[name]
        run = vm.run("throttle", NAME, "--reset", *persist)
        assert run.returncode == 0, run.stderr
        assert tune_of(vm, scope)[0] == before[0]
        assert not list((vm.state / "journal").glob("*.limits*"))
    finally:
        clear_operators(vm, scope)


def test_an_operators_disk_limits_come_back_when_ours_end_by_themselves_one_after_the_other(vm):
    set_operators(vm, "--live")
    try:
        before = tune_of(vm, "--live")[0]
        assert vm.run("throttle", NAME, "--iops-read", "100", "--for", "2s").returncode == 0
        assert vm.run("throttle", NAME, "--iops-write", "60", "--for", "6s").returncode == 0
        time.sleep(2.2)
        assert vm.run("throttle", "--due").returncode == 0
        between = tune_of(vm, "--live")[0]
        if "write_iops_sec" in between:  # on a host this slow both may be over
            assert (between["read_iops_sec"], between["write_iops_sec"]) == ("500", "60")
        time.sleep(4)
        assert vm.run("throttle", "--due").returncode == 0
        assert tune_of(vm, "--live")[0] == before
    finally:
        clear_operators(vm, "--live")


def test_a_burst_of_an_operators_own_comes_back_with_its_limit(vm):
    words = ("--read-iops-sec", "300", "--read-iops-sec-max", "800", "--read-iops-sec-max-length", "3")
    vm.virsh("blkdeviotune", NAME, "vda", "--config", *words)
    try:
        before = tune_of(vm, "--config")
        assert vm.run("throttle", NAME, "--iops-write", "40", "--cpu-quota", "30", "--persist").returncode == 0
        assert tune_of(vm, "--config")[0]["read_iops_sec_max"] == "800"
        assert vm.run("throttle", NAME, "--iops-read", "50", "--persist").returncode == 0
        assert "read_iops_sec_max" not in tune_of(vm, "--config")[0], "a burst would pass ours"
        assert vm.run("throttle", NAME, "--reset", "--persist").returncode == 0
        assert tune_of(vm, "--config") == before, "what was not said is not said"
    finally:
        clear_operators(vm, "--config")


def test_persisted_limits_are_in_the_definition_and_reset_takes_them_out(vm):
    run = vm.run("throttle", NAME, "--cpu-quota", "40", "--iops-read", "70", "--persist")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ["CPU quota set to 40%", "IOPS read set to 70", "Definition: CPU quota set to 40%",
                                       "Definition: IOPS read set to 70"]
    xml = ET.fromstring(vm.virsh("dumpxml", "--inactive", NAME))
    assert (xml.findtext("cputune/quota"), xml.findtext("cputune/period")) == ("40000", "100000")
    assert xml.findtext("devices/disk/iotune/read_iops_sec") == "70"
    run = vm.run("throttle", NAME, "--reset", "--persist")
    assert "Definition: CPU quota removed (unlimited)" in run.stdout.splitlines()
    xml = ET.fromstring(vm.virsh("dumpxml", "--inactive", NAME))
    assert xml.findtext("cputune/quota") in (None, "-1")
    assert xml.find("devices/disk/iotune/read_iops_sec") is None
    assert not list((vm.state / "journal").glob("*.limits*"))


def test_bandwidth_is_set_or_its_failure_told_while_the_rest_is_applied(vm):
    run = vm.run("throttle", NAME, "--bandwidth-in", "8000", "--cpu-quota", "60", "--iops-write", "40")
    assert "CPU quota set to 60%\n" in run.stdout and "IOPS write set to 40\n" in run.stdout
    assert shares(vm)["vcpu_quota"] == "60000" and iops(vm) == (0, 40)
    tap = ET.fromstring(vm.virsh("dumpxml", NAME)).find("devices/interface/target").get("dev")
    shown = vm.virsh("domiftune", NAME, tap, "--live")
    if run.returncode != 0:
        assert "Bandwidth" not in run.stdout
        assert run.stderr.startswith(f"[vm-throttle] ERROR: libvirt cannot set the network limits of {NAME}: ")
        assert re.search(r"inbound.average: 0\b", shown)
        pytest.skip("this host cannot limit bandwidth: " + run.stderr.strip())
    assert "Bandwidth inbound set to 8000 kbps\n" in run.stdout
    assert re.search(r"inbound.average: 1000\s+inbound.peak\s*: 1000\b", shown)


def test_bandwidth_is_written_into_the_definition_of_a_vm_that_is_off(vm):
    assert vm.run("kill", NAME).returncode == 0
    try:
        run = vm.run("throttle", NAME, "--bandwidth-in", "800", "--bandwidth-out", "9", "--persist")
        assert run.stdout == ("Definition: Bandwidth inbound set to 800 kbps\n"
                              "Definition: Bandwidth outbound set to 9 kbps\n"), run.stderr
        bandwidth = ET.fromstring(vm.virsh("dumpxml", "--inactive", NAME)).find("devices/interface/bandwidth")
        assert bandwidth.find("inbound").attrib == {"average": "100", "peak": "100", "burst": "64"}
        assert bandwidth.find("outbound").attrib == {"average": "2", "peak": "2", "burst": "64"}
    finally:
        reset = vm.run("throttle", NAME, "--reset", "--persist")
        assert vm.run("start", NAME).returncode == 0
    assert "Definition: Bandwidth inbound limit removed (unlimited)\n" in reset.stdout
    assert ET.fromstring(vm.virsh("dumpxml", "--inactive", NAME)).find("devices/interface/bandwidth") is None


def test_a_limit_for_a_while_takes_itself_back(vm):
    before = shares(vm)
    assert vm.run("throttle", NAME, "--cpu-quota", "50", "--for", "2s").returncode == 0
    assert shares(vm)["vcpu_quota"] == "50000"
    time.sleep(2.1)
    run = vm.run("throttle", "--due")
    assert (run.returncode, run.stdout) == (0, f"{NAME}: CPU quota removed (unlimited)\n"), run.stderr
    assert shares(vm) == before


def test_a_vm_that_is_off_is_refused_and_limits_end_with_a_restart(vm):
    assert vm.run("throttle", NAME, "--cpu-quota", "50", "--for", "1s").returncode == 0
    assert vm.run("kill", NAME).returncode == 0
    run = vm.run("throttle", NAME, "--cpu-quota", "50")
    assert (run.returncode, run.stdout) == (1, "")
    assert "is not running" in run.stderr
    assert vm.run("throttle", NAME, "--cpu-quota", "25", "--persist").stdout == "Definition: CPU quota set to 25%\n"
    assert vm.run("start", NAME).returncode == 0
    assert shares(vm)["vcpu_quota"] == "25000"
    run = vm.run("throttle", "--due")
    assert (run.returncode, run.stdout) == (0, "")
    assert not [p for p in json.loads((vm.state / f"journal/{NAME}.limits").read_text())["parts"]
                if p["of"] == "running"]
    assert vm.run("throttle", NAME, "--reset", "--persist").returncode == 0
    assert shares(vm)["vcpu_quota"] == "-1"
