// SPDX-License-Identifier: MIT
// Loads the module seed-image.so and calls it.
#include "guest/seed_image.hpp"

#include "base/error.hpp"
#include "base/module.hpp"
#include "base/text/text.hpp"
#include "guest/seed_abi.hpp"

#include <array>

namespace blockhost::guest {

void write_iso(int fd, const std::string& label,
               const std::vector<std::pair<std::string, std::string>>& files) {
    auto* write = reinterpret_cast<blockhost_write_seed_iso_function*>(
        load_symbol("seed-image.so", "blockhost_write_seed_iso"));
    std::vector<blockhost_seed_file> plain;
    for (const auto& [name, content] : files) plain.push_back({name.c_str(), content.data(), content.size()});
    std::array<char, 256> words{};
    int failed = write(fd, label.c_str(), plain.data(), plain.size(), words.data(), words.size());
    if (failed > 0) throw errno_error("cannot write", "the seed image", failed);
    if (failed < 0) throw Error(Code::io, "cannot make the seed image: " + text::printable(words.data()));
}

} // namespace blockhost::guest
