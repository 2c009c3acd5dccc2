// SPDX-License-Identifier: MIT
/// See network_hook.hpp.

#include "host/network_hook.hpp"

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/text/text.hpp"

namespace blockhost::host {

std::optional<std::string> clean_up_network(const std::filesystem::path& root, const std::string& name,
                                            std::chrono::seconds limit) {
    const std::filesystem::path program = root / "usr/bin/blockhost-network-hook";
    std::error_code ignored;
    if (!std::filesystem::exists(program, ignored)) return std::nullopt;
    try {
        const ProcessResult result =
            run({.program = program.string(), .arguments = {"cleanup", name}, .deadline = limit});
        if (result.ok()) return std::nullopt;
        const std::string words = text::printable(text::trim(result.err));
        return "the network hook's cleanup of " + name +
               (result.timed_out ? " did not end within " + std::to_string(limit.count()) + " s"
                                 : " ended with status " + std::to_string(result.exit_status)) +
               (words.empty() ? "" : ": " + words);
    } catch (const Error& error) {
        return error.message();
    }
}

} // namespace blockhost::host
