# SPDX-License-Identifier: MIT
"""Images that no template may be made of: refused with a reason, at once, or proved sound."""

import os
import pathlib
import shutil
import struct
import subprocess

import pytest
from template_host import make_image, same_content, sh, QEMU_IMG


@pytest.fixture()
def standing(host, other_image):
    """A host that has a template already."""
    host.build(other_image)
    return host


def refuses(host, path, *says):
    host.refuses("--source", f"file:{path}", "--as-is", says=[str(path), *says])


def test_a_raw_image_is_refused(standing, tmp_path):
    raw = tmp_path / "disk.raw"
    raw.write_bytes(os.urandom(1 << 20))
    refuses(standing, raw, "is not a qcow2 image", "qemu-img convert")


@pytest.mark.parametrize("content", [b"", b"QF", b"QFI\xfb", b"QFI\xfb" + b"\0" * 100, b"QFI\xfb\0\0\0\x03" + b"\0" * 60,
                                     b"QFI\xfb\0\0\0\x09" + b"\0" * 200, b"\x00" * 4096, b"KDMV" + b"\0" * 1000],
                         ids=["empty", "half a magic", "a magic", "version 0", "version 3 cut off", "version 9", "zeros", "VMDK"])
def test_a_file_that_is_cut_off_or_of_another_format_is_refused(standing, tmp_path, content):
    path = tmp_path / "image.qcow2"
    path.write_bytes(content)
    refuses(standing, path)


def test_an_image_that_stands_on_another_is_refused(standing, image, tmp_path):
    overlay = tmp_path / "overlay.qcow2"
    sh(QEMU_IMG, "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", overlay)
    refuses(standing, overlay, "stands on another image", str(image))


def test_an_image_that_says_it_stands_on_a_secret_of_the_hosts_is_refused(standing, tmp_path):
    overlay = tmp_path / "overlay.qcow2"
    sh(QEMU_IMG, "create", "-q", "-u", "-f", "qcow2", "-b", "/etc/shadow", "-F", "raw", overlay, "64M")
    refuses(standing, overlay, "stands on another image", "/etc/shadow")


def test_an_image_with_its_content_in_another_file_is_refused(standing, tmp_path):
    path = tmp_path / "image.qcow2"
    sh(QEMU_IMG, "create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path}/data.raw", path, "64M")
    refuses(standing, path, "has its content in another file")


@pytest.mark.parametrize("method", [1, 2])
def test_an_encrypted_image_is_refused(standing, tmp_path, method):
    """AES and LUKS, by what the header says: making real ones takes seconds."""
    path = make_image(tmp_path, seed=7)
    with open(path, "r+b") as file:
        file.seek(32)
        file.write(struct.pack(">I", method))
    refuses(standing, path, "is encrypted")


def test_an_image_that_is_not_there_is_refused(standing, tmp_path):
    refuses(standing, tmp_path / "nowhere.qcow2", "There is no image")
    (tmp_path / "dangling").symlink_to("nowhere")
    refuses(standing, tmp_path / "dangling", "There is no image")
    (tmp_path / "file").touch()
    refuses(standing, tmp_path / "file/image.qcow2")


@pytest.mark.parametrize("kind", ["folder", "FIFO", "device", "socket"])
def test_what_is_no_regular_file_is_refused_without_waiting(standing, tmp_path, kind):
    path = tmp_path / "image"
    if kind == "folder":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        os.mknod(path, 0o140600)
    refuses(standing, path)


def test_an_image_of_absurd_size_fails_as_a_program_does(standing, tmp_path):
    path = pathlib.Path(shutil.copy(standing.image(standing.current()), tmp_path / "image.qcow2"))
    path.chmod(0o600)
    with open(path, "r+b") as file:
        file.seek(24)
        file.write(struct.pack(">Q", 1 << 62))
    refuses_somehow(standing, path)


def refuses_somehow(host, path):
    """Refused, or published as something sound: never published broken."""
    before = host.published()
    run = host.run("--source", f"file:{path}", "--as-is")
    assert run.returncode in (0, 1), run.stderr
    host.current()
    host.is_clean()
    if run.returncode == 0:
        assert same_content(path, host.link)
    else:
        assert host.published() == before
        assert run.stderr.splitlines()[-1].startswith("[build-template] ERROR: ")


@pytest.mark.parametrize("junk", [b"\xff", b"\x00", b"\x80\x00\x00\x00\x01\x00\x00\x00"])
@pytest.mark.parametrize("what", ["L1 table", "L2 table", "refcount table", "refcount block", "header", "first cluster"])
def test_an_image_whose_tables_were_scribbled_over_is_never_published_broken(standing, tmp_path, what, junk):
    path = make_image(tmp_path, seed=4)
    content = bytearray(path.read_bytes())
    at_l1, at_refcounts = (struct.unpack(">Q", content[at:at + 8])[0] for at in (40, 48))
    at_l2 = struct.unpack(">Q", content[at_l1:at_l1 + 8])[0] & 0x00fffffffffffe00
    at_block = struct.unpack(">Q", content[at_refcounts:at_refcounts + 8])[0]
    at, length = {"L1 table": (at_l1, 8), "L2 table": (at_l2, 200), "refcount table": (at_refcounts, 64),
                  "refcount block": (at_block, 100), "header": (32, 40), "first cluster": (100, 400)}[what]
    content[at:at + length] = (junk * length)[:length]
    path.write_bytes(content)
    refuses_somehow(standing, path)


def test_an_image_that_is_cut_off_within_its_content_is_refused(standing, tmp_path):
    """qemu-img itself reads zeros behind a file's end, so that a conversion would go well."""
    path = make_image(tmp_path, seed=5)
    for size in (3_000_000, 1 << 20, 700_000, 400_000, 70_000, 66_000, 4096, 512):
        os.truncate(path, size)
        standing.refuses("--source", f"file:{path}", "--as-is", says=[str(path)])


def test_what_qemu_img_says_of_a_bad_image_is_told(standing, tmp_path):
    path = make_image(tmp_path, seed=6)
    with open(path, "r+b") as file:
        file.seek(40)
        file.write(struct.pack(">Q", 1 << 40 | 1))
    refused = subprocess.run([QEMU_IMG, "info", path], capture_output=True, text=True)
    assert refused.returncode != 0
    standing.refuses("--source", f"file:{path}", "--as-is", says=["cannot prove", "sound: qemu-img ended with status 1"])
