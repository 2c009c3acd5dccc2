// SPDX-License-Identifier: MIT
#pragma once
/// Sets single values in a YAML file that people and other programs write too.

#include <string>
#include <string_view>
#include <vector>

namespace blockhost {

/// A value for `key`: at the top level when `section` is empty, else in the mapping of that name.
struct YamlSetting {
    std::string section, key, value;
    enum class Type { text, number } type = Type::text;
};

struct MergedYaml {
    std::string text;
    bool comments_kept = true;
};

/// `text` with these values set and everything else unchanged: keys, values, order, spelling and comments
/// stay, since only the characters of a value are replaced and only whole lines are added. A value that is
/// already set leaves the text as it is. Of a repeated key the last is set, which is the one that counts. The
/// result is parsed again and compared with the intended values. A file that cannot be edited this way
/// (anchors, values over several lines) is written anew: all keys and values in their order, without
/// comments.
/// Throws Error{config} for text that is not YAML, not a mapping, or several documents; messages call it
/// `path`.
MergedYaml merge_yaml(const std::string& text, const std::string& path,
                      const std::vector<YamlSetting>& settings);

/// A word that YAML 1.1, which other readers of these files use, does not read as text.
bool is_yaml_word(std::string_view text);

} // namespace blockhost
