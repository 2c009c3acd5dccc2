// SPDX-License-Identifier: MIT
#include "platform/proxmox/privileged/fence.hpp"

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/text/text.hpp"

#include <fmt/format.h>

namespace blockhost::platform::proxmox::privileged {

namespace {

constexpr std::size_t quoted_lines = 4;
constexpr std::size_t most_output = 1 << 20;

std::string name_of(const Program& program) {
    return std::filesystem::path(program.path).filename().string();
}

} // namespace

std::filesystem::path Fence::at(std::string_view absolute) const {
    return node_.root / absolute.substr(1);
}

void Fence::require_node(std::string_view doing) const {
    const std::string needs = std::string(doing) + " needs ";
    std::error_code unseen;
    if (!std::filesystem::exists(at("/etc/pve/local"), unseen))
        throw Error(Code::wrong_state, needs + "a node of Proxmox VE: /etc/pve/local is missing",
                    "is this one, and does pve-cluster run?");
    const auto here = std::filesystem::read_symlink(at("/etc/pve/local"), unseen).filename().string();
    if (!node_.name.empty() && here != node_.name)
        throw Error(Code::wrong_state,
                    needs + "the node " + node_.name + ", and this machine is " +
                        (unseen ? "one whose name is not told" : text::printable(here)),
                    "run it there");
}

void Fence::require(std::string_view doing, std::initializer_list<Program> programs) const {
    const std::string needs = std::string(doing) + " needs ";
    if (node_.user != 0) throw Error(Code::denied, needs + "root on the node", "run it as root there");
    require_node(doing);
    for (const Program& program : programs)
        if (access(at(program.path).c_str(), X_OK) != 0)
            throw Error(Code::program, needs + program.path + ", which cannot be run here",
                        std::string("apt-get install ") + program.package);
}

ProcessResult Fence::run(const Program& program, std::vector<std::string> arguments) const {
    ProcessResult result = blockhost::run({.program = at(program.path).string(),
                                           .arguments = std::move(arguments),
                                           .deadline = node_.patience,
                                           .output_cap = most_output,
                                           .check = node_.check});
    if (result.timed_out)
        throw Error(Code::no_answer,
                    fmt::format("{} did not end within {} s", name_of(program),
                                std::chrono::ceil<std::chrono::seconds>(node_.patience).count()),
                    "look at what it did before anything else is done");
    if (result.out.size() >= most_output)
        throw Error(Code::program,
                    name_of(program) + " told more than " + text::human_bytes(most_output) + ": not read");
    return result;
}

void Fence::perform(std::string_view doing, const Program& program,
                    std::vector<std::string> arguments) const {
    const ProcessResult result = run(program, std::move(arguments));
    if (result.ok()) return;
    const std::string words =
        text::join(text::last_lines(result.err.empty() ? result.out : result.err, quoted_lines), " | ");
    throw Error(Code::program, fmt::format("cannot {}: {} ended with status {}{}{}", doing, name_of(program),
                                           result.exit_status, words.empty() ? "" : ": ", words));
}

} // namespace blockhost::platform::proxmox::privileged
