// SPDX-License-Identifier: MIT
#pragma once
/// Secrets lie in files of one line, which the configuration names.

#include <filesystem>
#include <string>
#include <string_view>

namespace blockhost {

/// The file's text without blanks around it; at most 1024 bytes. `what` is how messages call it: "the API
/// token". Throws Error{config} when the file is missing, cannot be read, is no regular file, belongs to
/// somebody else than root or this process's user, or when others can read it. Messages name the file and
/// never the secret.
std::string read_secret(const std::filesystem::path& file, std::string_view what);

} // namespace blockhost
