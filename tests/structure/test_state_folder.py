# SPDX-License-Identifier: MIT
"""Nothing opens what lies below the state folder but its one door, base/state_folder: a path there leads wherever the blockhost
user, whose folder it is, lets it lead. A file opens, makes, moves or removes something by its path only if it stands below, with
what that path is; there, too, it is none of the state folder's."""

import pathlib
import re

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]

BY_PATH = {
    "agent/service/metrics_door.cpp": "the folder of a socket, which the configuration names",
    "config/agent_json.cpp": "configuration",
    "subcommands/fleet.cpp": "files that the command line names",
    "subcommands/hub.cpp": "a folder of an operator's own machine, which the command line names",
    "backup/extract.cpp": "a folder that is given on the command line",
    "backup/keys/keys.cpp": "root's cache",
    "backup/repository.cpp": "the folder of a repository, which root names, and root's cache",
    "backup/settings.cpp": "configuration, and the repository's password, judged by owner and mode",
    "config/config.cpp": "configuration",
    "config/config_file.cpp": "configuration",
    "config/db_yaml.cpp": "configuration",
    "config/json_file.cpp": "configuration",
    "config/mounts.cpp": "which file system a folder lies on; it is not opened",
    "config/secret_file.cpp": "a secret's file, which the configuration names, judged by its owner and mode",
    "config/templates.cpp": "where the current template's link leads is told to libvirt, and not opened here",
    "guest/cloud_init.cpp": "templates in the engine's and the package's folder",
    "host/capability.cpp": "the kernel's files, and devices that a disk stands on",
    "host/interfaces.cpp": "the kernel's files",
    "host/libvirt_installation.cpp": "libvirt's files",
    "host/network.cpp": "the kernel's files, programs, and the simulated world",
    "host/network_hook.cpp": "a program",
    "host/network_look.cpp": "the kernel's files, and programs",
    "host/reach.cpp": "whose a folder is; it is opened by names",
    "hypervisor/common/daemon_socket.cpp": "libvirt's sockets",
    "hypervisor/libvirt/storage.cpp": "whether a disk is there; it is not opened",
    "hypervisor/open.cpp": "the root agent's socket",
    "hypervisor/common/process_age.cpp": "the kernel's files",
    "hypervisor/files/qcow2.cpp": "a disk and what it stands on: opened as a place first, and told from others by what that is",
    "hypervisor/surroundings.cpp": "the simulated world",
    "hypervisor/simulated/backups.cpp": "the simulated world",
    "hypervisor/simulated/counters.cpp": "the simulated world",
    "hypervisor/simulated/disk_content.cpp": "the simulated world",
    "hypervisor/simulated/guest.cpp": "the simulated world",
    "hypervisor/simulated/image.cpp": "the simulated world",
    "hypervisor/simulated/store.cpp": "the simulated world",
    "hypervisor/simulated/world.cpp": "the simulated world",
    "backup/repositories/simulated.cpp": "the simulated world",
    "backup/imgtree.cpp": "whether this host has /dev/fuse",
    "hub/fleet/fleet.cpp": "a hub's folder, which the command line names",
    "hub/folder.cpp": "a hub's folder, which the configuration names",
    "image/bootstrap.cpp": "the bench, in root's cache",
    "image/build.cpp": "the bench, in root's cache",
    "image/customise.cpp": "a script of the package",
    "image/files/restore_files.cpp": "a folder of its own in root's cache, and the folder that the caller named",
    "image/files/appliance.cpp": "whose group may use KVM",
    "image/fetch.cpp": "an image that root named, and root's cache",
    "image/programs.cpp": "programs, and the kernels in /boot",
    "image/prune.cpp": "which file an image is; it is not opened",
    "image/real_maker.cpp": "configuration, and root's cache",
    "image/simulated_maker.cpp": "the simulated world",
    "image/store.cpp": "where a template's link leads, and whether QEMU holds a lock on an image",
    "authority/ssh_keygen.cpp": "who may sign, which the configuration names, judged by owner and mode",
    "chain/evm/key.cpp": "the deployer's key, judged by its owner and mode",
    "cli/dispatch.cpp": "/dev/null, and the current folder",
    "cli/parse.cpp": "files that are given on the command line",
    "operations/admission.cpp": "the room on the file system of the disks",
    "vm/clock_check.cpp": "the simulated world",
    "vm/disk_chain.cpp": "which file a disk is, and whether a layer elsewhere is there; it is not opened",
    "vm/disk_users.cpp": "which file a disk is; it is not opened",
    "safety/planted_files.cpp": "whose doing a way is, step by step, and what only root could have put there",
    "operations/live_disk.cpp": "the folder of a socket, in root's cache",
    "operations/restore/drill.cpp": "a folder of its own in root's cache",
    "operations/provisioning_lock.cpp": "the run folder, whose parent is root's",
    "setup/db_yaml.cpp": "configuration",
    "setup/network.cpp": "the bridge that the host's first boot made, in the run folder",
    "setup/site.cpp": "configuration",
    "setup/storage.cpp": "whether what is given is a folder",
    "image/template_users.cpp": "which files disks are and stand on",
    "platform/proxmox/privileged/fence.cpp": "whether this host is a node; it is not opened",
    "platform/proxmox/privileged/usb_disk.cpp": "the kernel's mounts, and fstab",
    "platform/simulated/simulated.cpp": "a simulated world, for tests",
    "store/connection.cpp": "what SQLite looks at, by the name of a private folder's descriptor",
    "store/lock_holder.cpp": "the kernel's files",
    "subcommands/agent_service.cpp": "a file that is given on the command line",
    "subcommands/plan.cpp": "a file that is given on the command line",
    "subcommands/approve.cpp": "a file that is given on the command line",
    "subcommands/backup_escrow.cpp": "files that are given on the command line",
    "subcommands/backup_repository.cpp": "a file that is given on the command line",
    "subcommands/create.cpp": "files that are given on the command line",
    "subcommands/drill.cpp": "a file that is given on the command line",
    "subcommands/list.cpp": "the size of the VM database; it is not opened",
    "subcommands/verify.cpp": "files that are given on the command line",
}
CALLS = re.compile(
    r"Folder::open(?:_or_make)?\(|files::(?:read|read_given|replace|sync_folder|identity)\(|\b(?:o|i)?fstream\b|\bfopen\(|"
    r"\bread_config_file\(|JsonFile::read\(|"
    r"\b(?:fs|std::filesystem)::(?:create_\w+|remove\w*|rename|copy\w*|resize_file|exists|is_\w+|file_size|space|canonical|"
    r"weakly_canonical|read_symlink|permissions|last_write_time|(?:recursive_)?directory_iterator)\(|"
    r"(?<![\w.>:])(?:::)?(?:open|creat|stat|lstat|access|unlink|rmdir|mkdir|mkfifo|chmod|chown|lchown|truncate|rename|link|symlink|"
    r"opendir)\(")
PLACES = r"paths_?\.(?:state|templates|template_packages|disks|cloud_init|consoles|metrics|journal|mints|suspended|kept_off)\b"
IN_PLACE = {"config/templates.cpp"}


def sources():
    for folder in ("src", "subcommands", "hooks"):
        for path in sorted((TREE / folder).rglob("*.[ch]pp")):
            name = str(path.relative_to(TREE / "src" if folder == "src" else TREE))
            if not name.startswith("base/"):
                yield name, re.sub(r"//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", '""', path.read_text())


def arguments(text, start):
    """What stands between the parenthesis before `start` and its end."""
    depth, at = 1, start
    while depth:
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return text[start:at - 1]


def openings(text):
    """Every call that acts on a path: its name and its arguments. Declarations and calls without any are none."""
    calls = [(found.group(0), arguments(text, found.end()) if found.group(0).endswith("(") else "a stream")
             for found in CALLS.finditer(text)]
    return [(call, words) for call, words in calls if words and not words.startswith(("const ", "Folder "))]


@pytest.mark.parametrize("text", ["Folder::open(paths.journal)", "std::ofstream(place)", "fs::remove(file)", "::open(a.c_str(), 0)",
                                  "if (stat(a, &b))", "files::read(x)", "read_config_file(x)", "JsonFile::read(x)", "files::read_given(x)",
                                  "std::filesystem::create_directories(path)"])
def test_what_acts_on_a_path_is_seen(text):
    assert len(openings(text)) == 1


@pytest.mark.parametrize("text", ["folder.open()", "state->open_file(name, flags)", "fstat(fd, &seen)", "openat(fd, name, 0)",
                                  "paths.journal.open()", "Store::open(paths)"])
def test_what_acts_by_descriptor_is_not_meant(text):
    assert openings(text) == []


def test_files_are_opened_by_path_only_where_that_path_is_none_of_the_state_folders():
    found = {name for name, text in sources() if openings(text)}
    assert found - set(BY_PATH) == set(), "reach it through base/state_folder, or say what path it is"
    assert set(BY_PATH) - found == set(), "no longer opens anything by its path: take it out of the list"


def test_no_spelling_of_a_state_folder_is_opened():
    wrong = [(name, call + words) for name, text in sources() if name not in IN_PLACE
             for call, words in openings(text) if re.search(PLACES, words)]
    assert wrong == []
