#pragma once
/// Reading YAML strictly: a wrong value is an Error{config} that names file, line, column and key. For this
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
    /// The whole of `text`, which must be a mapping or empty. `path` is what messages call it.
    /// When `known` is not empty, asking for a key that is neither in it nor a mapping of one is
    /// Error{internal}.
    static YamlSection parse(const std::string& text, const std::string& path,
                             std::span<const ConfigKey> known = {});

    bool given(const std::string& key) const { return find(key).has_value(); }
    /// A mapping within; empty when not given.
    YamlSection section(const std::string& key) const;

    /// Plain text, quoted or not, that `good` accepts. `expected` completes "expected …".
    std::optional<std::string> text(const std::string& key, std::string_view expected,
                                    const std::function<bool(const std::string&)>& good) const;
    /// One text or a list of them, each accepted by `good`.
    std::vector<std::string> texts(const std::string& key, std::string_view expected,
                                   const std::function<bool(const std::string&)>& good) const;
    /// A whole decimal number, quoted or not, without leading zeros.
    std::optional<std::int64_t> integer(const std::string& key, std::int64_t least, std::int64_t most) const;
    std::optional<double> number(const std::string& key, double least, double most) const;

    /// The mapping itself, as yaml-cpp has it; null for a file without any.
    const YAML::Node& node() const { return node_; }

    /// Refuses the value of `key`, or this section where it is not given.
    [[noreturn]] void refuse(const std::string& key, const std::string& what) const;

  private:
    YamlSection(std::string path, std::string name, const YAML::Node& node, std::span<const ConfigKey> known)
        : path_(std::move(path)), name_(std::move(name)), node_(node), known_(known) {}
    std::optional<YAML::Node> find(const std::string& key) const;
    std::string full_name(const std::string& key) const { return name_.empty() ? key : name_ + "." + key; }
    [[noreturn]] void refuse_value(const std::string& key, const YAML::Node& value,
                                   std::string_view expected) const;

    std::string path_;
    std::string name_; ///< "ip_pool"; empty for the whole file
    YAML::Node node_;
    std::span<const ConfigKey> known_;
};

/// `text` as a whole decimal number without sign, blanks or leading zeros.
std::optional<std::int64_t> plain_number(const std::string& text);

} // namespace blockhost
