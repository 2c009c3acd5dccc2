# SPDX-License-Identifier: MIT
"""The suite itself: an agent that keeps the rules is found to keep them, and one that breaks any of them is caught."""

import dataclasses
import json
import subprocess
import sys

import pytest

import effects
import envelope
import fake
import histories
import keys
import knobs
import play
import protocol
import rules
import seeds
import world
from oracle import Oracle

NOTARY = keys.Notary()
HONEST = 100
"""Histories of the honest agent."""


def agent(left_out=None):
    return lambda: fake.Agent(NOTARY, left_out)


def judged(*events, left_out=None, keys=NOTARY, start=None):
    return histories.judge([play.Begin(), *events], start or agent(left_out), keys)


SIGNED = (play.Job("rollback", "web"), play.Run(), play.Sign(), play.Run())


def test_an_honest_agent_keeps_the_rules():
    first = seeds.number()
    for seed in range(first, first + HONEST // histories.OF_A_SEED):
        found = histories.fails(seed, histories.OF_A_SEED, agent(), NOTARY)
        assert not found, histories.explain(seed, *found)


@pytest.mark.parametrize("path", histories.FOUND, ids=lambda path: path.name)
def test_an_honest_agent_keeps_the_rules_where_something_was_found_once(path):
    assert histories.judge(histories.read(path), agent(), NOTARY) == []


PLAYED = [name for name, row in knobs.ROWS.items() if knobs.is_played(row)]


@pytest.mark.parametrize("name", [*knobs.CHECKS, *knobs.PARTS, *knobs.ENGINE, *PLAYED])
def test_an_agent_that_breaks_a_rule_is_caught(name):
    found = histories.caught(agent(name), NOTARY, name)
    assert found, f"nothing shows that {name} is left out"
    assert not histories.judge(found[0], agent(), NOTARY)


@pytest.mark.parametrize("name", knobs.ROWS)
def test_a_row_of_the_classifier_that_is_flipped_is_seen_in_its_table(name, tmp_path):
    assert classes(agent(), tmp_path) == rules.CLASSES
    differs = {row for row, is_class in classes(agent(name), tmp_path).items() if is_class != rules.CLASSES[row]}
    assert differs == {knobs.ROWS[name]}


def classes(start, folder):
    player = play.Player(start, folder / start().left_out if start().left_out else folder / "honest", NOTARY, "all")
    try:
        return {(row["change"], row["provenance"]): row["class"] for row in player.agent.call("classes")["classes"]}
    finally:
        player.close()


def test_what_was_signed_is_done_and_what_was_not_is_not():
    assert not judged(*SIGNED) and not judged(*SIGNED[:2], play.Sign(mutation="other guest"), play.Run())
    told = judged(*SIGNED[:2], play.Sign(mutation="other guest"), play.Run(), left_out="check target")
    assert "without a signature for it (envelope 1 is for something else)" in told[0]


def test_a_history_that_fails_is_printed_so_that_it_plays_again(tmp_path):
    events, problems = histories.fails(0, 50, agent("check time"), NOTARY,
                                       histories.histories(knobs.CHECKS["check time"], ("signed",)))
    assert len(events) <= 6
    lines = [line for line in histories.explain(0, events, problems).splitlines() if line.startswith("    {")]
    again = [play.from_line(line) for line in lines]
    assert again == events
    assert histories.judge(again, agent("check time"), NOTARY)[0].partition("(")[0] == problems[0].partition("(")[0]


@pytest.mark.parametrize("event", [play.Desired((("web", (("power", "running"), ("cpus", 2))), ("db", (("power", "absent"),)))),
                                   play.Sign(1, "expired", 7), play.Restart(), play.Outside("crash", "web")],
                         ids=lambda each: type(each).__name__)
def test_an_event_comes_back_from_its_line(event):
    assert play.from_line(str(event)) == event


def test_the_wire_carries_it_all(tmp_path):
    """The same agent as a program of its own, that is killed on its way."""
    def start(left_out=None):
        return protocol.Process(sys.executable, fake.__file__, left_out=left_out)
    assert not judged(*SIGNED, play.Run(kill=3), play.Job("backup", "db"), play.Run(kill=4), play.Sign(kill=1), start=start)
    told = judged(*SIGNED[:2], play.Sign(mutation="expired"), play.Run(), start=lambda: start("check time"))
    assert "was sent outside of its time" in told[0]


def test_a_program_that_dies_by_itself_is_no_history():
    def start():
        return protocol.Process("/usr/bin/python3", "-c", "input()")
    with pytest.raises(protocol.Died, match="status 0 in \"open\""):
        judged(start=start)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return keys.Keys(tmp_path_factory.mktemp("keys"))


def two_envelopes(signer, action):
    """One to sign, and another that was sent before."""
    asked = envelope.make("op", "web", "made:web-1", action, 0, 3600, envelope.nonce_of("one"))
    other = envelope.make("op", "db", "made:db-1", action, 0, 3600, envelope.nonce_of("two"))
    return asked, envelope.sign(signer, other, "none", ["bob"], [], "app", 60)


@pytest.mark.parametrize("mutation", envelope.MUTATIONS)
def test_the_truth_about_a_signature_is_ssh_keygens(mutation, real, tmp_path):
    keys.write_authority(real, tmp_path)
    action = {"kind": "delete-backup", "backup": "b"}
    asked, before = two_envelopes(real, action)
    sent = envelope.sign(real, asked, mutation, ["alice", "bob"], [before], "db", 60)
    for signature in sent.signatures:
        is_good = (signature.intact and signature.message == sent.raw and signature.namespace == keys.NAMESPACE
                   and keys.is_accepted(signature.signer))
        assert verifies(signature, sent.raw, tmp_path) == is_good, signature.signer


def verifies(signature, message, folder):
    (folder / "signature").write_text(signature.text)
    words = [keys.SSH_KEYGEN, "-Y", "verify", "-n", keys.NAMESPACE, "-I", signature.signer, "-f", folder / "allowed_signers",
             "-r", folder / "revoked_keys", "-s", folder / "signature"]
    return subprocess.run(words, input=message, capture_output=True).returncode == 0


def test_a_mutation_is_one_thing_and_changes_something():
    action = {"kind": "delete-backup", "backup": "b"}
    asked, before = two_envelopes(NOTARY, action)
    as_asked = envelope.sign(NOTARY, asked, "none", ["alice", "bob"], [before], "db", 60)
    assert as_asked.raw == asked and envelope.read(asked)["digests"] == {"change": envelope.digest_of(action)}
    each = [envelope.sign(NOTARY, asked, mutation, ["alice", "bob"], [before], "db", 60_000) for mutation in envelope.MUTATIONS]
    assert each[0] == as_asked and len({(sent.raw, sent.signatures) for sent in each}) >= len(each) - 1  # two are "expired"


# The oracle by hand


def effect(document, kind, guest, **more):
    """The world after that action."""
    after = json.loads(json.dumps(document))
    incarnation = after["guests"].get(guest, {}).get("incarnation", "made:new")
    after["actions"][f"note-{len(after['actions'])}"] = {"kind": kind, "guest": guest, "incarnation": incarnation,
                                                        "action": {"kind": kind, **more}}
    return after


def told(document, *wishes):
    oracle = Oracle(world.beginning(), play.BEGINNING, "all")
    for wish in wishes:
        oracle.job(*wish)
    oracle.saw(document)
    return oracle.problems


def test_a_change_that_no_action_tells_of_is_seen():
    document = world.beginning()
    document["guests"].pop("db")
    document["guests"]["web"]["power"] = "stopped"
    document["guests"]["app"]["snapshots"].pop("s1")
    document["backups"].pop("main:web/b1")
    assert effects.untold(world.beginning(), document) == [
        "app lost s1, and nothing deleted it", "db is gone, and nothing destroyed it",
        "web has another power, and nothing changed it", "main:web/b1 is gone, and nothing deleted it"]
    assert len(told(document)) == 4


def test_what_nobody_wished_for_and_what_is_done_twice_is_seen():
    backup = {"repository": "main", "notes": "j1", "is_protected": False}
    once = effect(world.beginning(), "backup", "web", **backup)
    wish = ("hub", "key", {"kind": "backup", **backup}, "web", "made:web-1", True, "id")
    assert "nobody wished" in told(once)[0]
    assert told(once, wish) == [] == told(once, wish, wish)
    assert "twice for one wish" in told(effect(once, "backup", "web", **backup), wish, wish)[0]
    elsewhere = dataclasses.replace(effects.since(world.beginning(), once)[0], incarnation="made:web-2")
    oracle = Oracle(world.beginning(), play.BEGINNING, "all")
    oracle.job(*wish)
    oracle.judge(elsewhere)
    assert "made:web-2), which" not in oracle.problems[0] and "nobody wished" in oracle.problems[0]


@pytest.mark.parametrize("kind, provenance", rules.CLASSES)
def test_the_rules_lower_what_the_agent_made_for_itself_and_nothing_else(kind, provenance):
    is_data = kind in rules.LOSES_DATA or rules.STORAGE_AND_FEATURES.get(kind, False)
    expected = kind == rules.KEYS or (is_data and provenance == rules.ORDINARY)
    assert (rules.CLASSES[kind, provenance] == rules.DESTRUCTIVE) == expected
    assert rules.class_of("wipe") == rules.DESTRUCTIVE
