// SPDX-License-Identifier: MIT
#pragma once
/// Reads YAML strictly: a wrong value is an Error{config} that names file, line, column and key. For this
/// floor only.

#include "config/db_yaml_keys.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include <yaml-cpp/node/node.h>

namespace blockhost {

/// One mapping of a YAML file. A key that is absent or null counts as not given. Of a repeated key the last
/// counts, as in the YAML reader of the other programs that share these files.
class YamlSection {
  public:
    /// All of `text`, which must be a mapping or empty; messages call it `path`. When `known` is not empty,
    /// asking for a key that is neither listed nor a mapping of listed keys is Error{internal}.
    static YamlSection parse(const std::string& text, const std::string& path,
                             std::span<const ConfigKey> known = {});

    bool given(const std::string& key) const { return find(key).has_value(); }
    /// A nested mapping; empty when not given.
    YamlSection section(const std::string& key) const;

    /// A scalar, quoted or not, that `good` accepts. `expected` completes "expected …".
    std::optional<std::string> text(const std::string& key, std::string_view expected,
                                    const std::function<bool(const std::string&)>& good) const;
    /// One scalar or a list of them, each accepted by `good`.
    std::vector<std::string> texts(const std::string& key, std::string_view expected,
                                   const std::function<bool(const std::string&)>& good) const;
    /// A whole decimal number, quoted or not, without leading zeros.
    std::optional<std::int64_t> integer(const std::string& key, std::int64_t least, std::int64_t most) const;
    std::optional<double> number(const std::string& key, double least, double most) const;

    /// The mapping as a yaml-cpp node; null for an empty file.
    const YAML::Node& node() const { return node_; }

    /// Throws Error{config} at the place of `key` or, when it is not given, of this section.
    [[noreturn]] void refuse(const std::string& key, const std::string& what) const;

  private:
    YamlSection(std::string path, std::string name, const YAML::Node& node, std::span<const ConfigKey> known)
        : path_(std::move(path)), name_(std::move(name)), node_(node), known_(known) {}
    std::optional<YAML::Node> find(const std::string& key) const;
    std::string full_name(const std::string& key) const { return name_.empty() ? key : name_ + "." + key; }
    [[noreturn]] void refuse_value(const std::string& key, const YAML::Node& value,
                                   std::string_view expected) const;

    std::string path_;
    std::string name_; ///< "ip_pool"; empty for the top level
    YAML::Node node_;
    std::span<const ConfigKey> known_;
};

/// `text` as a whole decimal number without sign, blanks or leading zeros.
std::optional<std::int64_t> plain_number(const std::string& text);

} // namespace blockhost
