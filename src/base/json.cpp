// Python's way of writing JSON, and parsing with line and column in the complaint.
#include "base/json.hpp"

#include "base/error.hpp"

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

/// The code point at the front of `s`, taken off it. `s` is UTF-8; a broken byte counts as U+FFFD.
char32_t take_code_point(std::string_view& s) {
    auto first = static_cast<unsigned char>(s.front());
    s.remove_prefix(1);
    if (first < 0x80) return first;
    int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || s.size() < static_cast<std::size_t>(more)) return 0xfffd;
    char32_t code = first & (0x3f >> more);
    for (int i = 0; i < more; ++i) {
        auto next = static_cast<unsigned char>(s[static_cast<std::size_t>(i)]);
        if ((next & 0xc0) != 0x80) return 0xfffd;
        code = code << 6 | (next & 0x3f);
    }
    s.remove_prefix(static_cast<std::size_t>(more));
    return code;
}

void append_string(std::string& out, std::string_view s) {
    out += '"';
    while (!s.empty()) {
        char32_t c = take_code_point(s);
        switch (c) {
        case '"':
            out += "\\\"";
            break;
        case '\\':
            out += "\\\\";
            break;
        case '\n':
            out += "\\n";
            break;
        case '\r':
            out += "\\r";
            break;
        case '\t':
            out += "\\t";
            break;
        case '\f':
            out += "\\f";
            break;
        case '\b':
            out += "\\b";
            break;
        default:
            if (c >= ' ' && c <= '~') {
                out += static_cast<char>(c);
            } else if (c < 0x10000) {
                append_unit(out, c);
            } else {
                append_unit(out, 0xd800 + ((c - 0x10000) >> 10));
                append_unit(out, 0xdc00 + ((c - 0x10000) & 0x3ff));
            }
        }
    }
    out += '"';
}

/// Python's repr of a float: the shortest digits that read back the same, an exponent below 1e-4 and from
/// 1e16 on.
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
        out += shortest.substr(e); // at least two digits, signed: as Python's
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
        append_string(out, member.key());
        out += ": ";
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
        append_string(out, value.get_string());
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
    std::string_view before = text.substr(0, at);
    auto line = std::count(before.begin(), before.end(), '\n') + 1;
    auto line_start = before.rfind('\n');
    std::size_t column = at - (line_start == before.npos ? 0 : line_start + 1) + 1;
    throw Error(Code::config, std::string(name) + ": line " + std::to_string(line) + ", column " +
                                  std::to_string(column) + ": " + what);
}

} // namespace

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

std::string string_or(const boost::json::value& object, std::string_view key, std::string_view fallback) {
    const boost::json::value* member = object.is_object() ? object.get_object().if_contains(key) : nullptr;
    return std::string(member && member->is_string() ? std::string_view(member->get_string()) : fallback);
}

} // namespace blockhost::json
