// SPDX-License-Identifier: MIT
/// Reads --source.

#include "image/source.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <filesystem>

namespace blockhost::image {

Source parse_source(std::string_view text) {
    constexpr std::string_view file_scheme = "file:", https_scheme = "https://";
    if (text == "cloud") return {Source::Kind::cloud};
    if (text == "packages") return {Source::Kind::packages};
    if (text.starts_with(https_scheme) && text.size() > https_scheme.size())
        return {Source::Kind::url, std::string(text)};
    if (text.starts_with(file_scheme) && text.size() > file_scheme.size()) {
        text.remove_prefix(file_scheme.size());
        while (text.starts_with("//")) text.remove_prefix(1); // file:///srv/image
        return {Source::Kind::file, std::filesystem::absolute(text).lexically_normal().string()};
    }
    const bool plain = text.starts_with("http://");
    throw Error(Code::invalid, "--source cannot be '" + text::printable(text) + "'",
                plain ? "images come over https:// only" : "give cloud, packages, file:PATH or https://…");
}

} // namespace blockhost::image
