// SPDX-License-Identifier: MIT
// Heads of responses, and whether their bodies go on where we stopped.
#include "http/response.hpp"

#include <catch2/catch.hpp>
#include <initializer_list>

using namespace blockhost::http;
using State = HeadReader::State;

namespace {

constexpr std::uint64_t largest = 9223372036854775807u;

/// Reads lines up to the first that is not `more`.
State read(HeadReader& reader, std::initializer_list<std::string> lines) {
    for (const std::string& line : lines)
        if (auto state = reader.take(line + "\r\n"); state != State::more) return state;
    return State::more;
}

Head head_of(std::initializer_list<std::string> lines) {
    HeadReader reader;
    REQUIRE(read(reader, lines) == State::whole);
    return reader.head();
}

const Origin by_etag{"https://h/", "\"one\"", "Monday", 100};
const Origin by_date{"https://h/", "", "Monday", 100};

/// A 206 from byte 40 on, of the file that both origins are.
Head range(std::string content_range = "bytes 40-99/100") {
    return {206, 60, false, "\"one\"", "Monday", content_range};
}

} // namespace

TEST_CASE("Content-Range is read as the RFC spells it") {
    CHECK(parse_content_range("bytes 0-0/1") == ContentRange{0, 0, 1});
    CHECK(parse_content_range("bytes 5-9/10") == ContentRange{5, 9, 10});
    CHECK(parse_content_range("Bytes 5-9/*") == ContentRange{5, 9, {}});
    CHECK(parse_content_range("bytes 0-9223372036854775806/9223372036854775807") ==
          ContentRange{0, largest - 1, largest});
}

TEST_CASE("anything else is no Content-Range") {
    for (auto text : {"",
                      "bytes",
                      "bytes ",
                      "bytes */10",
                      "bytes 5-9",
                      "bytes 5/10",
                      "bytes 9-5/10",
                      "bytes 5-10/10",
                      "bytes -5-9/10",
                      "bytes 5--9/10",
                      "bytes 5-9/-10",
                      "bytes 5-9/10 ",
                      "bytes 5-9/10,",
                      "bytes  5-9/10",
                      "bytes +5-9/10",
                      "bytes 0x5-9/10",
                      "items 5-9/10",
                      "bytes=5-9/10",
                      "bytes 5/9-10",
                      "bytes 0-9223372036854775808/*",
                      "bytes 0-1/99999999999999999999"})
        CHECK_FALSE(parse_content_range(text));
}

TEST_CASE("sizes are digits that a file's size can have") {
    CHECK(parse_size("0") == 0u);
    CHECK(parse_size("9223372036854775807") == largest);
    for (auto text : {"", "-1", "-0", "+1", " 1", "1 ", "1, 1", "1e3", "0x10", "9223372036854775808",
                      "99999999999999999999999"})
        CHECK_FALSE(parse_size(text));
}

TEST_CASE("a head is read whatever its letters' case, without what does not matter") {
    Head head = head_of({"HTTP/1.1 206 Partial Content", "CONTENT-length:  60 ", "ETag: \"a b\"",
                         "last-modified: Mon, 01 Jan 2024 00:00:00 GMT", "Content-Range: bytes 40-99/100",
                         "X-Other: \"x\"", "no colon", ""});
    CHECK(head.status == 206);
    CHECK(head.length == 60u);
    CHECK(head.etag == "\"a b\"");
    CHECK(head.last_modified == "Mon, 01 Jan 2024 00:00:00 GMT");
    CHECK(head.content_range == "bytes 40-99/100");
}

TEST_CASE("a weak ETag identifies no bytes") {
    for (auto line : {"ETag: W/\"a\"", "ETag: a", "ETag: \"", "ETag:"})
        CHECK(head_of({"HTTP/1.1 200 OK", line, ""}).etag == "");
}

TEST_CASE("a chunked body has no length, whatever Content-Length says") {
    CHECK_FALSE(head_of({"HTTP/1.1 200 OK", "Content-Length: 5", "Transfer-Encoding: Chunked", ""}).length);
}

TEST_CASE("interim responses and trailers are passed over") {
    HeadReader reader;
    REQUIRE(read(reader, {"HTTP/1.1 103 Early Hints", "Content-Length: 1", "", "HTTP/1.1 200 OK",
                          "Content-Length: 5", ""}) == State::whole);
    CHECK(read(reader, {"Content-Length: 7", "ETag: \"x\"", ""}) == State::more);
    CHECK(reader.head().length == 5u);
    CHECK(reader.head().etag == "");
}

TEST_CASE("a head that contradicts itself is refused with a reason") {
    auto refused = [](std::initializer_list<std::string> lines) {
        HeadReader reader;
        return read(reader, lines) == State::nonsense && !reader.complaint().empty();
    };
    CHECK(refused({"HTTP/1.1 200 OK", "Content-Length: -5"}));
    CHECK(refused({"HTTP/1.1 200 OK", "Content-Length: 99999999999999999999"}));
    CHECK(refused({"HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 6"}));
    CHECK_FALSE(refused({"HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 5"}));
    CHECK(refused({"HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked"}));
    CHECK(refused({"HTTP/1.1 2000 OK"}));
    CHECK(refused({"HTTP/1.1 abc"}));
    CHECK(refused({"HTTP/1.1"}));
    CHECK(refused({"Content-Length: 5", ""}));
}

TEST_CASE("a head without an end is refused") {
    HeadReader lines;
    REQUIRE(lines.take("HTTP/1.1 200 OK\r\n") == State::more);
    State state = State::more;
    int taken = 0;
    for (; state == State::more && taken < 1000; ++taken) state = lines.take("A: b\r\n");
    CHECK(state == State::nonsense);
    CHECK(taken <= 200);
    HeadReader bytes;
    CHECK(bytes.take("A: " + std::string(65536, 'x')) == State::nonsense);
    HeadReader interim;
    for (state = State::more, taken = 0; state == State::more && taken < 1000; ++taken)
        state = read(interim, {"HTTP/1.1 100 Continue", ""});
    CHECK(state == State::nonsense);
}

TEST_CASE("what can be told from other files is gone on with, never past its last byte") {
    CHECK(resume_at(by_etag, 40) == 40);
    CHECK(resume_at(by_date, 40) == 40);
    CHECK(resume_at(by_etag, 0) == 0);
    CHECK(resume_at(by_etag, 100) == 99);
    CHECK(resume_at(by_etag, 101) == 0);
    CHECK(resume_at({"https://h/", "\"one\"", "", {}}, 40) == 40);
    CHECK(resume_at({"https://h/", "", "", 100}, 40) == 0);
    CHECK(resume_at({}, 40) == 0);
    CHECK(resume_at({"https://h/", "\"one\"", "", 0}, 0) == 0);
}

TEST_CASE("the ETag is the validator, the date where there is none") {
    CHECK(by_etag.validator() == "\"one\"");
    CHECK(by_date.validator() == "Monday");
}

TEST_CASE("a range that fits is appended") {
    CHECK(meaning_of(range(), by_etag, 40) == Answer::append);
    CHECK(meaning_of(range(), by_date, 40) == Answer::append);
    CHECK(meaning_of({206, {}, false, "", "", "bytes 40-99/100"}, by_etag, 40) == Answer::append);
    CHECK(meaning_of({206, 60, false, "\"one\"", "Tuesday", "bytes 40-99/100"}, by_etag, 40) ==
          Answer::append);
    CHECK(meaning_of({206, 10, false, "\"one\"", "", "bytes 40-49/100"}, by_etag, 40) == Answer::append);
    CHECK(meaning_of(range("bytes 40-99/*"), by_etag, 40) == Answer::append);
    Origin unsized{"https://h/", "\"one\"", "", {}};
    CHECK(meaning_of(range(), unsized, 40) == Answer::append);
}

TEST_CASE("bytes of another file, or of elsewhere in it, are never appended") {
    for (auto text : {"bytes 0-99/100", "bytes 39-98/100", "bytes 41-99/100", "bytes 40-99/101",
                      "bytes 40-100/*", "bytes */100", "nonsense"})
        CHECK(meaning_of(range(text), by_etag, 40) == Answer::ask_anew);
    Head head = range();
    head.content_range.reset();
    CHECK(meaning_of(head, by_etag, 40) == Answer::ask_anew);
    head = range();
    head.etag = "\"two\"";
    CHECK(meaning_of(head, by_etag, 40) == Answer::ask_anew);
    head = range();
    head.last_modified = "Tuesday";
    CHECK(meaning_of(head, by_date, 40) == Answer::ask_anew);
    head = range();
    head.length = 61;
    CHECK(meaning_of(head, by_etag, 40) == Answer::ask_anew);
    Origin unsized{"https://h/", "\"one\"", "", {}};
    CHECK(meaning_of(range("bytes 40-99/*"), unsized, 40) == Answer::ask_anew);
}

TEST_CASE("other answers mean what they say") {
    auto meaning = [](int status, std::uint64_t from) {
        return meaning_of({status, 7, false, "", "", {}}, by_etag, from);
    };
    CHECK(meaning(200, 0) == Answer::from_zero);
    CHECK(meaning(200, 40) == Answer::from_zero);
    CHECK(meaning(416, 40) == Answer::ask_anew);
    CHECK(meaning(416, 0) == Answer::refused);
    CHECK(meaning(206, 0) == Answer::unasked);
    for (int status : {301, 302, 303, 307, 308}) CHECK(meaning(status, 40) == Answer::redirect);
    for (int status : {204, 300, 304, 305, 404, 500})
        for (std::uint64_t from : {0, 40}) CHECK(meaning(status, from) == Answer::refused);
}

TEST_CASE("a body that only the connection ends is not taken") {
    CHECK(meaning_of({200, {}, false, "", "", {}}, {}, 0) == Answer::open_ended);
    CHECK(meaning_of({200, {}, true, "", "", {}}, {}, 0) == Answer::from_zero);
}

TEST_CASE("the file's size comes from the length of the whole or from the range") {
    CHECK(total_of({200, 60, false, "", "", {}}, 100) == 60u);
    CHECK_FALSE(total_of({200, {}, false, "", "", {}}, 100));
    CHECK(total_of(range(), {}) == 100u);
    CHECK(total_of(range("bytes 40-99/*"), 100) == 100u);
    CHECK(body_size_of({200, 60, false, "", "", "bytes 0-9/10"}) == 60u);
    CHECK(body_size_of({206, {}, false, "", "", "bytes 40-99/100"}) == 60u);
}
