// SPDX-License-Identifier: MIT
// See config_file.hpp.
#include "config/config_file.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/text.hpp"

namespace blockhost {

std::optional<std::string> read_config_file(const std::filesystem::path& path) {
    std::optional<std::string> text;
    try {
        text = files::read(path);
    } catch (const Error& e) {
        throw Error(Code::config, e.message(), e.hint());
    }
    if (text && text::trim(*text).empty())
        throw Error(Code::config, path.native() + " is empty: a program may have died while writing it",
                    "restore it, or let the program that owns it write it again");
    return text;
}

} // namespace blockhost
