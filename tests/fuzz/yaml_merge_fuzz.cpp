// SPDX-License-Identifier: MIT
/// Setting values in a db.yaml that people write too. The first part says which, line by line
/// ("ip_pool.start=200"), the second is the file.

#include "base/text/text.hpp"
#include "config/yaml_merge.hpp"
#include "config/yaml_section.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <yaml-cpp/yaml.h>

using namespace blockhost;

namespace {

using Type = YamlSetting::Type;

const std::vector<YamlSetting>& known() {
    static const std::vector<YamlSetting> all{
        {"", "bridge", "", Type::text},          {"", "storage_pool", "", Type::text},
        {"", "storage_path", "", Type::text},    {"", "gc_grace_days", "", Type::number},
        {"ip_pool", "network", "", Type::text},  {"ip_pool", "start", "", Type::number},
        {"ip_pool", "end", "", Type::number},    {"ip_pool", "gateway", "", Type::text},
        {"ipv6_pool", "start", "", Type::number}};
    return all;
}

bool may_be_set(const YamlSetting& setting) {
    const bool digits = setting.value.find_first_not_of("0123456789") == std::string::npos;
    const bool controls = std::ranges::any_of(
        setting.value, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
    return !setting.value.empty() && !controls && (setting.type == Type::text || digits);
}

std::vector<YamlSetting> settings_in(const std::string& text) {
    std::vector<YamlSetting> settings;
    for (const std::string& line : text::split(text, '\n'))
        for (YamlSetting setting : known()) {
            const std::string name =
                (setting.section.empty() ? "" : setting.section + ".") + setting.key + "=";
            if (!line.starts_with(name) || settings.size() == known().size()) continue;
            setting.value = line.substr(name.size());
            std::erase_if(settings, [&](const YamlSetting& other) {
                return other.section == setting.section && other.key == setting.key;
            });
            if (may_be_set(setting)) settings.push_back(std::move(setting));
        }
    return settings;
}

/// Nodes that are compared at most: aliases of aliases can be more than any memory holds.
bool is_same(const YAML::Node& a, const YAML::Node& b, int& left, int level = 0) {
    if (--left < 0 || level > 100) return true;
    if (a.IsNull() && b.IsNull()) return true;
    if (a.Type() != b.Type()) return false;
    if (a.IsScalar()) return a.Scalar() == b.Scalar();
    if (a.size() != b.size()) return false;
    if (a.IsSequence()) {
        for (std::size_t i = 0; i < a.size(); ++i)
            if (!is_same(a[i], b[i], left, level + 1)) return false;
        return true;
    }
    auto other = b.begin();
    for (const auto& member : a) {
        if (!is_same(member.first, other->first, left, level + 1) ||
            !is_same(member.second, other->second, left, level + 1))
            return false;
        ++other;
    }
    return true;
}

using Members = std::vector<std::pair<YAML::Node, YAML::Node>>;

/// The members that no setting is about.
Members others(const YAML::Node& map, const std::string& section, const std::vector<YamlSetting>& settings) {
    Members all;
    if (!map.IsMap()) return all;
    for (const auto& member : map) {
        const bool set =
            member.first.IsScalar() && std::ranges::any_of(settings, [&](const YamlSetting& each) {
                const std::string& key = member.first.Scalar();
                return (each.section == section && each.key == key) ||
                       (section.empty() && each.section == key);
            });
        if (!set) all.emplace_back(member.first, member.second);
    }
    return all;
}

void compare(const Members& before, const Members& after) {
    fuzz::check(before.size() == after.size(), "no other key comes or goes");
    int left = 20'000;
    for (std::size_t i = 0; i < before.size(); ++i)
        fuzz::check(is_same(before[i].first, after[i].first, left) &&
                        is_same(before[i].second, after[i].second, left),
                    "all other values stay");
}

YAML::Node section_of(const YAML::Node& root, const std::string& name) {
    YAML::Node found;
    if (!root.IsMap()) return found;
    for (const auto& member : root)
        if (member.first.IsScalar() && member.first.Scalar() == name) found.reset(member.second);
    return found;
}

std::string value_of(const YamlSection& whole, const YamlSetting& setting) {
    const auto section = setting.section.empty() ? whole : whole.section(setting.section);
    return section.text(setting.key, "text", [](const std::string&) { return true; }).value_or("(nothing)");
}

void yaml_merge(std::string_view input) {
    const auto parts = fuzz::parts_of(input);
    const auto settings = settings_in(parts[0]);
    const std::string text = parts.size() > 1 ? parts[1] : "";
    MergedYaml merged;
    if (!fuzz::answered([&] { merged = merge_yaml(text, "db.yaml", settings); })) return;
    const auto whole = YamlSection::parse(merged.text, "merged");
    for (const YamlSetting& setting : settings)
        fuzz::check(value_of(whole, setting) == setting.value, "what was asked for is there");
    fuzz::check(merge_yaml(merged.text, "db.yaml", settings).text == merged.text,
                "merging again changes nothing");
    const YAML::Node before = YAML::Load(text), after = YAML::Load(merged.text);
    compare(others(before, "", settings), others(after, "", settings));
    for (const char* section : {"ip_pool", "ipv6_pool"})
        compare(others(section_of(before, section), section, settings),
                others(section_of(after, section), section, settings));
}

} // namespace

FUZZ_TARGET(yaml_merge)
