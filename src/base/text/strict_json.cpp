// SPDX-License-Identifier: MIT
// Refuses what could be read in two ways, and members that nobody knows.
#include "base/text/strict_json.hpp"

#include "base/text/place.hpp"
#include "base/text/text.hpp"
#include "base/text/utf8.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <fmt/format.h>

namespace blockhost::json {

namespace bj = boost::json;

namespace {

/// Listens to Boost's parser, and stops it at the second member of a name.
struct Listener {
    static constexpr std::size_t max_object_size = ~std::size_t(0), max_array_size = ~std::size_t(0),
                                 max_key_size = ~std::size_t(0), max_string_size = ~std::size_t(0);

    bool on_document_begin(bj::error_code&) { return true; }
    bool on_document_end(bj::error_code&) { return true; }
    bool on_object_begin(bj::error_code&) {
        open.emplace_back();
        return true;
    }
    bool on_object_end(std::size_t, bj::error_code&) {
        open.pop_back();
        return true;
    }
    bool on_array_begin(bj::error_code&) { return true; }
    bool on_array_end(std::size_t, bj::error_code&) { return true; }
    bool on_key_part(bj::string_view part, std::size_t, bj::error_code&) {
        key.append(part.data(), part.size());
        return true;
    }
    bool on_key(bj::string_view part, std::size_t, bj::error_code& error) {
        key.append(part.data(), part.size());
        if (!open.back().insert(key).second) {
            twice = key;
            error = bj::error::syntax;
            return false;
        }
        key.clear();
        return true;
    }
    bool on_string_part(bj::string_view, std::size_t, bj::error_code&) { return true; }
    bool on_string(bj::string_view, std::size_t, bj::error_code&) { return true; }
    bool on_number_part(bj::string_view, bj::error_code&) { return true; }
    bool on_int64(std::int64_t, bj::string_view, bj::error_code&) { return true; }
    bool on_uint64(std::uint64_t, bj::string_view, bj::error_code&) { return true; }
    bool on_double(double, bj::string_view, bj::error_code&) { return true; }
    bool on_bool(bool, bj::error_code&) { return true; }
    bool on_null(bj::error_code&) { return true; }
    bool on_comment_part(bj::string_view, bj::error_code&) { return true; }
    bool on_comment(bj::string_view, bj::error_code&) { return true; }

    std::vector<std::set<std::string>> open; ///< the members so far of each object around
    std::string key;
    std::optional<std::string> twice;
};

[[noreturn]] void refuse(std::string_view text, std::size_t at, std::string_view name,
                         const std::string& what) {
    throw Error(Code::invalid, fmt::format("{}: {}: {}", name, text::place(text, at), what));
}

void require_utf8(std::string_view text, std::string_view name) {
    for (std::size_t at = 0; at < text.size();) {
        const auto character = text::code_point(text, at);
        if (!character) refuse(text, at, name, "a byte that is not UTF-8");
        at += character->length;
    }
}

} // namespace

bj::value parse_strictly(std::string_view text, std::string_view name, const Limits& limits) {
    if (text.empty()) throw Error(Code::invalid, std::string(name) + " is empty");
    if (text.size() > limits.bytes)
        throw Error(Code::invalid,
                    fmt::format("{} has {} bytes, more than {}", name, text.size(), limits.bytes));
    require_utf8(text, name);
    bj::parse_options options;
    options.max_depth = limits.depth;
    bj::basic_parser<Listener> parser(options);
    bj::error_code error;
    const std::size_t at = parser.write_some(false, text.data(), text.size(), error);
    if (const auto& twice = parser.handler().twice)
        refuse(text, at, name, fmt::format("member \"{}\" is there twice", text::printable(*twice)));
    if (error == bj::error::too_deep)
        refuse(text, at, name, fmt::format("nested deeper than {} levels", limits.depth));
    if (error == bj::error::incomplete) refuse(text, text.size(), name, "the text ends too early");
    if (error) refuse(text, at, name, error.message());
    if (const std::size_t extra = text.find_first_not_of(" \t\r\n", at); extra != text.npos)
        refuse(text, extra, name, "more text after the end");
    return parse(text, name);
}

Fields::Fields(const bj::value& value, std::string where)
    : object_(value.if_object()), where_(std::move(where)) {
    if (!object_) throw Error(Code::invalid, where_ + " is no JSON object");
}

Error Fields::refusal(std::string_view key, std::string_view what, std::string hint) const {
    return Error(Code::invalid, fmt::format("{}: member \"{}\" {}", where_, text::printable(key), what),
                 std::move(hint));
}

bool Fields::has(std::string_view key) {
    asked_.emplace(key);
    return object_->contains(key);
}

const bj::value& Fields::value(std::string_view key) {
    if (!has(key)) throw refusal(key, "is missing");
    return object_->at(key);
}

std::string Fields::text(std::string_view key) {
    const bj::value& found = value(key);
    if (!found.is_string()) throw refusal(key, "is no text");
    return std::string(found.get_string());
}

std::int64_t Fields::integer(std::string_view key, std::int64_t least, std::int64_t most) {
    const bj::value& found = value(key);
    if (!found.is_int64()) throw refusal(key, "is no whole number");
    if (found.get_int64() < least || found.get_int64() > most)
        throw refusal(key, fmt::format("is {}, and has to be from {} to {}", found.get_int64(), least, most));
    return found.get_int64();
}

bool Fields::flag(std::string_view key) {
    const bj::value& found = value(key);
    if (!found.is_bool()) throw refusal(key, "is neither true nor false");
    return found.get_bool();
}

std::vector<std::string> Fields::texts(std::string_view key) {
    const bj::value& found = value(key);
    if (!found.is_array()) throw refusal(key, "is no list");
    std::vector<std::string> all;
    for (const bj::value& each : found.get_array()) {
        if (!each.is_string()) throw refusal(key, "is no list of texts");
        all.emplace_back(each.get_string());
    }
    return all;
}

Fields Fields::object(std::string_view key) {
    return Fields(value(key), where_ + "." + std::string(key));
}

std::vector<std::pair<std::string, std::string>> Fields::text_by_name(std::string_view key) {
    const bj::value& found = value(key);
    if (!found.is_object()) throw refusal(key, "is no JSON object");
    std::vector<std::pair<std::string, std::string>> all;
    for (const auto& each : found.get_object()) {
        if (!each.value().is_string()) throw refusal(key, "is no object of texts");
        all.emplace_back(each.key(), each.value().get_string());
    }
    return all;
}

std::optional<std::string> Fields::maybe_text(std::string_view key) {
    return has(key) ? std::optional(text(key)) : std::nullopt;
}

std::optional<std::int64_t> Fields::maybe_integer(std::string_view key, std::int64_t least,
                                                  std::int64_t most) {
    return has(key) ? std::optional(integer(key, least, most)) : std::nullopt;
}

std::optional<bool> Fields::maybe_flag(std::string_view key) {
    return has(key) ? std::optional(flag(key)) : std::nullopt;
}

void Fields::finish() const {
    for (const auto& member : *object_)
        if (!asked_.contains(std::string_view(member.key()))) throw refusal(member.key(), "is unknown");
}

} // namespace blockhost::json
