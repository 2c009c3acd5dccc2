// SPDX-License-Identifier: MIT
// Reads yaml-cpp nodes; errors name the place.
#include "config/yaml_section.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <charconv>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/node/impl.h>
#include <yaml-cpp/node/iterator.h>
#include <yaml-cpp/node/parse.h>

namespace blockhost {

namespace {

/// "PATH: line L, column C: "; only "PATH: " when the place is unknown. yaml-cpp counts from 0.
std::string place(const std::string& path, const YAML::Mark& mark) {
    if (mark.is_null()) return path + ": ";
    return path + ": line " + std::to_string(mark.line + 1) + ", column " + std::to_string(mark.column + 1) +
           ": ";
}

std::string found(const YAML::Node& value) {
    if (value.IsMap()) return "a mapping";
    if (value.IsSequence()) return "a list";
    return "\"" + text::printable(value.Scalar(), 80) + "\"";
}

/// yaml-cpp reads a last line cut within a key ("ip_po") as that key without a value. Other readers refuse
/// it, and so does this one: a torn file must not pass for one with defaults. In flow style ("{a}") it is
/// fine.
void refuse_key_without_colon(const YAML::Node& map, const std::vector<std::string>& lines,
                              const std::string& path) {
    if (!map.IsMap() || map.Style() == YAML::EmitterStyle::Flow) return;
    for (const auto& member : map) {
        YAML::Mark mark = member.first.Mark();
        auto line = static_cast<std::size_t>(mark.line);
        if (!member.second.IsNull() || !member.first.IsScalar() || mark.is_null() || line >= lines.size())
            continue;
        if (lines[line].find(':', static_cast<std::size_t>(mark.column)) == std::string::npos) {
            throw Error(Code::config,
                        place(path, mark) + "not YAML: key " + found(member.first) + " has no colon");
        }
    }
}

} // namespace

YamlSection YamlSection::parse(const std::string& text, const std::string& path,
                               std::span<const ConfigKey> known) {
    try {
        YAML::Node root = YAML::Load(text);
        if (root.IsDefined() && !root.IsNull() && !root.IsMap())
            throw Error(Code::config, place(path, root.Mark()) + "expected a mapping, found " + found(root));
        auto lines = text::split(text, '\n');
        refuse_key_without_colon(root, lines, path);
        if (root.IsMap())
            for (const auto& member : root) refuse_key_without_colon(member.second, lines, path);
        return YamlSection(path, "", root, known);
    } catch (const YAML::Exception& e) {
        throw Error(Code::config, place(path, e.mark) + "not YAML: " + e.msg);
    }
}

namespace {

/// How many mappings are searched for one key. Aliases can form a loop, and a few lines of them give more
/// ways to one mapping than can ever be walked.
constexpr int most_merged = 1000;

/// The member `key` of a mapping, even if null. If the mapping lacks it, searches the mappings that it merges
/// in ("<<", YAML 1.1); the first that has it wins. yaml-cpp leaves merging to its users.
std::optional<YAML::Node> member_of(const YAML::Node& mapping, const std::string& key, int& left) {
    std::optional<YAML::Node> last;
    if (!mapping.IsDefined() || !mapping.IsMap() || --left < 0) return last;
    std::vector<YAML::Node> merged;
    for (const auto& member : mapping) {
        if (!member.first.IsScalar()) continue;
        if (member.first.Scalar() == key) last.emplace(member.second);
        if (member.first.Scalar() != "<<") continue;
        const YAML::Node value = member.second;
        if (!value.IsSequence()) merged.push_back(value);
        if (value.IsSequence())
            for (auto each = value.begin(); each != value.end(); ++each) merged.push_back(*each);
    }
    for (const YAML::Node& other : merged)
        if (!last) last = member_of(other, key, left);
    return last;
}

} // namespace

std::optional<YAML::Node> YamlSection::find(const std::string& key) const {
    const std::string name = full_name(key);
    const auto names_it = [&](const ConfigKey& row) {
        return row.name == name || row.name.starts_with(name + ".");
    };
    if (!known_.empty() && std::ranges::none_of(known_, names_it))
        throw Error(Code::internal, name + " is read, but is not in the table of keys");
    int left = most_merged;
    auto found = member_of(node_, key, left);
    if (found && found->IsNull()) found.reset();
    return found;
}

YamlSection YamlSection::section(const std::string& key) const {
    auto value = find(key);
    if (value && !value->IsMap()) refuse_value(key, *value, "a mapping");
    return YamlSection(path_, full_name(key), value ? *value : YAML::Node(), known_);
}

std::optional<std::string> YamlSection::text(const std::string& key, std::string_view expected,
                                             const std::function<bool(const std::string&)>& good) const {
    auto value = find(key);
    if (!value) return std::nullopt;
    if (!value->IsScalar() || !good(value->Scalar())) refuse_value(key, *value, expected);
    return value->Scalar();
}

std::vector<std::string> YamlSection::texts(const std::string& key, std::string_view expected,
                                            const std::function<bool(const std::string&)>& good) const {
    auto value = find(key);
    if (!value) return {};
    if (!value->IsSequence()) return {*text(key, expected, good)};
    std::vector<std::string> all;
    for (const auto& item : *value) {
        if (!item.IsScalar() || !good(item.Scalar())) refuse_value(key, item, expected);
        all.push_back(item.Scalar());
    }
    return all;
}

std::optional<std::int64_t> YamlSection::integer(const std::string& key, std::int64_t least,
                                                 std::int64_t most) const {
    auto good = [&](const std::string& text) {
        auto number = plain_number(text);
        return number && *number >= least && *number <= most;
    };
    auto value =
        text(key, "a whole number from " + std::to_string(least) + " to " + std::to_string(most), good);
    return value ? plain_number(*value) : std::nullopt;
}

std::optional<double> YamlSection::number(const std::string& key, double least, double most) const {
    double number = 0;
    auto good = [&](const std::string& text) {
        auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        return error == std::errc() && end == text.data() + text.size() && number >= least && number <= most;
    };
    auto bound = [](double d) {
        char text[32];
        return std::string(text, std::to_chars(text, text + sizeof text, d).ptr);
    };
    auto value = text(key, "a number from " + bound(least) + " to " + bound(most), good);
    return value ? std::optional(number) : std::nullopt;
}

void YamlSection::refuse(const std::string& key, const std::string& what) const {
    auto value = find(key);
    YAML::Mark mark = value ? value->Mark() : node_.Mark();
    throw Error(Code::config, place(path_, mark) + full_name(key) + ": " + what);
}

void YamlSection::refuse_value(const std::string& key, const YAML::Node& value,
                               std::string_view expected) const {
    throw Error(Code::config, place(path_, value.Mark()) + full_name(key) + ": expected " +
                                  std::string(expected) + ", found " + found(value));
}

std::optional<std::int64_t> plain_number(const std::string& text) {
    bool plain = !text.empty() && text[0] >= '0' && text[0] <= '9' && (text.size() == 1 || text[0] != '0');
    return plain ? text::parse_int(text) : std::nullopt;
}

} // namespace blockhost
