// SPDX-License-Identifier: MIT
#pragma once
/// Reads a response's head, and decides what it means for the bytes that are already here.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost::http {

/// RFC 9110, section 14.4: "bytes FIRST-LAST/TOTAL"; TOTAL may be "*".
struct ContentRange {
    std::uint64_t first = 0, last = 0;
    std::optional<std::uint64_t> total;
    bool operator==(const ContentRange&) const = default;
};
/// Nothing for any other text, including FIRST > LAST, LAST >= TOTAL and numbers above 2^63 - 1.
std::optional<ContentRange> parse_content_range(std::string_view text);

/// Digits only, up to 2^63 - 1: sizes that a file can have.
std::optional<std::uint64_t> parse_size(std::string_view text);

struct Head {
    int status = 0;
    std::optional<std::uint64_t> length; ///< of the body; nothing when it is chunked or not given
    bool chunked = false;
    std::string etag; ///< a strong one, else empty
    std::string last_modified;
    std::optional<std::string> content_range;
    std::string reason = {}; ///< from the status line; outside text
    std::string content_type = {};
    std::string retry_after = {};
};

/// Builds a head from its lines. Skips interim responses (1xx) and trailers.
class HeadReader {
  public:
    enum class State { more, whole, nonsense };
    /// Returns `whole` once: at the empty line of the final response.
    State take(std::string_view line);
    const Head& head() const { return head_; }
    bool is_whole() const { return whole_; }
    /// After `nonsense`: what was wrong.
    const std::string& complaint() const { return complaint_; }

  private:
    State refuse(std::string complaint);
    State take_status(std::string_view line);
    State take_end();
    State take_field(std::string_view name, std::string_view value);
    State take_length(std::string_view value);

    Head head_;
    bool whole_ = false;
    std::size_t lines_ = 0, bytes_ = 0;
    std::string complaint_;
};

/// Identifies a remote file.
struct Origin {
    std::string url;
    std::string etag; ///< a strong one, else empty
    std::string last_modified;
    std::optional<std::uint64_t> total;
    /// The value for If-Range; empty: the file cannot be identified.
    const std::string& validator() const { return etag.empty() ? last_modified : etag; }
    bool operator==(const Origin&) const = default;
};

/// The byte at which to resume `origin.url`, when `size` bytes of it are here; 0: fetch the whole file. Never
/// behind the last byte, so that a complete file is still compared with the remote one.
std::uint64_t resume_at(const Origin& origin, std::uint64_t size);

enum class Answer {
    append,    ///< the body continues where we asked
    from_zero, ///< the body is the whole file
    ask_anew,  ///< the answer is useless: ask for the whole file
    redirect,
    refused,    ///< a status without a file
    unasked,    ///< a range, though none was asked for
    open_ended, ///< only the connection's end ends the body: libcurl cannot tell it from a break
};
/// `asked_from`: the result of resume_at.
Answer meaning_of(const Head& head, const Origin& origin, std::uint64_t asked_from);

/// The whole file's size, from an answer `append` or `from_zero`; `known` when it does not tell.
std::optional<std::uint64_t> total_of(const Head& head, std::optional<std::uint64_t> known);
/// The size of the body that such an answer announces.
std::optional<std::uint64_t> body_size_of(const Head& head);

} // namespace blockhost::http
