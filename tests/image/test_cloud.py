# SPDX-License-Identifier: MIT
"""Debian's cloud image, or what template_url names instead: the list of digests beside it, and the image that is kept."""

import os
import shutil

import pytest
from template_host import same_content, sha512


@pytest.fixture()
def cloud(host, server, authority, image):
    return Cloud(host, server, authority, image)


class Cloud:
    """template_url leads to the server's /bookworm/debian.qcow2."""

    def __init__(self, host, server, authority, image):
        self.host, self.server, self.ca, self.image = host, server, authority.ca, image
        self.url = server.url("/bookworm/debian.qcow2")
        host.configure(template_url=self.url)
        server.serve("/bookworm/debian.qcow2", image.read_bytes())
        self.list(f"{'0' * 128}  other.qcow2\n{sha512(image)}  debian.qcow2\n")

    def list(self, text):
        self.server.serve("/bookworm/SHA512SUMS", text.encode())

    def words(self, *more):
        return "--source", "cloud", "--as-is", "--ca-file", self.ca, *more

    def builds(self, *more):
        run = self.host.run(*self.words(*more))
        assert run.returncode == 0, run.stderr
        self.host.current()
        assert same_content(self.image, self.host.link)
        self.host.is_clean()
        return run

    def refuses(self, *more, says):
        return self.host.refuses(*self.words(*more), says=says)

    def asked(self):
        """The paths that were asked for since the last look."""
        paths = [request.path.rpartition("/")[2] for request in self.server.requests]
        self.server.requests.clear()
        return paths

    def kept(self):
        [path] = self.host.cache.glob("downloads/image-????????????????")
        return path


def test_the_image_is_checked_against_the_list_beside_it(cloud):
    assert "not checked" not in cloud.builds().stderr
    assert cloud.asked() == ["SHA512SUMS", "debian.qcow2"]
    assert cloud.host.manifest(cloud.host.current())["origin"] == cloud.url


def test_cloud_is_the_source_where_none_is_given(cloud):
    run = cloud.host.run("--as-is", "--ca-file", cloud.ca)
    assert run.returncode == 0 and same_content(cloud.image, cloud.host.link)


@pytest.mark.parametrize("line", ["{digest} *debian.qcow2\n", "{upper}  debian.qcow2", "# a\n\n{digest}  debian.qcow2\r\nrubbish\n"])
def test_every_spelling_of_a_list_is_read(cloud, line):
    digest = sha512(cloud.image)
    cloud.list(line.format(digest=digest, upper=digest.upper()))
    cloud.builds()


@pytest.mark.parametrize("text", ["", "{digest}  another-debian.qcow2\n", "{digest}  debian.qcow2.old\n", "{short}  debian.qcow2\n",
                                  "{digest}debian.qcow2\n", "{digest}  x/debian.qcow2\n", "<html>{digest}</html>\n"])
def test_a_list_without_the_image_is_refused(cloud, text):
    digest = sha512(cloud.image)
    cloud.list(text.format(digest=digest, short=digest[:64]))
    cloud.refuses(says=["/bookworm/SHA512SUMS does not name debian.qcow2", "--sha512"])
    assert cloud.asked() == ["SHA512SUMS"]


def test_without_a_list_the_image_is_refused_unless_one_insists(cloud):
    cloud.server.serve("/bookworm/SHA512SUMS", status=404)
    cloud.refuses(says=["/bookworm/SHA512SUMS", "404"])
    assert cloud.asked() == ["SHA512SUMS"]
    assert "was not checked against any digest" in cloud.builds("--insecure-no-checksum").stderr
    assert cloud.asked() == ["debian.qcow2"]
    cloud.refuses(says="404")


def test_without_a_list_a_digest_of_the_callers_is_enough(cloud):
    cloud.server.serve("/bookworm/SHA512SUMS", status=404)
    assert "not checked" not in cloud.builds("--sha512", sha512(cloud.image)).stderr
    assert cloud.asked() == ["debian.qcow2"]


def test_an_image_that_is_not_the_lists_is_refused_and_not_kept(cloud, other_image):
    cloud.list(f"{sha512(other_image)}  debian.qcow2\n")
    cloud.refuses(says=[sha512(cloud.image)[:16], sha512(other_image)[:16]])
    assert not list(cloud.host.cache.glob("downloads/image-*"))
    cloud.list(f"{sha512(cloud.image)}  debian.qcow2\n")
    cloud.builds()


def test_a_checked_image_that_is_kept_does_where_the_list_cannot_be_reached(cloud):
    cloud.builds()
    before = cloud.host.published()
    cloud.server.__exit__()
    told = cloud.builds().stderr
    assert "nothing has changed" in told and "WARNING: whether there is a newer image is not known" in told
    assert cloud.host.published() == before


def test_force_fetches_list_and_image_again(cloud):
    cloud.builds()
    cloud.asked()
    cloud.builds()
    assert cloud.asked() == ["SHA512SUMS"], "whether there is a newer image is asked, the image itself is here"
    cloud.builds("--force")
    assert cloud.asked() == ["SHA512SUMS", "debian.qcow2"]
    assert len(cloud.host.versions()) == 2


def test_a_force_that_fails_leaves_the_template_and_what_is_asked_next_is_checked(cloud, other_image):
    cloud.builds()
    cloud.server.serve("/bookworm/debian.qcow2", other_image.read_bytes())
    cloud.refuses("--force", says=sha512(other_image)[:16])
    cloud.refuses(says=sha512(other_image)[:16])
    cloud.server.serve("/bookworm/debian.qcow2", cloud.image.read_bytes())
    cloud.builds()


@pytest.mark.parametrize("how", ["content", "whole"])
def test_a_kept_image_that_somebody_changed_is_noticed_and_fetched_again(cloud, other_image, how):
    cloud.builds()
    cloud.asked()
    before, time = cloud.host.published(), cloud.kept().stat()
    if how == "content":
        with open(cloud.kept(), "r+b") as file:
            file.seek(1 << 20)
            file.write(b"tampered")
    else:
        cloud.kept().write_bytes(other_image.read_bytes())
    os.utime(cloud.kept(), ns=(time.st_atime_ns, time.st_mtime_ns))
    cloud.builds()
    assert cloud.asked() == ["SHA512SUMS", "debian.qcow2"]
    assert cloud.host.published() == before


def test_a_kept_image_and_its_memory_that_were_both_changed_do_not_become_a_template(cloud, other_image):
    """A memory that lies is found out by the look at the whole file before it is used."""
    cloud.builds()
    [memory] = cloud.host.cache.glob("downloads/digest-*.json")
    cloud.kept().write_bytes(other_image.read_bytes())
    now = cloud.kept().stat()
    mark = f"{now.st_dev}:{now.st_ino}:{now.st_size}:" + ":".join(
        f"{ns // 10**9}.{ns % 10**9}" for ns in (now.st_mtime_ns, now.st_ctime_ns))
    memory.write_text(f'{{"file": "{mark}", "sha512": "{sha512(cloud.image)}"}}')
    shutil.rmtree(cloud.host.templates)
    cloud.refuses(says="has changed since it was looked at")


def test_another_template_url_is_another_image(cloud, other_image):
    cloud.builds()
    first = cloud.host.current()
    cloud.server.serve("/trixie/debian.qcow2", other_image.read_bytes())
    cloud.server.serve("/trixie/SHA512SUMS", f"{sha512(other_image)}  debian.qcow2\n".encode())
    cloud.host.configure(template_url=cloud.server.url("/trixie/debian.qcow2"))
    run = cloud.host.run(*cloud.words())
    assert run.returncode == 0, run.stderr
    assert cloud.host.current() != first and same_content(other_image, cloud.host.link)


def test_a_query_belongs_to_the_image_and_not_to_the_list(cloud):
    cloud.host.configure(template_url=cloud.url + "?mirror=/a/b")
    cloud.builds()
    assert [r.path for r in cloud.server.requests] == ["/bookworm/SHA512SUMS", "/bookworm/debian.qcow2?mirror=/a/b"]


@pytest.mark.parametrize("url", ["http://127.0.0.1/debian.qcow2", "file:///etc/passwd", "debian.qcow2", 7, "https://a b/"])
def test_a_template_url_that_is_none_is_refused(cloud, url):
    cloud.host.configure(template_url=url)
    cloud.refuses(says=["template_url", "https://"])
    assert cloud.asked() == []


def test_a_list_that_is_endless_is_refused(cloud):
    cloud.list("x" * (5 << 20))
    cloud.refuses(says=["SHA512SUMS", "larger than"])
