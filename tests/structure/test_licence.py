# SPDX-License-Identifier: MIT
"""Each source file names the licence that LICENSE holds."""

import pathlib

TREE = pathlib.Path(__file__).resolve().parents[2]
MARKS = {".cpp": "//", ".hpp": "//", ".py": "#", ".sh": "#"}
NOT_OURS = {"corpus", "golden"}


def files():
    for folder in ("src", "subcommands", "hooks", "tests", "packaging", "data"):
        for path in sorted((TREE / folder).rglob("*")):
            if path.suffix in MARKS and path.is_file() and not path.is_symlink() and not NOT_OURS & set(path.parts):
                yield path


def test_every_source_file_begins_with_its_licence():
    assert (TREE / "LICENSE").read_text().startswith("MIT License")
    wrong = []
    for path in files():
        lines = path.read_text().splitlines()
        first = lines[1:2] if lines and lines[0].startswith("#!") else lines[:1]
        if first != [f"{MARKS[path.suffix]} SPDX-License-Identifier: MIT"]:
            wrong.append(str(path.relative_to(TREE)))
    assert not wrong
