#pragma once
/// What a response's head says, and what it means for the bytes that are here already.

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
/// Nothing for anything else, FIRST > LAST, LAST >= TOTAL and numbers above 2^63 - 1 included.
std::optional<ContentRange> parse_content_range(std::string_view text);

/// Digits alone, up to 2^63 - 1: sizes that a file can have.
std::optional<std::uint64_t> parse_size(std::string_view text);

struct Head {
    int status = 0;
    std::optional<std::uint64_t> length; ///< of the body; nothing when it is chunked or not said
    bool chunked = false;
    std::string etag; ///< a strong one, else empty
    std::string last_modified;
    std::optional<std::string> content_range;
};

/// Puts a head together from its lines. Interim responses (1xx) and trailers are passed over.
class HeadReader {
  public:
    enum class State { more, whole, nonsense };
    /// `whole` once: with the empty line of the final response.
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

/// What tells a remote file from others.
struct Origin {
    std::string url;
    std::string etag; ///< a strong one, else empty
    std::string last_modified;
    std::optional<std::uint64_t> total;
    /// What If-Range names; empty: the file cannot be told from others.
    const std::string& validator() const { return etag.empty() ? last_modified : etag; }
    bool operator==(const Origin&) const = default;
};

/// The byte from which to ask for what is at `origin.url`, when `size` bytes of it are here. 0: the whole.
/// Never past the last byte, so that a file which is here as a whole is still compared with the remote one.
std::uint64_t resume_at(const Origin& origin, std::uint64_t size);

enum class Answer {
    append,    ///< the body goes on where we asked
    from_zero, ///< the body is the whole file
    ask_anew,  ///< what came is of no use: ask for the whole file
    redirect,
    refused,    ///< a status that brings no file
    unasked,    ///< a range that nobody asked for
    open_ended, ///< the connection alone ends the body: libcurl takes one that breaks for its end
};
/// `asked_from`: as resume_at said.
Answer meaning_of(const Head& head, const Origin& origin, std::uint64_t asked_from);

/// Of the whole file, as the answers `append` and `from_zero` tell it; `known` else.
std::optional<std::uint64_t> total_of(const Head& head, std::optional<std::uint64_t> known);
/// How many bytes the body announced by those answers has.
std::optional<std::uint64_t> body_size_of(const Head& head);

} // namespace blockhost::http
