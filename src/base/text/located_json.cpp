// SPDX-License-Identifier: MIT
// Boost.JSON parses, but does not tell where it is. So it is given one token at a time, and each event
// belongs to the token that caused it.
#include "base/text/located_json.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <optional>

namespace blockhost::json {

namespace {

namespace bj = boost::json;

constexpr std::string_view blanks = " \t\r\n";

struct Refusal {
    std::size_t at;
    std::string what, hint;
};

/// Makes the tree of the parser's events.
struct Builder {
    static constexpr auto max_object_size = static_cast<std::size_t>(-1);
    static constexpr auto max_array_size = max_object_size;
    static constexpr auto max_key_size = max_object_size;
    static constexpr auto max_string_size = max_object_size;

    explicit Builder(const Bounds& allowed) : bounds(allowed) {}

    const Bounds bounds;
    Located root;
    std::vector<Located*> open; ///< stable: what is open does not move, for only the last one grows
    std::string key, text;
    std::size_t token_at = 0, scalar_at = 0, values = 0;
    std::optional<Refusal> refusal;

    bool refuse(std::size_t at, std::string what, std::string hint, bj::error_code& error) {
        refusal = Refusal{at, std::move(what), std::move(hint)};
        error = make_error_code(bj::error::extra_data); // any: the refusal counts
        return false;
    }

    Located* add(Located::Kind kind, std::size_t at, bj::error_code& error) {
        if (++values > bounds.values) {
            refuse(at, "the document has more than " + std::to_string(bounds.values) + " values",
                   "split it, or leave out what it need not say", error);
            return nullptr;
        }
        Located* made = &root;
        if (!open.empty() && open.back()->kind == Located::Kind::list)
            made = &open.back()->items.emplace_back();
        else if (!open.empty())
            made = &open.back()->members.back().value;
        made->kind = kind;
        made->at = at;
        return made;
    }

    bool add_scalar(Located::Kind kind, bj::value value, bj::error_code& error) {
        Located* made = add(kind, scalar_at, error);
        if (made != nullptr) made->scalar = std::move(value);
        return made != nullptr;
    }

    bool begin(Located::Kind kind, bj::error_code& error) {
        if (open.size() == bounds.depth)
            return refuse(token_at,
                          "lists and objects stand more than " + std::to_string(bounds.depth) +
                              " deep in each other",
                          "no document needs that: was this one made by a program that went wrong?", error);
        Located* made = add(kind, token_at, error);
        if (made != nullptr) open.push_back(made);
        return made != nullptr;
    }

    /// The second one of the first key that stands twice.
    static const LocatedMember* repeated(const std::vector<LocatedMember>& members) {
        std::vector<const LocatedMember*> sorted;
        sorted.reserve(members.size());
        for (const LocatedMember& each : members) sorted.push_back(&each);
        std::ranges::sort(sorted, [](const LocatedMember* one, const LocatedMember* other) {
            return std::tie(one->key, one->at) < std::tie(other->key, other->at);
        });
        const LocatedMember* found = nullptr;
        for (std::size_t i = 1; i < sorted.size(); ++i)
            if (sorted[i - 1]->key == sorted[i]->key && (found == nullptr || sorted[i]->at < found->at))
                found = sorted[i];
        return found;
    }

    bool on_document_begin(bj::error_code&) { return true; }
    bool on_document_end(bj::error_code&) { return true; }
    bool on_object_begin(bj::error_code& error) { return begin(Located::Kind::object, error); }
    bool on_array_begin(bj::error_code& error) { return begin(Located::Kind::list, error); }
    bool on_array_end(std::size_t, bj::error_code&) {
        open.pop_back();
        return true;
    }
    bool on_object_end(std::size_t, bj::error_code& error) {
        const LocatedMember* twice = repeated(open.back()->members);
        open.pop_back();
        if (twice == nullptr) return true;
        return refuse(twice->at,
                      "\"" + blockhost::text::printable(twice->key, 80) + "\" stands here a second time",
                      "say it once", error);
    }
    bool on_key_part(bj::string_view part, std::size_t, bj::error_code&) {
        key.append(part.data(), part.size());
        return true;
    }
    bool on_key(bj::string_view part, std::size_t, bj::error_code&) {
        key.append(part.data(), part.size());
        open.back()->members.push_back({std::move(key), scalar_at, {}});
        key.clear();
        return true;
    }
    bool on_string_part(bj::string_view part, std::size_t, bj::error_code&) {
        text.append(part.data(), part.size());
        return true;
    }
    bool on_string(bj::string_view part, std::size_t, bj::error_code& error) {
        text.append(part.data(), part.size());
        const bool added = add_scalar(Located::Kind::text, bj::value(bj::string(text)), error);
        text.clear();
        return added;
    }
    bool on_number_part(bj::string_view, bj::error_code&) { return true; }
    bool on_int64(std::int64_t value, bj::string_view, bj::error_code& error) {
        return add_scalar(Located::Kind::number, value, error);
    }
    bool on_uint64(std::uint64_t value, bj::string_view, bj::error_code& error) {
        return add_scalar(Located::Kind::number, value, error);
    }
    bool on_double(double value, bj::string_view, bj::error_code& error) {
        return add_scalar(Located::Kind::number, value, error);
    }
    bool on_bool(bool value, bj::error_code& error) {
        return add_scalar(Located::Kind::boolean, value, error);
    }
    bool on_null(bj::error_code& error) { return add_scalar(Located::Kind::null, nullptr, error); }
    bool on_comment_part(bj::string_view, bj::error_code&) { return true; }
    bool on_comment(bj::string_view, bj::error_code&) { return true; }
};

bool is_blank(char c) {
    return blanks.find(c) != blanks.npos;
}

/// Whether a value or a key that is not a list or object begins with that character.
bool begins_scalar(char c) {
    constexpr std::string_view structure = "{}[],:";
    return structure.find(c) == structure.npos && !is_blank(c);
}

/// Behind the token that begins at `at`: one text, a run of blanks, one sign of structure, or what stands
/// between these.
std::size_t behind_token(std::string_view text, std::size_t at) {
    if (text[at] == '"') {
        for (++at; at < text.size() && text[at] != '"'; ++at)
            if (text[at] == '\\') ++at;
        return std::min(at + 1, text.size());
    }
    if (is_blank(text[at])) return std::min(text.find_first_not_of(blanks, at), text.size());
    if (!begins_scalar(text[at])) return at + 1;
    while (at < text.size() && text[at] != '"' && begins_scalar(text[at])) ++at;
    return at;
}

} // namespace

const LocatedMember* Located::member(std::string_view key) const {
    const auto found = std::ranges::find(members, key, &LocatedMember::key);
    return found != members.end() ? &*found : nullptr;
}

LocatedJson::LocatedJson(std::string_view text, std::string name) : name_(std::move(name)), lines_{0} {
    for (std::size_t at = text.find('\n'); at != text.npos; at = text.find('\n', at + 1))
        lines_.push_back(at + 1);
}

std::string LocatedJson::place(std::size_t at) const {
    const auto behind = std::ranges::upper_bound(lines_, at);
    const auto line = static_cast<std::size_t>(behind - lines_.begin()); // the first begins at 0
    return name_ + ":" + std::to_string(line) + ":" + std::to_string(at - lines_[line - 1] + 1);
}

LocatedJson LocatedJson::parse(std::string_view text, std::string name, const Bounds& bounds) {
    if (text.size() > bounds.bytes)
        throw Error(Code::config,
                    name + ":1:1: the document is larger than " + blockhost::text::human_bytes(bounds.bytes),
                    "split it, or leave out what it need not say");
    LocatedJson document(text, std::move(name));
    const auto refuse = [&](std::size_t at, const std::string& what, const std::string& hint) {
        throw Error(Code::config, document.place(at) + ": " + what, hint);
    };
    bj::parse_options options;
    options.max_depth = bounds.depth + 1; // the builder refuses what is deeper
    bj::basic_parser<Builder> parser(options, bounds);
    Builder& builder = parser.handler();
    bj::error_code error;
    std::size_t at = 0;
    while (at < text.size() && !parser.done()) {
        const std::size_t end = behind_token(text, at);
        builder.token_at = at;
        if (begins_scalar(text[at])) builder.scalar_at = at;
        const std::size_t taken = parser.write_some(true, text.data() + at, end - at, error);
        if (builder.refusal) refuse(builder.refusal->at, builder.refusal->what, builder.refusal->hint);
        if (error) refuse(at + taken, "this is no JSON: " + error.message(), "mend it there");
        if (taken == 0) break;
        at += taken;
    }
    if (const std::size_t more = text.find_first_not_of(blanks, at); more != text.npos)
        refuse(more, "there is more text behind the document", "remove it");
    if (!parser.done()) parser.write_some(false, nullptr, 0, error);
    if (builder.refusal) refuse(builder.refusal->at, builder.refusal->what, builder.refusal->hint);
    if (error) refuse(text.size(), "the document ends too early", "was it cut off?");
    document.root_ = std::move(builder.root);
    return document;
}

} // namespace blockhost::json
