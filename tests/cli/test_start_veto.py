# SPDX-License-Identifier: MIT
"""What the hook program answers libvirtd: no to the start of a suspended VM of ours, yes to everything else."""

import json
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build"))
PROGRAM = BUILD / "hooks/blockhost-start-veto"
NAMESPACE = "https://blockhost.io/ns/blockhost-libvirt/1"
INSTANCE, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
UUID = "11111111-2222-4333-8444-555555555555"
SENTENCE = "vm-1 is suspended since 2026-01-02T03:04:05+00:00, unpaid: extend and resume it with BlockHost\n"
# Operations of libvirt's QEMU hook, with those of other versions; a no to one of these would kill a domain that runs.
HARMLESS = ["start", "started", "stopped", "release", "migrate", "reconnect", "attach", "restore", "define",
            "", "PREPARE"]


class Host:
    def __init__(self, folder):
        self.state = folder / "state"
        self.file = self.state / "suspended/vm-1"
        self.file.parent.mkdir(parents=True)
        self.suspend()

    def suspend(self, **changed):
        self.file.write_text(json.dumps({"instance": INSTANCE, "uuid": UUID, "since": "2026-01-02T03:04:05+00:00"}
                                        | changed))

    def xml(self, name="vm-1", instance=INSTANCE, namespace=NAMESPACE, state=None, more=""):
        return (f"<domain type='qemu' id='3'><name>{name}</name><uuid>{UUID}</uuid><metadata><blockhost:vm "
                f"xmlns:blockhost='{namespace}' instance='{instance}' operation='x' state='{state or self.state}'>"
                f"<blockhost:name>{name}</blockhost:name></blockhost:vm></metadata>{more}</domain>")

    def ask(self, operation="prepare", name="vm-1", xml=None, **more):
        return subprocess.run([PROGRAM, name, operation, "begin", "-"], input=(xml or self.xml()).encode(),
                              capture_output=True, timeout=20, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}, **more)


@pytest.fixture()
def host(tmp_path):
    return Host(tmp_path)


def refused(run):
    assert (run.returncode, run.stdout, run.stderr.decode()) == (1, b"", SENTENCE)


def allowed(run):
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def test_a_suspended_vm_is_kept_off(host):
    refused(host.ask("prepare"))


@pytest.mark.parametrize("operation", HARMLESS)
def test_no_other_operation_is_ever_refused(host, operation):
    allowed(host.ask(operation))


def test_a_vm_without_a_file_starts(host):
    host.file.unlink()
    allowed(host.ask())
    host.file.parent.rmdir()
    allowed(host.ask())


def test_the_file_of_another_vm_does_not_matter(host):
    host.file.rename(host.file.parent / "vm-2")
    allowed(host.ask())


@pytest.mark.parametrize("changed", [{"instance": OTHER}, {"uuid": UUID.replace("1", "2")}, {"since": "soon"},
                                     {"instance": 1}, {"since": None}])
def test_a_file_that_is_not_about_this_domain_forbids_nothing(host, changed):
    host.suspend(**changed)
    allowed(host.ask())


def test_a_file_without_uuid_is_about_whatever_has_the_name(host):
    host.suspend(uuid="")
    refused(host.ask())
    host.suspend(uuid=UUID.upper())
    refused(host.ask())


def test_another_instances_domain_is_not_looked_up_here(host, tmp_path):
    allowed(host.ask(xml=host.xml(instance=OTHER)))
    allowed(host.ask(xml=host.xml(state=tmp_path / "another")))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"yes", b"\xff\xfe\x00", b"[" * 4000,
                                     b'{"instance": "' + b"0" * 8000 + b'"}'])
def test_garbage_in_the_file_forbids_nothing(host, content):
    host.file.write_bytes(content)
    allowed(host.ask())


def test_only_a_regular_file_in_a_real_folder_forbids_anything(host, tmp_path):
    kept = host.file.rename(tmp_path / "kept")
    host.file.symlink_to(kept)
    allowed(host.ask())
    host.file.unlink()
    os.mkfifo(host.file)
    allowed(host.ask())
    host.file.unlink()
    host.file.mkdir()
    allowed(host.ask())
    host.file.rmdir()
    host.file.parent.rmdir()
    real = tmp_path / "real"
    real.mkdir()
    kept.rename(real / "vm-1")
    host.file.parent.symlink_to(real)
    allowed(host.ask())
    host.file.parent.unlink()
    real.rename(host.file.parent)
    refused(host.ask())


def test_a_folder_that_cannot_be_read_forbids_nothing():
    if os.geteuid() != 0:
        pytest.skip("only root can call the program as somebody else")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        host = Host(pathlib.Path(folder))
        program = host.state.parent / "program"
        shutil.copy(PROGRAM, program)
        words = [program, "vm-1", "prepare", "begin", "-"]
        more = {"input": host.xml().encode(), "capture_output": True, "user": 65534, "group": 65534, "extra_groups": []}
        refused(subprocess.run(words, **more))
        host.file.chmod(0o600)
        allowed(subprocess.run(words, **more))
        host.file.chmod(0o644)
        host.file.parent.chmod(0o700)
        allowed(subprocess.run(words, **more))


BAD_DEFINITIONS = {
    "empty": " ", "no XML": "hello", "torn": "<domain><name>vm-1</name><metadata>", "NUL": "\0" * 100,
    "another document": "<pool><name>vm-1</name></pool>", "deep": "<a>" * 300000,
    "no metadata": "<domain type='qemu'><name>vm-1</name></domain>",
}


@pytest.mark.parametrize("which", BAD_DEFINITIONS)
def test_a_definition_that_cannot_be_understood_starts(host, which):
    allowed(host.ask(xml=BAD_DEFINITIONS[which]))


def test_what_is_not_marked_as_ours_starts(host):
    allowed(host.ask(xml=host.xml(namespace="https://example.org/else")))
    allowed(host.ask(xml=host.xml(state="relative")))
    allowed(host.ask(xml=host.xml(state=" ")))


@pytest.mark.parametrize("name", ["vm-2", "../suspended/vm-1", "", "vm-1\n", ".", "x" * 70])
def test_the_name_must_be_a_vms_and_the_definitions(host, name):
    allowed(host.ask(name=name))
    allowed(host.ask(name=name, xml=host.xml(name=name)))
    allowed(host.ask(xml=host.xml(name="vm-2")))


def test_a_huge_definition_starts_and_is_not_read_to_its_end(host):
    refused(host.ask(xml=host.xml(more="<description>" + "x" * 900_000 + "</description>")))
    allowed(host.ask(xml=host.xml(more="<description>" + "x" * 1_200_000 + "</description>")))
    allowed(host.ask(xml=host.xml(more="<description>" + "x" * 50_000_000 + "</description>")))


def test_a_definition_that_never_ends_starts(host):
    reader, writer = os.pipe()
    try:
        os.write(writer, host.xml().encode())
        allowed(subprocess.run([PROGRAM, "vm-1", "prepare", "begin", "-"], stdin=reader, capture_output=True, timeout=60))
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("closed", ["<&-", "<&- >&- 2>&-"])
def test_without_a_definition_it_starts(closed):
    run = subprocess.run(["sh", "-c", f'exec "$0" vm-1 prepare begin - {closed}', PROGRAM], capture_output=True)
    assert run.returncode == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "2>/dev/full"])
def test_the_answer_does_not_need_somebody_who_listens(host, closed):
    before = host.file.read_bytes()
    run = subprocess.run(["sh", "-c", f'exec "$0" vm-1 prepare begin - {closed}', PROGRAM], input=host.xml().encode(),
                         capture_output=True)
    assert run.returncode == 1
    assert host.file.read_bytes() == before
    assert (host.state / "start-veto-asked").read_bytes() == b""


@pytest.mark.parametrize("words", [[], ["vm-1"]])
def test_too_few_words_are_answered_yes(words):
    assert subprocess.run([PROGRAM, *words], stdin=subprocess.DEVNULL).returncode == 0


def test_it_leaves_a_mark_that_libvirtd_asks(host):
    mark = host.state / "start-veto-asked"
    host.ask("reconnect")
    host.ask(xml=BAD_DEFINITIONS["no metadata"])
    assert not mark.exists()
    host.file.unlink()
    host.ask()
    os.utime(mark, (1, 1))
    host.ask()
    assert mark.stat().st_mtime > 1 and mark.stat().st_size == 0


@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_the_mark_is_never_made_on_somebody_elses_file(host, tmp_path, link):
    victim = tmp_path / "victim"
    victim.write_text("x")
    os.utime(victim, (1, 1))
    mark = host.state / "start-veto-asked"
    mark.symlink_to(victim) if link == "symbolic" else os.link(victim, mark)
    refused(host.ask())
    assert victim.stat().st_mtime == 1 and victim.read_text() == "x"


def test_it_needs_nothing_that_could_be_missing():
    if b"__asan_init" in PROGRAM.read_bytes():
        pytest.skip("a sanitizer build needs the sanitizers' own libraries")
    out = subprocess.run(["readelf", "-d", PROGRAM], check=True, capture_output=True, text=True).stdout
    needed = {line.split("[")[1].rstrip("]") for line in out.splitlines() if "(NEEDED)" in line}
    assert needed <= {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"}


def test_it_answers_in_a_blink(host):
    """The quickest of many runs, the start of a process included, in CPU time: it waits for nobody."""
    if b"__asan_init" in PROGRAM.read_bytes():
        pytest.skip("a sanitizer build is slow by itself")
    costs = []
    for _ in range(30):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        refused(host.ask())
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(costs) < 0.010
