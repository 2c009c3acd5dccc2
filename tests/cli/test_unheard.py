# SPDX-License-Identifier: MIT
"""Every verb that changes something, with a stdout that cannot take its answer: what was done, what is said of it, and that
a repeat of the call does nothing twice."""

import json
import os
import subprocess

import pytest
from host import BINARY, WALLET, Host

DUMP = json.loads(subprocess.run([BINARY, "__dump"], capture_output=True, text=True, check=True).stdout)
ROWS = {row["verb"]: row for row in DUMP["verbs"]}
CREATE = ("create", "vm-1", "--owner-wallet", WALLET, "--memory", "128", "--disk", "4", "--apply")
PAST = "2020-01-01T00:00:00+00:00"


class Play(Host):
    """The simulated world with one VM in it, and looks at what calls have done."""

    def __init__(self, folder):
        super().__init__(folder)
        self.behave(boot_ms=0, shutdown_ms=0)
        assert self.mock(*CREATE).returncode == 0

    def mock(self, *words, **more):
        return self.run(*words, "--mock", **more)

    def record(self):
        path = self.folder / "mock-db.json"
        return json.loads(path.read_text())["vms"].get("vm-1", {}) if path.exists() else {}

    def change(self, **fields):
        registry = json.loads((self.folder / "mock-db.json").read_text())
        registry["vms"]["vm-1"] |= fields
        (self.folder / "mock-db.json").write_text(json.dumps(registry))

    def want(self, **fields):
        (self.folder / "desired.json").write_text(json.dumps(
            {"version": 1, "host": os.uname().nodename, "generation": 1, "guests": {"vm-1": fields}}))

    def domain(self):
        path = self.folder / "mock-world/domains/vm-1.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def crash(self):
        path = self.folder / "mock-world/domains/vm-1.json"
        path.write_text(json.dumps(self.domain() | {"state": "off", "reason": "crashed"}))
        etc = self.folder / "root/etc/blockhost"
        (etc / "agent.json").write_text('{"healing": {"off_for_s": 0}}')

    def suspend(self):
        self.change(expires_at=PAST)
        assert self.mock("gc", "--execute", "--force-clock").returncode == 0
        assert self.record()["status"] == "suspended"

    def unheard(self, *words, into="/dev/full", by=(BINARY,)):
        """The call, with its answer going where nothing can."""
        with open(into, "w") as out:
            return subprocess.run([*by, *words], env=self.env, cwd=self.folder, stdout=out, stderr=subprocess.PIPE,
                                  text=True, stdin=subprocess.DEVNULL)

    def seen(self):
        """What is the same after one success, and after a call that nobody heard and its repeat."""
        status = self.mock("status", "vm-1").stdout
        limits = self.mock("throttle", "vm-1", "--show").stdout if self.domain() else ""
        record = {key: value for key, value in self.record().items() if not key.endswith("_at")}
        templates = json.loads(self.mock("templates", "--json").stdout)
        return status, limits, record, [each["version"] for each in templates["versions"]]


# What to do before, the call, and how the repeat of a call that nobody heard ends.
SCENES = {
    "create": (lambda play: play.mock("destroy", "vm-1"), CREATE, 0),
    "destroy": (lambda play: None, ("destroy", "vm-1"), 0),
    "start": (lambda play: play.mock("kill", "vm-1"), ("start", "vm-1"), 0),
    "stop": (lambda play: None, ("stop", "vm-1"), 0),
    "kill": (lambda play: None, ("kill", "vm-1"), 0),
    "resume": (lambda play: play.suspend(), ("resume", "vm-1", "--extend-days", "7"), 1),
    "extend": (lambda play: None, ("extend", "vm-1", "--days", "7"), 0),
    "configure": (lambda play: None, ("configure", "vm-1", "--cpu", "2", "--tags", "a"), 0),
    "throttle": (lambda play: None, ("throttle", "vm-1", "--cpu-quota", "25", "--iops-read", "9"), 0),
    "gc": (lambda play: play.change(expires_at=PAST), ("gc", "--execute", "--force-clock", "--json"), 0),
    "boot": (lambda play: play.set_state("off"), ("boot", "--again"), 0),
    "recover": (lambda play: play.mock(*CREATE[:1], "vm-2", *CREATE[2:], BLOCKHOST_FAULT="kill@40"),
                ("recover", "--all"), 0),
    "build-template": (lambda play: None, ("build-template", "--source", "file:/etc/hostname", "--as-is"), 0),
    "templates": (lambda play: [play.mock("build-template", "--source", f"file:/etc/{name}", "--as-is")
                                for name in ("hostname", "hosts")], ("templates", "--prune"), 0),
    "setup": (lambda play: None, ("setup", "db-config", "--gc-grace-days", "9"), 0),
    "heal": (lambda play: play.crash(), ("heal",), 0),
    "guard": (lambda play: None, ("guard", "--all"), 0),
    "apply": (lambda play: play.want(power="stopped"), ("apply", "desired.json", "--yes"), 0),
    "snapshot": (lambda play: None, ("snapshot", "take", "vm-1"), 6),
    "guest-exec": (lambda play: None, ("guest-exec", "vm-1", "echo heard"), 0),
}
# They print nothing on success, or are not for people, or have suites of their own with a chain and a root agent.
ELSEWHERE = {"backup": "tests/backup", "restore": "tests/system", "drill": "tests/system", "update-gecos": "prints nothing",
             "mint-nft": "tests/mint", "agent": "tests/pve", "hub": "tests/hub", "fleet": "tests/hub", "approve": "tests/agent", "reject": "tests/agent",
             "__root-action": "answers the root agent"}


@pytest.fixture
def play(tmp_path):
    return Play(tmp_path)


def test_every_verb_that_changes_something_is_judged_here():
    changing = {verb for verb, row in ROWS.items() if row["effect"] != "reads"}
    assert changing == SCENES.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("verb", sorted(verb for verb, row in ROWS.items() if row["effect"] != "reads"))
def test_every_verb_that_changes_something_says_what_an_unheard_answer_means(verb):
    assert ROWS[verb]["output"]["unheard"], verb


def mocked(words):
    """guest-exec takes its options before the VM's name."""
    return (words[0], "--mock", *words[1:])


@pytest.mark.parametrize("verb", SCENES)
def test_an_answer_that_cannot_be_written_is_said_with_what_it_means(play, verb):
    prepare, words, _ = SCENES[verb]
    prepare(play)
    run = play.unheard(*mocked(words))
    assert run.returncode not in (0, -6, -11), run.stderr
    last = run.stderr.strip().splitlines()[-1]
    assert "ERROR: cannot write to standard output: No space left on device; " in last
    assert last.endswith(ROWS[verb]["output"]["unheard"])


@pytest.mark.parametrize("verb", SCENES)
def test_a_repeat_of_a_call_that_nobody_heard_does_nothing_twice(play, tmp_path_factory, verb):
    prepare, words, ends = SCENES[verb]
    prepare(play)
    assert play.unheard(*mocked(words)).returncode != 0
    assert play.run(*mocked(words)).returncode == ends
    once = Play(tmp_path_factory.mktemp("once"))
    prepare(once)
    assert once.run(*mocked(words)).returncode == 0
    assert play.seen() == once.seen()


@pytest.mark.parametrize("shell", ['"$0" "$@" >&-', '"$0" "$@" >/dev/full', '("$0" "$@"; echo $? >status) | true'])
@pytest.mark.parametrize("more", [(), ("--from-now", )])
def test_extend_takes_back_the_days_that_nobody_heard_of(play, shell, more):
    before = play.record()["expires_at"]
    run = subprocess.run(["bash", "-c", 'trap "" PIPE; ' + shell, BINARY, "extend", "vm-1", "--days", "40", "--mock", *more],
                         env=play.env, cwd=play.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    status = play.folder / "status"
    if status.exists():
        heard = status.read_text().strip() == "0"  # the pipe's end may still have been open
    else:
        assert run.returncode != 0
        heard = False
    assert (play.record()["expires_at"] == before) is not heard


def test_extend_says_so_where_it_cannot_take_the_days_back(play):
    play.change(expires_at="never")
    run = play.unheard("extend", "vm-1", "--days", "7", "--from-now", "--mock")
    assert run.returncode != 0 and "the days were not taken back: there was no expiry before; vm-1 expires at" in run.stderr


def test_resume_counts_its_days_once(play):
    play.suspend()
    assert play.unheard("resume", "vm-1", "--extend-days", "7", "--mock").returncode == 1
    first = play.record()["expires_at"]
    again = play.mock("resume", "vm-1", "--extend-days", "7")
    assert again.returncode == 1 and "is not suspended" in again.stderr
    assert play.record()["expires_at"] == first
