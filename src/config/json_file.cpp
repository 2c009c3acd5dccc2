// SPDX-License-Identifier: MIT
// Boost.JSON does not keep positions, so a value's position is searched in the text, which is valid JSON.
#include "config/json_file.hpp"

#include "base/error.hpp"
#include "base/text/json.hpp"
#include "base/text/place.hpp"
#include "base/text/text.hpp"
#include "config/config_file.hpp"

#include <boost/json/serialize.hpp>

namespace blockhost {

namespace {

namespace bj = boost::json;
constexpr std::string_view blanks = " \t\r\n";

/// The position behind the string that begins at `at` with its quote.
std::size_t behind_text(std::string_view json, std::size_t at) {
    for (++at; at < json.size() && json[at] != '"'; ++at)
        if (json[at] == '\\') ++at;
    return std::min(at + 1, json.size());
}

/// The position behind the value that begins at `at`.
std::size_t behind_value(std::string_view json, std::size_t at) {
    int depth = 0;
    while (at < json.size()) {
        const char c = json[at];
        if (c == '"') {
            at = behind_text(json, at);
        } else {
            if (depth == 0 && (c == ',' || c == '}' || c == ']')) return at;
            depth += c == '{' || c == '[';
            depth -= c == '}' || c == ']';
            ++at;
        }
        if (depth == 0 && (c == '"' || c == '}' || c == ']')) return at;
    }
    return at;
}

/// Where the value of the last member `key` begins, in the object that begins at `at`. A key spelt with
/// escapes is not found.
std::optional<std::size_t> member_at(std::string_view json, std::size_t at, std::string_view key) {
    std::optional<std::size_t> last;
    if (at >= json.size() || json[at] != '{') return last;
    for (at = json.find_first_not_of(blanks, at + 1); at < json.size() && json[at] == '"';) {
        const std::size_t key_end = behind_text(json, at);
        const bool is_it = json.substr(at + 1, key_end - at - 2) == key;
        at = json.find_first_not_of(" \t\r\n:", key_end);
        if (is_it) last = at;
        if (at == json.npos) break;
        at = json.find_first_not_of(" \t\r\n,", behind_value(json, at));
    }
    return last;
}

/// Where the value of `key` begins, or else the innermost object on the way to it.
std::size_t find(std::string_view json, std::string_view key) {
    std::size_t at = json.find_first_not_of(blanks);
    for (const std::string& part : text::split(key, '.')) {
        const auto next = member_at(json, at, part);
        if (!next) break;
        at = *next;
    }
    return at;
}

std::string found(const bj::value& value) {
    if (value.is_object()) return "an object";
    if (value.is_array()) return "a list";
    if (value.is_string()) return "\"" + text::printable(std::string_view(value.get_string()), 80) + "\"";
    return bj::serialize(value);
}

} // namespace

std::optional<JsonFile> JsonFile::read(const std::filesystem::path& path) {
    auto text = read_config_file(path);
    if (!text) return std::nullopt;
    bj::value root = json::parse(*text, path.native());
    if (!root.is_object())
        throw Error(Code::config, path.native() + ": " + text::place(*text, text->find_first_not_of(blanks)) +
                                      ": expected an object, found " + found(root));
    return JsonFile(path.native(), std::move(*text), std::move(root.get_object()));
}

std::optional<std::string> JsonFile::text(std::string_view key, std::string_view expected,
                                          const std::function<bool(const std::string&)>& good) const {
    const auto parts = text::split(key, '.');
    const bj::object* within = &root_;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const bj::value* value = within->if_contains(parts[i]);
        if (!value || value->is_null()) return std::nullopt;
        const bool is_last = i + 1 == parts.size();
        const bool fits =
            is_last ? value->is_string() && good(std::string(value->get_string())) : value->is_object();
        if (!fits) {
            const std::vector<std::string> way(parts.begin(),
                                               parts.begin() + static_cast<std::ptrdiff_t>(i) + 1);
            refuse(text::join(way, "."),
                   "expected " + std::string(is_last ? expected : "an object") + ", found " + found(*value));
        }
        if (is_last) return std::string(value->get_string());
        within = &value->get_object();
    }
    return std::nullopt;
}

void JsonFile::refuse(std::string_view key, const std::string& what) const {
    throw Error(Code::config,
                path_ + ": " + text::place(text_, find(text_, key)) + ": " + std::string(key) + ": " + what);
}

} // namespace blockhost
