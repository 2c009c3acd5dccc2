// SPDX-License-Identifier: MIT
/// See commit_overlay.hpp.

#include "host/commit_overlay.hpp"

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/text/text.hpp"

namespace blockhost::host {

void commit_overlay(const std::filesystem::path& overlay, const std::function<void()>& check) {
    constexpr auto longest = std::chrono::hours(6);
    const ProcessResult result = run({.program = "/usr/bin/qemu-img",
                                      .arguments = {"commit", "-q", "-d", "-f", "qcow2", overlay.string()},
                                      .deadline = longest,
                                      .check = check});
    if (result.ok()) return;
    throw Error(
        Code::program,
        "qemu-img cannot commit " + overlay.string() + ": " +
            (result.timed_out ? "it did not end in 6 hours" : text::printable(text::trim(result.err))),
        "the VM has to stay off meanwhile, and the disks' file system needs the room; a repeat goes on");
}

} // namespace blockhost::host
