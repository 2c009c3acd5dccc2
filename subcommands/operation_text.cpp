// SPDX-License-Identifier: MIT
#include "subcommands/operation_text.hpp"

#include "base/interrupt.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::subcommands {

using execution::Operation;
using execution::State;

void tell_operation(cli::Printer& printer, const Operation& operation) {
    const std::string what = fmt::format("{}: {} {}", text::printable(operation.target.guest),
                                         to_string(kind_of(operation.action)), to_string(operation.state));
    if (operation.state == State::begun) return printer.stage(what);
    if (operation.state == State::waiting)
        return printer.answer(fmt::format("{}, {}: approve it with 'blockhost-libvirt approve {}'", what,
                                          text::printable(operation.detail), operation.id));
    if (!is_end(operation.state)) return;
    const std::string why = operation.error ? operation.error->what() : operation.detail;
    printer.answer(why.empty() ? what : what + ": " + text::printable(why),
                   operation.state == State::done ? cli::Tone::good : cli::Tone::bad);
    for (const std::string& warning : operation.warnings) printer.warn(text::printable(warning));
}

bool is_asked_to_end() {
    return Interruption().reason() != Interruption::Reason::none;
}

void end_if_asked_to(cli::Printer& printer, const std::vector<Operation>& all) {
    if (!is_asked_to_end()) return;
    const auto count = [&](auto which) { return std::ranges::count_if(all, which); };
    const auto begun = count([](const Operation& each) {
        return !is_end(each.state) && each.state != State::waiting && each.state != State::queued;
    });
    const auto unbegun = count(
        [](const Operation& each) { return each.state == State::cancelled || each.state == State::queued; });
    if (begun + unbegun == 0) return;
    printer.flush_answer();
    throw Error(Code::interrupted,
                fmt::format("stopped by a signal: {} {} on, {} {} not begun", begun,
                            begun == 1 ? "goes" : "go", unbegun, unbegun == 1 ? "was" : "were"),
                "'blockhost-libvirt operations' tells what becomes of them; a repeat does what is left");
}

} // namespace blockhost::subcommands
