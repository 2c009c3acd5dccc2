"""The runner's arithmetic: what counts as passed, failed and skipped, whatever a program does."""

import os
import pathlib
import sys
import textwrap
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.dirname(__file__))

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
