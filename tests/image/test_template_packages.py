# SPDX-License-Identifier: MIT
"""The .deb files that go into the template, as far as they are looked at before anything is installed."""

import os
import pathlib

import pytest
from template_host import sh


LEFT = f"left-by-virt-customize-{os.getpid()}"


@pytest.fixture(autouse=True)
def customises():
    for program in ("/usr/bin/virt-customize", "/usr/bin/dpkg-deb"):
        if not os.access(program, os.X_OK):
            pytest.skip(f"{program} is missing")
    if not list(pathlib.Path("/boot").glob("vmlinuz-*")):
        pytest.skip("libguestfs needs a kernel in /boot")


@pytest.fixture()
def standing(host, other_image, space):
    """A host with a template, on which no virt-customize can run."""
    host.build(other_image)
    fake = host.folder / "virt-customize"
    fake.write_text(f"#!/bin/sh\ntouch {host.folder}/ran /tmp/{LEFT}\nexit 9\n")
    fake.chmod(0o755)
    space.sh("mount", "--bind", fake, "/usr/bin/virt-customize")
    host.within = space.words
    return host


def deb(folder, package, version="1.0", architecture="all", name=None):
    tree = folder / f"tree-{package}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(f"Package: {package}\nVersion: {version}\nArchitecture: {architecture}\n"
                                         "Maintainer: Test <test@example.org>\nDescription: a test\n")
    sh("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, folder / (name or f"{package}_{version}.deb"))
    return folder / (name or f"{package}_{version}.deb")


def put(host, file):
    host.packages.mkdir(parents=True, exist_ok=True)
    file.rename(host.packages / file.name)


def refuses(host, image, *says, words=()):
    host.refuses("--source", f"file:{image}", *words, says=says, within=host.within)
    assert not (host.folder / "ran").exists()


def test_without_packages_the_build_is_refused(standing, image):
    refuses(standing, image, f"No template packages found in {standing.packages}", "--no-packages")
    standing.packages.mkdir()
    (standing.packages / "README.txt").write_text("no package")
    refuses(standing, image, f"No template packages found in {standing.packages}")


def test_a_file_that_is_no_package_is_named(standing, image, tmp_path):
    put(standing, deb(tmp_path, "blockhost-a"))
    for name, content in (("blockhost-b.deb", b"no package"), ("blockhost-c.deb", b""), ("-x.deb", b"!<arch>\n")):
        (standing.packages / name).write_bytes(content)
        refuses(standing, image, str(standing.packages / name), "is not a Debian package")
        (standing.packages / name).unlink()


def test_a_package_that_is_cut_off_is_named(standing, image, tmp_path):
    put(standing, deb(tmp_path, "blockhost-a"))
    os.truncate(standing.packages / "blockhost-a_1.0.deb", 100)
    refuses(standing, image, "blockhost-a_1.0.deb", "is not a Debian package")


def test_two_files_of_one_package_are_refused(standing, image, tmp_path):
    put(standing, deb(tmp_path, "blockhost-a", "1.0"))
    put(standing, deb(tmp_path, "blockhost-a", "1.1"))
    refuses(standing, image, "blockhost-a_1.0.deb", "blockhost-a_1.1.deb", "both of package blockhost-a")


def test_a_package_for_another_architecture_is_refused(standing, image, tmp_path):
    put(standing, deb(tmp_path, "blockhost-a", architecture="arm64"))
    refuses(standing, image, "blockhost-a_1.0.deb", "arm64", "amd64")


def test_a_folder_named_like_a_package_does_not_hang_the_build(standing, image, tmp_path):
    put(standing, deb(tmp_path, "blockhost-a"))
    (standing.packages / "folder.deb").mkdir()
    refuses(standing, image, "folder.deb")
    (standing.packages / "folder.deb").rmdir()
    os.mkfifo(standing.packages / "fifo.deb")
    refuses(standing, image, "fifo.deb")


def test_good_packages_are_taken_to_virt_customize_whose_failure_changes_nothing(standing, image, tmp_path):
    put(standing, deb(tmp_path, "blockhost-a", architecture="amd64"))
    put(standing, deb(tmp_path, "blockhost-b", name="any name at all.deb"))
    standing.refuses("--source", f"file:{image}", within=standing.within, says="cannot customise the image")
    assert (standing.folder / "ran").exists()
    assert not pathlib.Path("/tmp", LEFT).exists(), "its /tmp is the build's, and gone with it"


def test_as_is_takes_no_packages_and_needs_none(standing, image):
    standing.build(image, within=standing.within)
    assert standing.manifest(standing.current())["inputs"].keys() == {"sha512"}
