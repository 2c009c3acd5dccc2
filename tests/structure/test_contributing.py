# SPDX-License-Identifier: MIT
"""CONTRIBUTING.md names what there is."""

import pathlib
import re
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[2]
TEXT = (TREE / "CONTRIBUTING.md").read_text()


def test_every_file_and_folder_that_it_names_is_there():
    names = re.findall(r"`([\w./-]+)`", TEXT) + re.findall(r"\]\(([\w./-]+)\)", TEXT)
    paths = [name for name in names if "/" in name and not re.search(r"NAME|^build/|^\./", name)]
    assert len(paths) > 30
    assert [name for name in paths if not (TREE / name).exists()] == []


def test_every_suite_that_it_names_is_one():
    suites = set(re.findall(r"--only ([a-z-]+)", TEXT))
    known = subprocess.run(["bash", "-c", '. "$0"; known_kinds', TREE / "tests/needs.sh"], check=True, capture_output=True, text=True)
    assert suites - {"unit-guest", "conformance"} <= set(known.stdout.split())


def test_every_folder_of_sources_has_a_row_in_changed_x_run_y():
    rows = [line for line in TEXT.splitlines() if line.startswith("| `")]
    folders = [f"src/{path.name}" for path in (TREE / "src").iterdir() if path.is_dir()] + ["subcommands", "hooks", "data", "packaging"]
    assert [folder for folder in folders if not any(f"`{folder}`" in row for row in rows)] == []
