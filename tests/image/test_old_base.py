# SPDX-License-Identifier: MIT
"""A host whose base image the 0.2.0 provisioner made: a regular file under the link's name, on which disks stand."""

import hashlib
import os
import subprocess

import pytest
from template_host import QEMU_IMG, make_image, same_content, sh, sha256


@pytest.fixture()
def old(host, tmp_path):
    """With an overlay on the base, as 0.2.0 made disks."""
    host.templates.mkdir(parents=True)
    os.rename(make_image(tmp_path, seed=10), host.link)
    overlay = host.state / "vms/vm-1.qcow2"
    overlay.parent.mkdir()
    sh(QEMU_IMG, "create", "-q", "-f", "qcow2", "-b", host.link, "-F", "qcow2", overlay)
    sh("qemu-io", "-c", "write -P 7 1M 1M", overlay)
    host.overlay = overlay
    return host


def whole(overlay):
    """The digest of what the guest sees."""
    with subprocess.Popen([QEMU_IMG, "dd", "-f", "qcow2", "-O", "raw", "bs=1M", f"if={overlay}", f"of={overlay}.raw"],
                          stdout=subprocess.DEVNULL) as process:
        assert process.wait() == 0
    with open(f"{overlay}.raw", "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    os.unlink(f"{overlay}.raw")
    return digest


def mark(path):
    now = path.lstat()
    return now.st_ino, now.st_size, now.st_mtime_ns, now.st_mode, now.st_nlink, sha256(path)


def test_the_old_base_stays_for_its_disks_and_new_vms_stand_on_a_link_beside_it(old, image, other_image):
    before, seen = mark(old.link), whole(old.overlay)
    run = old.build(image)
    assert "WARNING: blockhost-base.qcow2 of the 0.2.0 provisioner stays" in run.stderr
    assert str(old.stand_in) in run.stderr
    assert mark(old.link) == before and whole(old.overlay) == seen
    first = old.current(old.stand_in)
    assert same_content(image, old.stand_in)
    old.is_clean()

    old.build(other_image)
    second = old.current(old.stand_in)
    assert second != first and same_content(other_image, old.stand_in)
    assert mark(old.link) == before and whole(old.overlay) == seen
    old.build(image)
    assert old.current(old.stand_in) == first
    assert mark(old.link) == before


def test_the_same_inputs_again_write_nothing_beside_the_old_base_either(old, image):
    old.build(image)
    before = old.published()
    assert "nothing has changed" in old.build(image).stderr
    assert old.published() == before


def test_a_build_that_is_refused_leaves_the_old_base_and_makes_no_link(old, tmp_path):
    before, seen = mark(old.link), whole(old.overlay)
    (tmp_path / "bad.raw").write_bytes(b"nothing")
    old.refuses("--source", f"file:{tmp_path}/bad.raw", "--as-is", says="is not a qcow2 image")
    assert mark(old.link) == before and whole(old.overlay) == seen
    assert os.listdir(old.templates) == [old.link.name]


def test_an_old_base_can_itself_become_a_version(old):
    """Its own name is the source."""
    before = mark(old.link)
    old.build(old.link)
    assert same_content(old.link, old.stand_in) and mark(old.link) == before


def test_once_the_old_base_is_gone_the_link_takes_its_name_and_the_stand_in_goes(old, image):
    old.build(image)
    version = old.current(old.stand_in)
    os.unlink(old.overlay)
    os.unlink(old.link)
    old.build(image)
    assert old.current() == version and not old.stand_in.is_symlink()
    old.is_clean()


def test_a_link_of_the_admins_own_to_an_image_of_his_is_not_written_through(host, image, other_image, tmp_path):
    """Whatever blockhost-base.qcow2 leads to, a build never changes what lies there."""
    mine = make_image(tmp_path, seed=11)
    before = mark(mine)
    host.templates.mkdir(parents=True)
    host.link.symlink_to(mine)
    host.build(image)
    assert mark(mine) == before
    assert host.link.resolve() == mine.resolve(), "old disks may name the link: what they read stays"
    assert host.stand_in.resolve().name.startswith("blockhost-base-")
