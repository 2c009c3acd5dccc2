// SPDX-License-Identifier: MIT
#pragma once
/// From the words of a command line to a row, its run and the exit status: all that main does.

#include <cstdio>
#include <span>
#include <string>

namespace blockhost::cli {

/// Runs the command line `words` with the given streams, and returns the exit status. words[0] is the
/// program's name as called; if it is a contract name, it chooses the row, otherwise the verb in words[1]
/// does. Everything thrown ends here and is printed once. docs/contract.md, "Rules common to all commands",
/// and the row define the exit statuses. Reads BLOCKHOST_ROOT.
int run_command_line(std::span<const std::string> words, std::FILE* out, std::FILE* err);

/// The whole process: notes signals, makes sure that descriptors 0 to 2 are open, runs the command line, and
/// leaves without destructors or atexit handlers (at_quick_exit handlers run), so that abandoned threads can
/// do no more harm.
[[noreturn]] void run_process(int argc, char** argv);

} // namespace blockhost::cli
