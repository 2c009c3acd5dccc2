# SPDX-License-Identifier: MIT
"""Images from an HTTPS server, with a digest that the caller knows; how downloads go on is tested in tests/http."""

import hashlib
import signal

import https_server
import pytest
from template_host import ended, same_content, sha512, wait_until, TERMINATED


@pytest.fixture()
def fetched(host, server, authority, image):
    """A build from the server, which serves the image at /image."""
    return Fetched(host, server, authority, image)


class Fetched:
    def __init__(self, host, server, authority, image):
        self.host, self.server, self.ca, self.image = host, server, authority.ca, image
        self.body, self.digest = image.read_bytes(), sha512(image)

    def words(self, *more, digest=None):
        return ("--source", self.server.url("/image"), "--as-is", "--ca-file", self.ca, "--sha512", digest or self.digest,
                *more)

    def builds(self, *more):
        run = self.host.run(*self.words(*more))
        assert run.returncode == 0, run.stderr
        self.host.current()
        assert same_content(self.image, self.host.link)
        self.host.is_clean()
        return run

    def refuses(self, *more, says, **options):
        return self.host.refuses(*self.words(*more, **options), says=says)

    def downloaded(self):
        """Whole images that a later build could find."""
        return [path.name for path in self.host.cache.glob("downloads/image-????????????????")]


def ranges(server):
    return [request.range for request in server.requests]


@pytest.fixture()
def standing(fetched, other_image):
    """The same on a host that has a template already."""
    fetched.host.build(other_image)
    return fetched


def test_an_image_with_the_right_digest_becomes_the_template(fetched):
    fetched.server.serve("/image", fetched.body)
    fetched.builds()
    manifest = fetched.host.manifest(fetched.host.current())
    assert manifest["origin"] == fetched.server.url("/image") and manifest["inputs"] == {"sha512": fetched.digest}
    assert [request.path for request in fetched.server.requests] == ["/image"]


def test_an_image_that_is_here_is_not_fetched_again_unless_forced(fetched):
    fetched.server.serve("/image", fetched.body)
    fetched.builds()
    before = fetched.host.published()
    assert "nothing has changed" in fetched.builds().stderr
    assert fetched.host.published() == before and len(fetched.server.requests) == 1
    fetched.builds("--force")
    assert len(fetched.server.requests) == 2 and len(fetched.host.versions()) == 2


def test_an_image_with_another_digest_is_refused_and_not_kept(standing, other_image):
    standing.server.serve("/image", other_image.read_bytes())
    standing.refuses(says=[standing.digest[:16], sha512(other_image)[:16], standing.server.url("/image")])
    assert standing.downloaded() == []
    standing.server.serve("/image", standing.body)
    standing.builds()
    assert len(standing.server.requests) == 2


def test_a_wrong_digest_for_an_image_that_is_here_takes_away_no_template(standing, other_image):
    standing.server.serve("/image", standing.body)
    standing.builds()
    standing.refuses(digest=sha512(other_image), says=[sha512(other_image)[:16]])
    standing.builds()


def test_an_image_of_ones_own_needs_its_digest(standing):
    standing.server.serve("/image", standing.body)
    standing.host.refuses("--source", standing.server.url("/image"), "--as-is", "--ca-file", standing.ca,
                          says=["needs its digest", "--sha512", "--insecure-no-checksum"])
    assert standing.server.requests == []


def test_without_a_checksum_any_image_is_taken_with_a_warning(fetched):
    fetched.server.serve("/image", fetched.body)
    run = fetched.host.build(fetched.server.url("/image"), "--ca-file", fetched.ca, "--insecure-no-checksum")
    assert f"WARNING: {fetched.server.url('/image')} was not checked against any digest" in run.stderr
    assert same_content(fetched.image, fetched.host.link)


def test_what_was_taken_without_a_checksum_is_not_trusted_by_those_who_ask_for_one(fetched, other_image):
    fetched.server.serve("/image", other_image.read_bytes())
    fetched.host.build(fetched.server.url("/image"), "--ca-file", fetched.ca, "--insecure-no-checksum")
    fetched.refuses(says=[fetched.digest[:16]])
    fetched.host.refuses("--source", fetched.server.url("/image"), "--as-is", "--ca-file", fetched.ca, says="needs its digest")
    fetched.server.serve("/image", fetched.body)
    fetched.builds()


def test_a_checked_image_is_taken_without_a_checksum_and_without_a_warning(fetched):
    fetched.server.serve("/image", fetched.body)
    fetched.builds()
    run = fetched.host.build(fetched.server.url("/image"), "--ca-file", fetched.ca, "--insecure-no-checksum")
    assert "not checked" not in run.stderr


@pytest.mark.parametrize("status, words", [(404, "answered 404"), (403, "answered 403")])
def test_an_image_that_the_server_does_not_give_is_named(standing, status, words):
    standing.server.serve("/image", status=status)
    standing.refuses(says=[standing.server.url("/image"), words])


def test_a_redirect_to_plain_http_is_not_followed(standing):
    standing.server.serve("/image", status=302, location="http://127.0.0.1/image")
    standing.refuses(says="http://127.0.0.1/image, which is not https")


def test_a_redirect_to_another_https_url_is_followed(fetched):
    fetched.server.serve("/image", status=302, location="/other")
    fetched.server.serve("/other", fetched.body)
    fetched.builds()


def test_a_plain_http_url_is_refused(standing):
    standing.host.refuses("--source", "http://127.0.0.1/image", "--as-is", "--sha512", standing.digest, says="https:// only")


def test_a_server_that_nobody_vouches_for_is_not_trusted(standing):
    standing.server.serve("/image", standing.body)
    standing.host.refuses("--source", standing.server.url("/image"), "--as-is", "--sha512", standing.digest,
                          says=["is not trusted", "--ca-file"])
    assert standing.server.requests == []


def test_a_ca_file_that_is_missing_is_named(standing):
    standing.server.serve("/image", standing.body)
    standing.host.refuses("--source", standing.server.url("/image"), "--as-is", "--sha512", standing.digest, "--ca-file",
                          "/nowhere/ca.pem", says="/nowhere/ca.pem")


def test_a_port_on_which_nobody_listens_is_told_after_a_sigterm_too(standing):
    """All attempts together take long; whoever is told to end says so at once."""
    port = standing.server.port
    standing.server.__exit__()
    process = standing.host.start(*standing.words())
    assert wait_until(lambda: process.stderr.readline().startswith("[build-template] downloading"))
    process.send_signal(signal.SIGTERM)
    assert "interrupted by SIGTERM" in ended(process, TERMINATED) and port


def test_a_server_that_stalls_is_left_at_once_by_a_sigterm_and_gone_on_with_later(standing):
    current = standing.host.published()
    standing.server.serve("/image", standing.body, stall_after=2_000_000, stall_times=1)
    process = standing.host.start(*standing.words())
    partial = standing.host.cache / "downloads"
    assert wait_until(lambda: any(path.stat().st_size >= 2_000_000 for path in partial.glob("image-*.partial")))
    process.send_signal(signal.SIGTERM)
    assert "interrupted by SIGTERM" in ended(process, TERMINATED)
    assert standing.host.published() == current
    standing.host.is_clean()
    standing.builds()
    assert ranges(standing.server) == [None, "bytes=2000000-"]


def test_a_download_that_was_killed_is_gone_on_with(standing):
    current = standing.host.published()
    standing.server.serve("/image", standing.body, stall_after=2_000_000, stall_times=1)
    process = standing.host.start(*standing.words())
    partial = standing.host.cache / "downloads"
    assert wait_until(lambda: any(path.stat().st_size >= 2_000_000 for path in partial.glob("image-*.partial")))
    process.kill()
    process.communicate()
    assert standing.host.published() == current
    standing.builds()
    assert ranges(standing.server) == [None, "bytes=2000000-"]


def test_a_connection_that_broke_is_gone_on_with(fetched):
    fetched.server.serve("/image", fetched.body, truncate_after=1_000_000, truncate_times=1)
    fetched.builds()
    assert ranges(fetched.server) == [None, "bytes=1000000-"]


def test_a_file_that_changed_while_it_came_is_refused_by_its_digest(standing, other_image):
    changed = https_server.Behaviour(other_image.read_bytes(), etag='"two"')
    standing.server.serve("/image", standing.body, truncate_after=1_000_000, then=changed)
    standing.refuses(says=[standing.digest[:16]])
    assert ranges(standing.server) == [None, "bytes=1000000-"] and standing.downloaded() == []


def test_a_file_that_changed_while_the_server_says_it_is_the_same_is_refused_by_its_digest(standing, other_image):
    """Two halves that do not belong together."""
    changed = https_server.Behaviour(other_image.read_bytes()[:len(standing.body)])
    standing.server.serve("/image", standing.body, truncate_after=1_000_000, then=changed)
    standing.refuses(says=[standing.digest[:16]])
    assert standing.downloaded() == []
    standing.server.serve("/image", standing.body)
    standing.builds()


def test_a_server_without_ranges_sends_everything_again(fetched):
    fetched.server.serve("/image", fetched.body, ranges=False, truncate_after=1_000_000, truncate_times=1)
    fetched.builds()
    assert ranges(fetched.server) == [None, "bytes=1000000-"]


def test_a_server_that_announces_less_than_it_sends_is_not_believed(standing):
    standing.server.serve("/image", standing.body, headers={"Content-Length": 1_000_000})
    standing.refuses(says="larger than its server announced")
    assert standing.downloaded() == []


def test_an_image_beyond_all_disks_is_refused_before_it_comes(standing):
    standing.server.serve("/image", standing.body, headers={"Content-Length": 1 << 60})
    standing.refuses(says=["the image needs", str(standing.host.cache), "free"])
    assert standing.downloaded() == [] and not list(standing.host.cache.glob("downloads/*.partial"))


def test_a_body_that_is_no_image_is_refused(standing):
    page = b"<html>captive portal</html>"
    standing.server.serve("/image", page)
    standing.refuses(digest=hashlib.sha512(page).hexdigest(), says="is not a qcow2 image")
