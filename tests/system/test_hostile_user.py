# SPDX-License-Identifier: MIT
"""The blockhost user turns against root, on a host where libvirt lets that user only look: what he can put into the state
folder, which is his, leads no verb that root runs out of it."""

import ctypes
import json
import os
import secrets
import shutil
import stat
import threading

import pytest
from machine import sh
from test_root_agent import USER, Host

NAME = "hu-001"
ROOTS = "root-only-" + secrets.token_hex(8)
"""What stands in every file of root's that must not be told to anybody."""
FOLDERS = ["cloud-init", "console", "journal", "kept-off", "metrics", "suspended", "mints"]
"""The folders below the state folder that hold what verbs keep."""
OF_A_CREATE = ("cloud-init", "console", "journal")
"""Those that a create cannot do without."""
TIMEOUT = 100
LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, RENAME_EXCHANGE = -100, 2


def exchange(one, other):
    assert LIBC.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0


class Target:
    """A folder of root's alone, with a file or a folder of every name that a verb could ask for."""

    def __init__(self, root):
        self.path = root / "target"

    def fill(self, folder):
        """What it holds is what a verb would look for in that state folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(mode=0o700)
        names = ["vms.json", "history", f"{NAME}.json", f"{NAME}.log", f"{NAME}.log.0", f"{NAME}.journal",
                 f"{NAME}.limits", f"{NAME}.limits.lock", f"{NAME}.xml", f"{NAME}.qcow2", f"{NAME}.img"]
        for vm in (NAME, "shadow"):
            if folder == "cloud-init":
                (self.path / vm).mkdir()
                names += [f"{vm}/cidata.iso", f"{vm}/user-data", f"{vm}/network-config"]
            else:
                names.append(vm)
        for name in names:
            (self.path / name).write_text(json.dumps({"vms": {}, "secret": ROOTS}))
            (self.path / name).chmod(0o600)

    def seen(self):
        found = {}
        for path in sorted(self.path.rglob("*")):
            about = path.lstat()
            found[str(path.relative_to(self.path))] = (
                stat.filemode(about.st_mode), about.st_uid, about.st_gid, path.read_text() if path.is_file() else "")
        return found


class Hostile:
    """The host, a VM of the user's, and what he may do to root's verbs."""

    def __init__(self, host):
        self.host, self.machine = host, host.machine
        self.state = self.machine.state
        self.target = Target(self.machine.root)
        self.kept = self.machine.root / "kept"
        self.kept_vm = ""
        self.vm()

    def vm(self, runs=False):
        """The VM as the user made it, off or running; made once, and put back where a test ended it."""
        if not self.kept_vm:
            run = self.host.run(*self.machine.create_words(NAME))
            assert run.returncode == 0, run.stderr
            self.machine.sh("virsh", "destroy", NAME)
            self.kept_vm = self.machine.sh("virsh", "dumpxml", "--inactive", NAME).stdout
            sh("cp", "-a", self.state, self.kept)
            registry = self.machine.registry()
            registry["vms"][NAME] |= {"expires_at": "2099-01-01T00:00:00+00:00", "status": "active"}
            (self.kept / "vms.json").write_text(json.dumps(registry, indent=2))
        self.machine.sh("virsh", "destroy", NAME, check=False)
        for path in self.state.iterdir():
            if path.name not in ("templates", "instance-id"):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for path in self.kept.iterdir():
            if path.name not in ("templates", "instance-id"):
                sh("cp", "-a", path, self.state)
        definition = self.machine.root / "definition.xml"
        definition.write_text(self.kept_vm)
        self.machine.sh("virsh", "define", str(definition))
        if runs:
            self.machine.sh("virsh", "start", NAME)

    def as_root(self, verb, *words, **more):
        return self.machine.run(verb, *words, timeout=TIMEOUT, **more)

    def all_verbs(self):
        """Everything that root runs here, what ends the VM last."""
        yield ("list",)
        yield ("status", NAME)
        yield ("metrics", "--all")
        yield ("throttle", NAME, "--cpu-shares", "700")
        yield ("kill", NAME)
        yield ("start", NAME)
        yield ("guard", NAME)
        yield ("kill", NAME)
        yield ("stop", NAME)
        yield ("resume", NAME)
        yield ("extend", NAME, "--days", "1")
        yield ("update-gecos", NAME, "0x" + "cd" * 20)
        yield ("guest-exec", NAME, "true")
        yield ("detect", "--json")
        yield ("throttle", "--due")
        yield ("boot", "--again")
        yield ("templates",)
        yield ("templates", "--prune")
        yield ("setup", "storage")
        yield ("gc", "--execute", "--force-clock")
        yield ("recover", "--all")

    def told(self):
        """Files that the user can read and that say what is root's alone."""
        found = []
        for path in self.state.rglob("*"):
            if path.is_symlink() or not path.is_file() or path.stat().st_size > 1 << 20:
                continue
            about = path.stat()
            if about.st_nlink == 1 and (about.st_uid == USER or about.st_gid == USER or about.st_mode & 0o004):
                if ROOTS.encode() in path.read_bytes():
                    found.append(str(path))
        return found

    def forged_create(self, name, **notes):
        """The entry of a create that never was, whose process is dead."""
        operation = f"{self.machine.instance()[:8]}{secrets.token_hex(4)}"
        header = {"operation": operation, "verb": "create", "name": name, "pid": 1, "since": "2024-01-01T00:00:00Z",
                  "parameters": {"bridge": self.machine.bridge}}
        lines = [{"note": notes}] + [{kind: step, "at": "2024-01-01T00:00:00Z"}
                                     for step in ("reserve-addresses", "write-seed", "prepare-console", "create-volume",
                                                  "set-routes", "define-domain", "start-domain", "register")
                                     for kind in ("start", "done")]
        folder = self.state / "journal"
        folder.mkdir(exist_ok=True)
        entry = folder / f"{name}.journal"
        entry.write_text("give-up 0\n" + "".join(json.dumps(line) + "\n" for line in [header, *lines]))
        os.chown(entry, USER, USER)
        return entry


@pytest.fixture(scope="module")
def hostile():
    host = Host()
    try:
        yield Hostile(host)
    finally:
        host.close()


@pytest.fixture(autouse=True)
def world(hostile):
    hostile.vm()


def hand_over(*paths):
    """What root's tests plant is the user's."""
    for path in paths:
        os.chown(path, USER, USER, follow_symlinks=False)


def planted(path, thing):
    """Puts what `thing` makes in the place of `path`; gives back what was there when it is done."""
    class Planting:
        def __enter__(self):
            self.kept = path.with_name(path.name + "-kept")
            self.was = path.exists()
            if self.was:
                path.rename(self.kept)
            thing(path)

        def __exit__(self, *_):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            if self.was:
                self.kept.rename(path)

    return Planting()


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_state_folder_that_is_a_link_leads_no_verb_of_roots_anywhere(hostile, folder):
    hostile.vm(runs=True)
    hostile.target.fill(folder)
    before = hostile.target.seen()
    with planted(hostile.state / folder, lambda path: path.symlink_to(hostile.target.path)):
        hand_over(hostile.state / folder)
        creates = [hostile.machine.create_words("hu-002")] if folder in OF_A_CREATE else []
        for words in (*creates, *hostile.all_verbs(), ("destroy", "hu-002"), ("destroy", NAME)):
            run = hostile.as_root(*words)
            assert hostile.target.seen() == before, (words, run.stderr)
        assert hostile.told() == []
    ended = hostile.as_root("destroy", NAME)
    assert ended.returncode == 0, ended.stderr


def test_no_template_is_built_into_a_folder_that_is_a_link(hostile):
    hostile.target.fill("templates")
    before = hostile.target.seen()
    image = hostile.machine.settings["GUEST_TEMPLATE"]
    with planted(hostile.state / "templates", lambda path: path.symlink_to(hostile.target.path)):
        hand_over(hostile.state / "templates")
        for words in (("build-template", "--source", f"file:{image}", "--as-is"), ("templates",), ("templates", "--prune"),
                      ("setup", "storage")):
            run = hostile.as_root(*words)
            assert hostile.target.seen() == before, (words, run.stderr)
            assert ROOTS not in run.stdout + run.stderr, words


def test_a_forged_create_and_a_link_make_recover_delete_nothing(hostile):
    hostile.target.fill("cloud-init")
    before = hostile.target.seen()
    hostile.forged_create("shadow")
    with planted(hostile.state / "cloud-init", lambda path: path.symlink_to(hostile.target.path)):
        hand_over(hostile.state / "cloud-init")
        for words in (("recover", "--all"), ("recover", "shadow"), ("gc", "--execute", "--force-clock")):
            run = hostile.as_root(*words)
            assert hostile.target.seen() == before, run.stderr


GROUPS = {
    "vms.json": ["vms.json"],
    "vms.json.lock": ["vms.json.lock"],
    "instance-id": ["instance-id"],
    "entry": [f"journal/{NAME}.journal"],
    "limits": [f"journal/{NAME}.limits", f"journal/{NAME}.limits-lock", "journal/history"],
    "notes": [f"metrics/{NAME}.json", f"console/{NAME}.log", f"console/{NAME}.log.0", f"kept-off/{NAME}",
              f"suspended/{NAME}", f"cloud-init/{NAME}", f"cloud-init/{NAME}.img", "gc.json", "memory.lock",
              "templates.lock", "start-veto-asked"],
}
"""Files that are planted together, so that none keeps a verb from coming to the next."""
PLANTS = {
    "a link": lambda path, target: path.symlink_to(target),
    "a dangling link": lambda path, target: path.symlink_to(target.with_name("not-there")),
    "a second name": lambda path, target: os.link(target, path),
    "a FIFO": lambda path, target: os.mkfifo(path),
    "a folder": lambda path, target: (path.mkdir(), (path / "inside").write_text("")),
}


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("group", GROUPS)
def test_what_is_planted_for_a_state_file_is_neither_read_nor_written_through(hostile, group, plant):
    """Also where the kernel lets a user give other users' files a second name (fs.protected_hardlinks)."""
    hostile.vm(runs=group == "notes")
    hostile.target.fill("journal")
    kept = hostile.state / "instance-id-kept"
    shutil.copy2(hostile.state / "instance-id", kept)
    for name in GROUPS[group]:
        path = hostile.state / name
        path.parent.mkdir(exist_ok=True)
        os.chown(path.parent, USER, USER)
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        PLANTS[plant](path, hostile.target.path / "vms.json")
        if plant != "a second name":
            hand_over(path)
    before = hostile.target.seen()
    try:
        for words in (*hostile.all_verbs(), ("destroy", NAME)):
            run = hostile.as_root(*words)
            assert hostile.target.seen() == before, (words, run.stderr)
            assert ROOTS not in run.stdout + run.stderr, words
        assert hostile.told() == []
    finally:
        planted_id = hostile.state / "instance-id"
        shutil.rmtree(planted_id) if planted_id.is_dir() and not planted_id.is_symlink() else planted_id.unlink()
        kept.rename(planted_id)


def test_folders_that_change_into_links_while_root_works_lead_it_nowhere(hostile):
    hostile.target.fill("journal")
    before = hostile.target.seen()
    done = threading.Event()
    swapped = []

    def swap():
        """Folder and link change places as fast as they can, in turn with some rest in either state."""
        pairs = [(hostile.state / folder, hostile.state / f"{folder}-link") for folder in FOLDERS]
        while not done.is_set():
            for folder, link in pairs:
                exchange(folder, link)
                exchange(folder, link)
                swapped.append(folder)

    for round_ in range(3):
        hostile.vm(runs=True)
        hostile.forged_create("shadow")
        for folder in FOLDERS:
            (hostile.state / folder).mkdir(exist_ok=True)
            (hostile.state / f"{folder}-link").symlink_to(hostile.target.path)
            hand_over(hostile.state / folder, hostile.state / f"{folder}-link")
        done.clear()
        swapper = threading.Thread(target=swap)
        swapper.start()
        try:
            for words in (*hostile.all_verbs(), ("destroy", NAME)):
                run = hostile.as_root(*words)
                assert hostile.target.seen() == before, (words, run.stderr)
                assert ROOTS not in run.stdout + run.stderr, words
        finally:
            done.set()
            swapper.join()
        assert hostile.told() == []
    assert len(swapped) > 1000


OFF_THE_SCALE = (2**63 - 1, -(2**63), 2**64, -1, 0, 1e308, "9" * 400, None, [], {}, "../../../../etc/passwd", "\0", True)


def test_forged_entries_of_the_journal_change_nothing_outside(hostile):
    machine, target = hostile.machine, hostile.target
    target.fill("journal")
    before = target.seen()

    def host_side():
        """Without the taps: `boot` starts the VM that is there."""
        told = [machine.sh("ip", *words).stdout.splitlines() for words in
                (("-o", "addr"), ("neigh", "show", "nud", "permanent"), ("route",), ("-6", "route"))]
        return [[line for line in lines if "vnet" not in line] for lines in told]

    hostile.as_root("boot", "--again")  # which gives the VM that is there its entries
    kernel = host_side()
    for number, absurd in enumerate(OFF_THE_SCALE):
        for verb in ("create", "destroy", "suspend", "resume", "start", "no-such-verb"):
            name = f"forged-{verb}-{number}"
            entry = hostile.forged_create(name, ip=f"10.213.{machine.subnet}.1", ipv6=f"fd00:b10c:{machine.subnet:x}::1",
                                          template="/etc/shadow", volume=str(target.path / "vms.json"))
            lines = entry.read_text().splitlines()
            header = json.loads(lines[1]) | {"verb": verb, "parameters": {
                "bridge": "lo", "created_at": absurd, "disks": ["../../etc/passwd", "/etc/passwd", absurd],
                "grace_days": absurd, "extend_days": absurd, "was_running": absurd, "patience_s": absurd,
                "judged_at": absurd, "memory_mib": absurd}}
            entry.write_text("\n".join([lines[0], json.dumps(header), *lines[2:], ""]))
    run = hostile.as_root("recover", "--all")
    assert run.returncode in (0, 1), run.stderr
    for words in (("gc", "--execute", "--force-clock"), ("list",), ("metrics", "--all"), ("boot",)):
        assert hostile.as_root(*words).returncode in (0, 1), words
    assert target.seen() == before and host_side() == kernel


def test_absurd_samples_and_limits_neither_stop_nor_mislead_root(hostile):
    machine = hostile.machine
    hostile.vm(runs=True)
    good = json.loads(hostile.as_root("metrics", NAME).stdout)
    assert good["state"] == "running"
    sample = machine.state / f"metrics/{NAME}.json"
    limits = machine.state / f"journal/{NAME}.limits"
    told = json.loads(sample.read_text())
    for absurd in OFF_THE_SCALE:
        for key in ("boottime", "cpu_time_ns", "net_rx", "rates", "slow", "id"):
            sample.write_text(json.dumps(told | {key: absurd}))
            run = hostile.as_root("metrics", NAME)
            assert run.returncode == 0, run.stderr
            figures = json.loads(run.stdout, parse_constant=lambda constant: pytest.fail(constant))
            assert figures["state"] == "running"
            assert 0 <= figures["cpu_percent"] <= 100 * os.cpu_count() * 2, (key, absurd, figures)
        moment = {"wall": "2020-01-01T00:00:00Z", "boot": "x", "since_boot_ms": absurd, "span_ms": absurd}
        limits.write_text(json.dumps({"uuid": told["uuid"], "parts": [
            {"limit": "cpu_shares", "of": "running", "before": [absurd] * 3, "ours": [[absurd] * 3], "until": moment}]}))
        for words in (("throttle", NAME, "--cpu-shares", "700"), ("gc", "--execute", "--force-clock"), ("list",)):
            assert hostile.as_root(*words).returncode in (0, 1, 4), words
        limits.unlink(missing_ok=True)
    with open(sample, "w") as huge:
        huge.truncate(1 << 40)
    assert hostile.as_root("metrics", NAME).returncode == 0
    assert hostile.as_root("throttle", NAME, "--cpu-shares", "512").returncode == 0
