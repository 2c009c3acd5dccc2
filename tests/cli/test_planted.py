# SPDX-License-Identifier: MIT
"""What root looks at before a domain starts, whoever asks and by whichever verb: files that somebody put in others' place.

In the simulated world, as root. Each plant is refused by start, boot and resume as by the root agent's action, in the same
words; with the file as it was the VM starts.
"""

import json
import os
import struct

import pytest
from test_root_actions import actions, world  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root looks")

DIRTY, CORRUPT, EXTERNAL_DATA, COMPRESSION, LONG_ENTRIES = (1 << bit for bit in range(5))


def write_qcow2(path, backing="", named="qcow2", features=0, data_file=""):
    """The head of an image of version 3, which is all that anybody looks at here."""
    more = b"".join(struct.pack(">II", kind, len(text)) + text.encode().ljust((len(text) + 7) // 8 * 8, b"\0")
                    for kind, text in ((0xe2792aca, named if backing else ""), (0x44415441, data_file)) if text)
    at = 104 + len(more) + 8
    head = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, at if backing else 0, len(backing), 16, 2 << 30, 0, 1, 0x30000,
                       0x10000, 1, 0, 0, features, 0, 0, 4, 104)
    path.write_bytes((head + more + bytes(8) + str(backing).encode()).ljust(0x40000, b"\0"))


@pytest.fixture
def off(actions):  # noqa: F811
    """The host's VM, which is off; its disk, its template, and its seed."""
    assert actions.ACTIONS["virsh-destroy"]({"domain": "vm-1"})["ok"]
    actions.disk = next(world(actions, "vms").glob("vm-1.*.qcow2"))
    actions.template = world(actions, "templates/blockhost-base.qcow2")
    actions.seed = next(world(actions, "cloud-init/vm-1").glob("*.iso"))
    return actions


def record(off, **fields):
    path = off.host.folder / "mock-db.json"
    database = json.loads(path.read_text())
    database["vms"]["vm-1"] |= fields
    path.write_text(json.dumps(database))


def refusals(off):
    """What each way to start the VM says when it refuses; a way that starts it fails the test."""
    said = {"agent": off.ACTIONS["virsh-start"]({"domain": "vm-1"})["error"]}
    for verb in (["start", "vm-1"], ["boot", "--again"]):
        run = off.host.run(*verb, "--mock")
        assert run.returncode != 0, (verb, run.stdout, run.stderr)
        said[verb[0]] = run.stdout + run.stderr  # boot tells on stdout how it went with each VM
    record(off, status="suspended", suspended_at="2030-01-01T00:00:00Z")
    run = off.host.run("resume", "vm-1", "--mock")
    assert run.returncode != 0, run.stderr
    said["resume"] = run.stderr
    (world(off, "suspended") / "vm-1").unlink()
    record(off, status="active", suspended_at=None)
    assert off.host.run("status", "vm-1", "--mock").stdout == "suspended\n", "the panel's word for off"
    return said


def assert_refused(off, *words):
    said = refusals(off)
    assert all(said["agent"] in text for text in said.values()), said
    for word in words:
        assert str(word) in said["agent"], said


def assert_starts(off):
    run = off.host.run("start", "vm-1", "--mock")
    assert run.returncode == 0, run.stderr


def overlay_on_a_file_of_roots(off):
    write_qcow2(off.disk, backing="/etc/hostname")
    return off.disk, "stands on /etc/hostname, which is no template"


def overlay_that_calls_a_file_of_roots_raw(off):
    write_qcow2(off.disk, backing="/etc/hostname", named="raw")
    return off.disk, "does not say that what it stands on is qcow2"


def overlay_that_does_not_name_a_format(off):
    write_qcow2(off.disk, backing=str(off.template), named="")
    return off.disk, "does not say that what it stands on is qcow2"


def content_in_another_file(off):
    write_qcow2(off.disk, features=EXTERNAL_DATA, data_file="/etc/hostname")
    return off.disk, "has its content in another file"


def content_in_another_file_above_a_template(off):
    write_qcow2(off.disk, backing=str(off.template), features=EXTERNAL_DATA, data_file="/etc/hostname")
    return off.disk, "has its content in another file"


@pytest.mark.parametrize("features", [CORRUPT, COMPRESSION, LONG_ENTRIES, DIRTY | 1 << 40])
def test_an_image_with_features_that_we_do_not_know_is_refused(off, features):
    write_qcow2(off.disk, backing=str(off.template), features=features)
    assert_refused(off, off.disk, "with features")


def no_qcow2_at_all(off):
    off.disk.write_text("# Disk DescriptorFile\nRW 63 FLAT \"/etc/hostname\" 0\n")
    return off.disk, "is not a qcow2 image"


def vmdk_among_the_templates(off):
    other = off.template.with_name("other")
    other.write_text("# Disk DescriptorFile\nRW 63 FLAT \"/etc/hostname\" 0\n")
    write_qcow2(off.disk, backing=str(other))
    return other, "is not a qcow2 image"


def template_that_stands_on_a_file_of_roots(off):
    other = off.template.with_name("other")
    write_qcow2(other, backing="/etc/hostname")
    write_qcow2(off.disk, backing=str(other))
    return "/etc/hostname, which is no template"


def template_whose_content_is_elsewhere(off):
    other = off.template.with_name("other")
    write_qcow2(other, features=EXTERNAL_DATA, data_file="/etc/hostname")
    write_qcow2(off.disk, backing=str(other))
    return other, "has its content in another file"


def layer_that_is_a_link(off):
    layer = off.disk.with_name("layer.qcow2")
    write_qcow2(off.disk.with_name("real"))
    layer.symlink_to("real")
    os.link(off.disk.with_name("real"), off.disk.with_name("twice"))
    write_qcow2(off.disk, backing=str(layer))
    return "has another name too"


def disk_that_is_a_link_to_another_image(off):
    other = off.disk.with_name("other.qcow2")
    write_qcow2(other, backing=str(off.template))
    off.disk.unlink()
    off.disk.symlink_to(other)
    return off.disk, "is no regular file"


def disk_with_a_second_name(off):
    os.link(off.disk, off.disk.with_name("second"))
    return off.disk, "has another name too"


def seed_that_is_a_link(off):
    off.seed.unlink()
    off.seed.symlink_to("/etc/hostname")
    return off.seed, "is no regular file"


def console_log_that_is_a_link(off):
    console = world(off, "console/vm-1.log")
    console.unlink(missing_ok=True)
    console.symlink_to("/etc/hostname")
    return console, "is no regular file"


def kernel_that_is_a_link_of_somebody_elses(off):
    folder = off.host.folder / "kernels"
    folder.mkdir()
    (folder / "vmlinuz").symlink_to("/etc/hostname")
    os.chown(folder, 65534, 65534)
    domain = world(off, "domains/vm-1.xml")
    domain.write_text(domain.read_text().replace("</type>", f"</type><kernel>{folder}/vmlinuz</kernel>", 1))
    return folder / "vmlinuz", "is no regular file"


@pytest.mark.parametrize("plant", [
    overlay_on_a_file_of_roots, overlay_that_calls_a_file_of_roots_raw, overlay_that_does_not_name_a_format,
    content_in_another_file, content_in_another_file_above_a_template, no_qcow2_at_all, vmdk_among_the_templates,
    template_that_stands_on_a_file_of_roots, template_whose_content_is_elsewhere, layer_that_is_a_link,
    disk_that_is_a_link_to_another_image, disk_with_a_second_name, seed_that_is_a_link, console_log_that_is_a_link,
    kernel_that_is_a_link_of_somebody_elses], ids=lambda plant: plant.__name__)
def test_what_was_planted_is_refused_by_every_way_to_start(off, plant):
    words = plant(off)
    assert_refused(off, *([words] if isinstance(words, str) else words))


def test_a_create_refuses_it_and_leaves_nothing(actions):  # noqa: F811
    template = world(actions, "templates/blockhost-base.qcow2")
    write_qcow2(template, backing="/etc/hostname")
    run = actions.host.create("vm-2")
    assert run.returncode == 1 and "/etc/hostname, which is no template" in run.stderr, run.stderr
    assert not list(world(actions, "vms").glob("vm-2*")) and not world(actions, "domains/vm-2.xml").exists()


def test_a_disk_with_layers_of_its_own_kind_and_a_dirty_one_start(off):
    layer = off.disk.with_name("vm-1.snapshot")
    off.disk.rename(layer)
    write_qcow2(off.disk, backing=str(layer), features=DIRTY)
    assert_starts(off)


def test_what_only_root_could_put_there_is_roots_business(off):
    """An administrator's second disk, and a kernel behind an administrator's link."""
    domain = world(off, "domains/vm-1.xml")
    mine = off.host.folder / "mine"
    mine.mkdir()
    (mine / "data.raw").write_bytes(bytes(1 << 20))
    (mine / "data").symlink_to("data.raw")
    second = (f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{mine}/data'/>"
              "<target dev='vdb' bus='virtio'/></disk></devices>")
    domain.write_text(domain.read_text().replace("</type>", f"</type><kernel>{mine}/data</kernel>", 1)
                      .replace("</devices>", second, 1))
    assert_starts(off)


# templates are root's


def owner_and_mode(path):
    found = os.lstat(path)
    return found.st_uid, oct(found.st_mode & 0o7777)


def give_away(off, uid=65534):
    """As the installer does with the whole state folder."""
    for path in (world(off), world(off, "templates"), off.template):
        os.chown(path, uid, uid)


def test_templates_that_the_installer_gave_away_are_taken_back(off):
    give_away(off)
    off.template.chmod(0o664)
    assert_starts(off)
    assert owner_and_mode(off.template) == (0, "0o444")
    assert owner_and_mode(off.template.parent) == (0, "0o755")


def test_templates_of_a_third_user_are_refused(off):
    give_away(off)
    os.chown(off.template.parent, 65533, 65533)
    assert_refused(off, off.template.parent, "is not root's")


def test_a_template_that_somebody_has_open_for_writing_is_refused(off):
    give_away(off)
    with open(off.template, "r+b"):
        reply = off.ACTIONS["virsh-start"]({"domain": "vm-1"})
        assert reply["code"] == "denied" and "is open for writing" in reply["error"], reply


def test_a_template_with_a_second_name_is_refused(off):
    os.link(off.template, off.template.with_name("second"))
    assert_refused(off, off.template, "has another name too")


def test_the_old_base_image_behind_an_administrators_link_is_a_template(off):
    away = off.host.folder / "base.qcow2"
    off.template.rename(away)
    off.template.symlink_to(away)
    assert_starts(off)
    off.ACTIONS["virsh-destroy"]({"domain": "vm-1"})
    os.chown(off.template, 65534, 65534, follow_symlinks=False)
    assert_refused(off, "which is no template")


# addresses


def neighbours(off):
    return sorted(path.name for path in world(off, "network").iterdir())


@pytest.mark.parametrize("address", ["192.0.2.1", "10.9.9.1", "10.9.9.200", "10.9.9.0", "10.9.9.255"])
def test_no_address_outside_of_the_pool_is_placed_for_a_record_that_names_it(off, address):
    record(off, ip_address=address)
    for verb in (["start", "vm-1"], ["boot", "--again"]):
        run = off.host.run(*verb, "--mock")
        assert run.returncode == 0, run.stderr
        assert f"{address} is not an address for VMs (ip_pool in db.yaml)" in run.stderr
        assert f"neighbour-{address}" not in neighbours(off)
    assert off.host.run("destroy", "vm-1", "--mock").returncode == 0


def test_an_entry_of_an_address_outside_of_the_pool_is_none_of_ours_to_remove(off):
    entry = world(off, "network/neighbour-192.0.2.1")
    entry.write_text("br0 02:00:00:00:00:01\n")
    record(off, ip_address="192.0.2.1")
    run = off.host.run("destroy", "vm-1", "--mock")
    assert run.returncode == 0 and "its neighbour entry on br0 is kept" in run.stderr, run.stderr
    assert entry.exists()


def test_a_mark_is_set_once(off):
    domain = world(off, "domains/vm-1.xml")
    before = domain.read_text()
    mark = before[before.index("<blockhost:vm"):before.index("</blockhost:vm>") + len("</blockhost:vm>")]
    step = {"name": "vm-1", "operation": "", "step": "set-mark"}
    ip = mark[mark.index("<blockhost:ip>"):mark.index("</blockhost:ip>")].rpartition(">")[2]
    for change in ((ip, "10.9.9.12"), ("0xefef", "0xabab"), ('state="', 'state="/srv'), ("operation=\"", "operation=\"0")):
        assert change[0] in mark
        reply = off.ACTIONS["vm-step"]({**step, "with": {"mark": mark.replace(*change)}})
        assert reply["ok"] is False and reply["code"] in ("denied", "invalid"), (change, reply)
    assert off.ACTIONS["vm-step"]({**step, "with": {"mark": mark}})["ok"], "the one it has"
    assert domain.read_text() == before


def test_nothing_is_placed_for_a_mark_that_names_an_address_outside_of_the_pool(off):
    domain = world(off, "domains/vm-1.xml")
    ip = json.loads((off.host.folder / "mock-db.json").read_text())["vms"]["vm-1"]["ip_address"]
    domain.write_text(domain.read_text().replace(ip, "192.0.2.1"))
    record(off, ip_address="192.0.2.1")
    reply = off.ACTIONS["vm-step"]({"name": "vm-1", "operation": "", "step": "place", "with": {
        "bridge": "br0", "mac": "52:54:00:00:00:01", "ip": "192.0.2.1", "ipv6": ""}})
    assert "192.0.2.1 is not an address for VMs" in reply["problems"][0], reply
    assert "neighbour-192.0.2.1" not in neighbours(off)
