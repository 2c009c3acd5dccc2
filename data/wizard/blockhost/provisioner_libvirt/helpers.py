# SPDX-License-Identifier: MIT
"""Asks the program blockhost-libvirt, and brings what it answers into words for people.

Nothing here knows Flask. Nothing here decides whether a setting is good: the program does, in one place, for the wizard's
page, for the installer's last steps and for administrators alike.
"""

from __future__ import annotations

import dataclasses
import json
import os
import selectors
import signal
import subprocess
import time

PROGRAM = "/usr/bin/blockhost-libvirt"
"""Looked up at each call, so that tests may put another one here."""

PAGE_SECONDS = 20
STEP_SECONDS = 120
TEMPLATE_SECONDS = 1800

LONGEST_VALUE = 255
"""No setting of the wizard's is longer. What is, is told so here and never handed on."""

_LONGEST_ANSWER = 1 << 20
_LONGEST_TALK = 1 << 16
_LONGEST_SENTENCE = 1000
_MERCY_SECONDS = 10
_PASSED_ON = ("BLOCKHOST_ROOT", "BLOCKHOST_LIBVIRT_URI")


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a call of the program ended. `status` is negative for a signal, and None when the time was up."""

    status: int | None
    answer: bytes
    talk: bytes


@dataclasses.dataclass
class Answer:
    """What the program said. `understood` tells an answer, also a refusal, from a program that is missing or broken."""

    good: bool = False
    understood: bool = False
    sentence: str = ""
    document: dict = dataclasses.field(default_factory=dict)
    errors: list = dataclasses.field(default_factory=list)
    warnings: list = dataclasses.field(default_factory=list)


def plain(value, longest=_LONGEST_SENTENCE):
    """Text that any page, cookie and log can hold; "" for what is neither text nor a number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value) if not isinstance(value, int) or value.bit_length() < 256 else ""
    if not isinstance(value, str):
        return ""
    # Halves of surrogate pairs are among what cannot be printed.
    value = "".join(each if each.isprintable() else " " for each in value[:longest + 1]).strip()
    return value if len(value) <= longest else value[:longest - 1] + "…"


def setting(value):
    """A setting as the text that the program takes; None for what it cannot be: no value, or no single line of text."""
    text = plain(value, LONGEST_VALUE + 1)
    if not text or len(text) > LONGEST_VALUE:
        return None
    if isinstance(value, str) and text != value.strip():
        return None
    return text


def _environment():
    kept = {name: os.environ[name] for name in _PASSED_ON if os.environ.get(name)}
    return {"LC_ALL": "C.UTF-8", "HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            **kept}


def run(words, seconds):
    """Runs the program with `words` for at most `seconds`. Raises OSError where it cannot be started."""
    deadline = time.monotonic() + seconds
    process = subprocess.Popen([PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=_environment(), cwd="/", start_new_session=True)
    answer, talk = bytearray(), bytearray()
    try:
        with process.stdout, process.stderr:
            _listen(process, answer, talk, deadline)
        status = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        status = None
    finally:
        _end(process)
    return Ended(status, bytes(answer), bytes(talk))


def _listen(process, answer, talk, deadline):
    """Reads both streams until they end, the process has, or the time is up. Of the answer the beginning is kept, and of
    the talk the end."""
    with selectors.DefaultSelector() as selector:
        for stream, kept in ((process.stdout, answer), (process.stderr, talk)):
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ, kept)
        while selector.get_map() and time.monotonic() < deadline:
            ready = selector.select(min(0.2, max(0.0, deadline - time.monotonic())))
            # What a child of a child holds open is not waited for.
            if not ready and process.poll() is not None:
                return
            for key, _ in ready:
                block = os.read(key.fd, 65536)
                if not block:
                    selector.unregister(key.fileobj)
                key.data.extend(block)
            del answer[_LONGEST_ANSWER:]
            del talk[:-_LONGEST_TALK]


def _end(process):
    """Ends the process and what it started: kindly first, so that it can take back what it has begun."""
    for number, patience in ((signal.SIGTERM, _MERCY_SECONDS), (signal.SIGKILL, None)):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


def ask(words, seconds):
    """The program's answer to `words` and --json. Never raises."""
    try:
        ended = run([*words, "--json"], seconds)
    except FileNotFoundError:
        return Answer(sentence=f"The program {PROGRAM} is not installed.")
    except (OSError, ValueError) as reason:
        return Answer(sentence=f"The program {PROGRAM} cannot be run: {plain(str(reason))}.")
    if ended.status is None:
        return Answer(sentence=_with_talk(f"blockhost-libvirt {words[0]} was not done within {seconds} seconds", ended))
    document = _document(ended.answer)
    # detect answers by its exit status too: there, failure is an answer.
    if document is None or ("error" not in document and ended.status != 0 and words[0] != "detect"):
        return Answer(sentence=_with_talk(_unexpected(words, ended.status), ended))
    if "error" in document:
        return _refusal(document, words, ended)
    return Answer(good=True, understood=True, document=document, warnings=messages(document.get("warnings")))


def _refusal(document, words, ended):
    message, hint = plain(document["error"]), plain(document.get("hint"))
    sentence = f"{message}; {hint}" if message and hint else message or hint
    return Answer(understood=True, document=document, errors=messages(document.get("errors")),
                  sentence=sentence or _with_talk(_unexpected(words, ended.status), ended))


def _document(answer):
    """The JSON object in what was printed, or None."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def messages(listed):
    """(field, message) of each in a list of the program's; what is not of that form is left out."""
    found = []
    for each in listed if isinstance(listed, list) else []:
        message = plain(each.get("message")) if isinstance(each, dict) else plain(each)
        if not message:
            continue
        hint = plain(each.get("hint")) if isinstance(each, dict) else ""
        field = plain(each.get("field"), 64) if isinstance(each, dict) else ""
        found.append((field, f"{message}; {hint}" if hint else message))
    return found[:20]


def _unexpected(words, status):
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status} and no answer"
    return f"blockhost-libvirt {words[0]} {how}"


def _with_talk(sentence, ended):
    lines = ended.talk.decode("utf-8", "replace").strip().splitlines()
    last = plain(lines[-1]) if lines else ""
    return f"{sentence}: {last}" if last else f"{sentence}."


# What this computer can do, in plain words.


@dataclasses.dataclass(frozen=True)
class Look:
    """One line of what was found: `mark` is good, note, doubt or bad."""

    mark: str
    sentence: str
    more: str = ""


FULL_SPEED = "KVM can run guests"
NO_CONFIGURATION = "Config not found:"
LIBVIRT = ("driver module", "libvirt client", "daemon socket", "connection")
MADE_LATER = {"configuration": "the settings", "storage pool": "the storage pool",
              "template": "the template that machines are copied from"}
LEFT_TO_THE_SETTINGS = ("bridge",)
"""What the judgement of the settings speaks of."""
DOUBTS = {"domains": "A machine here was renamed behind BlockHost's back.",
          "definitions": "A machine here runs without a definition.",
          "clock": "This computer's clock cannot tell yet who has paid.",
          "start veto": "A machine that was suspended could be started by hand.",
          "backups": "Backups of the machines here are late, or failed."}
NOT_LOOKED_AT = "not looked at"
"""What `detect` found of something that waits for another finding."""
KNOWN = (*LIBVIRT, "virtualization", *MADE_LATER, *LEFT_TO_THE_SETTINGS, *DOUBTS)
"""Every finding of `detect --json`."""


def looks(answer):
    """What `detect --json` answered, as lines for the page."""
    if not answer.understood:
        return [Look("bad", "What this computer can do could not be looked at.", answer.sentence)]
    found = {plain(each.get("finding")): each for each in _objects(answer.document.get("findings"))}
    return [*_virtualization(found.get("virtualization")), *_libvirt(found), *_made_later(found),
            *_doubts(found)]


def _objects(listed):
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _details(finding):
    return "; ".join(filter(None, (plain(finding.get("found")), plain(finding.get("advice")))))


def _virtualization(finding):
    if finding is None:
        return []
    if finding.get("ok") is not True:
        return [Look("bad", "This computer cannot run virtual machines as it is set up.", _details(finding))]
    if plain(finding.get("found")) == FULL_SPEED:
        return [Look("good", "This computer can run virtual machines at full speed.")]
    return [Look("doubt", "This computer can run virtual machines, but slowly.",
                 "Its processor cannot help with it, or that is switched off in the firmware (BIOS: Intel VT-x or "
                 "AMD-V, often named “Virtualization”). Switch it on before you sell machines.")]


def _libvirt(found):
    lacking = [found[name] for name in LIBVIRT if name in found and found[name].get("ok") is not True]
    if len(lacking) > 1:  # the others are why nobody connects
        lacking = [each for each in lacking if each is not found.get("connection")]
    if lacking:
        return [Look("bad", "libvirt, which runs the machines, is not ready.", _details(each)) for each in lacking]
    if all(name in found for name in LIBVIRT):
        return [Look("good", "libvirt, which runs the machines, is installed and running.")]
    return []


def _made_later(found):
    """What the installation makes is no fault yet; settings that are there and cannot be read are one."""
    settings = found.get("configuration")
    if settings and settings.get("ok") is not True and not plain(settings.get("found")).startswith(NO_CONFIGURATION):
        return [Look("bad", "Earlier settings are there and cannot be read.", _details(settings))]
    missing = [words for name, words in MADE_LATER.items() if name in found and found[name].get("ok") is not True]
    if not missing:
        return []
    listed = " and ".join(filter(None, (", ".join(missing[:-1]), missing[-1])))
    return [Look("note", f"The installation will make {listed}.")]


def _doubts(found):
    lacking = [(words, found[name]) for name, words in DOUBTS.items()
               if name in found and found[name].get("ok") is not True]
    return [Look("doubt", words, _details(each)) for words, each in lacking
            if plain(each.get("found")) != NOT_LOOKED_AT]
