# SPDX-License-Identifier: MIT
"""What is in the package, and what it says about itself."""

import re
import shutil
import subprocess

import pytest
from root import PACKAGE, TREE

LINKS = ["blockhost-build-template", "blockhost-provisioner-detect", "blockhost-vm-create", "blockhost-vm-destroy",
         "blockhost-vm-gc", "blockhost-vm-guest-exec", "blockhost-vm-kill", "blockhost-vm-list", "blockhost-vm-metrics",
         "blockhost-vm-resume", "blockhost-vm-start", "blockhost-vm-status", "blockhost-vm-stop",
         "blockhost-vm-throttle", "blockhost-vm-update-gecos"]

FILES = f"""
/etc/libvirt/hooks/qemu.d/
/usr/bin/blockhost-libvirt
/usr/lib/python3/dist-packages/blockhost/provisioner_libvirt/__init__.py
/usr/lib/python3/dist-packages/blockhost/provisioner_libvirt/helpers.py
/usr/lib/python3/dist-packages/blockhost/provisioner_libvirt/templates/provisioner_libvirt/summary_section.html
/usr/lib/python3/dist-packages/blockhost/provisioner_libvirt/templates/provisioner_libvirt/wizard_libvirt.html
/usr/lib/python3/dist-packages/blockhost/provisioner_libvirt/wizard.py
/usr/lib/systemd/system/blockhost-agent.service
/usr/lib/systemd/system/blockhost-backup-maintain.service
/usr/lib/systemd/system/blockhost-backup-maintain.timer
/usr/lib/systemd/system/blockhost-backup.service
/usr/lib/systemd/system/blockhost-backup.timer
/usr/lib/systemd/system/blockhost-boot.service
/usr/lib/systemd/system/blockhost-drill.service
/usr/lib/systemd/system/blockhost-drill.timer
/usr/lib/systemd/system/blockhost-gc.service
/usr/lib/systemd/system/blockhost-gc.timer
/usr/lib/systemd/system/blockhost-guard.service
/usr/lib/systemd/system/blockhost-guard.timer
/usr/lib/systemd/system/blockhost-heal.service
/usr/lib/systemd/system/blockhost-heal.timer
/usr/lib/systemd/system/blockhost-recover.service
/usr/lib/systemd/system/blockhost-recover.timer
/usr/lib/systemd/system/blockhost-throttle.service
/usr/lib/systemd/system/blockhost-throttle.timer
/usr/lib/x86_64-linux-gnu/blockhost-libvirt/http.so
/usr/lib/x86_64-linux-gnu/blockhost-libvirt/hypervisor-libvirt.so
/usr/lib/x86_64-linux-gnu/blockhost-libvirt/seed-image.so
/usr/libexec/blockhost-libvirt/blockhost-imgtree
/usr/sbin/blockhost-start-veto
/usr/share/bash-completion/completions/blockhost-libvirt
/usr/share/blockhost-libvirt/grafana/blockhost-hosts.json
/usr/share/blockhost-libvirt/copy-out.pl
/usr/share/blockhost-libvirt/customise-template.sh
/usr/share/blockhost-libvirt/fallback-user-data.yaml
/usr/share/blockhost-libvirt/make-folders.py
/usr/share/blockhost-libvirt/prometheus/blockhost.rules.yaml
/usr/share/blockhost-libvirt/schemas/desired-state.schema.json
/usr/share/blockhost-libvirt/schemas/hub-answer.schema.json
/usr/share/blockhost-libvirt/schemas/hub-report.schema.json
/usr/share/blockhost-libvirt/schemas/hub-signed.schema.json
/usr/share/blockhost/provisioner-hooks/first-boot.sh
/usr/share/blockhost/root-agent-actions/virsh.py
/usr/share/blockhost/provisioner.json
/usr/share/doc/{PACKAGE}/README.md
/usr/share/doc/{PACKAGE}/architecture.md.gz
/usr/share/doc/{PACKAGE}/authority.md.gz
/usr/share/doc/{PACKAGE}/backup.md
/usr/share/doc/{PACKAGE}/decisions.md.gz
/usr/share/doc/{PACKAGE}/desired-state.md
/usr/share/doc/{PACKAGE}/healing.md.gz
/usr/share/doc/{PACKAGE}/hub.md.gz
/usr/share/doc/{PACKAGE}/states.md.gz
/usr/share/doc/{PACKAGE}/changelog.Debian.gz
/usr/share/doc/{PACKAGE}/changelog.gz
/usr/share/doc/{PACKAGE}/contract.md.gz
/usr/share/doc/{PACKAGE}/copyright
/usr/share/doc/{PACKAGE}/operations.md.gz
/usr/share/doc/{PACKAGE}/performance.md
/usr/share/doc/{PACKAGE}/reliability.md
/usr/share/doc/{PACKAGE}/security.md
/usr/share/fish/vendor_completions.d/blockhost-libvirt.fish
/usr/share/lintian/overrides/{PACKAGE}
/usr/share/man/man7/blockhost-libvirt.7.gz
/usr/share/man/man8/blockhost-libvirt-agent.8.gz
/usr/share/man/man8/blockhost-libvirt-apply.8.gz
/usr/share/man/man8/blockhost-libvirt-approve.8.gz
/usr/share/man/man8/blockhost-libvirt-backup.8.gz
/usr/share/man/man8/blockhost-libvirt-boot.8.gz
/usr/share/man/man8/blockhost-libvirt-configure.8.gz
/usr/share/man/man8/blockhost-libvirt-drill.8.gz
/usr/share/man/man8/blockhost-libvirt-dump-desired.8.gz
/usr/share/man/man8/blockhost-libvirt-extend.8.gz
/usr/share/man/man8/blockhost-libvirt-fleet.8.gz
/usr/share/man/man8/blockhost-libvirt-guard.8.gz
/usr/share/man/man8/blockhost-libvirt-guests.8.gz
/usr/share/man/man8/blockhost-libvirt-heal.8.gz
/usr/share/man/man8/blockhost-libvirt-help.8.gz
/usr/share/man/man8/blockhost-libvirt-host.8.gz
/usr/share/man/man8/blockhost-libvirt-hub.8.gz
/usr/share/man/man8/blockhost-libvirt-mint-nft.8.gz
/usr/share/man/man8/blockhost-libvirt-operations.8.gz
/usr/share/man/man8/blockhost-libvirt-pending.8.gz
/usr/share/man/man8/blockhost-libvirt-plan.8.gz
/usr/share/man/man8/blockhost-libvirt-recover.8.gz
/usr/share/man/man8/blockhost-libvirt-reject.8.gz
/usr/share/man/man8/blockhost-libvirt-restore.8.gz
/usr/share/man/man8/blockhost-libvirt-setup.8.gz
/usr/share/man/man8/blockhost-libvirt-sign.8.gz
/usr/share/man/man8/blockhost-libvirt-snapshot.8.gz
/usr/share/man/man8/blockhost-libvirt-task.8.gz
/usr/share/man/man8/blockhost-libvirt-templates.8.gz
/usr/share/man/man8/blockhost-libvirt-verify.8.gz
/usr/share/man/man8/blockhost-libvirt-version.8.gz
/usr/share/man/man8/blockhost-libvirt.8.gz
/usr/share/man/man8/blockhost-start-veto.8.gz
/usr/share/zsh/vendor-completions/_blockhost-libvirt
""".split()

LINK_VERBS = {"blockhost-build-template": "build-template", "blockhost-provisioner-detect": "detect",
              **{name: name.removeprefix("blockhost-vm-") for name in LINKS if name.startswith("blockhost-vm-")}}
EXECUTABLE = {"/usr/bin/blockhost-libvirt", "/usr/libexec/blockhost-libvirt/blockhost-imgtree",
              "/usr/sbin/blockhost-start-veto",
              "/usr/share/blockhost-libvirt/make-folders.py", "/usr/share/blockhost/provisioner-hooks/first-boot.sh"}


def promised():
    """Every path with what it is: "" for a file, a link's target, "/" for a folder that is shipped empty."""
    paths = {path.rstrip("/"): "/" if path.endswith("/") else "" for path in FILES}
    for name, verb in LINK_VERBS.items():
        paths[f"/usr/bin/{name}"] = "blockhost-libvirt"
        paths[f"/usr/share/bash-completion/completions/{name}"] = "blockhost-libvirt"
        paths[f"/usr/share/fish/vendor_completions.d/{name}.fish"] = "blockhost-libvirt.fish"
        paths[f"/usr/share/man/man8/{name}.8.gz"] = ""
        paths[f"/usr/share/man/man8/blockhost-libvirt-{verb}.8.gz"] = f"{name}.8.gz"
    return paths


def by_name(paths):
    """debhelper compresses a document once it is longer than 4 KiB: no matter here."""
    return {path.removesuffix(".gz") if path.startswith("/usr/share/doc/") else path: what
            for path, what in paths.items()}


@pytest.fixture(scope="module")
def listed(package):
    """Path -> (mode, owner, target) of everything in the package."""
    out = subprocess.run(["dpkg-deb", "-c", package], check=True, capture_output=True, text=True).stdout
    found = {}
    for line in out.splitlines():
        mode, owner, _size, _day, _time, name = line.split(None, 5)
        path, _, target = name.partition(" -> ")
        found[path.removeprefix(".").rstrip("/")] = (mode, owner, target)
    return found


def test_the_package_has_these_files_and_no_others(listed):
    parents = {path.rsplit("/", depth)[0] for path in listed for depth in range(1, path.count("/") + 1)}
    found = {path: "/" if mode.startswith("d") else target for path, (mode, _, target) in listed.items()
             if not mode.startswith("d") or path not in parents}
    assert by_name(found) == by_name(promised())


def test_everything_is_roots_and_only_programs_can_be_executed(listed):
    assert {owner for _, owner, _ in listed.values()} == {"root/root"}
    files = {path: mode for path, (mode, _, _) in listed.items() if mode.startswith("-")}
    assert {path for path, mode in files.items() if mode == "-rwxr-xr-x"} == EXECUTABLE
    assert {mode for path, mode in files.items() if path not in EXECUTABLE} == {"-rw-r--r--"}


def control(package):
    out = subprocess.run(["dpkg-deb", "-f", package], check=True, capture_output=True, text=True).stdout
    return dict(re.findall(r"^(\S+): (.*)$", out, re.M))


def names(field):
    return {entry.split()[0] for entry in field.split(", ")}


def test_it_depends_on_little_and_recommends_what_runs_machines(package):
    fields = control(package)
    assert names(fields["Depends"]) == {"python3", "passwd", "libc6"}
    assert "python3 (>= 3.10)" in fields["Depends"].split(", ")
    assert "blockhost-common (>= 0.1.0)" in fields["Recommends"].split(", ")
    assert names(fields["Recommends"]) == {
        "blockhost-common", "libvirt0", "libcurl4", "libssl3", "libisofs6", "libvirt-daemon-system", "libvirt-daemon-config-nwfilter",
        "ebtables", "qemu-system-x86", "qemu-utils", "guestfs-tools", "openssh-client",
        "restic", "libnbd0", "libfuse3-3"}
    assert fields["Suggests"] == "mmdebstrap"


def test_its_names_are_those_that_the_outer_build_and_upgrades_know(package):
    fields = control(package)
    version = re.search(r"^  version: '(.+)',$", (TREE / "meson.build").read_text(), re.M).group(1)
    assert (fields["Package"], fields["Version"], fields["Architecture"]) == (PACKAGE, version, "amd64")
    assert (fields["Provides"], fields["Conflicts"]) == ("blockhost-provisioner", "blockhost-provisioner")
    assert package == TREE / f"build/{PACKAGE}_{version}_amd64.deb"
    assert list((TREE / "build").glob(f"{PACKAGE}_*.deb")) == [package]
    assert subprocess.run(["dpkg-deb", "-I", package, "conffiles"], capture_output=True).returncode != 0


def test_lintian_has_nothing_to_say(package):
    if not shutil.which("lintian"):
        pytest.skip("lintian is missing")
    # In a program three bytes of machine code pass for a misspelt word ("wtH": a jump and the next instruction). What
    # the program says is in its manual pages too, where spelling is looked at.
    run = subprocess.run(["lintian", "--allow-root", "--no-cfg", "--pedantic", "--display-experimental",
                          "--display-info", "--tag-display-limit", "0", "--suppress-tags", "spelling-error-in-binary",
                          package], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_every_override_has_its_reason():
    lines = (TREE / "packaging/debian/lintian-overrides").read_text().splitlines()
    said = False
    for line in lines:
        said = said or line.startswith("#")
        assert said, line


def test_shell_is_as_shellcheck_wants_it():
    files = ["build-deb.sh", *(str(path.relative_to(TREE)) for folder, pattern in (
        ("packaging", "build-deb.sh"), ("packaging", "lib.sh"), ("packaging/debian", "p*rm"),
        ("packaging/debian", "postinst"), ("packaging/debian/tests", "mock-*"), ("data/provisioner-hooks", "*.sh"),
        ("data/manual", "*.sh"), ("tests/package", "*.sh"), ("tests", "fresh.sh"),
        ("tests/tools", "in-root.sh")) for path in (TREE / folder).glob(pattern))]
    assert len(files) == 12
    run = subprocess.run(["shellcheck", "-x", *files], cwd=TREE, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


def test_bash_completes_the_installed_commands(unpacked):
    folder = unpacked / "usr/share/bash-completion/completions"
    script = 'source "$1"; COMP_WORDS=(blockhost-libvirt th); COMP_CWORD=1; _blockhost_libvirt; echo "${COMPREPLY[*]}"'
    for name in ("blockhost-libvirt", "blockhost-vm-create"):
        run = subprocess.run(["bash", "-c", script, "bash", folder / name], capture_output=True, text=True, check=True)
        assert run.stdout == "throttle\n"
