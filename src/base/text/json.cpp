// SPDX-License-Identifier: MIT
// Writes JSON like Python; parses with line and column in the message.
#include "base/text/json.hpp"

#include "base/error.hpp"
#include "base/text/place.hpp"
#include "base/text/utf8.hpp"

#include <algorithm>
#include <boost/json/parse_options.hpp>
#include <boost/json/stream_parser.hpp>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace blockhost::json {

namespace {

constexpr int deepest = 256;

void append_unit(std::string& out, unsigned unit) {
    constexpr char digits[] = "0123456789abcdef";
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += digits[unit >> shift & 15];
}

/// Python's repr of a float: the shortest digits that read back the same, with an exponent below 1e-4 and
/// from 1e16 on.
void append_double(std::string& out, double value) {
    if (std::isnan(value)) {
        out += "NaN";
        return;
    }
    if (std::signbit(value)) out += '-';
    if (std::isinf(value)) {
        out += "Infinity";
        return;
    }
    char text[40];
    auto end = std::to_chars(text, text + sizeof text, std::fabs(value), std::chars_format::scientific).ptr;
    std::string_view shortest(text, static_cast<std::size_t>(end - text));
    auto e = shortest.find('e');
    int exponent = std::atoi(std::string(shortest.substr(e + 1)).c_str());
    std::string digits(shortest.substr(0, e));
    std::erase(digits, '.');
    if (exponent < -4 || exponent >= 16) {
        out += digits[0];
        if (digits.size() > 1) out += "." + digits.substr(1);
        out += shortest.substr(e); // at least two digits, signed: like Python
    } else if (exponent < 0) {
        out += "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
    } else {
        auto whole = static_cast<std::size_t>(exponent) + 1;
        digits.resize(std::max(digits.size(), whole + 1), '0');
        out += digits.substr(0, whole) + "." + digits.substr(whole);
    }
}

void append(std::string& out, const boost::json::value& value);

void append_array(std::string& out, const boost::json::array& array) {
    out += '[';
    for (std::size_t i = 0; i < array.size(); ++i) {
        if (i > 0) out += ", ";
        append(out, array[i]);
    }
    out += ']';
}

void append_object(std::string& out, const boost::json::object& object) {
    out += '{';
    bool first = true;
    for (const auto& member : object) {
        if (!first) out += ", ";
        first = false;
        out += '"' + escaped(member.key()) + "\": ";
        append(out, member.value());
    }
    out += '}';
}

void append(std::string& out, const boost::json::value& value) {
    using boost::json::kind;
    switch (value.kind()) {
    case kind::null:
        out += "null";
        break;
    case kind::bool_:
        out += value.get_bool() ? "true" : "false";
        break;
    case kind::int64:
        out += std::to_string(value.get_int64());
        break;
    case kind::uint64:
        out += std::to_string(value.get_uint64());
        break;
    case kind::double_:
        append_double(out, value.get_double());
        break;
    case kind::string:
        out += '"' + escaped(value.get_string()) + '"';
        break;
    case kind::array:
        append_array(out, value.get_array());
        break;
    case kind::object:
        append_object(out, value.get_object());
        break;
    }
}

[[noreturn]] void refuse(std::string_view text, std::size_t at, std::string_view name,
                         const std::string& what) {
    throw Error(Code::config, std::string(name) + ": " + text::place(text, at) + ": " + what);
}

} // namespace

std::string escaped(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const auto [c, length] = text::code_point(text, at).value_or(text::CodePoint{0xfffd, 1});
        at += length;
        constexpr std::string_view special = "\"\\\b\f\n\r\t", letter = "\"\\bfnrt";
        if (const auto known = c < 0x80 ? special.find(static_cast<char>(c)) : special.npos;
            known != special.npos) {
            out.append(1, '\\').append(1, letter[known]);
        } else if (c >= ' ' && c < 0x7f) {
            out += static_cast<char>(c);
        } else if (c < 0x10000) {
            append_unit(out, c);
        } else {
            append_unit(out, 0xd800 + ((c - 0x10000) >> 10));
            append_unit(out, 0xdc00 + ((c - 0x10000) & 0x3ff));
        }
    }
    return out;
}

std::string python_line(const boost::json::value& value) {
    std::string out;
    append(out, value);
    return out;
}

boost::json::value parse(std::string_view text, std::string_view name) {
    boost::json::parse_options options;
    options.max_depth = deepest;
    boost::json::stream_parser parser({}, options);
    boost::json::error_code error;
    std::size_t at = parser.write_some(text.data(), text.size(), error);
    if (error) refuse(text, at, name, error.message());
    std::size_t extra = text.find_first_not_of(" \t\r\n", at);
    if (extra != text.npos) refuse(text, extra, name, "more text after the end");
    if (!parser.done()) parser.finish(error);
    if (error) refuse(text, text.size(), name, "the text ends too early");
    return parser.release();
}

const boost::json::value* member(MaybeObject from, std::string_view key) {
    return from.get() ? from.get()->if_contains(key) : nullptr;
}

std::string string_or(MaybeObject from, std::string_view key, std::string_view fallback) {
    const boost::json::value* found = member(from, key);
    return std::string(found && found->is_string() ? std::string_view(found->get_string()) : fallback);
}

std::optional<std::int64_t> integer_in(MaybeObject from, std::string_view key) {
    const boost::json::value* found = member(from, key);
    return found && found->is_int64() ? std::optional(found->get_int64()) : std::nullopt;
}

std::optional<std::uint64_t> count_in(MaybeObject from, std::string_view key) {
    const boost::json::value* found = member(from, key);
    if (found && found->is_uint64()) return found->get_uint64(); // above 2^63
    const auto number = integer_in(from, key);
    return number && *number >= 0 ? std::optional(static_cast<std::uint64_t>(*number)) : std::nullopt;
}

bool is_true(MaybeObject from, std::string_view key) {
    const boost::json::value* found = member(from, key);
    return found && found->is_bool() && found->get_bool();
}

std::vector<std::string> strings_in(MaybeObject from, std::string_view key) {
    std::vector<std::string> texts;
    if (const boost::json::value* found = member(from, key); found && found->is_array())
        for (const boost::json::value& each : found->get_array())
            if (each.is_string()) texts.emplace_back(each.get_string());
    return texts;
}

const boost::json::object& object_in(MaybeObject from, std::string_view key) {
    static const boost::json::object none;
    const boost::json::value* found = member(from, key);
    return found && found->is_object() ? found->get_object() : none;
}

} // namespace blockhost::json
