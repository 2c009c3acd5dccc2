# SPDX-License-Identifier: MIT
"""Orders that are refused before anything is done: what does not go together, values that are none, no root."""

import os
import subprocess

import pytest
from template_host import BINARY, sh

DIGEST = "a" * 128


def nothing_is_there(host):
    return sorted(str(path.relative_to(host.root)) for path in host.root.rglob("*")) == ["etc", "etc/blockhost"]


@pytest.mark.parametrize("words, says", [
    (("--source", "packages", "--sha512", DIGEST), ["--source packages", "--sha512"]),
    (("--source", "packages", "--as-is"), ["--source packages", "--as-is"]),
    (("--sha512", DIGEST, "--insecure-no-checksum"), ["--sha512", "--insecure-no-checksum"]),
    (("--source", "https://127.0.0.1/x", "--sha512", DIGEST, "--insecure-no-checksum"), ["do not go together"]),
    (("--source", "file:/x", "--ca-file", "/etc/passwd"), ["--ca-file"]),
    (("--source", "packages", "--ca-file", "/etc/passwd"), ["--ca-file"]),
    (("--sha512",), ["--sha512"]), (("--source",), ["--source"]), (("cloud",), ["cloud"]), (("--nonsense",), ["--nonsense"]),
    (("--as-is=yes",), ["--as-is"])])
def test_what_does_not_go_together_is_a_usage_error(host, words, says):
    host.refuses(*words, status=2, says=says)
    assert nothing_is_there(host)


@pytest.mark.parametrize("words, says", [
    *((("--source", "file:/x", "--as-is", "--sha512", bad), ["128 hex digits", "sha512sum"])
      for bad in ("", "abc", "a" * 127, "a" * 129, "g" * 128, " " + "a" * 127, "a" * 64)),
    *((("--source", bad, "--as-is"), [f"--source cannot be '{shown}'"]) for bad, shown in (
        ("", ""), ("debian", "debian"), ("file:", "file:"), ("https://", "https://"), ("ftp://x/y", "ftp://x/y"),
        ("CLOUD", "CLOUD"), ("/x.qcow2", "/x.qcow2"), ("http://127.0.0.1/x", "http://127.0.0.1/x")))])
def test_a_value_that_is_none_is_named(host, words, says):
    host.refuses(*words, says=says)
    assert nothing_is_there(host)


def test_a_value_with_control_characters_is_shown_printable(host):
    last = host.refuses("--source", "x\x1b[31m\ny", "--as-is")
    assert "\x1b" not in last and "--source cannot be" in last


def test_the_contract_name_is_the_same_command(host, image, tmp_path):
    name = tmp_path / "blockhost-build-template"
    name.symlink_to(BINARY)
    run = subprocess.run([name, "--source", f"file:{image}", "--as-is"], env=host.env, capture_output=True, text=True,
                         stdin=subprocess.DEVNULL)
    assert (run.returncode, run.stdout) == (0, f"Template built successfully: {host.link}\n"), run.stderr
    host.current()


def test_without_root_nothing_is_built(host, image):
    os.chmod(image.parent, 0o755)
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
    sh(*nobody, BINARY, "--version")
    host.root.chmod(0o777)
    host.refuses("--source", f"file:{image}", "--as-is", within=nobody, says=["needs root", "sudo"])
    assert nothing_is_there(host)
    assert sh(*nobody, BINARY, "build-template", "--help").stdout


@pytest.mark.parametrize("spoil", ["writable by others", "writable by its group", "another's"])
def test_a_cache_that_others_can_write_to_is_refused(host, image, spoil):
    host.build(image)
    if spoil == "another's":
        os.chown(host.cache, 65534, 0)
    else:
        os.chmod(host.cache, 0o777 if spoil.endswith("others") else 0o775)
    host.refuses("--source", f"file:{image}", "--as-is", "--force", says=[str(host.cache), "belongs to another user" if spoil == "another's" else "can be written by others"])


def test_a_configuration_that_cannot_be_read_is_named(host, image):
    (host.etc / "db.yaml").write_text("bridge: [")
    host.refuses("--source", f"file:{image}", "--as-is", says="db.yaml")


def test_dry_run_goes_with_prune_only(host, image):
    host.build(image)
    run = host.run("--dry-run", verb="templates")
    assert run.returncode == 2 and "--dry-run goes with --prune" in run.stderr


def test_templates_without_a_folder_says_who_makes_it(host):
    run = host.run(verb="templates")
    assert run.returncode == 5 and "blockhost-build-template" in run.stderr
    assert nothing_is_there(host)
