# SPDX-License-Identifier: MIT
"""throttle in the simulated world: every line to the byte, what is refused, what ends by itself."""

import json
import signal
import subprocess

import host as host_module
import pytest
from host import BINARY, BUILD

LINK = BUILD / "symlinks/blockhost-vm-throttle"

EVERY_OPTION = ("--cpu-shares", "512", "--cpu-quota", "50", "--bandwidth-in", "1000", "--bandwidth-out", "100",
                "--iops-read", "500", "--iops-write", "300")
EVERY_LINE = ["CPU shares set to 512", "CPU quota set to 50%", "Bandwidth inbound set to 1000 kbps",
              "Bandwidth outbound set to 100 kbps", "IOPS read set to 500", "IOPS write set to 300"]
RESET_LINES = ["CPU shares set to 1024", "CPU quota removed (unlimited)", "Bandwidth inbound limit removed (unlimited)",
               "Bandwidth outbound limit removed (unlimited)", "IOPS read limit removed (unlimited)",
               "IOPS write limit removed (unlimited)"]
NO_LIMITS = {"cpu_shares": 1024, "cpu_quota": None, "bandwidth_in": None, "bandwidth_out": None, "iops_read": None,
             "iops_write": None}


class Host(host_module.Host):
    """A host with one VM, and what throttle does to it."""

    def __init__(self, folder):
        super().__init__(folder)
        self.behave()
        run = self.create()
        assert run.returncode == 0, run.stderr

    def run(self, *words, program=BINARY, **env):
        return super().run(*words, *(() if "--mock" in words else ("--mock",)), program=program, **env)

    def throttle(self, *words, **env):
        return self.run(*words, program=LINK, **env)

    def behave(self, **knobs):
        super().behave(boot_ms=0, shutdown_ms=0, **knobs)

    def show(self, name="vm-1"):
        run = self.throttle(name, "--show", "--json")
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    def tuning(self):
        """What the simulated hypervisor holds, in its own units."""
        return json.loads((self.folder / "mock-world/domains/vm-1.json").read_text()).get("running")

    def remembered(self):
        path = self.folder / "mock-world/journal/vm-1.limits"
        return json.loads(path.read_text())["parts"] if path.exists() else []

    def time_passes(self):
        """All limits for a while have come to their end."""
        for path in (self.folder / "mock-world/journal").glob("*.limits"):
            notes = json.loads(path.read_text())
            for part in notes["parts"]:
                if "until" in part:
                    part["until"] |= {"wall": "2020-01-01T00:00:00+00:00", "since_boot_ms": 0}
            path.write_text(json.dumps(notes))

    def journal(self):
        return sorted(p.name for p in (self.folder / "mock-world/journal").iterdir())


@pytest.fixture()
def host(tmp_path):
    return Host(tmp_path)


def went(run, lines):
    assert (run.returncode, run.stdout.splitlines(), run.stderr) == (0, lines, "")


def refused(run, message, status=1):
    assert (run.returncode, run.stdout) == (status, ""), run.stderr
    assert run.stderr.splitlines()[-1] == "[vm-throttle] ERROR: " + message


def test_every_limit_has_its_line_and_reaches_the_hypervisor(host):
    went(host.throttle("vm-1", *EVERY_OPTION), EVERY_LINE)
    assert host.tuning() == {"cpu_shares": 512, "cpu_period": 100000, "cpu_quota": 50000,
                             "inbound": {"average": 125, "peak": 125, "burst": 64},
                             "outbound": {"average": 13, "peak": 13, "burst": 64}, "iops_read": 500, "iops_write": 300}
    went(host.run("throttle", *EVERY_OPTION, "vm-1"), EVERY_LINE)
    assert host.journal() == []


def test_zero_takes_a_limit_away(host):
    assert host.throttle("vm-1", *EVERY_OPTION).returncode == 0
    run = host.throttle("vm-1", "--bandwidth-in=0", "--bandwidth-out=0", "--iops-read=0", "--iops-write=0")
    went(run, RESET_LINES[2:])
    assert host.show()["running"] == NO_LIMITS | {"cpu_shares": 512, "cpu_quota": 50}


@pytest.mark.parametrize("option, key", [(EVERY_OPTION[i], k) for i, k in zip(range(0, 12, 2), NO_LIMITS)])
def test_each_limit_alone_leaves_the_others_as_they_are(host, option, key):
    assert host.throttle("vm-1", *EVERY_OPTION).returncode == 0
    before = host.show()["running"]
    assert host.throttle("vm-1", option, "80").returncode == 0
    assert host.show()["running"] == before | {key: 80}


def test_one_iops_limit_leaves_its_sibling(host):
    assert host.throttle("vm-1", "--iops-read", "500", "--iops-write", "300").returncode == 0
    went(host.throttle("vm-1", "--iops-read", "100"), ["IOPS read set to 100"])
    assert (host.tuning()["iops_read"], host.tuning()["iops_write"]) == (100, 300)
    went(host.throttle("vm-1", "--iops-write", "0"), ["IOPS write limit removed (unlimited)"])
    assert (host.tuning()["iops_read"], host.tuning()["iops_write"]) == (100, 0)


def test_bandwidth_is_rounded_up_to_whole_kilobytes(host):
    for kbps, kilobytes in ((1, 1), (7, 1), (8, 1), (9, 2), (12000, 1500)):
        went(host.throttle("vm-1", "--bandwidth-in", str(kbps)), [f"Bandwidth inbound set to {kbps} kbps"])
        assert host.tuning()["inbound"] == {"average": kilobytes, "peak": kilobytes,
                                            "burst": max(64, kilobytes // 10)}


def test_reset_returns_to_the_creation_and_wins_over_the_rest(host):
    assert host.throttle("vm-1", *EVERY_OPTION).returncode == 0
    went(host.throttle("vm-1", "--cpu-quota", "10", "--reset", "--iops-read", "1"), RESET_LINES)
    assert host.show()["running"] == NO_LIMITS
    went(host.throttle("vm-1", "--reset"), RESET_LINES)


@pytest.mark.parametrize("option", EVERY_OPTION[::2])
@pytest.mark.parametrize("value", ["-1", "1e3", "99999999999999999999", "abc", "", "1.5", "0x1", " 1", "+1"])
def test_values_that_are_none_are_refused(host, option, value):
    run = host.throttle("vm-1", f"{option}={value}")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"[vm-throttle] ERROR: {option}: '{value}' is ")
    assert host.show()["running"] == NO_LIMITS


@pytest.mark.parametrize("option, value, bounds", [
    ("--cpu-shares", "0", "1 to 10000"), ("--cpu-shares", "10001", "1 to 10000"), ("--cpu-quota", "0", "1 to 100"),
    ("--cpu-quota", "101", "1 to 100"), ("--bandwidth-in", "34359738361", "0 to 34359738360"),
    ("--iops-write", "1000000000000001", "0 to 1000000000000000"),
])
def test_values_out_of_bounds_are_refused_with_the_bounds(host, option, value, bounds):
    refused(host.throttle("vm-1", option, value), f"{option}: '{value}' is out of bounds ({bounds})")


@pytest.mark.parametrize("value", ["", "0s", "5", "-5m", "1.5h", "1w", "366d", "1h30m", "99999999999999999999s"])
def test_durations_that_are_none_are_refused(host, value):
    refused(host.throttle("vm-1", "--cpu-quota", "50", f"--for={value}"),
            f"--for: '{value}' is not a duration; write 90s, 30m, 12h or 7d; from 1s to 365d")
    assert host.show()["running"] == NO_LIMITS


def test_no_limit_is_refused_and_malformed_usage_exits_2(host):
    nothing = "no limit is given; name one, or --reset or --show"
    refused(host.throttle("vm-1"), nothing)
    refused(host.throttle("vm-1", "--persist", "--for", "1h"), nothing)
    refused(host.throttle(), "operand <name> is missing", status=2)
    refused(host.throttle("--cpu-quota", "50"), "operand <name> is missing", status=2)
    refused(host.throttle("vm-1", "--due"), "--due takes no NAME", status=2)
    refused(host.throttle("--due", "--reset"), "--due goes with no other option", status=2)
    refused(host.throttle("vm-1", "--show", "--cpu-quota", "5"), "--show goes with no other option", status=2)
    run = host.throttle("vm-1", "--cpu-quota", "5", "--json")
    assert run.returncode == 2 and json.loads(run.stdout)["error"] == "--json goes with --show only"
    assert host.throttle("vm-1", "--cpu-quota").returncode == 2
    assert host.throttle("vm-1", "vm-2", "--reset").returncode == 2
    assert host.throttle("vm-1", "--iops", "5").returncode == 2, "an ambiguous prefix"


def test_vms_that_are_absent_destroyed_off_or_paused_are_refused(host):
    refused(host.throttle("nobody", "--cpu-quota", "50"), "there is no VM named nobody")
    refused(host.throttle("../x", "--cpu-quota", "50"), "Invalid VM name: ../x; " + host.throttle(
        "../x", "--reset").stderr.strip().split("; ", 1)[1])
    state = host.folder / "mock-world/domains/vm-1.json"
    state.write_text(state.read_text().replace('"state":"running"', '"state":"paused"'))
    refused(host.throttle("vm-1", "--cpu-quota", "50"), "vm-1 is not running: it is paused; start vm-1 first")
    assert host.run("kill", "vm-1").returncode == 0
    refused(host.throttle("vm-1", "--cpu-quota", "50"),
            "vm-1 is not running; start it first, or write the limits into its definition with --persist")
    refused(host.throttle("vm-1", "--reset"),
            "vm-1 is not running; start it first, or write the limits into its definition with --persist")
    assert host.run("destroy", "vm-1").returncode == 0
    refused(host.throttle("vm-1", "--cpu-quota", "50"), "vm-1 was destroyed")
    refused(host.throttle("vm-1", "--show"), "vm-1 was destroyed")
    assert host.journal() == []


def test_a_hypervisor_that_is_down_is_said(host):
    host.behave(down=True)
    for words in (("--cpu-quota", "50"), ("--reset",), ("--show",)):
        run = host.throttle("vm-1", *words)
        assert (run.returncode, run.stdout) == (1, "")
        assert "cannot be reached" in run.stderr.splitlines()[-1]
    went(host.throttle("--due"), [])


def test_a_domain_that_is_not_ours_is_left_alone(host):
    path = host.folder / "mock-world/domains/vm-1.xml"
    path.write_text(path.read_text().replace('instance="', 'instance="0'))
    before = host.tuning()
    refused(host.throttle("vm-1", "--cpu-quota", "50", "--persist"),
            "vm-1 is a domain that this BlockHost did not make; it is left untouched")
    assert host.throttle("vm-1", "--show").returncode == 1
    assert host.tuning() == before


def test_a_subsystem_that_refuses_leaves_the_others_as_asked(host):
    host.behave(tune_refuses="network")
    run = host.throttle("vm-1", *EVERY_OPTION)
    assert run.returncode == 1
    assert run.stdout.splitlines() == EVERY_LINE[:2] + EVERY_LINE[4:]
    assert run.stderr == "[vm-throttle] ERROR: libvirt cannot set the network limits of vm-1: simulated refusal\n"
    assert host.show()["running"] == NO_LIMITS | {"cpu_shares": 512, "cpu_quota": 50, "iops_read": 500,
                                                  "iops_write": 300}
    went(host.throttle("vm-1", "--reset"), RESET_LINES)


def test_what_the_running_vm_did_not_get_is_not_written_into_its_definition(host):
    """There it might keep the VM from starting."""
    host.behave(tune_refuses="network")
    run = host.throttle("vm-1", "--cpu-quota", "50", "--bandwidth-in", "80", "--persist")
    assert (run.returncode, run.stdout) == (1, "CPU quota set to 50%\nDefinition: CPU quota set to 50%\n")
    assert run.stderr == ("[vm-throttle] ERROR: libvirt cannot set the network limits of vm-1: simulated refusal; "
                          "Definition: Bandwidth inbound: not written, since the running VM did not get it\n")
    assert host.show()["definition"] == NO_LIMITS | {"cpu_quota": 50}


def test_errors_are_joined_and_a_limit_that_did_not_come_true_has_no_line(host):
    host.behave(tune_refuses="cpu", tune_forgets="disk")
    run = host.throttle("vm-1", *EVERY_OPTION)
    assert (run.returncode, run.stdout.splitlines()) == (1, EVERY_LINE[2:4])
    assert run.stderr == ("[vm-throttle] ERROR: libvirt cannot set the cpu limits of vm-1: simulated refusal; IOPS read: "
                          "libvirt took 500, but shows unlimited; IOPS write: libvirt took 300, but shows unlimited\n")


def test_limits_end_with_a_restart_unless_they_are_persisted(host):
    assert host.throttle("vm-1", *EVERY_OPTION).returncode == 0
    assert host.run("kill", "vm-1").returncode == 0
    assert host.run("start", "vm-1").returncode == 0
    assert host.show()["running"] == NO_LIMITS
    went(host.throttle("vm-1", *EVERY_OPTION, "--persist"), EVERY_LINE + ["Definition: " + line for line in EVERY_LINE])
    assert host.run("kill", "vm-1").returncode == 0
    assert host.run("start", "vm-1").returncode == 0
    assert host.show()["running"]["cpu_quota"] == 50
    run = host.throttle("vm-1", "--reset")
    assert run.stdout.splitlines() == RESET_LINES
    assert run.stderr == ("[vm-throttle] WARNING: the definition of vm-1 still has limits that --persist wrote; --reset "
                          "--persist takes them back too\n")
    went(host.throttle("vm-1", "--reset", "--persist"), RESET_LINES + ["Definition: " + line for line in RESET_LINES])
    assert host.show()["definition"] == NO_LIMITS
    assert host.journal() == []


def test_a_vm_that_is_off_can_have_its_definition_limited(host):
    assert host.run("kill", "vm-1").returncode == 0
    went(host.throttle("vm-1", "--cpu-quota", "50", "--persist"), ["Definition: CPU quota set to 50%"])
    assert host.show() == {"name": "vm-1", "running": None, "definition": NO_LIMITS | {"cpu_quota": 50},
                           "until": {"running": {}, "definition": {}}}
    assert host.throttle("vm-1", "--show").stdout.splitlines()[1] == "CPU quota: not running (definition: 50%)"
    assert host.run("start", "vm-1").returncode == 0
    assert host.show()["running"]["cpu_quota"] == 50


def test_an_operators_own_limits_in_the_definition_are_what_reset_returns_to(host):
    assert host.run("kill", "vm-1").returncode == 0
    path = host.folder / "mock-world/domains/vm-1.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps(state | {"definition": {"cpu_quota": 30000, "cpu_period": 50000}}))
    assert host.run("start", "vm-1").returncode == 0
    assert host.throttle("vm-1", "--cpu-quota", "90", "--persist").returncode == 0
    run = host.throttle("vm-1", "--reset", "--persist")
    assert run.stdout.splitlines()[1] == "CPU quota set to 60%"
    assert (host.tuning()["cpu_quota"], host.tuning()["cpu_period"]) == (30000, 50000)
    assert host.show()["definition"]["cpu_quota"] == 60


def test_show_prints_a_line_for_each_limit(host):
    assert host.throttle("vm-1", "--cpu-quota", "50", "--bandwidth-in", "100", "--iops-write", "7").returncode == 0
    went(host.throttle("vm-1", "--show"), [
        "CPU shares: 1024 (definition: 1024)", "CPU quota: 50% (definition: unlimited)",
        "Bandwidth inbound: 104 kbps (definition: unlimited)", "Bandwidth outbound: unlimited (definition: unlimited)",
        "IOPS read: unlimited (definition: unlimited)", "IOPS write: 7 (definition: unlimited)"])


def test_a_limit_for_a_while_says_its_end_and_takes_itself_back(host):
    went(host.throttle("vm-1", "--cpu-quota", "50", "--iops-read", "5", "--for", "6h"),
         ["CPU quota set to 50%", "IOPS read set to 5"])
    shown = host.show()
    assert set(shown["until"]["running"]) == {"cpu_quota", "iops_read"}
    went(host.throttle("--due"), [])
    assert host.show()["running"] == shown["running"]
    host.time_passes()
    went(host.throttle("--due"), ["vm-1: CPU quota removed (unlimited)", "vm-1: IOPS read limit removed (unlimited)"])
    assert host.show()["running"] == NO_LIMITS
    assert host.journal() == []
    went(host.throttle("--due"), [])


def test_a_limit_that_cannot_be_taken_back_is_reported_and_kept_in_mind(host):
    assert host.throttle("vm-1", "--cpu-quota", "50", "--iops-read", "5", "--for", "1h").returncode == 0
    host.time_passes()
    (host.folder / "mock-world/journal/another.limits").write_text("garbage")
    host.behave(tune_refuses="cpu")
    run = host.throttle("--due")
    assert (run.returncode, run.stdout) == (1, "vm-1: IOPS read limit removed (unlimited)\n")
    assert "vm-1: libvirt cannot set the cpu limits of vm-1: simulated refusal" in run.stderr
    assert "another.limits" in run.stderr
    assert [part["limit"] for part in host.remembered()] == ["cpu_quota"]
    (host.folder / "mock-world/journal/another.limits").unlink()
    host.behave()
    went(host.throttle("--due"), ["vm-1: CPU quota removed (unlimited)"])


def test_throttles_at_once_lose_nothing_of_each_other(host):
    for number in range(1, 9):
        at_once = [subprocess.Popen([LINK, "vm-1", f"--iops-{way}", str(number), "--for", "1h", "--mock"], env=host.env,
                                    cwd=host.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                   for way in ("read", "write")]
        assert [run.wait() for run in at_once] == [0, 0], [run.stderr.read() for run in at_once]
        assert [run.stdout.read() for run in at_once] == [f"IOPS read set to {number}\n", f"IOPS write set to {number}\n"]
        assert (host.tuning()["iops_read"], host.tuning()["iops_write"]) == (number, number)
        assert {part["limit"] for part in host.remembered()} == {"iops_read", "iops_write"}


def test_what_a_killed_throttle_left_is_forgotten_with_the_lock_it_held(host):
    assert host.throttle("vm-1", "--cpu-quota", "50", "--for", "1h", BLOCKHOST_FAULT="kill@1").returncode == -signal.SIGKILL
    assert host.journal() == ["vm-1.limits-lock"]
    assert host.throttle("vm-1", "--cpu-quota", "50").returncode == 0
    assert host.journal() == []


def points(tmp_path_factory, words):
    world = Host(tmp_path_factory.mktemp("count"))
    count = world.folder / "count"
    assert world.throttle(*words, BLOCKHOST_FAULT=f"count@{count}").returncode == 0
    return int(count.read_text())


def test_killed_at_any_point_no_limit_for_a_while_outlives_it(tmp_path_factory):
    """The definition too; and after the kill the same command works at once."""
    words = ("vm-1", *EVERY_OPTION, "--persist", "--for", "1h")
    killed = []
    for n in range(1, points(tmp_path_factory, words) + 1):
        world = Host(tmp_path_factory.mktemp("kill"))
        assert world.throttle("vm-1", "--cpu-quota", "80").returncode == 0
        run = world.throttle(*words, BLOCKHOST_FAULT=f"kill@{n}")
        assert run.returncode == -signal.SIGKILL
        killed.append((n, world))
    for n, world in killed:
        world.time_passes()
        due = world.throttle("--due")
        assert due.returncode == 0, (n, due.stderr)
        shown = world.show()
        assert shown["running"] == NO_LIMITS | {"cpu_quota": 80}, (n, shown)
        assert shown["definition"] == NO_LIMITS, (n, shown)
        assert world.remembered() == [], n
        assert world.throttle("vm-1", "--cpu-quota", "10").returncode == 0


def test_failing_at_any_point_tells_what_came_true(tmp_path_factory):
    words = ("vm-1", *EVERY_OPTION)
    for n in range(1, points(tmp_path_factory, words) + 1):
        world = Host(tmp_path_factory.mktemp("fail"))
        run = world.throttle(*words, BLOCKHOST_FAULT=f"fail@{n}")
        shown = world.show()["running"]
        for line, (option, value), key in zip(EVERY_LINE, zip(EVERY_OPTION[::2], EVERY_OPTION[1::2]), NO_LIMITS):
            if line in run.stdout.splitlines():
                assert shown[key] in (int(value), 104), (n, line, shown)
        if run.returncode == 0:
            assert run.stdout.splitlines() == EVERY_LINE
        else:
            assert run.stderr.startswith("[vm-throttle] ERROR: "), run.stderr
        assert world.throttle(*words).returncode == 0


def test_a_limit_for_a_while_over_a_lasting_one_gives_way_to_it(host):
    went(host.throttle("vm-1", "--cpu-quota", "30", "--persist"),
         ["CPU quota set to 30%", "Definition: CPU quota set to 30%"])
    lasting = host.show()
    assert host.throttle("vm-1", "--cpu-quota", "50", "--for", "1h", "--persist").returncode == 0
    assert host.throttle("vm-1", "--cpu-quota", "60", "--for", "1h", "--persist").returncode == 0
    host.time_passes()
    assert host.throttle("--due").returncode == 0
    shown = host.show()
    assert (shown["running"], shown["definition"]) == (lasting["running"], lasting["definition"])
    assert host.throttle("vm-1", "--reset", "--persist").returncode == 0
    assert host.show()["running"] == host.show()["definition"] == NO_LIMITS


@pytest.mark.parametrize("figure", [4294967296, 4294967301, 9007199254740993, -1])
def test_a_figure_that_no_bandwidth_has_is_refused_not_cut_to_32_bits(host, figure):
    assert host.throttle("vm-1", "--bandwidth-in", "1000", "--for", "1h").returncode == 0
    path = host.folder / "mock-world/journal/vm-1.limits"
    notes = json.loads(path.read_text())
    notes["parts"][0]["before"][0] = figure
    path.write_text(json.dumps(notes))
    host.time_passes()
    before = host.tuning()
    run = host.throttle("--due")
    assert run.returncode == 1 and "vm-1.limits is not a list of limits" in run.stderr, run.stderr
    assert host.tuning() == before
