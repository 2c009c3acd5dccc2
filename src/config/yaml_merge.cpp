// SPDX-License-Identifier: MIT
// Edits YAML as text, and proves the result by parsing it.
#include "config/yaml_merge.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"
#include "config/yaml_section.hpp"

#include <algorithm>
#include <optional>
#include <sstream>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

namespace blockhost {

namespace {

using Lines = std::vector<std::string>;

/// Far more than any configuration has. Nested aliases can expand to more than any memory holds.
constexpr std::size_t most_values = 20000;
/// A list that contains itself (`&a [*a]`) has no end.
constexpr int most_levels = 100;

bool is_quoted(const YAML::Node& scalar) {
    return scalar.Tag() == "!";
}

/// A value and the path to it.
struct Value {
    std::string path, text;
    auto operator<=>(const Value&) const = default;
};

std::string kind_and_text(const YAML::Node& node) {
    if (node.IsNull()) return "null";
    return (is_quoted(node) ? "quoted " : "plain " + node.Tag() + " ") + node.Scalar();
}

void flatten(const YAML::Node& node, const std::string& path, int level, std::vector<Value>& all) {
    if (all.size() > most_values) throw Error(Code::config, "the file has too many values");
    if (level > most_levels) throw Error(Code::config, "the file is nested too deep");
    if (node.IsMap()) {
        if (node.size() == 0) all.push_back({path, "empty mapping"});
        for (const auto& member : node) {
            const std::string key =
                member.first.IsScalar() ? member.first.Scalar() : YAML::Dump(member.first);
            flatten(member.second, path + "\n" + key, level + 1, all);
        }
    } else if (node.IsSequence()) {
        if (node.size() == 0) all.push_back({path, "empty list"});
        for (const auto& each : node) flatten(each, path + "\n-", level + 1, all);
    } else {
        all.push_back({path, kind_and_text(node)});
    }
}

std::vector<Value> flat(const YAML::Node& root) {
    std::vector<Value> all;
    flatten(root, "", 0, all);
    return all;
}

/// Text that every reader takes as text without quotes: it begins with a letter or '/', or is an IPv4 address
/// or network.
bool is_plain_text(const std::string& text) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (text.empty() || is_yaml_word(text)) return false;
    if (std::ranges::count(text, '.') == 3 &&
        std::ranges::all_of(text, [&](char c) { return digit(c) || c == '.' || c == '/'; }))
        return true;
    return (letter(text[0]) || text[0] == '/') && std::ranges::all_of(text, [&](char c) {
               return letter(c) || digit(c) || std::string_view("/._-").find(c) != std::string_view::npos;
           });
}

bool is_written_quoted(const YamlSetting& setting) {
    return setting.type == YamlSetting::Type::text && !is_plain_text(setting.value);
}

std::string written(const YamlSetting& setting) {
    if (!is_written_quoted(setting)) return setting.value;
    std::string quoted = "\"";
    for (char c : setting.value)
        quoted += (c == '"' || c == '\\') ? std::string("\\") + c : std::string(1, c);
    return quoted + "\"";
}

std::string path_of(const YamlSetting& setting) {
    return (setting.section.empty() ? "" : "\n" + setting.section) + "\n" + setting.key;
}

/// The values that the edited file must have, from those that it had before.
std::vector<Value> expected(std::vector<Value> all, const YamlSetting& setting) {
    const std::string path = path_of(setting), parent = setting.section.empty() ? "" : "\n" + setting.section;
    const std::string text = (is_written_quoted(setting) ? "quoted " : "plain ? ") + setting.value;
    const auto last = std::find_if(all.rbegin(), all.rend(), [&](const Value& v) { return v.path == path; });
    if (last != all.rend()) {
        last->text = text;
        return all;
    }
    const auto beside = std::find_if(all.rbegin(), all.rend(), [&](const Value& v) {
        return v.path == parent || v.path.starts_with(parent + "\n");
    });
    all.insert(beside == all.rend() ? all.end() : beside.base(), {path, text});
    std::erase_if(all, [&](const Value& v) { return v.path == parent || v.path.empty(); });
    return all;
}

/// Compares without regard to order; most edits keep the order, which is quicker to compare.
bool are_the_same(const std::vector<Value>& a, const std::vector<Value>& b) {
    if (a == b) return true;
    const auto sorted = [](std::vector<Value> all) {
        std::ranges::sort(all);
        return all;
    };
    return a.size() == b.size() && sorted(a) == sorted(b);
}

/// Reads a document and keeps nothing.
class Passing : public YAML::EventHandler {
    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
};

/// Not YAML::LoadAll: it finds endless documents in a text that begins with a comma.
void refuse_several_documents(const std::string& text, const std::string& path) {
    try {
        std::istringstream in(text);
        YAML::Parser parser(in);
        Passing one;
        if (parser.HandleNextDocument(one) && parser.HandleNextDocument(one))
            throw Error(Code::config, path + " holds several YAML documents", "leave one in it");
    } catch (const YAML::Exception& e) {
        throw Error(Code::config, path + ": not YAML: " + e.msg);
    }
}

/// A file as read, with its values in order.
struct Document {
    YAML::Node root;
    std::vector<Value> values;
};

/// The first document of a text.
Document parse(const std::string& text, const std::string& path) {
    const auto whole = YamlSection::parse(text, path); // refuses what is not a mapping, and says where
    try {
        return {whole.node(), flat(whole.node())};
    } catch (const YAML::Exception& e) {
        throw Error(Code::config, path + ": not YAML: " + e.msg);
    }
}

/// The text parsed again, if it has exactly the wanted values.
std::optional<Document> read_as(const std::optional<std::string>& text, const std::vector<Value>& wanted) {
    if (!text) return std::nullopt;
    try {
        auto document = parse(*text, "");
        return are_the_same(document.values, wanted) ? std::optional(std::move(document)) : std::nullopt;
    } catch (const Error&) {
        return std::nullopt;
    }
}

/// A member of a mapping; of a repeated key the last.
struct Member {
    YAML::Node key, value;
};

std::optional<Member> member_of(const YAML::Node& map, const std::string& key) {
    std::optional<Member> found;
    if (!map.IsMap()) return found;
    for (const auto& each : map)
        if (each.first.IsScalar() && each.first.Scalar() == key)
            found.emplace(Member{each.first, each.second});
    return found;
}

std::optional<Member> last_member(const YAML::Node& map) {
    std::optional<Member> last;
    for (const auto& each : map) last.emplace(Member{each.first, each.second});
    return last;
}

bool is_flow(const YAML::Node& map) {
    return map.Style() == YAML::EmitterStyle::Flow;
}

/// Where a scalar on one line begins and ends.
struct Extent {
    std::size_t line, begin, end;
};

std::size_t end_of_quoted(const std::string& line, std::size_t begin) {
    const char quote = line[begin];
    for (std::size_t i = begin + 1; i < line.size(); ++i) {
        const bool escapes = quote == '"' && line[i] == '\\';
        const bool doubled = quote == '\'' && line[i] == quote && i + 1 < line.size() && line[i + 1] == quote;
        if (escapes || doubled)
            ++i;
        else if (line[i] == quote)
            return i + 1;
    }
    return std::string::npos;
}

std::size_t end_of_plain(const std::string& line, std::size_t begin, bool in_flow) {
    std::size_t end = begin;
    for (std::size_t i = begin; i < line.size(); ++i) {
        const bool comment = line[i] == '#' && i > begin && (line[i - 1] == ' ' || line[i - 1] == '\t');
        if (comment || (in_flow && std::string_view(",]}").find(line[i]) != std::string_view::npos)) break;
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') end = i + 1;
    }
    return end;
}

std::optional<Extent> extent_of(const Lines& lines, const YAML::Node& scalar, bool in_flow) {
    const YAML::Mark mark = scalar.Mark();
    if (!scalar.IsScalar() || mark.is_null() || static_cast<std::size_t>(mark.line) >= lines.size())
        return std::nullopt;
    const auto number = static_cast<std::size_t>(mark.line), begin = static_cast<std::size_t>(mark.column);
    const std::string& line = lines[number];
    if (begin >= line.size() || std::string_view("|>&*!{[").find(line[begin]) != std::string_view::npos)
        return std::nullopt;
    const bool quoted = line[begin] == '"' || line[begin] == '\'';
    const std::size_t end = quoted ? end_of_quoted(line, begin) : end_of_plain(line, begin, in_flow);
    if (end == std::string::npos || end <= begin) return std::nullopt;
    return Extent{number, begin, end};
}

std::string joined(const Lines& lines) {
    return text::join(lines, "\n");
}

/// The line end of the file's other lines.
std::string line_end(const Lines& lines) {
    return !lines.empty() && lines.front().ends_with('\r') ? "\r" : "";
}

/// The text with `line` inserted before line `at`.
std::string with_line(Lines lines, std::size_t at, const std::string& line) {
    lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(at), line + line_end(lines));
    return joined(lines);
}

std::string with_lines_at_end(const std::string& text, const std::string& added) {
    return text + (text.empty() || text.ends_with('\n') ? "" : "\n") + added;
}

std::string assignment(const YamlSetting& setting) {
    return setting.key + ": " + written(setting);
}

std::optional<std::string> replaced(Lines lines, const YAML::Node& map, const Member& member,
                                    const YamlSetting& setting) {
    const auto extent = extent_of(lines, member.value, is_flow(map));
    if (!extent) return std::nullopt;
    lines[extent->line].replace(extent->begin, extent->end - extent->begin, written(setting));
    return joined(lines);
}

/// Adds a member behind the last one of a section that has members.
std::optional<std::string> added(Lines lines, const YAML::Node& map, const YamlSetting& setting) {
    const auto last = last_member(map);
    if (!last) return std::nullopt;
    const auto extent = extent_of(lines, last->value, is_flow(map));
    if (!extent) return std::nullopt;
    if (is_flow(map)) {
        lines[extent->line].insert(extent->end, ", " + assignment(setting));
        return joined(lines);
    }
    const auto indent = static_cast<std::size_t>(last->key.Mark().column);
    return with_line(std::move(lines), extent->line + 1, std::string(indent, ' ') + assignment(setting));
}

/// Where a setting stands: the mapping that has it or is to have it, if that is there, and the member, if it
/// is.
struct Place {
    std::optional<YAML::Node> map;
    std::optional<Member> member;
};

Place place_of(const YAML::Node& root, const YamlSetting& setting) {
    Place place;
    if (setting.section.empty())
        place.map.emplace(root);
    else if (const auto section = member_of(root, setting.section))
        place.map.emplace(section->value);
    if (place.map) place.member = member_of(*place.map, setting.key);
    return place;
}

/// Whether the value is set already, with or without quotes.
bool is_there(const Place& place, const YamlSetting& setting) {
    return place.member && place.member->value.IsScalar() && place.member->value.Scalar() == setting.value;
}

std::optional<std::string> edited(const std::string& text, const Place& place, const YamlSetting& setting) {
    const Lines lines = text::split(text, '\n');
    const std::string end = line_end(lines), line = assignment(setting) + end;
    if (place.member) return replaced(lines, *place.map, *place.member, setting);
    if (!place.map) return with_lines_at_end(text, setting.section + ":" + end + "\n  " + line + "\n");
    if (setting.section.empty()) return with_lines_at_end(text, line + "\n");
    return place.map->IsMap() ? added(lines, *place.map, setting) : std::nullopt;
}

// Writing the whole file anew.

void emit_setting(YAML::Emitter& out, const YamlSetting& setting) {
    if (is_written_quoted(setting)) out << YAML::DoubleQuoted;
    out << setting.value;
}

void emit(YAML::Emitter& out, const YAML::Node& node, const std::string& path, const YamlSetting& setting);

void emit_members(YAML::Emitter& out, const YAML::Node& map, const std::string& path,
                  const YamlSetting& setting) {
    const bool is_parent = path == (setting.section.empty() ? "" : "\n" + setting.section);
    out << YAML::BeginMap;
    if (map.IsMap())
        for (const auto& member : map) {
            out << YAML::Key;
            emit(out, member.first, "?", setting);
            out << YAML::Value;
            const std::string key = member.first.IsScalar() ? member.first.Scalar() : "?";
            emit(out, member.second, path + "\n" + key, setting);
        }
    if (is_parent && !member_of(map, setting.key)) {
        out << YAML::Key << setting.key << YAML::Value;
        emit_setting(out, setting);
    }
    if (path.empty() && !setting.section.empty() && !member_of(map, setting.section)) {
        out << YAML::Key << setting.section << YAML::Value;
        emit_members(out, YAML::Node(), "\n" + setting.section, setting);
    }
    out << YAML::EndMap;
}

void emit(YAML::Emitter& out, const YAML::Node& node, const std::string& path, const YamlSetting& setting) {
    if (path == path_of(setting)) return emit_setting(out, setting);
    if (!setting.section.empty() && path == "\n" + setting.section)
        return emit_members(out, node, path, setting);
    if (!node.Tag().empty() && node.Tag() != "?" && node.Tag() != "!") out << YAML::VerbatimTag(node.Tag());
    if (node.IsMap()) return emit_members(out, node, path, setting);
    if (node.IsSequence()) {
        out << YAML::BeginSeq;
        for (const auto& each : node) emit(out, each, path + "\n-", setting);
        out << YAML::EndSeq;
        return;
    }
    if (node.IsNull()) {
        out << YAML::Null;
        return;
    }
    if (is_quoted(node)) out << YAML::DoubleQuoted;
    out << node.Scalar();
}

std::string written_anew(const YAML::Node& root, const YamlSetting& setting) {
    YAML::Emitter out;
    emit_members(out, root, "", setting);
    return std::string(out.c_str()) + "\n";
}

} // namespace

bool is_yaml_word(std::string_view text) {
    static constexpr std::string_view words[] = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"};
    return std::ranges::find(words, text::lower(text)) != std::end(words);
}

MergedYaml merge_yaml(const std::string& text, const std::string& path,
                      const std::vector<YamlSetting>& settings) {
    Document document = parse(text, path);
    refuse_several_documents(text, path);
    MergedYaml merged{text};
    for (const YamlSetting& setting : settings) {
        const YAML::Node& root = document.root;
        const Place place = place_of(root, setting);
        if (is_there(place, setting)) continue;
        const auto wanted = expected(document.values, setting);
        auto changed = edited(merged.text, place, setting);
        auto read_again = read_as(changed, wanted);
        if (!read_again) {
            merged.comments_kept = false;
            changed = written_anew(root, setting);
            read_again = read_as(changed, wanted);
        }
        if (!read_again)
            throw Error(Code::config,
                        path + ": " + setting.key + " cannot be set in a file written like this",
                        "set it there with an editor");
        merged.text = std::move(*changed);
        document.values = std::move(read_again->values);
        document.root.reset(read_again->root);
    }
    return merged;
}

} // namespace blockhost
