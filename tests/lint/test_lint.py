# SPDX-License-Identifier: MIT
"""tests/lint.sh on what changed; and that each of its tools finds what it is there for."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests"))
BUILD = os.environ.get("BLOCKHOST_BUILD", str(TREE / "build"))
MOST = 12
"""Sources that clang-tidy looks at in one run; it takes half a minute for each."""

needs_git = pytest.mark.skipif(subprocess.run(["git", "-c", "safe.directory=*", "-C", TREE, "rev-parse", "HEAD"],
                                              capture_output=True).returncode != 0, reason="this is no clone")


def lint(*words, tree=TREE):
    return subprocess.run([tree / "tests/lint.sh", *words], capture_output=True, text=True, env={**os.environ, "BLOCKHOST_BUILD": BUILD})


@needs_git
def test_every_file_is_formatted_and_every_script_is_as_shellcheck_wants_it():
    run = lint("--all", "--format")
    assert run.returncode == 0, run.stdout + run.stderr


@needs_git
def test_clang_tidy_finds_nothing_in_what_changed():
    run = lint("--most", str(MOST))
    assert run.returncode == 0, run.stdout + run.stderr
    if "clang-tidy is left out" in run.stderr:
        pytest.skip(f"more than {MOST} sources changed: tests/lint.sh looks at them all")


@pytest.mark.parametrize("name, text, found", [
    ("src/base/text/text.cpp", "\nint   badly_formatted ;\n", "clang-format"),
    ("src/base/text/text.cpp", "\nint lint_probe(const std::string& text) {\n    return text.size() == 0 ? 1 : 2;\n}\n",
     "readability-container-size-empty"),
    ("tests/guest/lib.sh", "\nlint_probe() { cd /tmp; rm $1/*; for x in `ls`; do :; done; }\n", "SC2164"),
])
@needs_git
def test_what_a_tool_is_there_for_is_found_in_a_file_that_changed(name, text, found, tmp_path):
    """In a clone, where nothing else changed."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "-c", "safe.directory=*", "clone", "-q", "--no-hardlinks", TREE, clone], check=True)
    for each in ("tests/lint.sh", ".clang-tidy", "packaging/lib.sh"):
        shutil.copy(TREE / each, clone / each)
    (clone / name).write_text((clone / name).read_text() + text)
    build = tmp_path / "build"
    build.mkdir()
    commands = (pathlib.Path(BUILD) / "compile_commands.json").read_text()
    (build / "compile_commands.json").write_text(commands.replace("../", f"{clone}/").replace(BUILD, str(build)))
    without_tidy = () if found.startswith("readability") else ("--format",)
    run = subprocess.run([clone / "tests/lint.sh", "--base", "HEAD", *without_tidy], capture_output=True, text=True,
                         env={**os.environ, "BLOCKHOST_BUILD": str(build)})
    assert run.returncode == 1 and found in run.stdout + run.stderr, run.stdout + run.stderr
