#pragma once
/// From the words of a command line to a row, its run and the exit status. What main consists of.

#include <cstdio>
#include <span>
#include <string>

namespace blockhost::cli {

/// Runs the command line `words` (words[0] is the program's name as called) with the given streams and
/// returns the exit status. The row is that of the contract name in words[0], else of the verb in words[1].
/// Everything thrown ends here, printed once; exit statuses: docs/contract.md, "Rules common to all
/// commands", and the row. Reads BLOCKHOST_ROOT.
int run_command_line(std::span<const std::string> words, std::FILE* out, std::FILE* err);

/// The whole process: notes signals, sees to it that descriptors 0 to 2 are open, runs the command line and
/// leaves without destructors or atexit handlers (at_quick_exit ones run): threads that were given up can no
/// longer do harm.
[[noreturn]] void run_process(int argc, char** argv);

} // namespace blockhost::cli
