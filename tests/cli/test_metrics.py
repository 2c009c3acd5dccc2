# SPDX-License-Identifier: MIT
"""metrics in the simulated world: the keys and types consumers parse, every state of a VM, and files gone bad."""

import json
import os
import re
import subprocess
import time

import host as host_module
import pytest
from host import BINARY, BUILD, DB

KEYS = ["cpu_percent", "cpu_count", "memory_used_mb", "memory_total_mb", "disk_used_mb", "disk_total_mb",
        "disk_read_iops", "disk_write_iops", "disk_read_bytes_sec", "disk_write_bytes_sec", "net_rx_bytes_sec",
        "net_tx_bytes_sec", "net_connections", "guest_agent_responsive", "uptime_seconds", "state", "state_reason"]
STOPPED = {**{key: 0 for key in KEYS}, "cpu_percent": 0.0, "disk_used_mb": -1, "net_connections": -1,
           "guest_agent_responsive": False, "state": "stopped"}  # and the reason


class Host(host_module.Host):
    """A host with room for many VMs, and what metrics says of them."""

    def __init__(self, folder):
        super().__init__(folder)
        (self.etc / "db.yaml").write_text(DB.replace("end: 12", "end: 40"))
        self.world = folder / "mock-world"
        self.sample = self.world / "metrics/vm-1.json"

    def run(self, *words, prefix=(), program=BINARY):
        return subprocess.run([*prefix, program, *words], env=self.env, cwd=self.folder, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60)

    def create(self, name, cpus=1):
        run = super().create(name, "--cpu", str(cpus))
        assert run.returncode == 0, run.stderr

    def metrics(self, name="vm-1"):
        run = self.run("metrics", name, "--mock")
        assert run.returncode == 0, run.stderr
        return strict(run.stdout)


@pytest.fixture()
def host(tmp_path):
    made = Host(tmp_path)
    made.create("vm-1", cpus=2)
    return made


def check_types(row):
    """What a reader in Go unmarshals: a float, a bool, a string, and integers without fraction or exponent."""
    assert list(row) == KEYS
    for key, value in row.items():
        wanted = {"cpu_percent": float, "guest_agent_responsive": bool, "state": str, "state_reason": str}.get(key, int)
        assert type(value) is wanted, (key, value)
    return row


def strict(text):
    """One line, one object; no number is quoted, has an exponent, or has a fraction outside of cpu_percent."""
    assert text.endswith("\n") and text.count("\n") == 1
    assert re.search(r'"cpu_percent": \d+\.\d[,}]', text), text
    assert not re.search(r"\d[eE]", text)
    return check_types(json.loads(text))


def test_the_answer_is_one_object_of_seventeen_typed_keys(host):
    row = host.metrics()
    assert row["state"] == "running" and row["guest_agent_responsive"] is True
    assert row["cpu_count"] == 2 and row["memory_total_mb"] == 128 and row["memory_used_mb"] == 64
    assert row["disk_total_mb"] == 4096 and row["disk_used_mb"] == 1024 and row["net_connections"] == 3


def test_the_first_call_has_no_rates_and_the_next_has(host):
    first = host.metrics()
    assert first["cpu_percent"] == 0.0 and first["disk_write_bytes_sec"] == 0
    time.sleep(0.6)
    second = host.metrics()
    assert 7 < second["cpu_percent"] < 60  # 20 if looks took no time
    written = second["disk_write_bytes_sec"]
    assert 300_000 < written < 3_000_000
    assert abs(second["disk_read_bytes_sec"] * 2 - written) < written / 50
    assert abs(second["disk_write_iops"] * 4096 - written) < written / 20
    assert abs(second["net_rx_bytes_sec"] * 16 - written) < written / 20
    assert abs(second["net_tx_bytes_sec"] * 32 - written) < written / 20


def test_a_call_right_behind_another_repeats_its_rates(host):
    host.metrics()
    time.sleep(0.6)
    for _ in range(20):  # until two calls lie close enough together on a host that is busy
        began = time.monotonic()
        second, third = host.metrics(), host.metrics()
        if time.monotonic() - began < 0.5:
            break
        time.sleep(0.6)
    for key in ("cpu_percent", "disk_write_iops", "net_rx_bytes_sec"):
        assert second[key] == third[key] != 0


def test_load_beyond_the_virtual_cpus_is_their_whole(host):
    host.behave(cpu_load=5)
    host.metrics()
    time.sleep(0.6)
    run = host.run("metrics", "vm-1", "--mock")
    assert '"cpu_percent": 200.0,' in run.stdout


def test_a_stopped_vm_is_all_zero(host):
    assert host.run("kill", "vm-1", "--mock").returncode == 0
    assert host.metrics() == STOPPED | {"state_reason": "destroyed"}


def test_an_unknown_state_is_all_zero_too(host):
    host.set_state("unknown")
    assert host.metrics() == STOPPED | {"state": "unknown", "state_reason": "booted"}


def test_a_paused_vm_says_so_and_its_agent_is_not_asked(host):
    host.metrics()
    host.set_state("paused")
    time.sleep(0.6)
    row = host.metrics()
    assert row["state"] == "paused" and row["guest_agent_responsive"] is False
    assert row["cpu_percent"] == 0.0 and row["disk_write_iops"] == 0 and row["net_rx_bytes_sec"] == 0
    assert row["memory_total_mb"] == 128 and row["disk_used_mb"] == -1 and row["net_connections"] == -1


def test_a_silent_guest_keeps_the_figures_of_its_domain(host):
    host.behave(agent="silent")
    host.metrics()
    time.sleep(0.6)
    row = host.metrics()
    assert row["guest_agent_responsive"] is False and row["disk_used_mb"] == -1 and row["net_connections"] == -1
    assert row["cpu_percent"] > 0 and row["uptime_seconds"] >= 0 and row["state"] == "running"


def test_a_guest_without_balloon_figures_uses_at_most_what_it_has(host):
    host.behave(memory_used=-1)
    assert host.metrics()["memory_used_mb"] == 128  # the process is larger than its guest


def test_a_busy_qemu_leaves_the_state(host):
    host.behave(stats="busy")
    row = host.metrics()
    assert row["state"] == "running" and row["memory_used_mb"] == 0 and row["disk_total_mb"] == 0
    assert row["guest_agent_responsive"] is False and row["memory_total_mb"] == 128


def test_a_qemu_that_hangs_is_given_up_and_its_state_told(host):
    host.behave(stats="hangs")
    row = host.metrics()
    assert row["state"] == "running" and row["guest_agent_responsive"] is False and row["cpu_percent"] == 0.0
    assert host.metrics()["state"] == "running"


def test_a_hanging_qemu_does_not_spoil_the_sample(host):
    host.metrics()
    before = host.sample.read_text()
    time.sleep(0.6)
    host.behave(stats="busy")
    host.metrics()
    assert host.sample.read_text() == before


@pytest.mark.parametrize("name", ["nobody", "vm-2"])
def test_an_unknown_vm_is_an_error(host, name):
    run = host.run("metrics", name, "--mock")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("[vm-metrics] ") and name in run.stderr


@pytest.mark.parametrize("name", ["-a", "a/b", "", "a\n", "a b", "x" * 65, "..", ".a"])
def test_a_bad_name_is_an_error(host, name):
    run = host.run("metrics", "--mock", "--", name)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("[vm-metrics] ")


def test_a_hypervisor_that_is_down_is_an_error(host):
    host.behave(down=True)
    for words in (("vm-1",), ("--all",), ("--all", "--format", "prometheus")):
        run = host.run("metrics", *words, "--mock")
        assert (run.returncode, run.stdout) == (1, ""), words
        assert run.stderr.startswith("[vm-metrics] ")


@pytest.mark.parametrize("words", [(), ("a", "b"), ("vm-1", "--all"), ("vm-1", "--format", "json"), ("--nonsense",)])
def test_malformed_usage_is_refused_with_the_usage(host, words):
    run = host.run("metrics", *words, "--mock")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("Usage: ")


def test_one_vm_is_shown_without_configuration_and_database(host):
    (host.folder / "root/etc/blockhost/db.yaml").write_text("][")
    (host.folder / "mock-db.json").write_text("torn")
    assert host.metrics()["state"] == "running"


def test_the_contract_name_is_the_verb(host):
    run = host.run("vm-1", "--mock", program=BUILD / "symlinks/blockhost-vm-metrics")
    assert strict(run.stdout)["state"] == "running"


# The sample file.

def test_the_sample_has_the_keys_other_readers_know(host):
    host.metrics()
    sample = json.loads(host.sample.read_text())
    assert type(sample["timestamp"]) is float and abs(sample["timestamp"] - time.time()) < 60
    for key in ("cpu_time_ns", "blk_rd_reqs", "blk_wr_reqs", "blk_rd_bytes", "blk_wr_bytes", "net_rx", "net_tx"):
        assert type(sample[key]) is int
    assert [p.name for p in host.sample.parent.iterdir()] == ["vm-1.json"]
    assert host.sample.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff\xfe\x00", b"[]", b"null", b'{"timestamp": 1}', b"[" * 60000,
                                     b" " * 200000, b'{"boottime": "x", "cpu_time_ns": -1}'],
                         ids=["empty", "torn", "bytes", "array", "null", "foreign", "deep", "large", "types"])
def test_a_garbage_sample_is_as_good_as_none(host, garbage):
    host.sample.parent.mkdir(exist_ok=True)
    host.sample.write_bytes(garbage)
    assert host.metrics()["cpu_percent"] == 0.0
    time.sleep(0.6)
    assert host.metrics()["cpu_percent"] > 0


def test_a_sample_from_elsewhere_with_absurd_values_yields_integers(host):
    host.metrics()
    sample = json.loads(host.sample.read_text())
    sample["rates"] = {key: 1e308 for key in sample["rates"]}
    sample["slow"] |= {"uptime_seconds": 2 ** 63 - 1, "net_connections": 2 ** 70, "disk_used_bytes": -4}
    sample["boottime"] += 3
    host.sample.write_text(json.dumps(sample))
    assert host.metrics()["cpu_percent"] == 0.0  # a sample from later on


@pytest.mark.parametrize("change", [{"boot_id": "another"}, {"uuid": "another"}, {"id": 1}, {"boottime": 1e15}])
def test_a_sample_of_another_boot_or_run_gives_no_rates(host, change):
    host.metrics()
    time.sleep(0.6)
    host.sample.write_text(json.dumps(json.loads(host.sample.read_text()) | change))
    row = host.metrics()
    assert row["cpu_percent"] == 0.0 and row["disk_write_iops"] == 0


def test_a_wall_clock_that_jumped_changes_nothing(host):
    host.metrics()
    time.sleep(0.6)
    host.sample.write_text(json.dumps(json.loads(host.sample.read_text()) | {"timestamp": 4e9}))
    assert 7 < host.metrics()["cpu_percent"] < 60


def test_a_counter_that_was_reset_gives_zero_for_itself_alone(host):
    host.metrics()
    time.sleep(0.6)
    sample = json.loads(host.sample.read_text())
    host.sample.write_text(json.dumps(sample | {"blk_wr_bytes": 2 ** 60}))
    row = host.metrics()
    assert row["disk_write_bytes_sec"] == 0 and row["disk_read_bytes_sec"] > 0 and row["cpu_percent"] > 0


def test_an_unwritable_folder_costs_the_rates_and_one_line(host):
    folder = host.sample.parent
    folder.mkdir(exist_ok=True)
    folder.rmdir()
    folder.write_text("in the way")
    for _ in range(2):
        run = host.run("metrics", "vm-1", "--mock")
        assert run.returncode == 0 and strict(run.stdout)["guest_agent_responsive"] is True
        assert len(run.stderr.splitlines()) == 1 and run.stderr.startswith("[vm-metrics] ")


def test_a_file_left_open_in_the_guest_is_closed_by_the_next_call(host):
    host.metrics()
    host.sample.write_text(json.dumps(json.loads(host.sample.read_text()) | {"left_open": 1017}))
    host.metrics()
    assert "left_open" not in json.loads(host.sample.read_text())


def test_destroy_removes_the_sample(host):
    host.metrics()
    assert host.sample.exists()
    assert host.run("destroy", "vm-1", "--mock").returncode == 0
    assert not host.sample.exists()


def test_several_watchdogs_at_once_all_get_an_answer_and_leave_one_sample(host):
    words = [BINARY, "metrics", "vm-1", "--mock"]
    env = {"PATH": os.environ["PATH"], "BLOCKHOST_ROOT": str(host.folder / "root")}
    runs = [subprocess.Popen(words, cwd=host.folder, env=env, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    for run in runs:
        out, _ = run.communicate(timeout=60)
        assert run.returncode == 0 and strict(out)["state"] == "running"
    assert [p.name for p in host.sample.parent.iterdir()] == ["vm-1.json"]
    json.loads(host.sample.read_text())


# Every VM.

@pytest.fixture()
def fleet(host):
    host.create("vm-2")
    host.create("vm-3")
    host.create("vm-4")
    assert host.run("kill", "vm-2", "--mock").returncode == 0
    assert host.run("destroy", "vm-4", "--mock").returncode == 0
    host.behave(of={"vm-3": {"agent": "silent"}})
    return host


def test_all_is_an_array_of_every_vm_that_is_not_destroyed(fleet):
    run = fleet.run("metrics", "--all", "--mock")
    assert run.returncode == 0 and run.stdout.count("\n") == 1
    rows = {row.pop("name"): check_types(row) for row in json.loads(run.stdout)}
    assert list(rows) == ["vm-1", "vm-2", "vm-3"]
    assert rows["vm-1"]["guest_agent_responsive"] is True and rows["vm-1"]["disk_used_mb"] == 1024
    assert rows["vm-2"] == STOPPED | {"state_reason": "destroyed"}
    assert rows["vm-3"]["guest_agent_responsive"] is False and rows["vm-3"]["state"] == "running"


def test_ndjson_is_the_same_rows_one_a_line(fleet):
    array = json.loads(fleet.run("metrics", "--all", "--mock", "--format", "json").stdout)
    lines = fleet.run("metrics", "--all", "--mock", "--format", "ndjson").stdout.splitlines()
    assert [json.loads(line)["name"] for line in lines] == [row["name"] for row in array]
    assert all(list(json.loads(line)) == ["name", *KEYS] for line in lines)


def test_one_and_all_share_their_samples(fleet):
    fleet.metrics("vm-1")
    time.sleep(0.6)
    rows = json.loads(fleet.run("metrics", "--all", "--mock").stdout)
    assert rows[0]["cpu_percent"] > 0


def test_a_record_without_a_domain_has_a_row(fleet):
    for path in (fleet.world / "domains").glob("vm-1.*"):
        path.unlink()
    rows = json.loads(fleet.run("metrics", "--all", "--mock").stdout)
    assert rows[0] == {"name": "vm-1"} | STOPPED | {"state": "unknown", "state_reason": ""}


def test_a_hung_vm_costs_its_own_row(fleet):
    fleet.behave(of={"vm-3": {"stats": "hangs"}})
    for _ in range(5):  # a slow host may not hear of an agent in time
        rows = {row["name"]: row for row in json.loads(fleet.run("metrics", "--all", "--mock").stdout)}
        assert rows["vm-3"]["state"] == "running" and rows["vm-3"]["guest_agent_responsive"] is False
        if rows["vm-1"]["guest_agent_responsive"]:
            break
    assert rows["vm-1"]["guest_agent_responsive"] is True and rows["vm-1"]["disk_total_mb"] == 4096


def test_no_vm_at_all_is_an_empty_answer(host):
    host.run("destroy", "vm-1", "--mock")
    assert host.run("metrics", "--all", "--mock").stdout == "[]\n"
    assert host.run("metrics", "--all", "--mock", "--format", "ndjson").stdout == ""


SERIES = re.compile(r'([a-z_]+)\{name="((?:[^"\\]|\\.)*)"(?:,(?:state|reason)="([a-z]+)")?\} (\d+(?:\.\d+)?)')


def test_prometheus_text_has_help_type_base_units_and_an_up_for_each_vm(fleet):
    fleet.behave(of={"vm-3": {"stats": "busy"}})
    text = fleet.run("metrics", "--all", "--mock", "--format", "prometheus").stdout
    assert text.endswith("\n")
    types, helped, series = {}, set(), {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split()[2])
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in types
            types[name] = kind
        else:
            match = SERIES.fullmatch(line)
            assert match, line
            assert match[1] == list(types)[-1]  # a family's samples stand together, behind its type
            series[match[1], match[2]] = float(match[4])
    assert helped == set(types)
    assert all((kind == "counter") == name.endswith("_total") for name, kind in types.items())
    assert {name: series["blockhost_vm_up", name] for name in ("vm-1", "vm-2", "vm-3")} == \
        {"vm-1": 1, "vm-2": 0, "vm-3": 0}
    assert series["blockhost_vm_memory_size_bytes", "vm-1"] == 128 << 20
    assert series["blockhost_vm_disk_used_bytes", "vm-1"] == 1 << 30
    assert series["blockhost_vm_cpu_seconds_total", "vm-1"] > 0
    assert series["blockhost_vm_disk_written_bytes_total", "vm-1"] > 0
    assert ("blockhost_vm_disk_written_bytes_total", "vm-3") not in series  # QEMU was busy: unknown, not zero
    assert ("blockhost_vm_cpu_seconds_total", "vm-2") not in series
    assert 'blockhost_vm_state{name="vm-2",state="stopped"} 1' in text
    assert 'blockhost_vm_state_reason{name="vm-2",reason="destroyed"} 1' in text
