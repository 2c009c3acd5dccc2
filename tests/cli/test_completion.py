# SPDX-License-Identifier: MIT
"""Completion in the shells themselves: a VM database of this test's own, the program and its links as installed."""

import json
import os
import re
import shutil
import subprocess

import pytest
from host import BINARY, BUILD, Host

NAMES = {"web-1": "active", "web-2": "suspended", "wiki": "active", "old": "destroyed"}


def database(statuses):
    return json.dumps({"vms": {name: {"vm_name": name, "status": status} for name, status in statuses.items()},
                       "allocated_ips": []})


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path)
    state = tmp_path / "root/var/lib/blockhost"
    state.mkdir(parents=True)
    (state / "vms.json").write_text(database(NAMES))
    (tmp_path / "key.pub").write_text("")
    programs = tmp_path / "programs"
    programs.mkdir()
    for link in (BUILD / "symlinks").iterdir():
        if link.is_symlink():
            (programs / link.name).symlink_to(BINARY)
    (programs / "blockhost-libvirt").symlink_to(BINARY)
    host.env["PATH"] = f"{programs}:/usr/bin:/bin"
    for shell in ("bash", "zsh", "fish"):
        (tmp_path / f"completion.{shell}").write_bytes(
            subprocess.run([BINARY, "__dump", shell], check=True, capture_output=True).stdout)
    return host


def run_shell(host, program, script, *words):
    if not shutil.which(program):
        pytest.skip(f"{program} is missing")
    home = host.folder / "home"
    home.mkdir(exist_ok=True)
    run = subprocess.run([program, *words], input=script, cwd=host.folder, capture_output=True, text=True, timeout=60,
                         env=host.env | {"HOME": str(home), "TERM": "dumb"})
    assert run.stderr == "", run.stderr
    return run.stdout


def bash(host, line):
    """Loaded by bash-completion at the first Tab, from a folder of completions; the words cut as readline cuts them."""
    folder = host.folder / "share/bash-completion/completions"
    folder.mkdir(parents=True, exist_ok=True)
    name = line.split()[0]
    shutil.copy(host.folder / "completion.bash", folder / name)
    words = [word for word in re.split(r"([=:]+)|\s+", line) if word]
    if line.endswith(" "):
        words.append("")
    quoted = " ".join("'" + word + "'" for word in words)
    script = f"""
        . /usr/share/bash-completion/bash_completion
        export XDG_DATA_DIRS={host.folder}/share BASH_COMPLETION_USER_DIR={host.folder}/share/bash-completion
        _completion_loader {name}
        how=$(complete -p {name}); how=${{how#*-F }}; how=${{how%% *}}
        COMP_WORDS=({quoted}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}
        $how {name}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return sorted(run_shell(host, "bash", script, "--norc").split())


def zsh(host, line):
    """compsys itself, with compadd noting what it is given that begins with the word; nothing is drawn."""
    script = f"""
        zmodload zsh/zpty
        zpty shell 'TERM=dumb PS1= zsh -f -i'
        file={host.folder}/inner.zsh
        cat >$file <<'END'
autoload -U compinit; compinit -u -D
. {host.folder}/completion.zsh
compadd() {{
    if [[ "$*" != *-[AOD]* ]]; then
        local -a found; builtin compadd -O found "$@"; print -rl -- $found >>{host.folder}/offers
    fi
    builtin compadd "$@"
}}
finish() {{ zle list-choices; print -r -- "[[""done""]]"; exit; }}
zle -N finish; bindkey '^I' finish
END
        zpty -w shell ". $file"
        zpty -w shell 'print "[[""ready""]]"'
        zpty -r shell text '*\\[\\[ready\\]\\]*'
        zpty -w -n shell '{line}'$'\\t'
        zpty -r shell text '*\\[\\[done\\]\\]*'
    """
    offers = host.folder / "offers"
    offers.unlink(missing_ok=True)
    run_shell(host, "zsh", script, "-f")
    return sorted({word.rstrip("=") for word in offers.read_text().split()}) if offers.exists() else []


def fish(host, line):
    script = f"source {host.folder}/completion.fish\ncomplete -C '{line}'\n"
    out = run_shell(host, "fish", script, "--no-config")
    return sorted(entry.split("\t")[0].removeprefix("--format=") for entry in out.splitlines())


SHELLS = [bash, zsh, fish]
shells = pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell.__name__)


@shells
@pytest.mark.parametrize("line,offers", [
    ("blockhost-libvirt de", ["destroy", "detect"]),
    ("blockhost-libvirt help up", ["update-gecos"]),
    ("blockhost-libvirt destroy w", ["web-1", "web-2", "wiki"]),
    ("blockhost-vm-destroy ", ["web-1", "web-2", "wiki"]),
    ("blockhost-vm-resume w", ["web-2"]),
    ("blockhost-vm-start w", ["web-1", "wiki"]),
    ("blockhost-libvirt throttle --show w", ["web-1", "wiki"]),
    ("blockhost-vm-throttle --cpu-quota 20 w", ["web-1", "wiki"]),
    ("blockhost-vm-list --format ", ["json", "table"]),
    ("blockhost-libvirt metrics --format n", ["ndjson"]),
    ("blockhost-vm-list --format=j", ["json"]),
    ("blockhost-vm-create x --ssh-key ke", ["key.pub"]),
    ("blockhost-vm-throttle web-1 --for ", ["12h", "1h", "30m", "7d"]),
    ("blockhost-build-template --source p", ["packages"]),
    ("blockhost-vm-gc --grace-days ", []),
    ("blockhost-vm-destroy web-1 w", []),
    ("blockhost-libvirt update-gecos wiki w", []),
], ids=lambda value: value if isinstance(value, str) else "")
def test_it_offers_what_fits(host, shell, line, offers):
    assert shell(host, line) == offers


@shells
def test_every_option_of_every_name_is_offered(host, shell):
    dump = json.loads(subprocess.run([BINARY, "__dump"], check=True, capture_output=True).stdout)
    shown = [row for row in dump["verbs"] if not row["hidden"]]
    picked = shown if shell is not zsh else [row for row in shown if row["verb"] in ("create", "throttle", "boot", "detect")]
    for row in picked:
        offered = [option for option in row["options"] if not option["ignored"]]
        # fish shows both forms of an option whose value may be left out
        both = [option["name"] + "=" for option in offered if option["implicit"] and shell is fish]
        wanted = sorted("--" + name for name in [*(option["name"] for option in offered), *both])
        assert shell(host, f"blockhost-libvirt {row['verb']} --") == wanted
        if row["contract_name"]:
            assert shell(host, f"{row['contract_name']} --") == wanted


@shells
def test_the_simulated_worlds_vms_are_offered_with_mock(host, shell):
    (host.folder / "mock-db.json").write_text(database({"toy": "active"}))
    assert shell(host, "blockhost-vm-destroy --mock ") == ["toy"]


@shells
@pytest.mark.parametrize("what", ["none", "torn", "no configuration"])
def test_without_a_readable_database_nothing_is_offered_or_said(host, shell, what):
    state = host.folder / "root/var/lib/blockhost/vms.json"
    if what == "none":
        state.unlink()
    elif what == "torn":
        state.write_text("{")
    else:
        (host.etc / "db.yaml").unlink()
    assert shell(host, "blockhost-vm-destroy w") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_who_may_not_read_the_configuration_gets_no_names_and_no_noise(host):
    (host.etc / "db.yaml").chmod(0o600)
    for folder in (host.folder, *host.folder.parents):
        if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/"):
            folder.chmod(0o711)
    program = host.folder / "blockhost-libvirt"
    shutil.copy(BINARY, program)
    run = subprocess.run([program, "__vms", "live"], env=host.env, cwd="/", capture_output=True, text=True, user=65534,
                         group=65534, extra_groups=[])
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_names_are_told_without_loading_any_module(host):
    if not shutil.which("strace"):
        pytest.skip("strace is missing")
    if b"__asan_init" in BINARY.read_bytes():
        pytest.skip("a sanitizer build loads its own libraries, and looks for leaks under no tracer")
    run = subprocess.run(["strace", "-f", "-e", "trace=openat,connect,execve", BINARY, "__vms", "live"], env=host.env,
                         cwd=host.folder, capture_output=True, text=True)
    assert run.stdout.split() == ["web-1", "web-2", "wiki"]
    assert run.stderr.count("execve(") == 1 and "connect(" not in run.stderr
    opened = re.findall(r'"([^"]+\.so[^"]*)"', run.stderr)
    assert all(re.search(r"/(ld\.so\.cache|libc\.so\.6|libm\.so\.6)$", path) for path in opened), opened
