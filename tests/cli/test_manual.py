# SPDX-License-Identifier: MIT
"""The manual: help on a terminal and the page say the same; examples can be typed; outputs are what rows say they are."""

import fcntl
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import termios
import time

import pytest
from host import BINARY, BUILD, Host

DUMP = json.loads(subprocess.run([BINARY, "__dump"], check=True, capture_output=True).stdout)
SHOWN = [row for row in DUMP["verbs"] if not row["hidden"]]
VERBS = [row["verb"] for row in SHOWN]


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def output_of(*words):
    return subprocess.run([BINARY, *words], check=True, capture_output=True, text=True).stdout


def formatted(roff):
    """The page as man shows it, on lines that are never too long, without its head and foot."""
    run = subprocess.run(["groff", "-ww", "-man", "-Tutf8", "-P-cbou", "-rLL=5000n", "-rHY=0"], input=roff, check=True,
                         capture_output=True, text=True)
    assert run.stderr == ""
    return "\n".join(run.stdout.strip().splitlines()[1:-1])


def words(text):
    return text.replace("<", "").replace(">", "").replace("‐", "-").replace("−", "-").split()


@pytest.mark.parametrize("verb", VERBS)
def test_help_says_what_the_manual_page_says(verb):
    assert words(output_of("help", verb)) == words(formatted(output_of("__dump", "man", verb)))


@pytest.mark.parametrize("name", ["blockhost-libvirt.7", *(row["man_page"] + ".8" for row in SHOWN)])
def test_pages_are_formatted_without_a_warning(name):
    formatted((BUILD / "data/manual" / name).read_text())


@pytest.mark.parametrize("row", SHOWN, ids=VERBS)
def test_a_page_shows_every_option_operand_status_and_an_example(row):
    text = output_of("help", row["verb"])
    for option in row["options"]:
        if not option["ignored"]:
            assert re.search(rf"^    (-., )?--{option['name']}\b", text, re.M)
    for operand in row["operands"]:
        assert f"    <{operand['name'].lower()}>\n" in text
    sections = re.findall(r"^[A-Z ]+$", text, re.M)
    assert [part for part in sections if part not in ("OPERANDS",)] == [
        "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "OUTPUT", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]
    assert ("OPERANDS" in sections) == bool(row["operands"])
    assert re.search(r"^EXIT STATUS\n    0\n", text, re.M)
    flat = " ".join(text.split())
    assert row["examples"] and all(f" {example['words']} ".replace("  ", " ") in flat for example in row["examples"])


@pytest.mark.parametrize("row", SHOWN, ids=VERBS)
def test_examples_are_taken_by_the_parser(host, row):
    """With --mock and nothing configured no example gets far, but none is a malformed command line or a refused value. One that
    follows something goes on until it is told to end."""
    for example in row["examples"]:
        given = example["words"].split()
        assert example["meaning"] and shlex.split(example["words"]) == given
        process = subprocess.Popen([BINARY, row["verb"], "--mock", *given], cwd=host.folder, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   env=host.env | {"BLOCKHOST_ROOT": str(host.folder / "nothing")})
        if "--follow" in given:
            while process.poll() is None:  # until it listens
                process.terminate()
                time.sleep(0.1)
        said = process.communicate()[1]
        assert "Usage: " not in said, (example, said)
        assert not re.search(r"--\S+: '.*' (is|cannot)", said), (example, said)


def on_terminal(columns, *words, **env):
    """What a terminal of that width shows."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([BINARY, *words], stdout=there, env={"TERM": "xterm"} | env)
    os.close(there)
    text = b""
    while True:
        try:
            piece = os.read(here, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.close(here)
    assert process.wait() == 0
    return text.decode().replace("\r\n", "\n")


def test_a_terminal_gets_its_width_and_bold_text():
    wide, narrow = on_terminal(150, "help", "create"), on_terminal(60, "help", "create")
    bare = [re.sub(r"\033\[[0-9;]*m", "", text) for text in (wide, narrow)]
    assert "\033[1mNAME\033[0m\n" in wide and "\033[4mmb\033[0m" in wide
    assert max(map(len, bare[0].splitlines())) in range(120, 151)
    assert max(len(line) for line in bare[1].splitlines() if len(line.split()) > 1) <= 60
    assert words(bare[0]) == words(bare[1]) == words(output_of("help", "create"))


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}], ids=str)
def test_a_terminal_that_wants_none_gets_no_escape_sequences(env):
    text = on_terminal(80, "help", "create", **env)
    assert "\033" not in text and "--memory <mb>" in text


def test_a_pipe_gets_plain_text_of_80_columns():
    text = output_of("help", "create")
    assert "\033" not in text and max(map(len, text.splitlines())) <= 80


def test_the_overview_names_states_codes_keys_paths_and_variables():
    text = formatted(output_of("__dump", "overview"))
    states = set(re.findall(r"^\| (\S+) \| create \|", output_of("__dump", "states"), re.M))
    assert len(states) == 13
    for word in (*states, *(code["name"] for code in DUMP["errors"]), "ip_pool.start", "/var/lib/blockhost/journal",
                 "BLOCKHOST_ROOT", "recover --all", "virsh-define", "blockhost-gc.timer"):
        assert re.search(rf"(^|\s|\b){re.escape(word)}(\s|$)", text, re.M), word


def keys_of(document):
    if isinstance(document, list):
        assert document
        return list(document[0])
    return list(document)


def declared(verb):
    row = next(row for row in SHOWN if row["verb"] == verb)
    return row["output"]["json_call"].split(), row["output"]["json_keys"]


@pytest.mark.parametrize("verb,words", [("list", []), ("metrics", ["vm-1"]), ("gc", []), ("throttle", ["vm-1"]),
                                        ("detect", []), ("templates", [])])
def test_json_has_the_keys_that_the_row_declares(host, verb, words):
    assert host.create().returncode == 0
    asked, keys = declared(verb)
    assert keys
    run = host.run(verb, *words, *asked, "--mock")
    assert keys_of(json.loads(run.stdout)) == keys, run.stderr


def test_create_prints_the_keys_that_its_row_declares(host):
    line = host.create().stdout.splitlines()[-1]
    assert list(json.loads(line)) == declared("create")[1]


def test_recover_prints_the_keys_that_its_row_declares(host):
    assert host.create(BLOCKHOST_FAULT="kill@60").returncode != 0
    run = host.run("recover", "--all", "--dry-run", "--json", "--mock")
    assert keys_of(json.loads(run.stdout)) == declared("recover")[1], run.stderr


def test_every_verb_that_takes_json_declares_its_keys():
    for row in SHOWN:
        if any(option["name"] == "json" for option in row["options"]):
            assert row["output"]["json_keys"], row["verb"]
        assert row["output"]["text"], row["verb"]
