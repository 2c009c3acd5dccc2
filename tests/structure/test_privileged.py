# SPDX-License-Identifier: MIT
"""The fence around what needs root on a Proxmox node: behind it nobody speaks to a network, before it nobody starts a program."""

import pathlib
import re

TREE = pathlib.Path(__file__).resolve().parents[2]
PLATFORM = "src/platform"
FENCE = f"{PLATFORM}/proxmox/privileged"
COMMANDS = {"ContainerFeatures": "container_features", "UsbDisk": "usb_disk", "Health": "health"}
"""The three, and where each is."""

OWN_FLOORS = ("base/", "platform/permit.hpp", "platform/proxmox/privileged/")
"""All that the fenced folder includes: a change of a guest needs a permit here, too."""
NETWORK = re.compile(r"<(sys/socket|netdb|netinet/\w+|arpa/\w+|curl/\w+|openssl/\w+)\.h>|\b(socket|connect|getaddrinfo)\s*\(")
STARTS = re.compile(r"\b(fork|vfork|clone3?|posix_spawnp?|execv[pe]*|execl[pe]*|execveat|fexecve|system|popen)\s*\(")


def sources(tree):
    return {str(path.relative_to(tree)): path.read_text() for path in sorted((tree / PLATFORM).rglob("*"))
            if path.suffix in (".cpp", ".hpp")}


def includes(text):
    return re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.M)


def reached(tree, texts, name):
    """What a file includes, and what those headers include, however far."""
    found, left = set(), includes(texts[name])
    while left:
        header = left.pop()
        if header not in found:
            found.add(header)
            path = tree / "src" / header
            left += includes(path.read_text()) if path.is_file() else []
    return found


def wrong_behind_the_fence(tree):
    texts = sources(tree)
    found = []
    for name in (name for name in texts if name.startswith(FENCE + "/")):
        found += [f"{name} includes {header}" for header in includes(texts[name]) if not header.startswith(OWN_FLOORS)]
        found += [f"{name} reaches {header}" for header in sorted(reached(tree, texts, name)) if header.startswith("http/")]
        found += [f"{name} speaks to a network"] if NETWORK.search(texts[name]) else []
    return found


def wrong_before_the_fence(tree):
    texts = sources(tree)
    found = []
    for name in (name for name in texts if not name.startswith(FENCE + "/")):
        found += [f"{name} includes base/process.hpp"] if "base/process.hpp" in includes(texts[name]) else []
        found += [f"{name} starts programs"] if STARTS.search(texts[name]) else []
        if name.startswith(f"{PLATFORM}/proxmox/"):
            found += [f"{name} reaches base/process.hpp"] if "base/process.hpp" in reached(tree, texts, name) else []
    return found


def test_the_fenced_folder_never_speaks_to_a_network():
    assert wrong_behind_the_fence(TREE) == []


def test_the_rest_of_the_platforms_never_starts_a_program():
    assert wrong_before_the_fence(TREE) == []


def test_exactly_three_commands_have_the_key():
    """Fence's members are private: whom it does not name as its friend cannot start anything."""
    fence = (TREE / FENCE / "fence.hpp").read_text()
    body = fence[fence.index("class Fence {"):]
    assert body.index("private:") < body.index("friend class") and "public:" not in body and "protected:" not in body
    assert sorted(re.findall(r"friend (?:class|struct) (\w+);", body)) == sorted(COMMANDS)
    assert body.count("friend") == len(COMMANDS)
    for command, name in COMMANDS.items():
        assert f"class {command} {{" in (TREE / FENCE / f"{name}.hpp").read_text()


def test_programs_are_started_in_one_file_and_are_named_by_constants():
    texts = {name: text for name, text in sources(TREE).items() if name.startswith(FENCE + "/")}
    assert [name for name, text in texts.items() if "blockhost::run(" in text] == [f"{FENCE}/fence.cpp"]
    programs = re.findall(r'inline constexpr Program \w+\{"([^"]+)"', texts[f"{FENCE}/fence.hpp"])
    assert sorted(programs) == ["/usr/bin/mount", "/usr/bin/sensors", "/usr/bin/umount", "/usr/sbin/pct", "/usr/sbin/smartctl"]
    assert sum(text.count("Program") for name, text in texts.items() if not name.startswith(f"{FENCE}/fence.")) == 0


def breached(tmp_path, name, text, header=""):
    """A tree of these platforms, in which one file has a line more."""
    for each, content in sources(TREE).items():
        path = tmp_path / each
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + (text if each == name else ""))
    if header:
        path = tmp_path / "src" / header
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('#include "http/session.hpp"\n#include "base/process.hpp"\n')
    return tmp_path


def test_each_breach_is_seen(tmp_path):
    inside, outside = f"{FENCE}/health.cpp", f"{PLATFORM}/proxmox/client.cpp"
    trials = [
        (wrong_behind_the_fence, inside, '#include "http/session.hpp"\n', ""),
        (wrong_behind_the_fence, inside, '#include "platform/proxmox/client.hpp"\n', ""),
        (wrong_behind_the_fence, inside, '#include "base/bridge.hpp"\n', "base/bridge.hpp"),
        (wrong_behind_the_fence, inside, "#include <sys/socket.h>\n", ""),
        (wrong_behind_the_fence, inside, "int fd = socket (AF_INET, SOCK_STREAM, 0);\n", ""),
        (wrong_before_the_fence, outside, '#include "base/process.hpp"\n', ""),
        (wrong_before_the_fence, outside, '#include "host/bridge.hpp"\n', "host/bridge.hpp"),
        (wrong_before_the_fence, outside, "int status = std::system(command);\n", ""),
        (wrong_before_the_fence, f"{PLATFORM}/simulated/simulated.cpp", "auto pid = fork();\n", ""),
        (wrong_before_the_fence, f"{PLATFORM}/simulated/simulated.cpp", "auto file = popen(command, mode);\n", ""),
    ]
    for number, (look, name, text, header) in enumerate(trials):
        assert look(breached(tmp_path / str(number), name, text, header)), (name, text)
