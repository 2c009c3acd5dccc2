// SPDX-License-Identifier: MIT
#pragma once
/// The only way to read a configuration file. An absent file is no error; any other failure is Error{config}.

#include <concepts>
#include <filesystem>
#include <optional>
#include <string>

namespace blockhost {

/// Nothing when there is no such file (ENOENT). Throws Error{config} naming the file when it cannot be read
/// or holds only blanks, which is what a program leaves that died while writing it.
std::optional<std::string> read_config_file(const std::filesystem::path& path);
/// Deleted for strings: a path from StateFolder::string() must not be opened.
template<std::same_as<std::string> Text>
std::optional<std::string> read_config_file(const Text&) = delete;

} // namespace blockhost
