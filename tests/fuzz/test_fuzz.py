"""The fuzz targets: their corpora, inputs made to take long, a short run each; and that a finding is found.

Long runs: tests/soak.sh --fuzz. Figures: docs/reliability.md.
"""

import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import fuzzing  # noqa: E402

SECONDS = 3

# Repeated to 64 KiB, alone and behind the beginning of a seed: what makes parsers recurse or look back.
REPEATED = ["[", "{", "(", "<", "\"", "\\", "\n", " ", "-", "- ", "? ", ": ", "a: ", "&a ", "*a ", "#", "|", "'", "$", "$$",
            "${", "${a}", "[[]],", "[],", "{},", "{\"a\":", "[{\"a\":", "\"a\",", "\\u0041", "1", "0,", "a\n", "a:\n", "- a\n",
            "a: b\n", " a", "<a>", "<a><b/>", "<a b='", "<!--", "<![CDATA[", "&amp;", "=", "--a\n", "-a\n", "\n---\n",
            "{}\n", "HTTP/1.1 200 OK\n", "a: &a [*a]\n", "é", "\xff", "(a|", "a*", "(a*)*"]


@pytest.fixture(scope="session", autouse=True)
def built():
    subprocess.run([fuzzing.HERE / "build.sh"], check=True)


@pytest.fixture
def seeds(request):
    return sorted(fuzzing.corpus(request.getfixturevalue("target")).iterdir())


def fails(outcome):
    return f"{outcome.target} has a finding:\n{outcome.output}" if outcome.status != 0 else ""


def note(text, capture):
    """Shown by tests/tools/run_suites.py while the suite runs."""
    with capture.disabled():
        print(f"\nNOTE: {text}", flush=True)


@pytest.mark.parametrize("target", fuzzing.targets())
def test_a_corpus_is_small_and_has_no_finding(target, seeds, tmp_path):
    assert 0 < len(seeds) <= fuzzing.MOST_FILES
    assert sum(path.stat().st_size for path in seeds) <= fuzzing.MOST_BYTES
    assert not fails(fuzzing.run(target, tmp_path, *seeds))


@pytest.mark.parametrize("target", fuzzing.targets())
def test_inputs_made_to_take_long_do_not(target, seeds, tmp_path):
    chosen = "take_selector" in (fuzzing.HERE / f"{target}_fuzz.cpp").read_text()
    beginnings = sorted({path.read_bytes()[:1] for path in seeds}) if chosen else []
    whole = sorted(seeds, key=lambda path: path.stat().st_size)[-1].read_bytes()
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for number, text in enumerate(REPEATED):
        piece = text.encode("latin-1" if text == "\xff" else "utf-8")
        for which, beginning in enumerate([b"", whole, *beginnings]):
            made = (beginning + piece * fuzzing.LARGEST_INPUT)[:fuzzing.LARGEST_INPUT]
            (inputs / f"{number:03d}-{which}").write_bytes(made)
    assert not fails(fuzzing.run(target, tmp_path, *sorted(inputs.iterdir())))


@pytest.mark.parametrize("target", fuzzing.targets())
def test_a_short_run_finds_nothing(target, tmp_path, capfd):
    outcome = fuzzing.fuzz(target, SECONDS, tmp_path)
    note(outcome.line(), capfd)
    assert not fails(outcome)
    assert outcome.executions > len(list(fuzzing.corpus(target).iterdir()))


def test_a_planted_bug_is_found_by_fuzzing(tmp_path):
    seeds, findings = tmp_path / "seeds", tmp_path / "findings"
    seeds.mkdir()
    (seeds / "near").write_bytes(b"BUG?")
    planted = {"BLOCKHOST_FUZZ_PLANT": "abort"}
    outcome = fuzzing.run("qcow2", findings, "-max_total_time=60", "-max_len=8", seeds, environment=planted)
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


def test_every_target_stands_in_the_build_and_in_the_documents():
    listed = re.findall(r"^  '(\w+)': \[", (fuzzing.HERE / "meson.build").read_text(), re.M)
    assert sorted(listed) == fuzzing.targets()
    table = (fuzzing.TREE / "docs/reliability.md").read_text()
    assert [target for target in fuzzing.targets() if f"| `{target}` |" not in table] == []
