#pragma once
/// Setting single values in a YAML file that people and other programs write too.

#include <string>
#include <string_view>
#include <vector>

namespace blockhost {

/// A value that `key` shall have: at the top when `section` is empty, else in the mapping of that name.
struct YamlSetting {
    std::string section, key, value;
    enum class Type { text, number } type = Type::text;
};

struct MergedYaml {
    std::string text;
    bool comments_kept = true;
};

/// `text` with these values set, and nothing else changed: every other key, its value, order, spelling and
/// comments stay, since only the characters of a value are replaced and only whole new lines added. A value
/// that is already there leaves the text as it is. Of a repeated key the last is set, which is the one that
/// counts. The result is parsed and compared with what was to come out; where the file is written in a way
/// that cannot be edited so (anchors, values over several lines), it is written anew as a whole: all
/// keys and values in their order, without comments.
/// Throws Error{config} for what is no YAML, no mapping, or several documents; `path` is what messages call
/// it.
MergedYaml merge_yaml(const std::string& text, const std::string& path,
                      const std::vector<YamlSetting>& settings);

/// A word that YAML 1.1, which other readers of such files speak, takes for something else than text.
bool is_yaml_word(std::string_view text);

} // namespace blockhost
