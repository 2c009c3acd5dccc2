# SPDX-License-Identifier: MIT
"""The fuzz targets: their seeds, inputs made to take long, a short run each; and that a finding is found.

Long runs: tests/soak.sh --fuzz. Figures: docs/reliability.md.
"""

import pathlib
import re
import subprocess
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parents[1])]
import fuzzing  # noqa: E402
import seeds  # noqa: E402

SECONDS = 3

# Repeated to 64 KiB, alone and behind the beginning of a seed: what makes parsers recurse or look back.
REPEATED = ["[", "{", "(", "<", "\"", "\\", "\n", " ", "-", "- ", "? ", ": ", "a: ", "&a ", "*a ", "#", "|", "'", "$", "$$",
            "${", "${a}", "[[]],", "[],", "{},", "{\"a\":", "[{\"a\":", "\"a\",", "\\u0041", "1", "0,", "a\n", "a:\n", "- a\n",
            "a: b\n", " a", "<a>", "<a><b/>", "<a b='", "<!--", "<![CDATA[", "&amp;", "=", "--a\n", "-a\n", "\n---\n",
            "{}\n", "HTTP/1.1 200 OK\n", "a: &a [*a]\n", "é", "\xff", "(a|", "a*", "(a*)*"]


@pytest.fixture(scope="session", autouse=True)
def built():
    done = subprocess.run([fuzzing.HERE / "build.sh"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        pytest.fail("the targets cannot be built:\n" + "\n".join(done.stdout.splitlines()[-20:]), pytrace=False)


@pytest.fixture
def inputs(request):
    """The seeds and the regressions."""
    return sorted(fuzzing.corpus(request.getfixturevalue("target")).iterdir())


def fails(outcome):
    return f"{outcome.target} has a finding:\n{outcome.output}" if outcome.status != 0 else ""


def note(text, capture):
    """Shown by tests/tools/run_suites.py while the suite runs."""
    with capture.disabled():
        print(f"\nNOTE: {text}", flush=True)


@pytest.mark.parametrize("target", fuzzing.targets())
def test_the_seeds_are_few_and_small_and_no_input_of_the_tree_is_a_finding(target, inputs, tmp_path):
    few = fuzzing.seeds(target)
    assert 0 < len(few) <= fuzzing.MOST_SEEDS
    assert max(path.stat().st_size for path in few) <= fuzzing.LARGEST_SEED
    assert not fails(fuzzing.run(target, tmp_path, *inputs))


@pytest.mark.parametrize("target", fuzzing.targets())
def test_inputs_made_to_take_long_do_not(target, inputs, tmp_path):
    chosen = "take_selector" in (fuzzing.HERE / f"{target}_fuzz.cpp").read_text()
    beginnings = sorted({path.read_bytes()[:1] for path in inputs}) if chosen else []
    whole = sorted(inputs, key=lambda path: path.stat().st_size)[-1].read_bytes()
    long = tmp_path / "inputs"
    long.mkdir()
    for number, text in enumerate(REPEATED):
        piece = text.encode("latin-1" if text == "\xff" else "utf-8")
        for which, beginning in enumerate([b"", whole, *beginnings]):
            made = (beginning + piece * fuzzing.LARGEST_INPUT)[:fuzzing.LARGEST_INPUT]
            (long / f"{number:03d}-{which}").write_bytes(made)
    assert not fails(fuzzing.run(target, tmp_path, *sorted(long.iterdir())))


@pytest.mark.parametrize("target", fuzzing.targets())
def test_a_short_run_finds_nothing(target, tmp_path, capfd):
    """From the tree's inputs alone, by the commit's seed: what the cache has is another host's, or nobody's."""
    outcome = fuzzing.fuzz(target, SECONDS, tmp_path, f"-seed={seeds.number() or 1}")
    note(outcome.line(), capfd)
    assert not fails(outcome)
    assert outcome.executions > len(list(fuzzing.corpus(target).iterdir()))


def test_a_planted_bug_is_found_by_fuzzing(tmp_path):
    near, findings = tmp_path / "seeds", tmp_path / "findings"
    near.mkdir()
    (near / "near").write_bytes(b"BUG?")
    planted = {"BLOCKHOST_FUZZ_PLANT": "abort"}
    outcome = fuzzing.run("qcow2", findings, "-max_total_time=60", "-max_len=8", near, environment=planted)
    assert outcome.status != 0 and "FINDING: planted" in outcome.output
    kept = [path for path in findings.iterdir() if path.read_bytes().startswith(b"BUG!")]
    assert len(kept) == 1
    assert fails(fuzzing.run("qcow2", findings, kept[0], environment=planted))
    assert not fails(fuzzing.run("qcow2", findings, kept[0]))


@pytest.mark.parametrize("kind, words", [("throw", "std::runtime_error"), ("overflow", "signed integer overflow"),
                                         ("hang", "timeout")])
def test_each_kind_of_bug_is_a_finding(kind, words, tmp_path):
    (tmp_path / "input").write_bytes(b"BUG!")
    outcome = fuzzing.run("qcow2", tmp_path, "-timeout=1", tmp_path / "input",
                          environment={"BLOCKHOST_FUZZ_PLANT": kind})
    assert outcome.status != 0 and words in outcome.output, outcome.output


@pytest.mark.parametrize("kind, finds", [("quadratic", True), ("linear", False)])
def test_a_long_run_is_a_finding_if_its_time_grows_faster_than_its_input(kind, finds, tmp_path):
    (tmp_path / "input").write_bytes(b"BUG!".ljust(fuzzing.LARGEST_INPUT))
    outcome = fuzzing.run("qcow2", tmp_path, tmp_path / "input", environment={"BLOCKHOST_FUZZ_PLANT": kind})
    assert (outcome.status != 0, "FINDING: twice the input" in outcome.output) == (finds, finds), outcome.output


def test_seeds_are_those_that_reach_most_and_the_smaller_of_two_that_reach_as_much(tmp_path):
    control = tmp_path / "control"
    control.write_text("4\n1\n/in/one\n/in/two\n/in/large\n/in/more\nSTARTED 0 1\nFT 0 1 2 3\nCOV 0 9\nSTARTED 1 1\nFT 1 1\n"
                       "STARTED 2 1\nFT 2 1 2 3\nSTARTED 3 1\nFT 3 4\n")
    reached = fuzzing.reached(control)
    assert {path.name: sorted(features) for path, features in reached.items()} == {
        "one": ["1", "2", "3"], "two": ["1"], "large": ["1", "2", "3"], "more": ["4"]}
    size = {"one": 5, "two": 1, "large": 50, "more": 9}

    def names(**how):
        return [path.name for path in fuzzing.fewest(reached, lambda path: size[path.name], **how)]
    assert names() == ["one", "more"]
    assert names(most=1) == ["one"]
    assert names(known={"1", "2", "3"}) == ["more"]


def test_every_target_stands_in_the_build_and_in_the_documents():
    listed = re.search(r"^fuzz_targets = \[(.*?)\]", (fuzzing.HERE / "meson.build").read_text(), re.M | re.S)
    assert re.findall(r"'(\w+)'", listed[1]) == fuzzing.targets()
    table = (fuzzing.TREE / "docs/reliability.md").read_text()
    assert [target for target in fuzzing.targets() if f"| `{target}` |" not in table] == []
