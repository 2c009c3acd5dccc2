// SPDX-License-Identifier: MIT
/// The program: everything is in the command table.

#include "cli/dispatch.hpp"

int main(int argc, char** argv) {
    blockhost::cli::run_process(argc, argv);
}
