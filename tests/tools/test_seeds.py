# SPDX-License-Identifier: MIT
"""The share of the random tests that a run plays: another for each commit, and the same again when it is asked for."""

import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import seeds  # noqa: E402


@pytest.fixture()
def tree(tmp_path, monkeypatch):
    monkeypatch.setattr(seeds, "TREE", tmp_path)
    monkeypatch.delenv("BLOCKHOST_SEED", raising=False)
    seeds.of_commit.cache_clear()
    yield tmp_path
    seeds.of_commit.cache_clear()


def commit(tree, text):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", tree, "commit", "-q", "--allow-empty", "-m", text],
                   check=True)
    seeds.of_commit.cache_clear()
    return seeds.number()


def share():
    return {case for case in range(4000) if seeds.takes(0.25, "verb", case)}


def test_each_commit_plays_another_share_and_the_same_one_the_same(tree):
    subprocess.run(["git", "init", "-q", tree], check=True)
    first = commit(tree, "one")
    assert seeds.number() == first < seeds.NUMBERS
    of_first = share()
    assert share() == of_first
    assert commit(tree, "two") != first
    of_second = share()
    assert all(800 < len(each) < 1200 for each in (of_first, of_second))
    assert 100 < len(of_first & of_second) < 400


def test_a_share_is_played_again_when_its_number_is_given(tree, monkeypatch):
    subprocess.run(["git", "init", "-q", tree], check=True)
    first = commit(tree, "one")
    of_first = share()
    commit(tree, "two")
    monkeypatch.setenv("BLOCKHOST_SEED", str(first))
    assert seeds.number() == first and share() == of_first


def test_a_tree_without_a_history_plays_share_0(tree):
    assert seeds.number() == 0


def test_all_and_none_are_all_and_none(tree):
    assert all(seeds.takes(1, case) for case in range(1000))
    assert not any(seeds.takes(0, case) for case in range(1000))


def test_some_of_many_cases_are_played_in_their_order_and_all_where_that_is_asked_for(monkeypatch):
    taken = set()
    for number in range(40):
        monkeypatch.setenv("BLOCKHOST_SEED", str(number))
        some = seeds.some_of("abcdef", 2, "letters")
        assert len(some) == 2 and some == sorted(some) == seeds.some_of("abcdef", 2, "letters")
        taken |= set(some)
    assert taken == set("abcdef")
    monkeypatch.setenv("BLOCKHOST_WHOLE", "1")
    assert seeds.some_of("abcdef", 2, "letters") == list("abcdef")
