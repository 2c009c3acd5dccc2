# SPDX-License-Identifier: MIT
"""The runner's arithmetic: what counts as passed, failed and skipped, whatever a program does."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
import xml.etree.ElementTree as ET

import pytest

sys.path[:0] = [os.path.dirname(__file__), str(pathlib.Path(__file__).resolve().parents[1])]

import pace  # noqa: E402
import run_suites  # noqa: E402

TWO_PASSED = '<testsuites><testsuite><testcase name="a"/><testcase name="b"/></testsuite></testsuites>'


def program(folder, body):
    """A suite whose program is a shell script; $2 is the file it should write its results to."""
    path = pathlib.Path(folder) / "program"
    path.write_text("#!/bin/sh\n" + textwrap.dedent(body))
    path.chmod(0o755)
    return run_suites.Suite("fake", "unit", [str(path)], {}, 3, "--out")


def test_a_case_with_a_failure_counts_once_however_many_assertions_failed():
    result = run_suites.read_junit(ET.fromstring(
        '<testsuite><testcase name="a"><failure message="x">1 == 2</failure><failure>3 == 4</failure></testcase>'
        '<testcase name="b"/></testsuite>'))
    assert result.counts() == "1 passed, 1 failed, 0 skipped"
    assert result.failures == [("a", "1 == 2\n3 == 4")]


def test_a_skip_is_counted_with_its_reason_and_not_as_passed():
    result = run_suites.read_junit(ET.fromstring(
        '<testsuite><testcase name="a"><skipped message="no KVM"/></testcase>'
        '<testcase name="b"><system-out>SKIP: no libvirt\n</system-out></testcase></testsuite>'))
    assert result.counts() == "0 passed, 0 failed, 2 skipped"
    assert result.skips == [("a", "no KVM"), ("b", "no libvirt")]


def test_a_program_that_prints_a_skip_past_its_reporter_is_heard(tmp_path):
    result = run_suites.run(program(tmp_path, f"echo '{TWO_PASSED}' >\"$2\"; echo 'SKIP: no bridge'"))
    assert result.counts() == "2 passed, 0 failed, 1 skipped"


def test_a_program_that_dies_is_a_failure_that_shows_its_last_words(tmp_path):
    result = run_suites.run(program(tmp_path, "echo last words; kill -SEGV $$"))
    assert result.counts() == "0 passed, 1 failed, 0 skipped"
    assert "signal 11" in result.failures[0][1] and "last words" in result.failures[0][1]


def test_passing_results_do_not_hide_a_bad_exit_status(tmp_path):
    result = run_suites.run(program(tmp_path, f"echo '{TWO_PASSED}' >\"$2\"; exit 23"))
    assert result.counts() == "2 passed, 1 failed, 0 skipped"
    assert "23" in result.failures[0][1]


def test_a_program_without_tests_is_a_failure(tmp_path):
    result = run_suites.run(program(tmp_path, "echo '<testsuites/>' >\"$2\""))
    assert result.counts() == "0 passed, 1 failed, 0 skipped"


def test_a_program_that_hangs_is_killed_at_its_deadline_with_its_children(tmp_path):
    suite = program(tmp_path, "sleep 1000 & sleep 1000")
    suite.seconds = 1
    result = run_suites.run(suite)
    assert "killed" in result.failures[0][1]


def test_a_run_without_the_debian_guest_fails_unless_that_is_waived(monkeypatch):
    system = run_suites.Suite("tests/system", "system", [], {}, 1, "--junitxml")
    without = run_suites.Result(1, [], [("test_debian::boots", "no guest")], ["test_quick::boots"])
    monkeypatch.delenv("BLOCKHOST_NO_GUEST", raising=False)
    assert run_suites.missing_guest([(system, without)]) is not None
    assert run_suites.missing_guest([(system, run_suites.Result(1, [], [], ["test_debian::boots"]))]) is None
    monkeypatch.setenv("BLOCKHOST_NO_GUEST", "1")
    assert run_suites.missing_guest([(system, without)]) is None


def test_the_slowest_tests_are_named_when_that_is_asked_for(tmp_path, capsys):
    suite = program(tmp_path, "")
    result = run_suites.read_junit(ET.fromstring(
        '<testsuite><testcase name="a" time="1.5"/><testcase name="b" time="3"/><testcase name="c"/></testsuite>'))
    run_suites.report(suite, result, 5, slowest=1)
    assert capsys.readouterr().out.splitlines()[1:] == ["      3.0 s  b"]
    run_suites.report(suite, result, 5, slowest=0)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_what_failed_is_named_again_at_the_end(tmp_path, capsys):
    suite = program(tmp_path, "")
    run_suites.print_failed([(suite, run_suites.Result(1, [("test_a", "line 1\nAssertionError: 3 != 4\n")]))])
    assert capsys.readouterr().out.splitlines() == [f"  FAILED {suite.name}: test_a: AssertionError: 3 != 4"]


# Lanes


def suite_of(folder, name, kind, body, seconds=20, reads_junit_from="--out"):
    """A suite of that name whose program is a shell script; it passes when the script ends well."""
    place = pathlib.Path(folder) / name
    place.mkdir()
    made = program(place, "set -e\n" + body + f"\necho '<testsuite><testcase name=\"{name}-case\"/></testsuite>' >\"$2\"\n")
    made.name, made.kind, made.seconds, made.reads_junit_from = name, kind, seconds, reads_junit_from
    return made


def outcomes(ran):
    return {suite.name: result.counts() for suite, result in ran}


def meets(folder, own, other):
    """A script that ends well when the other is at work at the same time."""
    return f"touch {folder}/{own}; for i in $(seq 150); do [ -e {folder}/{other} ] && break; sleep 0.1; done; rm {folder}/{other}"


def run_as_a_program(folder, suites, last_words=run_suites.LAST_WORDS, **how):
    """The runner as a program of its own, with these suites. It hears SIGINT, which a shell lets its background jobs ignore."""
    script = pathlib.Path(folder) / "runner.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {os.path.dirname(os.path.abspath(run_suites.__file__))!r})\n"
        "import run_suites\nfrom run_suites import Suite\n"
        f"made, run_suites.LAST_WORDS = {suites!r}, {last_words}\n"
        "run_suites.suites_of = lambda build, sanitized: made\n"
        "sys.argv = ['run_suites.py', '--build', 'nowhere']\nsys.exit(run_suites.main())\n")
    return subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            env={**os.environ, "BLOCKHOST_NO_GUEST": "1"}, **how,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def test_a_suite_that_waits_and_one_that_computes_run_beside_one_another(tmp_path):
    suites = [suite_of(tmp_path, "one", "cli", meets(tmp_path, "a", "b")),
              suite_of(tmp_path, "two", "system", meets(tmp_path, "b", "a"))]
    assert outcomes(run_suites.run_lanes(run_suites.lanes_of(suites))) == dict.fromkeys(["one", "two"], "1 passed, 0 failed, 0 skipped")


def test_suites_that_use_the_hosts_libvirt_never_run_at_once(tmp_path):
    alone = f"mkdir {tmp_path}/in-use || exit 1; sleep 0.3; rmdir {tmp_path}/in-use"
    suites = [suite_of(tmp_path, kind, kind, alone) for kind in ("libvirt", "system", "image")]
    suites += [suite_of(tmp_path, "unit", "unit", "true")]
    assert set(outcomes(run_suites.run_lanes(run_suites.lanes_of(suites))).values()) == {"1 passed, 0 failed, 0 skipped"}


def test_a_suite_that_computes_gives_way_only_where_another_runs_beside_it(tmp_path):
    computes, waits = (suite_of(tmp_path, kind, kind, f"nice >{tmp_path}/{kind}.nice") for kind in ("cli", "image"))
    here = os.nice(0)
    for suites, niceness in (([computes], here), ([computes, waits], min(19, here + run_suites.NICENESS))):
        run_suites.run_lanes(run_suites.lanes_of(suites))
        assert int((tmp_path / "cli.nice").read_text()) == niceness
    assert int((tmp_path / "image.nice").read_text()) == here


def test_each_suite_has_a_deadline_of_its_own(tmp_path):
    suites = [suite_of(tmp_path, "soon", "unit", "sleep 1000", seconds=1), suite_of(tmp_path, "late", "system", "sleep 1000", seconds=2),
              suite_of(tmp_path, "next", "unit", "true")]
    ran = {suite.name: result for suite, result in run_suites.run_lanes(run_suites.lanes_of(suites))}
    assert [ran[name].failures[0][1].split(",")[0] for name in ("soon", "late")] == ["not done after 1 s", "not done after 2 s"]
    assert ran["next"].passed == 1


def test_what_outlives_a_suite_in_a_session_of_its_own_is_not_waited_for(tmp_path):
    suite = suite_of(tmp_path, "parent", "unit", f"setsid sleep 1000 & echo $! >{tmp_path}/pid")
    try:
        began = time.monotonic()
        assert outcomes(run_suites.run_lanes([[suite]])) == {"parent": "1 passed, 0 failed, 0 skipped"}
        assert time.monotonic() - began < 500
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_report_is_in_one_piece_and_progress_says_whose_it_is(tmp_path):
    cases = "".join(f'<testcase name="{number}"><failure>why\nso</failure></testcase>' for number in range(300))
    suites = []
    for name, kind in (("here", "unit"), ("there", "system")):
        for number in range(3):
            suites.append(suite_of(tmp_path, f"{name}-{number}", kind, f"""
                for i in $(seq 200); do echo "test_{name}.py::test PASSED [ $i%]"; done
                echo '<testsuite>{cases}</testsuite>' >"$2"; exit 1"""))
            suites[-1].follow = True
    run = run_as_a_program(tmp_path, suites)
    lines = run.communicate(timeout=60)[0].splitlines()
    assert run.returncode == 1
    for name in (suite.name for suite in suites):
        first = next(number for number, line in enumerate(lines) if line.startswith(f"{name} "))
        assert lines[first + 1:first + 901] == [
            line for number in range(300) for line in (f"  FAILED {name}: {number}", "    why", "    so")]
        assert lines.count(f"    {name}: test_{name[:-2]}.py::test PASSED [ 7%]") == 1
    assert lines[-1] == "0 passed, 1800 failed, 0 skipped"
    assert lines[-2] == "  FAILED there-2: 299: so" and all(line.startswith("  FAILED ") for line in lines[-1801:-1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_interrupted_ends_every_process_that_its_suites_started(tmp_path, number):
    body = "sleep 1000 & echo $! >{0}/{1}.pid.new; mv {0}/{1}.pid.new {0}/{1}.pid; wait"
    suites = [suite_of(tmp_path, name, kind, body.format(tmp_path, name), seconds=300)
              for name, kind in (("one", "unit"), ("two", "system"), ("three", "unit"))]
    run = run_as_a_program(tmp_path, suites, start_new_session=True)
    assert pace.until(lambda: (tmp_path / "one.pid").exists() and (tmp_path / "two.pid").exists())
    run.send_signal(number)
    run.communicate(timeout=60)
    assert run.returncode != 0
    assert not (tmp_path / "three.pid").exists()
    for name in ("one", "two"):
        assert pace.until(lambda: not pathlib.Path("/proc", (tmp_path / f"{name}.pid").read_text().strip()).exists(), 10)


def test_a_suite_that_does_not_end_when_it_is_told_to_is_killed(tmp_path):
    suite = suite_of(tmp_path, "deaf", "unit", f"trap '' TERM; touch {tmp_path}/deaf.there; sleep 1000; sleep 1000", seconds=300)
    run = run_as_a_program(tmp_path, [suite], last_words=1)
    assert pace.until((tmp_path / "deaf.there").exists)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGTERM
