# SPDX-License-Identifier: MIT
"""What a build makes, and when it makes nothing."""

import os
import pathlib
import re
import shutil

import pytest
from template_host import make_image, same_content, sh, sha256, sha512, QEMU_IMG


def test_a_build_makes_a_version_with_its_manifest_and_a_link_to_it(host, image):
    run = host.run("--source", f"file:{image}", "--as-is")
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"Template built successfully: {host.link}\n"
    assert re.fullmatch(r"blockhost-base-[0-9a-f]{12}\.qcow2", os.readlink(host.link))
    version = host.current()
    assert same_content(image, host.link)
    assert oct(os.stat(host.templates).st_mode) == "0o40755"
    manifest = host.manifest(version)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00", manifest.pop("made_at"))
    assert re.fullmatch(r"blockhost-libvirt \d+\.\d+\.\d+\S*", manifest.pop("made_by"))
    assert manifest == {"version": version, "origin": str(image), "inputs": {"sha512": sha512(image)},
                        "virtual_bytes": 64 << 20, "bytes": host.image(version).stat().st_size,
                        "sha256": sha256(host.image(version)), "booted": False, "packages": {}, "accounts": []}
    host.is_clean()


def test_a_build_leaves_its_source_as_it_was(host, image, tmp_path):
    source = pathlib.Path(shutil.copy(image, tmp_path / "source.qcow2"))
    before = source.stat()
    host.build(source)
    after = source.stat()
    assert (after.st_mtime_ns, after.st_size, after.st_ino, after.st_nlink) == \
        (before.st_mtime_ns, before.st_size, before.st_ino, 1)
    assert same_content(source, image)


def test_the_same_inputs_again_write_nothing_and_need_no_qemu_img(host, space, image):
    host.build(image)
    before = host.published()
    space.replace_qemu_img(host.folder, "exit 7")
    again = host.build(image, within=space.words)
    assert "nothing has changed since version" in again.stderr
    assert host.published() == before
    host.is_clean()


def test_the_same_content_from_another_path_is_the_same_version(host, image, tmp_path):
    host.build(image)
    before = host.published()
    host.build(pathlib.Path(shutil.copy(image, tmp_path / "copy.qcow2")))
    assert host.published() == before


def test_another_image_becomes_another_version_and_the_old_one_stays(host, image, other_image):
    host.build(image)
    first, before = host.current(), host.published()
    host.build(other_image)
    second = host.current()
    assert second != first and host.versions() == sorted([first, second])
    host.is_whole(first)
    after = host.published()
    assert {name: after[name] for name in before if name != host.link.name} == \
        {name: before[name] for name in before if name != host.link.name}
    assert same_content(other_image, host.link)


def test_back_to_the_first_image_only_the_link_moves(host, space, image, other_image):
    host.build(image)
    first = host.current()
    host.build(other_image)
    before = host.published()
    space.replace_qemu_img(host.folder, "exit 7")
    back = host.build(image, within=space.words)
    assert "it becomes the current one" in back.stderr
    assert host.current() == first
    after = host.published()
    assert {name for name in after if after[name] != before.get(name)} == {host.link.name}
    assert after.keys() == before.keys()


def test_force_makes_a_new_version_though_nothing_has_changed(host, image):
    host.build(image)
    first = host.current()
    host.build(image, "--force")
    second = host.current()
    assert second != first and host.versions() == sorted([first, second])
    assert host.manifest(second)["inputs"]["sha512"] == sha512(image)
    assert same_content(image, host.link)


def test_a_changed_file_is_noticed_though_its_size_and_time_are_the_same(host, image, other_image, tmp_path):
    """The remembered digest goes by more than what `cp -p` and `touch` can set."""
    source = tmp_path / "source.qcow2"
    shutil.copy(image, source)
    host.build(source)
    first, time = host.current(), source.stat()
    content = bytearray(source.read_bytes())
    content[-100_000] ^= 1
    with open(source, "r+b") as file:
        file.write(content)
    os.utime(source, ns=(time.st_atime_ns, time.st_mtime_ns))
    assert source.stat().st_size == time.st_size and source.stat().st_mtime_ns == time.st_mtime_ns
    host.build(source)
    assert host.current() != first and same_content(source, host.link)


@pytest.mark.parametrize("name", ["a b.qcow2", "a:b,c=d.qcow2", "json:x.qcow2", "ü'\"$(x).qcow2", "nbd://x.qcow2", "line\nline",
                                  "-x.qcow2"])
def test_a_path_of_any_characters_is_a_path(host, image, tmp_path, name):
    source = tmp_path / name
    source.parent.mkdir(exist_ok=True)
    shutil.copy(image, source)
    host.build(source)
    assert same_content(image, host.link)


def test_a_relative_path_and_a_link_to_the_image_lead_to_it(host, image):
    shutil.copy(image, host.folder / "here.qcow2")
    (host.folder / "there.qcow2").symlink_to("here.qcow2")
    for source in ("file:here.qcow2", "file:there.qcow2", f"file://{host.folder}/here.qcow2"):
        host.build(source)
    assert len(host.versions()) == 1 and same_content(image, host.link)


@pytest.mark.parametrize("options", [("-o", "compat=0.10"), ("-c",), ("-o", "compat=1.1,lazy_refcounts=on")])
def test_every_kind_of_complete_qcow2_image_is_taken(host, tmp_path, options):
    source = make_image(tmp_path, seed=3, options=options)
    host.build(source)
    host.current()
    assert same_content(source, host.link)


def test_an_image_with_features_that_not_every_reader_knows_is_refused(host, tmp_path):
    source = make_image(tmp_path, seed=3, options=("-o", "compat=1.1,extended_l2=on,cluster_size=128k"))
    host.refuses("--source", f"file:{source}", "--as-is", says=["has features (0x10) that no template may have"])


def test_snapshots_within_the_image_are_left_out(host, image, tmp_path):
    source = pathlib.Path(shutil.copy(image, tmp_path / "source.qcow2"))
    sh(QEMU_IMG, "snapshot", "-c", "before", source)
    host.build(source)
    assert same_content(source, host.link)
    assert sh(QEMU_IMG, "snapshot", "-l", "-U", host.link).stdout == ""


def test_a_digest_of_the_file_that_is_right_is_accepted_and_a_wrong_one_is_refused(host, image, other_image):
    host.build(image, "--sha512", sha512(image).upper())
    host.refuses("--source", f"file:{other_image}", "--as-is", "--sha512", sha512(image),
                 says=[str(other_image), sha512(image)[:16], sha512(other_image)[:16]])


def test_a_cache_that_was_emptied_costs_nothing_but_time(host, image):
    host.build(image)
    before = host.published()
    shutil.rmtree(host.cache)
    host.build(image)
    assert host.published() == before


def test_a_memory_of_digests_that_is_torn_does_not_stop_a_build(host, image):
    host.build(image)
    [memory] = (host.cache / "downloads").glob("digest-*.json")
    for torn in ("", "{", "[]", "\0" * 200):
        memory.write_text(torn)
        host.build(image)
    assert len(host.versions()) == 1


def test_a_version_whose_manifest_was_lost_does_not_stop_a_build(host, image):
    host.build(image)
    (host.templates / f"blockhost-base-{host.current()}.json").unlink()
    host.build(image)
    host.current()


def test_a_link_that_leads_nowhere_is_mended(host, image):
    host.build(image)
    version = host.current()
    host.image(version).unlink()
    host.build(image)
    assert host.current() == version


def test_a_link_to_something_else_is_replaced(host, image):
    host.build(image)
    version = host.current()
    host.link.unlink()
    host.link.symlink_to("/dev/null")
    host.build(image)
    assert host.current() == version


def test_strange_files_in_the_templates_folder_stay(host, image):
    host.templates.mkdir(parents=True)
    for name in ("notes.txt", ".hidden", "blockhost-base-xyz.qcow2", "blockhost-base-0123456789abc.json", ".blockhost-base-notes"):
        (host.templates / name).write_text("mine")
    host.build(image)
    host.build(image, "--force")
    assert {"notes.txt", ".hidden", "blockhost-base-xyz.qcow2", "blockhost-base-0123456789abc.json",
            ".blockhost-base-notes"} <= set(os.listdir(host.templates))


def test_what_killed_builds_left_in_the_templates_folder_goes(host, image):
    host.templates.mkdir(parents=True)
    (host.templates / "blockhost-base-0123456789ab.json").write_text("{}")
    for name in ("blockhost-base.qcow2", "blockhost-base.current", "blockhost-base-0123456789ab.json",
                 "blockhost-base-0123456789ab.qcow2"):
        (host.templates / f".{name}.0123456789ab").symlink_to("half-made")
    host.build(image)
    host.is_clean()


def test_the_versions_are_listed_oldest_first_even_where_nobody_knows_what_stands_on_them(host, image, other_image):
    host.build(image)
    host.build(other_image)
    second = host.current()
    run = host.run(verb="templates")
    assert run.returncode == 0 and "what stands on the versions is not known" in run.stderr
    lines = [line.split() for line in run.stdout.splitlines()]
    assert [line[0] for line in lines[1:]] == [v for v in host.versions() if v != second] + [second]
    assert "yes" in lines[2] and "yes" not in lines[1] and lines[1][-1] == lines[2][-1] == "?"
