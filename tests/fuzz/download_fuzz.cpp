// SPDX-License-Identifier: MIT
/// What comes of a download, by the input's first character: h a response's head and, behind ---, an ETag
/// that is known, u a URL, l a list of digests (SHA512SUMS) and the name that is looked for, n the note
/// beside a partial file, s --source.

#include "base/text/digest.hpp"
#include "base/text/text.hpp"
#include "http/rules.hpp"
#include "http/store.hpp"
#include "image/fetch.hpp"
#include "image/source.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace blockhost;
using namespace blockhost::http;

namespace {

void meaning(const Head& head, const std::string& etag) {
    for (const auto total : {std::optional<std::uint64_t>(), std::optional<std::uint64_t>(1000)}) {
        const Origin origin{"https://example.org/image", etag, "Tue, 15 Nov 1994 12:45:26 GMT", total};
        for (const std::uint64_t size : {0ull, 500ull, 5000ull}) {
            const std::uint64_t at = resume_at(origin, size);
            fuzz::check(at <= size && (!total || at < *total), "one goes on within the file");
            const Answer answer = meaning_of(head, origin, at);
            const auto all = total_of(head, origin.total), body = body_size_of(head);
            if (answer != Answer::append) continue;
            fuzz::check(at > 0 && head.status == 206 && all.has_value(), "what goes on has an end");
            fuzz::check(!body || at + *body <= *all, "a range lies within the file");
            fuzz::check(!total || all == total, "the file has kept its size");
        }
    }
}

void head(std::string_view input) {
    const auto parts = fuzz::parts_of(input);
    HeadReader reader;
    int wholes = 0;
    for (const std::string& line : text::split(parts[0], '\n')) {
        const auto state = reader.take(line);
        if (state == HeadReader::State::nonsense) {
            const std::string& complaint = reader.complaint();
            fuzz::check(!complaint.empty() && complaint.size() < 200, "nonsense is said to be so in a line");
            fuzz::check(text::printable(complaint) == complaint, "in a printable one");
            return;
        }
        wholes += state == HeadReader::State::whole;
    }
    fuzz::check(wholes == (reader.is_whole() ? 1 : 0), "a head is whole once");
    if (!reader.is_whole()) return;
    const Head& read = reader.head();
    fuzz::check(read.status >= 200 && read.status <= 999, "a status has three digits");
    fuzz::check(!read.chunked || !read.length, "what is chunked has no length");
    if (const auto range = parse_content_range(read.content_range.value_or("")))
        fuzz::check(range->first <= range->last && (!range->total || range->last < *range->total),
                    "ranges are in order");
    meaning(read, parts.size() > 1 ? parts[1] : "");
}

void url(std::string_view text) {
    const std::string shown_url = shown(text);
    fuzz::check(shown_url.find_first_of("?#\n\r\x1b") == shown_url.npos,
                "neither query nor control characters are shown");
    if (!objection_to(text).empty()) return;
    fuzz::check(text.size() < 5000 && shown_url.find('@', 8) >= shown_url.find('/', 8),
                "no user is in a URL we fetch");
}

void list(std::string_view input) {
    const auto parts = fuzz::parts_of(input);
    const std::string digest = image::digest_in_list(parts[0], parts.size() > 1 ? parts[1] : "disk.qcow2");
    fuzz::check(digest.empty() || digest == as_sha512(digest), "a digest has 128 digits");
    fuzz::check(digest.empty() || text::lower(parts[0]).find(digest) != std::string::npos,
                "and is from the list");
}

void note(std::string_view text) {
    static const fuzz::MemoryFolder memory;
    static const auto folder = Folder::open(memory.path());
    memory.set("image.partial", "some bytes");
    memory.set("image.partial.json", text);
    const std::string own = "https://example.org/image";
    fuzz::answered([&] {
        const PartialFile partial(*folder, "image", own);
        const Origin& origin = partial.origin();
        fuzz::check(origin.url.empty() || origin.url == own, "a note of another URL does not count");
        fuzz::check(origin.validator().size() <= 1024 &&
                        text::printable(origin.validator(), 4096) == origin.validator(),
                    "what goes into a request is one line");
    });
}

void source(std::string_view text) {
    fuzz::answered([&] {
        const auto read = image::parse_source(text);
        const bool is_file = read.kind == image::Source::Kind::file;
        fuzz::check(!is_file || std::filesystem::path(read.where).is_absolute(), "a file's path is absolute");
    });
}

void download(std::string_view input) {
    switch (fuzz::take_selector(input)) {
    case 'h':
        return head(input);
    case 'u':
        return url(input);
    case 'l':
        return list(input);
    case 'n':
        return note(input);
    case 's':
        return source(input);
    default:
        return;
    }
}

} // namespace

FUZZ_TARGET(download)
