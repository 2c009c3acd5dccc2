// SPDX-License-Identifier: MIT
#pragma once
/// Reads JSON configuration strictly: a wrong value is an Error{config} that names file, line, column and
/// key. For this floor only.

#include <boost/json/object.hpp>
#include <concepts>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace blockhost {

/// One JSON file whose value is an object. Keys of nested members are joined by dots
/// ("constraints.address_pattern"). A key that is absent or null counts as not given; of a repeated key the
/// last counts.
class JsonFile {
  public:
    /// Nothing when the file is absent. Throws Error{config} when it cannot be read, is empty, or is not a
    /// JSON object.
    static std::optional<JsonFile> read(const std::filesystem::path& path);
    /// Deleted for strings: a path from StateFolder::string() must not be opened.
    template<std::same_as<std::string> Text>
    static std::optional<JsonFile> read(const Text&) = delete;

    /// A text that `good` accepts; nothing when not given. `expected` completes "expected …". The members on
    /// the way to it must be objects.
    std::optional<std::string> text(std::string_view key, std::string_view expected,
                                    const std::function<bool(const std::string&)>& good) const;

    /// Throws Error{config} at the value of `key` or, when not given, at the innermost object around it.
    [[noreturn]] void refuse(std::string_view key, const std::string& what) const;

  private:
    JsonFile(std::string path, std::string text, boost::json::object root)
        : path_(std::move(path)), text_(std::move(text)), root_(std::move(root)) {}
    std::string path_, text_;
    boost::json::object root_;
};

} // namespace blockhost
