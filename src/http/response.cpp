// SPDX-License-Identifier: MIT
// Reads response heads, and decides between continuing and starting anew.
#include "http/response.hpp"

#include "base/text/text.hpp"

#include <algorithm>

namespace blockhost::http {

namespace {

constexpr std::size_t most_lines = 200, most_bytes = 64 << 10;

bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// RFC 9110, section 8.8.3: W/ marks a weak one, which is not valid for ranges.
bool is_strong_etag(std::string_view value) {
    return value.size() >= 2 && value.front() == '"' && value.back() == '"';
}

bool is_same_file(const Head& head, const Origin& origin) {
    if (!origin.etag.empty()) return head.etag.empty() || head.etag == origin.etag;
    return head.last_modified.empty() || head.last_modified == origin.last_modified;
}

bool goes_on(const Head& head, const Origin& origin, std::uint64_t asked_from) {
    auto range = parse_content_range(head.content_range.value_or(""));
    if (!range || range->first != asked_from) return false;
    if (!range->total && !origin.total) return false; // nothing would tell the last range
    if (range->total && origin.total && *range->total != *origin.total) return false;
    if (origin.total && range->last >= *origin.total) return false;
    if (head.length && *head.length != range->last - range->first + 1) return false;
    return is_same_file(head, origin);
}

} // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
    if (text.empty() || text.front() == '-') return std::nullopt;
    auto value = text::parse_int(text);
    if (!value) return std::nullopt;
    return static_cast<std::uint64_t>(*value);
}

std::optional<ContentRange> parse_content_range(std::string_view text) {
    constexpr std::string_view unit = "bytes ";
    if (text::lower(text.substr(0, unit.size())) != unit) return std::nullopt;
    text.remove_prefix(unit.size());
    auto dash = text.find('-'), slash = text.find('/');
    if (dash == text.npos || slash == text.npos || dash > slash) return std::nullopt;
    auto first = parse_size(text.substr(0, dash));
    auto last = parse_size(text.substr(dash + 1, slash - dash - 1));
    std::string_view total_text = text.substr(slash + 1);
    auto total = parse_size(total_text);
    if (!first || !last || *first > *last || (!total && total_text != "*")) return std::nullopt;
    if (total && *last >= *total) return std::nullopt;
    return ContentRange{*first, *last, total};
}

HeadReader::State HeadReader::refuse(std::string complaint) {
    complaint_ = std::move(complaint);
    return State::nonsense;
}

HeadReader::State HeadReader::take(std::string_view line) {
    lines_ += 1;
    bytes_ += line.size();
    if (lines_ > most_lines || bytes_ > most_bytes) return refuse("its header has no end");
    if (whole_) return State::more; // trailers
    line = text::trim(line);
    if (text::lower(line.substr(0, 5)) == "http/") return take_status(line);
    if (line.empty()) return take_end();
    auto colon = line.find(':');
    if (colon == line.npos) return State::more;
    return take_field(text::lower(line.substr(0, colon)), text::trim(line.substr(colon + 1)));
}

HeadReader::State HeadReader::take_status(std::string_view line) {
    head_ = {};
    auto words = text::split(line, ' ');
    auto status = words.size() > 1 ? parse_size(words[1]) : std::nullopt;
    if (!status || words[1].size() != 3 || *status < 100)
        return refuse("its status line is \"" + text::printable(line, 60) + "\"");
    head_.status = static_cast<int>(*status);
    const std::size_t before_reason = words[0].size() + 1 + words[1].size() + 1;
    if (before_reason < line.size()) head_.reason = line.substr(before_reason);
    return State::more;
}

HeadReader::State HeadReader::take_end() {
    if (head_.status == 0) return refuse("it has no status");
    if (head_.status < 200) return State::more;
    if (head_.chunked) head_.length.reset(); // RFC 9112, section 6.3
    whole_ = true;
    return State::whole;
}

HeadReader::State HeadReader::take_field(std::string_view name, std::string_view value) {
    if (name == "content-length") return take_length(value);
    if (name == "transfer-encoding") {
        head_.chunked = text::lower(value) == "chunked";
        if (!head_.chunked) return refuse("it sends in an encoding that nobody asked for");
    } else if (name == "etag" && is_strong_etag(value)) {
        head_.etag = value;
    } else if (name == "last-modified") {
        head_.last_modified = value;
    } else if (name == "content-range") {
        head_.content_range = value;
    } else if (name == "content-type") {
        head_.content_type = value;
    } else if (name == "retry-after") {
        head_.retry_after = value;
    }
    return State::more;
}

HeadReader::State HeadReader::take_length(std::string_view value) {
    auto length = parse_size(value);
    if (!length) return refuse("its Content-Length is \"" + text::printable(value, 60) + "\"");
    if (head_.length && *head_.length != *length) return refuse("it names two lengths");
    head_.length = length;
    return State::more;
}

std::uint64_t resume_at(const Origin& origin, std::uint64_t size) {
    if (origin.validator().empty() || (origin.total && size > *origin.total)) return 0;
    return origin.total && *origin.total > 0 ? std::min(size, *origin.total - 1) : size;
}

Answer meaning_of(const Head& head, const Origin& origin, std::uint64_t asked_from) {
    if (is_redirect(head.status)) return Answer::redirect;
    if (head.status == 200) return head.length || head.chunked ? Answer::from_zero : Answer::open_ended;
    if (asked_from == 0) return head.status == 206 ? Answer::unasked : Answer::refused;
    if (head.status == 416) return Answer::ask_anew;
    if (head.status != 206) return Answer::refused;
    return goes_on(head, origin, asked_from) ? Answer::append : Answer::ask_anew;
}

std::optional<std::uint64_t> total_of(const Head& head, std::optional<std::uint64_t> known) {
    if (head.status == 200) return head.length;
    auto range = parse_content_range(head.content_range.value_or(""));
    return range && range->total ? range->total : known;
}

std::optional<std::uint64_t> body_size_of(const Head& head) {
    if (head.status == 200) return head.length;
    auto range = parse_content_range(head.content_range.value_or(""));
    return range ? std::optional(range->last - range->first + 1) : head.length;
}

} // namespace blockhost::http
