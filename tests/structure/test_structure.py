# SPDX-License-Identifier: MIT
"""The house's own rules: floors, fences, names that must agree, what the executable may need."""

import collections
import json
import os
import pathlib
import re
import subprocess

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build"))
BINARY = BUILD / "blockhost-libvirt"

FLOORS = {
    "base": 0, "model": 1, "config": 2,
    "registry": 3, "hypervisor": 3, "guest": 3, "host": 3, "http": 3, "store": 3,
    "vm": 4, "safety": 5, "limits": 6, "backup": 6, "operations": 7,
    "setup": 8, "rootside": 8, "expiry": 8, "metrics": 8, "image": 8, "chain": 8,
    "platform": 9, "authority": 10, "execution": 10, "hub": 10, "agent": 11, "cli": 12, "subcommands": 13,
}
MOST_OF_A_FOLDER = 18
"""Sources at one level; a header and its source count once. subcommands has a file for each verb."""

# The contract's table of names, typed in by hand.
CONTRACT_NAMES = {
    "create": "blockhost-vm-create", "destroy": "blockhost-vm-destroy", "start": "blockhost-vm-start",
    "stop": "blockhost-vm-stop", "kill": "blockhost-vm-kill", "status": "blockhost-vm-status",
    "list": "blockhost-vm-list", "metrics": "blockhost-vm-metrics", "throttle": "blockhost-vm-throttle",
    "build-template": "blockhost-build-template", "gc": "blockhost-vm-gc", "resume": "blockhost-vm-resume",
    "update-gecos": "blockhost-vm-update-gecos", "guest-exec": "blockhost-vm-guest-exec",
}
# Names of the manifest's setup section: links like the others, but no commands.
SETUP_NAMES = {"detect": "blockhost-provisioner-detect"}


def sources():
    return sorted(p for folder in ("src", "subcommands") for p in (TREE / folder).rglob("*")
                  if p.suffix in (".cpp", ".hpp"))


def floor_of(path):
    part = path.relative_to(TREE).parts
    return "subcommands" if part[0] == "subcommands" else part[1] if len(part) > 2 else "main"


def included_folders(path):
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.M):
        yield name, name.split("/")[0]


@pytest.fixture(scope="module")
def dump():
    return json.loads(subprocess.run([BINARY, "__dump"], check=True, capture_output=True).stdout)


def test_no_file_includes_a_higher_floor_or_a_neighbour():
    wrong = []
    for path in sources():
        here = floor_of(path)
        if here == "main":
            continue
        for name, there in included_folders(path):
            if there != here and FLOORS[there] >= FLOORS[here]:
                wrong.append(f"{path.relative_to(TREE)} includes {name}")
    assert not wrong


def circles(arrows):
    """The groups of nodes that reach each other (Tarjan's strongly connected components of more than one)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(arrows.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = []
            while not group or group[-1] != node:
                group.append(stack.pop())
            found.extend([sorted(group)] if len(group) > 1 else [])

    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return found


def test_a_circle_is_found_however_far_round():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_file_includes_one_that_includes_it_however_far_round():
    """A header and its source count as one: what either includes, both stand on."""
    arrows = {}
    for path in sources():
        unit = str(path.relative_to(TREE).with_suffix("")).removeprefix("src/")
        others = {name.removesuffix(".hpp") for name, _ in included_folders(path)}
        arrows.setdefault(unit, set()).update(others - {unit})
    assert circles(arrows) == []


def test_no_folder_holds_more_than_one_can_look_over():
    units = {path.relative_to(TREE).with_suffix("") for path in sources() if "subcommands" not in path.parts}
    counts = collections.Counter(str(unit.parent) for unit in units)
    assert {folder: count for folder, count in counts.items() if count > MOST_OF_A_FOLDER} == {}


def test_every_include_is_written_from_the_source_root():
    wrong = [f"{p.relative_to(TREE)} includes {name}" for p in sources() for name, folder in included_folders(p)
             if folder not in FLOORS]
    assert not wrong


def test_only_the_process_runner_starts_programs():
    spawns = re.compile(r"\b(fork|vfork|posix_spawnp?|execv[pe]*|execl[pe]*|system|popen)\s*\(")
    wrong = [str(p.relative_to(TREE)) for p in sources()
             if spawns.search(p.read_text()) and p.name not in ("process.cpp",)]
    assert not wrong


def test_only_the_one_pause_sleeps():
    sleeps = re.compile(r"\b(sleep_for|sleep_until|(clock_)?nanosleep|usleep)\s*\(")
    assert [str(p.relative_to(TREE)) for p in sources() if sleeps.search(p.read_text())] == ["src/base/patience.hpp"]


def test_only_the_libvirt_driver_speaks_to_libvirt():
    wrong = [str(p.relative_to(TREE)) for p in sources()
             if "<libvirt/" in p.read_text() and "hypervisor/libvirt" not in str(p)]
    assert not wrong


def test_only_the_http_module_speaks_to_libcurl():
    assert [str(p.relative_to(TREE)) for p in sources() if "<curl/" in p.read_text()] == ["src/http/module.cpp"]


def test_only_the_store_speaks_to_sqlite():
    assert {floor_of(p) for p in sources() if "<sqlite3.h>" in p.read_text()} == {"store"}


def test_only_one_file_knows_the_library_that_signs_and_only_the_chain_knows_the_key():
    assert [str(p.relative_to(TREE)) for p in sources() if "<secp256k1" in p.read_text()] == ["src/chain/evm/key.cpp"]
    users = {floor_of(p) for p in sources() if any(name == "chain/evm/key.hpp" for name, _ in included_folders(p))}
    assert users == {"chain"}


def test_only_the_wrapping_of_passwords_and_restics_keys_use_libsodium_and_nettle():
    users = {name: sorted(p.name for p in sources() if name in p.read_text()) for name in ("<sodium", "<nettle")}
    assert users == {"<sodium": ["escrow.cpp", "quick_key.cpp"], "<nettle": ["quick_key.cpp"]}


def test_the_process_runner_is_used_on_the_host_and_image_floors_behind_the_fence_and_for_signatures_and_backups_only():
    """tests/structure/test_privileged.py says what the fence is."""
    allowed, fence = {"base", "host", "image", "backup"}, TREE / "src/platform/proxmox/privileged"
    wrong = [str(p.relative_to(TREE)) for p in sources()
             if any(name == "base/process.hpp" for name, _ in included_folders(p))
             and floor_of(p) not in allowed and fence not in p.parents
             and p != TREE / "src/authority/ssh_keygen.cpp"]
    assert not wrong


def test_a_domain_of_ours_is_started_in_one_place_which_looks_at_its_files_first():
    starts = re.compile(r"\bhypervisor(\(\))?\s*(\.|->)\s*start\s*\(")
    found = [str(p.relative_to(TREE)) for p in sources() if floor_of(p) != "hypervisor" and starts.search(p.read_text())]
    assert found == ["src/safety/start.cpp"]


def test_the_dump_names_the_contract_names(dump):
    named = {row["verb"]: row["contract_name"] for row in dump["verbs"] if row.get("contract_name")}
    assert named == CONTRACT_NAMES | SETUP_NAMES


def test_the_manifest_names_the_contract_names():
    manifest = json.loads((BUILD / "data/provisioner.json").read_text())
    assert manifest["commands"] == CONTRACT_NAMES
    hook = pathlib.PurePath(manifest["setup"].pop("first_boot_hook"))
    assert manifest["setup"].pop("wizard_module") == "blockhost.provisioner_libvirt.wizard"
    assert manifest["setup"].pop("finalization_steps") == ["storage", "network", "db_config", "template"]
    assert manifest["setup"] == SETUP_NAMES
    assert hook.parent == pathlib.PurePath("/usr/share/blockhost/provisioner-hooks")
    assert os.access(TREE / "data/provisioner-hooks" / hook.name, os.X_OK)


def test_the_links_in_the_build_folder_are_the_contract_names():
    links = {p.name: os.readlink(p) for p in (BUILD / "symlinks").iterdir() if p.is_symlink()}
    assert set(links) == {*CONTRACT_NAMES.values(), *SETUP_NAMES.values()}
    assert all((BUILD / "symlinks" / link).resolve() == BINARY.resolve() for link in links)


def test_the_mint_link_is_never_installed():
    assert "mint" not in (TREE / "symlinks/meson.build").read_text()


def test_project_yaml_is_the_dump():
    generated = subprocess.run([BINARY, "__dump", "project"], check=True, capture_output=True, text=True).stdout
    assert (TREE / "PROJECT.yaml").read_text() == generated, \
        "renew it: build/blockhost-libvirt __dump project >PROJECT.yaml"


def test_project_yaml_says_what_tools_need(dump):
    yaml = pytest.importorskip("yaml")
    project = yaml.safe_load((TREE / "PROJECT.yaml").read_text())
    shown = [row for row in dump["verbs"] if not row["hidden"]]
    assert [row["verb"] for row in project["commands"]] == [row["verb"] for row in shown]
    for row, known in zip(project["commands"], shown):
        assert row.get("contract_name") == known["contract_name"] and row["output"]["text"] and row["examples"]
        assert [option["name"] for option in row.get("options", [])] == \
            [option["name"] for option in known["options"] if option["name"] not in ("help", "mock")]
        assert all(isinstance(status, str) for status in row["exit_statuses"])
    assert [code["name"] for code in project["error_codes"]] == [code["name"] for code in dump["errors"]]
    assert set(project["units"]) == {path.name.removesuffix(".in") for path in (TREE / "data/systemd").glob("*.*")
                                     if "blockhost" in path.name}
    for name, task in project["tasks"].items():
        assert os.access(TREE / task, os.X_OK), name


def test_the_root_agents_actions_are_the_manifests():
    yaml = pytest.importorskip("yaml")
    project = yaml.safe_load((TREE / "PROJECT.yaml").read_text())
    manifest = json.loads((TREE / "provisioner.json").read_text())
    assert list(project["root_agent_actions"]["shipped"]) == manifest["root_agent_actions"]
    called = set(re.findall(r'"(ip6-[a-z-]+)"', (TREE / "src/host/network.cpp").read_text()))
    assert set(project["root_agent_actions"]["called"]) == called


def test_the_keys_of_db_yaml_are_in_the_docs():
    yaml = pytest.importorskip("yaml")
    keys = yaml.safe_load((TREE / "PROJECT.yaml").read_text())["config_keys"]
    row = next(line for line in (TREE / "docs/contract.md").read_text().splitlines()
               if line.startswith("| `/etc/blockhost/db.yaml` |"))
    assert {key.split(".")[0] for key in keys} == set(row.split("`")[3].split())


def test_environment_variables_that_are_read_are_in_project_yaml():
    yaml = pytest.importorskip("yaml")
    project = yaml.safe_load((TREE / "PROJECT.yaml").read_text())
    read = {name for path in sources() for name in re.findall(r'(?:getenv|is_set)\("([A-Z_]+)"\)', path.read_text())}
    tests_own = {"BLOCKHOST_FAULT", "BLOCKHOST_LEAVE_OUT", "BLOCKHOST_SIM_LATE", "LD_LIBRARY_PATH"}
    assert set(project["environment"]) == read - tests_own


REPEATS_THE_VERSION = {
    "CHANGELOG.md", "PROJECT.yaml", "packaging/debian/changelog",                  # compared below
    "packaging/debian/postinst", "packaging/debian/prerm", "packaging/debian/control", # what holds since a version, or meson's
}


def test_the_version_is_written_in_one_place():
    """meson.build; the others take it from there, or are compared."""
    version = re.search(r"^  version: '(.+)',$", (TREE / "meson.build").read_text(), re.M)[1]
    literal = re.compile(rf"(?<![\d.]){re.escape(version)}(?![\d.]*\d)")
    listed = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=TREE, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a checkout")
    texts = (TREE / name for name in filter(None, listed.stdout.split("\0")) if "/corpus/" not in name)
    found = {str(path.relative_to(TREE)): len(literal.findall(path.read_text(errors="replace"))) for path in texts if path.is_file()}
    assert {name for name, count in found.items() if count} - REPEATS_THE_VERSION == {"meson.build"}
    assert found["meson.build"] <= 2  # the version, and once as that of meson where it is the same


def test_versions_agree(dump):
    version = dump["version"]
    assert f"  version: '{version}'," in (TREE / "meson.build").read_text(), "build first"
    assert json.loads((BUILD / "data/provisioner.json").read_text())["version"] == version
    assert (TREE / "packaging/debian/changelog").read_text().startswith(f"blockhost-provisioner-libvirt ({version})")
    assert f'version: "{version}"' in (TREE / "PROJECT.yaml").read_text()
    assert f"## {version}" in (TREE / "CHANGELOG.md").read_text()


def test_every_visible_verb_has_its_manual_page(dump):
    pages = {path.name for path in (BUILD / "data/manual").glob("*.[78]")}
    assert pages == {"blockhost-libvirt.7", "blockhost-libvirt.8", *(row["man_page"] + ".8" for row in dump["verbs"] if not row["hidden"])}
    for page in pages:
        assert f'.TH "{page[:-2].upper()}"' in (BUILD / "data/manual" / page).read_text().replace("\\-", "-")


def needed(path):
    out = subprocess.run(["readelf", "-d", path], check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", out))


def test_the_executable_needs_only_glibc():
    if b"__asan_init" in BINARY.read_bytes():
        pytest.skip("a sanitizer build needs the sanitizers' own libraries")
    allowed = {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "libpthread.so.0", "libdl.so.2"}
    assert needed(BINARY) <= allowed


def test_the_libvirt_module_contains_neither_boost_nor_yaml():
    symbols = subprocess.run(["nm", "-C", BUILD / "hypervisor-libvirt.so"], capture_output=True, text=True).stdout
    assert "boost::json" not in symbols
    assert "YAML::" not in symbols
    assert "pugi::" not in symbols


def test_the_modules_export_their_makers_alone():
    for module, makers in (("hypervisor-libvirt.so", 1), ("seed-image.so", 1), ("http.so", 4)):
        out = subprocess.run(["nm", "-D", "--defined-only", BUILD / module], check=True, capture_output=True, text=True)
        ours = [line.split()[-1] for line in out.stdout.splitlines() if "blockhost" in line and " T " in line]
        assert len(ours) == makers, (module, ours)


def test_the_state_machine_in_the_docs_is_the_one_in_the_tables():
    generated = subprocess.run([BINARY, "__dump", "states"], check=True, capture_output=True, text=True).stdout
    text = (TREE / "docs/states.md").read_text()
    begin, end = "<!-- states: generated by `blockhost-libvirt __dump states` -->\n", "<!-- end of states -->"
    assert text[text.index(begin) + len(begin):text.index(end)] == generated


def test_libvirtd_may_run_the_start_veto_where_it_is_installed():
    """libvirtd's AppArmor profile looks at the real path behind the hook's link. A hook that cannot be run fails every
    start of the host."""
    installed = json.loads(subprocess.run(["meson", "introspect", "--installed", BUILD], check=True, capture_output=True,
                                          text=True).stdout)
    places = [pathlib.PurePath(to) for made, to in installed.items() if made.endswith("/blockhost-start-veto")]
    assert [place.parent.name for place in places] == ["sbin"]
    profile = pathlib.Path("/etc/apparmor.d/usr.sbin.libvirtd")
    if not profile.exists():
        pytest.skip("libvirtd's AppArmor profile is not on this host")
    assert re.search(r"^\s*/usr/sbin/\* PUx,", profile.read_text(), re.M)
