// SPDX-License-Identifier: MIT
// URLs, retries and sentences.
#include "http/rules.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::http;
using namespace std::chrono_literals;

TEST_CASE("https URLs are fetched") {
    for (auto url : {"https://example.org/", "HTTPS://EXAMPLE.org", "https://127.0.0.1:8443/a?b#c",
                     "https://[::1]:8443/", "https://h/a@b", "https://h?x=a@b", "https://h/%20"})
        CHECK(objection_to(url) == "");
}

TEST_CASE("what is not https is not fetched") {
    for (auto url : {"http://h/", "file:///etc/passwd", "ftp://h/", "h/a", "", "https:/h", "https:", "//h/a",
                     "xhttps://h/", " https://h/"})
        CHECK(objection_to(url) == "is not https");
}

TEST_CASE("a URL with a user name or password in it is not fetched") {
    for (auto url : {"https://user@h/", "https://user:secret@h/", "https://@h/", "https://a@b@h"})
        CHECK(objection_to(url) == "has a user name or password in it");
    CHECK(objection_to("https://user%40h/") == "hides its host's name behind %");
}

TEST_CASE("a URL without a host, with odd characters or without an end is not fetched") {
    for (auto url : {"https://", "https:///a", "https://?a", "https://:443/"})
        CHECK(objection_to(url) == "names no host");
    for (std::string url :
         {"https://h/a b", "https://h/\n", "https://h/ä", "https://h\\@g/", "https://h/\x7f"})
        CHECK(objection_to(url) == "has characters that a URL spells with %");
    CHECK(objection_to(std::string("https://h/\0", 11)) != "");
    CHECK(objection_to("https://h/" + std::string(3990, 'a')) == "");
    CHECK(objection_to("https://h/" + std::string(3991, 'a')) != "");
}

TEST_CASE("a URL is shown without what may be secret and without control characters") {
    CHECK(shown("https://h/a?token=secret#part") == "https://h/a");
    CHECK(shown("https://user:secret@h/a@b") == "https://h/a@b");
    CHECK(shown("https://a@b@h") == "https://h");
    CHECK(shown("https://h/\x1b[2J") == "https://h/\\x1b[2J");
    CHECK(shown("http://user@h") == "http://h");
    CHECK(shown("h/a@b") == "h/a@b");
    CHECK(shown("") == "");
}

TEST_CASE("endpoints may be asked by http, and are shown without their path") {
    CHECK(objection_to("http://h/", Schemes::http_too) == "");
    CHECK(objection_to("HTTPS://h/", Schemes::http_too) == "");
    CHECK(objection_to("ftp://h/", Schemes::http_too) == "is neither https nor http");
    CHECK(objection_to("http://user@h/", Schemes::http_too) == "has a user name or password in it");
    CHECK(shown_origin("https://node.example:8545/v3/secret?key=secret") == "https://node.example:8545");
    CHECK(shown_origin("https://user:secret@h/secret") == "https://h");
    CHECK(shown_origin("http://[::1]:8545") == "http://[::1]:8545");
    CHECK(shown_origin("h/secret") == "the URL");
}

TEST_CASE("http is unprotected but to this host") {
    for (auto url :
         {"http://h/", "HTTP://10.0.0.1:8545", "http://localhost.example/", "http://",
          "http://127.evil.example/", "http://127.0.0.1.example", "http://127.1/", "http://128.0.0.1/",
          "http://[::1].example/", "http://[::2]:1", "http://127.0.0.1:80@h/"})
        CHECK(is_unprotected(url));
    for (auto url : {"https://h/", "http://127.0.0.1:8545/", "http://localhost:8545", "http://LOCALHOST/",
                     "http://[::1]:8545", "http://[::1]", "http://127.255.0.3"})
        CHECK_FALSE(is_unprotected(url));
}

TEST_CASE("another attempt is made where it may help, and nowhere else") {
    auto status = [](int number) { return worth_retrying({Why::status, number, {}}); };
    for (int number : {408, 429, 500, 502, 503, 504, 599}) CHECK(status(number));
    for (int number : {204, 304, 400, 401, 403, 404, 410, 416, 418, 499}) CHECK_FALSE(status(number));
    CHECK(worth_retrying({Why::proxy, 503, {}}));
    CHECK_FALSE(worth_retrying({Why::proxy, 407, {}}));
    for (Why why : {Why::unreachable, Why::stalled, Why::broken}) CHECK(worth_retrying({why, 0, {}}));
    for (Why why : {Why::redirect, Why::oversized, Why::untrusted, Why::unreadable, Why::no_tls,
                    Why::nonsense, Why::unusable})
        CHECK_FALSE(worth_retrying({why, 0, {}}));
}

TEST_CASE("pauses double up to a minute") {
    CHECK(pause_after(1, 1s) == 1s);
    CHECK(pause_after(2, 1s) == 2s);
    CHECK(pause_after(5, 1s) == 16s);
    CHECK(pause_after(8, 1s) == 60s);
    CHECK(pause_after(1000000, 1s) == 60s);
    CHECK(pause_after(1000000, 0s) == 0s);
}

TEST_CASE("each failure has a code of the house") {
    auto code = [](Why why, int status) { return error_of("https://h/", {why, status, {}}, 1).code(); };
    CHECK(code(Why::status, 404) == Code::not_found);
    CHECK(code(Why::status, 410) == Code::not_found);
    CHECK(code(Why::status, 401) == Code::denied);
    CHECK(code(Why::status, 403) == Code::denied);
    CHECK(code(Why::status, 400) == Code::io);
    CHECK(code(Why::status, 503) == Code::no_answer);
    CHECK(code(Why::status, 429) == Code::no_answer);
    CHECK(code(Why::proxy, 403) == Code::io);
    for (Why why : {Why::unreachable, Why::stalled, Why::broken}) CHECK(code(why, 0) == Code::no_answer);
    for (Why why : {Why::redirect, Why::oversized, Why::untrusted, Why::unreadable, Why::no_tls,
                    Why::nonsense, Why::unusable})
        CHECK(code(why, 0) == Code::io);
}

TEST_CASE("a failed post is told in words of its own") {
    const Error busy = error_of("http://h", {Why::status, 429, {}}, 4, Act::post);
    CHECK(busy.message() == "http://h refused the request: it answered 429 (4 attempts)");
    CHECK(busy.hint() == "try again later");
    CHECK(error_of("http://h", {Why::nonsense, 0, {}}, 1, Act::post).hint() == "check the URL");
    CHECK_THAT(error_of("http://h", {Why::untrusted, 0, {}}, 1, Act::post).hint(),
               !Catch::Contains("--ca-file"));
}

TEST_CASE("a failure's sentence names the URL, the evidence and the attempts, and what to do") {
    Error gone = error_of("https://h/a?secret", {Why::status, 404, {}}, 1);
    CHECK(gone.message() == "https://h/a was not given: the server answered 404 (1 attempt)");
    CHECK(gone.hint() == "check the URL");
    Error untrusted = error_of("https://h/a", {Why::untrusted, 0, "self\nsigned"}, 2);
    CHECK(untrusted.message() == "the server of https://h/a is not trusted: self\\x0asigned (2 attempts)");
    CHECK_THAT(untrusted.hint(), Catch::Contains("--ca-file"));
}
