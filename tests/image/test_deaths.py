# SPDX-License-Identifier: MIT
"""Builds that are killed, interrupted, or not alone: the link always leads to a whole template, and nothing stays."""

import signal
import time

import pytest
from template_host import INTERRUPTED, KILLED, TERMINATED, ended, processes_with, same_content, wait_until

MOMENTS = 18


def test_a_build_killed_at_eighteen_moments_leaves_a_whole_template_and_the_next_one_no_trace(host, image, other_image):
    host.build(other_image)
    began = time.monotonic()
    host.build(image)
    duration = time.monotonic() - began
    outcomes = set()
    for moment in range(MOMENTS):
        before = host.current()
        process = host.start("--source", f"file:{image}", "--as-is", "--force")
        time.sleep(duration * (moment + 0.5) / MOMENTS)
        process.kill()
        process.communicate()
        outcomes.add(process.returncode)
        after = host.current()
        for version in host.versions():
            host.is_whole(version)
        assert wait_until(lambda: not processes_with(f"{image} image.qcow2"), 5), "its qemu-img is alive"
        host.build(image, "--force")
        assert host.current() not in (before, after)
        assert same_content(image, host.link)
        host.is_clean()
        assert not (host.cache / "build").exists()
        for version in host.versions():
            if version != host.current():
                host.image(version).unlink()
                (host.templates / f"blockhost-base-{version}.json").unlink()
    assert KILLED in outcomes


@pytest.fixture()
def waiting(host, space, image, other_image):
    """A build whose qemu-img is in the middle of writing, on a host that has a template."""
    host.build(other_image)
    waits = space.make_qemu_img_wait(host.folder)
    process = host.start("--source", f"file:{image}", "--as-is", within=space.words)
    assert wait_until(waits)
    assert (host.cache / "build/image.qcow2").stat().st_size == 100_000
    return process


def no_qemu_img(image):
    return wait_until(lambda: not processes_with(f"{image} image.qcow2"), 5)


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, TERMINATED), (signal.SIGINT, INTERRUPTED), (signal.SIGHUP, 129)])
def test_a_build_that_is_told_to_end_cleans_up_at_once(host, image, other_image, waiting, number, status):
    before = host.published()
    waiting.send_signal(number)
    err = ended(waiting, status)
    assert err.splitlines()[-1].startswith("[build-template] ERROR: interrupted by SIG")
    assert no_qemu_img(image)
    assert host.published() == before and same_content(other_image, host.link)
    host.is_clean()


def test_a_killed_builds_qemu_img_dies_with_it_and_its_half_image_goes_with_the_next_build(host, image, waiting):
    before = host.published()
    assert processes_with(f"{image} image.qcow2") != []
    waiting.kill()
    waiting.communicate()
    assert no_qemu_img(image)
    assert host.published() == before and (host.cache / "build/image.qcow2").exists()
    host.build(image)
    host.is_clean()
    assert not (host.cache / "build").exists() and same_content(image, host.link)


def test_a_second_build_says_who_builds_waits_and_both_succeed(host, space, image, other_image, waiting):
    before = host.published()
    second = host.start("--source", f"file:{other_image}", "--as-is", "--force")
    said = second.stderr.readline()
    assert said.startswith(f"[build-template] WARNING: another build or prune is at work: process {waiting.pid} since ")
    assert said.endswith("; waiting for it\n")
    assert second.poll() is None and host.published() == before
    (host.folder / "go").touch()
    ended(waiting, 0, 30)
    ended(second, 0, 30)
    assert len(host.versions()) == 3 and same_content(other_image, host.link)
    host.current()
    host.is_clean()


def test_a_second_build_goes_on_when_the_first_is_killed(host, image, waiting):
    second = host.start("--source", f"file:{image}", "--as-is")
    assert "waiting for it" in second.stderr.readline()
    waiting.kill()
    ended(second, 0, 30)
    assert same_content(image, host.link)
    host.is_clean()


def test_a_second_build_that_waits_ends_when_it_is_told_to_and_disturbs_nothing(host, image, waiting):
    second = host.start("--source", f"file:{image}", "--as-is")
    assert "waiting for it" in second.stderr.readline()
    second.send_signal(signal.SIGTERM)
    ended(second, TERMINATED)
    assert waiting.poll() is None and (host.cache / "build/image.qcow2").exists()
    (host.folder / "go").touch()
    ended(waiting, 0, 30)
    assert same_content(image, host.link)


def test_many_builds_at_once_all_succeed(host, image, other_image):
    processes = [host.start("--source", f"file:{source}", "--as-is", *more)
                 for source, more in ((image, ()), (other_image, ()), (image, ("--force",)), (image, ()), (other_image, ()))]
    for process in processes:
        ended(process, 0, 30)
    assert len(host.versions()) == 3
    host.current()
    host.is_clean()


def test_qemu_img_that_fails_is_quoted_and_changes_nothing(host, space, image, other_image):
    host.build(other_image)
    space.replace_qemu_img(host.folder, "echo first >&2; echo 'qemu-img: the reason' >&2; exit 3")
    host.refuses("--source", f"file:{image}", "--as-is", within=space.words,
                 says=["cannot convert the image: qemu-img ended with status 3", "qemu-img: the reason"])
    assert not (host.cache / "build").exists()


def test_an_image_that_qemu_img_finds_unsound_is_not_published(host, space, image, other_image):
    host.build(other_image)
    space.replace_qemu_img(host.folder, """[ "$1" != check ] || { echo 'ERROR cluster 1 refcount=0' >&2; exit 2; }
                                           exec $REAL "$@" """)
    run = host.run("--source", f"file:{image}", "--as-is", within=space.words)
    assert run.returncode == 1 and "image.qcow2 sound" in run.stderr and "refcount=0" in run.stderr
    assert same_content(other_image, host.link) and len(host.versions()) == 1
    host.is_clean()


def test_a_source_that_is_changed_before_it_is_converted_is_refused(host, space, image, other_image, tmp_path):
    """Digest and content belong together: what was looked at is looked at again when it is used."""
    host.build(other_image)
    source = tmp_path / "source.qcow2"
    source.write_bytes(image.read_bytes())
    host.build(source)
    for _ in range(3):
        process = host.start("--source", f"file:{source}", "--as-is", "--force")
        content = bytearray(source.read_bytes())
        content[2_000_000] ^= 255
        source.write_bytes(content)
        out, err = process.communicate(timeout=30)
        assert process.returncode in (0, 1), err
        host.current()
        host.is_clean()
