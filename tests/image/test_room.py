# SPDX-License-Identifier: MIT
"""File systems that are too small, and templates on another one than the cache."""

import os

from template_host import make_image, sh, sha256


def build(host, image, *words, within=()):
    return host.run("--source", f"file:{image}", "--as-is", *words, within=within)


def test_a_cache_without_room_is_found_out_before_the_work(host, space, image, other_image):
    host.build(other_image)
    space.mount_tmpfs(host.cache, "2m")
    space.replace_qemu_img(host.folder, f"touch {host.folder}/ran; exit 7")
    last = host.refuses("--source", f"file:{image}", "--as-is", within=space.words,
                        says=["making the template needs about 9.", "MiB", str(host.cache), "free some space"])
    assert "has 2 MiB free" in last or "has 1.9 MiB free" in last, last
    assert not (host.folder / "ran").exists()
    assert not [path for path in space.path(host.cache).rglob("*") if path.parent.name == "build"]


def test_a_cache_that_becomes_full_during_the_work_is_said_to_be_full(host, space, other_image, tmp_path):
    """A compressed image grows beyond what could be told before."""
    host.build(other_image)
    raw = tmp_path / "zeroes"
    raw.mkdir()
    source = raw / "image.qcow2"
    (raw / "ones.raw").write_bytes(b"\x01" * (16 << 20))
    sh("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", raw / "ones.raw", source)
    assert source.stat().st_size < 2 << 20
    space.mount_tmpfs(host.cache, "6m")
    host.refuses("--source", f"file:{source}", "--as-is", within=space.words,
                 says=["cannot convert the image", "No space left on device", "free some space"])
    assert {path.name for path in space.path(host.cache).iterdir()} == {"build.lock", "downloads"}


def test_a_download_that_does_not_fit_is_refused_before_it_comes(host, space, image, other_image, server, authority):
    host.build(other_image)
    space.mount_tmpfs(host.cache, "2m")
    server.serve("/image", image.read_bytes())
    host.refuses("--source", server.url("/image"), "--as-is", "--insecure-no-checksum", "--ca-file", authority.ca,
                 within=space.words, says=["the image needs about 3.", str(host.cache), "free"])
    assert not list(space.path(host.cache).glob("downloads/image-*"))


def test_templates_on_another_file_system_than_the_cache_are_made_whole_with_their_holes(host, space, image):
    space.mount_tmpfs(host.templates, "16m")
    run = build(host, image, within=space.words)
    assert run.returncode == 0, run.stderr
    seen = space.path(host.templates)
    target = os.readlink(seen / "blockhost-base.qcow2")
    found = (seen / target).stat()
    assert oct(found.st_mode) == "0o100444" and found.st_uid == 0
    assert found.st_blocks * 512 < found.st_size, "qemu-img leaves holes between its tables"
    near = host.run("--source", f"file:{image}", "--as-is")
    assert near.returncode == 0, near.stderr
    assert sha256(seen / target) == sha256(host.image(host.current()))
    assert sorted(os.listdir(seen)) == sorted([target, target.replace("qcow2", "json"), "blockhost-base.qcow2"])
    host.is_clean()


def test_templates_that_do_not_fit_on_their_file_system_are_refused_and_the_link_stays(host, space, image, tmp_path):
    space.mount_tmpfs(host.templates, "2m")
    small = make_image(tmp_path, seed=8, content=0)
    assert build(host, small, within=space.words).returncode == 0
    seen = space.path(host.templates)
    before = {path.name: path.lstat().st_mtime_ns for path in seen.iterdir()}
    run = build(host, image, within=space.words)
    assert run.returncode == 1 and run.stdout == ""
    last = run.stderr.splitlines()[-1]
    assert last.startswith("[build-template] ERROR: ") and str(host.templates) in last, last
    assert "No space left on device" in last or "free" in last
    now = {path.name: path.lstat().st_mtime_ns for path in seen.iterdir()}
    assert {name: now.get(name) for name in before} == before
    assert [name for name in now if name.startswith(".") or name.endswith(".qcow2") and name not in before] == []
    assert not (host.cache / "build").exists()
    assert build(host, small, within=space.words).returncode == 0
    assert {path.name: path.lstat().st_mtime_ns for path in seen.iterdir()} == before


def test_a_build_killed_while_it_copies_to_another_file_system_leaves_nothing_after_the_next(host, space, image, tmp_path):
    """A half copy has a temporary name, which the next build removes."""
    space.mount_tmpfs(host.templates, "40m")
    small = make_image(tmp_path, seed=8, content=0)
    assert build(host, small, within=space.words).returncode == 0
    seen = space.path(host.templates)
    (seen / ".blockhost-base-0123456789ab.qcow2.0123456789ab").write_bytes(b"half")
    names = {path.name for path in seen.iterdir() if not path.name.startswith(".")}
    for pause in range(6):
        process = host.start("--source", f"file:{image}", "--as-is", "--force", within=space.words)
        for line in process.stderr:
            if "putting version" in line:
                break
        for _ in range(pause * 1000):
            pass
        process.kill()
        process.communicate()
    target = os.readlink(seen / "blockhost-base.qcow2")
    assert (seen / target).exists() and (seen / target.replace(".qcow2", ".json")).exists()
    assert build(host, image, within=space.words).returncode == 0
    left = {path.name for path in seen.iterdir()}
    assert names <= left and [name for name in left if name.startswith(".")] == []
    assert {name[:-5] for name in left if name.endswith(".json")} == \
        {name[:-6] for name in left if name.endswith(".qcow2") and name != "blockhost-base.qcow2"}
