# SPDX-License-Identifier: MIT
"""A daemon that answers as nobody expects: each strangeness is told from the others, ends in time, and leaves the look
to libvirt's own library, once, unless BLOCKHOST_DRIVER=rpc says that it shall be told."""

import json
import pathlib
import shutil
import struct
import tempfile
import threading
import time

import pytest
from host import Host
from strange_daemon import (ACTIVE, AGENT, ALL_STATS, ANSWERS, AUTH_LIST, CLOSE, DOMAIN, KEEPALIVE, LIST, LOOK_UP, MESSAGE,
                            METADATA, OPEN, PERSISTENT, QEMU, REMOTE, SAVED, STATE, Daemon, error, packet, text)

NO_DOMAIN, RPC, OPERATION_DENIED, INTERNAL, NO_METADATA, NO_SUPPORT = 42, 39, 29, 1, 80, 3


@pytest.fixture
def host():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bh-strange-"))  # a socket's path is short
    yield Host(folder)
    shutil.rmtree(folder)


@pytest.fixture
def daemon(host):
    made = []

    def make(strange=None, later=None):
        made.append(Daemon(host.folder / "sock", strange, later))
        host.env["BLOCKHOST_LIBVIRT_URI"] = f"qemu+unix:///system?socket={made[-1].path}"
        return made[-1]

    yield make
    for each in made:
        each.close()


def hang_up_within(talk):
    talk.send(packet(talk.program, talk.procedure, 1, talk.serial, 0, ANSWERS[STATE])[:30])
    return "hang up"


def hang_up(_talk):
    return "hang up"


def raw(data):
    return lambda talk: talk.send(data)


def payload(data):
    return lambda talk: talk.answer(data)


STRANGE = {
    "garbage": (raw(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 100), "impossible length"),
    "a huge length": (raw(b"\x7f\xff\xff\xff" + b"x" * 100), "impossible length"),
    "a tiny length": (raw(b"\0\0\0\x04" + b"x" * 100), "impossible length"),
    "another program's answer": (lambda t: t.answer(ANSWERS[STATE], program=QEMU), "another program's"),
    "an answer to another call": (lambda t: t.answer(ANSWERS[STATE], serial=t.serial + 1), "to another call"),
    "an answer of another procedure": (lambda t: t.answer(ANSWERS[STATE], procedure=213), "to another call"),
    "a call": (lambda t: t.answer(ANSWERS[STATE], kind=0), "neither an answer nor a message"),
    "an impossible status": (lambda t: t.answer(ANSWERS[STATE], status=9), "impossible status"),
    "an answer cut short": (payload(ANSWERS[STATE][:4]), "ends too early"),
    "a longer answer": (payload(ANSWERS[STATE] + b"more"), "longer than it should be"),
    "an error cut short": (lambda t: t.answer(error(NO_DOMAIN, "gone")[:20], status=1), "ends too early"),
    "an unknown procedure": (lambda t: t.answer(error(RPC, "unknown procedure: 212"), status=1), "unknown procedure"),
    "an end within an answer": (hang_up_within, "End of file"),
    "an end": (hang_up, "End of file"),
}


@pytest.mark.parametrize("what", STRANGE)
def test_what_is_strange_is_told_where_the_protocol_alone_may_be_used(host, daemon, what):
    strangeness, words = STRANGE[what]
    server = daemon({STATE: strangeness})
    run = host.run("status", "web", BLOCKHOST_DRIVER="rpc")
    assert (run.returncode, run.stdout) == (0, "unknown\n")
    assert words in run.stderr and "Traceback" not in run.stderr, run.stderr
    assert server.callers == 1


@pytest.mark.parametrize("what", STRANGE)
def test_what_is_strange_is_left_to_libvirts_library_once_and_silently(host, daemon, what):
    """Which is hung up on here, and says so in its own words."""
    strangeness, words = STRANGE[what]
    server = daemon({STATE: strangeness})
    run = host.run("status", "web")
    assert (run.returncode, run.stdout) == (0, "unknown\n")
    assert "libvirt cannot be reached" in run.stderr and words not in run.stderr.replace("End of file while reading", ""), \
        run.stderr
    assert server.callers == 2


@pytest.mark.parametrize("what", ["garbage", "an end", "an error cut short", "a tiny length"])
@pytest.mark.parametrize("when", [AUTH_LIST, OPEN])
def test_a_strange_beginning_is_one_too(host, daemon, what, when):
    server = daemon({when: STRANGE[what][0]})
    run = host.run("status", "web", BLOCKHOST_DRIVER="rpc")
    assert run.stdout == "unknown\n" and server.callers == 1
    assert STRANGE[what][1] in run.stderr, run.stderr


def test_an_authentication_that_only_the_library_knows_is_left_to_it(host, daemon):
    server = daemon({AUTH_LIST: payload(struct.pack(">Ii", 1, 1))})  # SASL
    run = host.run("status", "web")
    assert run.stdout == "unknown\n" and server.callers == 2 and server.calls == [AUTH_LIST]


def test_a_daemon_that_behaves_is_asked_by_one_caller_for_no_more_than_is_needed(host, daemon):
    server = daemon()
    run = host.run("status", "web")
    assert (run.stdout, run.stderr) == ("active\n", "")
    assert server.callers == 1 and server.calls == [AUTH_LIST, OPEN, LOOK_UP, STATE, CLOSE]


def test_events_and_keepalive_in_between_are_passed_over(host, daemon):
    def chatty(talk):
        talk.send(packet(KEEPALIVE, 1, MESSAGE, 0, 0) + packet(REMOTE, 318, MESSAGE, 0, 0, b"whatever") * 50)
        talk.answer(ANSWERS[STATE])
    server = daemon({STATE: chatty})
    assert host.run("status", "web", BLOCKHOST_DRIVER="rpc").stdout == "active\n"
    assert server.callers == 1


def test_an_answer_in_pieces_is_one(host, daemon):
    def slowly(talk):
        for byte in packet(talk.program, talk.procedure, 1, talk.serial, 0, ANSWERS[STATE]):
            talk.send(bytes([byte]))
            time.sleep(0.002)
    daemon({STATE: slowly})
    assert host.run("status", "web", BLOCKHOST_DRIVER="rpc").stdout == "active\n"


def test_no_such_domain_is_an_answer_and_nobody_else_is_asked(host, daemon):
    server = daemon({LOOK_UP: lambda t: t.answer(error(NO_DOMAIN, "Domain not found"), status=1)})
    run = host.run("status", "web")
    assert (run.stdout, run.stderr) == ("destroyed\n", "") and server.callers == 1


def test_a_refusal_has_libvirts_words_and_nobody_else_is_asked(host, daemon):
    server = daemon({STATE: lambda t: t.answer(error(OPERATION_DENIED, "you may not"), status=1)})
    run = host.run("status", "web")
    assert run.stdout == "unknown\n" and server.callers == 1
    assert "libvirt cannot tell the state of domain web: you may not" in run.stderr and "group libvirt" in run.stderr


def refusal(code):
    return lambda talk: talk.answer(error(code, "not now"), status=1)


@pytest.fixture
def templates(host):
    for folder in ("templates", "vms"):
        (host.folder / "root/var/lib/blockhost" / folder).mkdir(parents=True)


@pytest.mark.parametrize("words, call, doing", [
    (("gc",), METADATA, "read the mark of domain web"),
    (("templates",), PERSISTENT, "show the definition of domain web"),
    (("templates",), ACTIVE, "describe domain web"),
    (("templates",), SAVED, "describe domain web")])
def test_a_question_that_is_refused_stays_open(host, daemon, templates, words, call, doing):
    """A refused mark is not "no mark", a refused answer is not "no": else what is in use would count as free."""
    server = daemon({call: refusal(INTERNAL)})
    run = host.run(*words)
    assert f"libvirt cannot {doing}: not now" in run.stderr, run.stderr
    assert server.callers == 1


@pytest.mark.parametrize("words, call, code", [(("gc",), METADATA, NO_METADATA), (("gc",), METADATA, NO_DOMAIN),
                                               (("templates",), ACTIVE, NO_DOMAIN), (("templates",), SAVED, NO_SUPPORT)])
def test_a_refusal_that_says_there_is_none_is_an_answer(host, daemon, templates, words, call, code):
    daemon({call: refusal(code)})
    run = host.run(*words)
    assert run.returncode == 0 and "libvirt" not in run.stderr, run.stderr


def test_the_protocol_alone_stays_alone_after_a_surprise(host, daemon, templates):
    """Where a look at a domain fails, `templates` looks once more whether it is still there."""
    server = daemon({PERSISTENT: raw(b"garbage" * 10)})
    run = host.run("templates", BLOCKHOST_DRIVER="rpc", LD_DEBUG="files")
    assert "impossible length" in run.stderr and "libvirt.so.0" not in run.stderr
    assert server.callers == 1


def test_where_nothing_listens_no_library_is_needed_to_say_so(host):
    run = host.run("status", "web", LD_DEBUG="files", BLOCKHOST_LIBVIRT_URI="qemu:///system?socket=/nowhere/sock")
    assert run.stdout == "unknown\n" and "libvirt.so.0" not in run.stderr
    assert "Failed to connect socket to '/nowhere/sock': No such file or directory" in run.stderr


def test_nothing_is_asked_after_a_call_that_nobody_answered(host, daemon, templates):
    server = daemon({PERSISTENT: lambda talk: None})
    run, seconds = host.timed("templates")
    assert "does not answer: an earlier call was given up" in run.stderr
    assert seconds < 13 and server.callers == 1 and server.calls[-1] == PERSISTENT


def test_one_that_always_talks_and_never_answers_is_given_up_in_time(host, daemon):
    def forever(talk):
        while True:
            talk.send(packet(KEEPALIVE, 1, MESSAGE, 0, 0))
            time.sleep(0.01)
    server = daemon({STATE: forever})
    run, seconds = host.timed("status", "web")
    assert run.stdout == "unknown\n" and "does not answer: nothing within 10 s" in run.stderr
    assert 9 < seconds < 12 and server.callers == 1


def test_one_that_says_half_an_answer_is_given_up_in_time(host, daemon):
    server = daemon({STATE: raw(b"\1\0\0\0half")})
    run, seconds = host.timed("status", "web")
    assert run.stdout == "unknown\n" and "does not answer: nothing within 10 s" in run.stderr
    assert 9 < seconds < 12 and server.callers == 1


def test_a_database_is_still_listed_where_the_daemon_is_strange(host, daemon):
    assert host.create("web").returncode == 0
    (host.folder / "root/var/lib/blockhost").mkdir(parents=True)
    shutil.copy(host.folder / "mock-db.json", host.folder / "root/var/lib/blockhost/vms.json")
    daemon({ALL_STATS: payload(struct.pack(">I", 0x7fffffff) + DOMAIN)})
    run = host.run("list", BLOCKHOST_DRIVER="rpc")
    assert run.returncode == 0 and run.stdout.splitlines()[1].split("\t")[:2] == ["web", "active"]
    assert "longer than the protocol permits" in run.stderr


def test_a_large_database_is_read_while_the_daemon_is_at_work(host, daemon):
    """The daemon is asked before the database is read, and its strangeness is still met in the answer."""
    records = {f"web-{n:03d}": {"vm_name": f"web-{n:03d}", "status": "suspended", "vmid": n} for n in range(200)}
    records["web"] = {"vm_name": "web", "status": "suspended", "vmid": 999}
    state = host.folder / "root/var/lib/blockhost"
    state.mkdir(parents=True)
    (state / "vms.json").write_text(json.dumps({"vms": records, "next_vmid": 1000, "allocated_ips": []}))
    server = daemon()
    run = host.run("list", BLOCKHOST_DRIVER="rpc")
    assert run.returncode == 0 and run.stderr == "" and server.calls == [AUTH_LIST, OPEN, ALL_STATS, LIST, CLOSE]
    lines = dict(line.split("\t")[:2] for line in run.stdout.splitlines()[1:])
    assert len(lines) == 201 and lines.pop("web") == "active" and set(lines.values()) == {"destroyed"}
    server.strange[ALL_STATS] = hang_up
    server.callers = 0
    run = host.run("list", BLOCKHOST_DRIVER="rpc")
    assert run.returncode == 0 and "showing what the VM database says" in run.stderr and "End of file" in run.stderr
    assert set(dict(line.split("\t")[:2] for line in run.stdout.splitlines()[1:]).values()) == {"suspended"}


@pytest.mark.parametrize("strangeness", [hang_up, raw(b"garbage" * 10), payload(text("reply")[:-4])])
def test_an_agents_command_is_never_sent_twice(host, daemon, strangeness):
    """The first one may have been carried out."""
    server = daemon({AGENT: strangeness})
    run = host.run("metrics", "web")
    assert run.returncode == 0 and '"guest_agent_responsive": false' in run.stdout, (run.stdout, run.stderr)
    assert server.calls.count(AGENT) == 1 and server.callers == 1


def test_a_driver_that_there_is_not_is_a_mistake_in_the_configuration(host, daemon):
    daemon()
    run = host.run("metrics", "web", BLOCKHOST_DRIVER="rcp")
    assert run.returncode == 1 and "BLOCKHOST_DRIVER is neither rpc nor libvirt" in run.stderr
    run = host.run("metrics", "web", BLOCKHOST_DRIVER="rpc", BLOCKHOST_LIBVIRT_URI="test:///default")
    assert run.returncode == 1 and "not for test:///default" in run.stderr


def test_the_library_may_be_asked_for_everything(host, daemon):
    asked = threading.Event()

    def notice(connection):
        asked.set()
        connection.close()
    server = daemon(later=notice)
    server.callers = 1  # the next one is handed to `later`
    run = host.run("status", "web", BLOCKHOST_DRIVER="libvirt", LD_DEBUG="files")
    assert run.stdout == "unknown\n" and asked.is_set() and "libvirt.so.0" in run.stderr
    assert "libvirt.so.0" not in host.run("status", "web", BLOCKHOST_DRIVER="rpc", LD_DEBUG="files").stderr
