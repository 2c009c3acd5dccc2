// SPDX-License-Identifier: MIT
/// Runs programs that cannot be left behind.

#include "image/programs.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::image {

namespace {

constexpr std::size_t quoted_lines = 4;
constexpr std::size_t output_cap = 4 << 20;

/// A script of sh: binds the folder $0 over /tmp, in a mount namespace, and becomes the program "$@".
constexpr const char* behind_own_tmp = R"(mount --bind "$0" /tmp && exec "$@")";

/// Kills the program with this process (setpriv), and whatever it started with its namespace.
ProcessSpec bound(const Run& run, const Job& job) {
    ProcessSpec spec{.program = "/usr/bin/setpriv",
                     .arguments = {"--pdeathsig", "KILL", "/usr/bin/unshare", "--pid", "--fork",
                                   "--kill-child", "--mount-proc", "--"},
                     .environment = job.environment,
                     .input = job.input,
                     .deadline = job.limit,
                     .output_cap = output_cap,
                     .folder = job.folder.string(),
                     .check = run.check};
    if (!job.own_tmp.empty())
        spec.arguments.insert(spec.arguments.end(), {"/bin/sh", "-c", behind_own_tmp, job.own_tmp.string()});
    spec.arguments.emplace_back(job.tool.path);
    spec.arguments.insert(spec.arguments.end(), job.arguments.begin(), job.arguments.end());
    if (job.shown == Job::Shown::yes)
        spec.on_line = [&run](std::string_view line) {
            if (const auto words = text::trim(line); !words.empty()) run.progress.detail(words);
        };
    return spec;
}

} // namespace

void require(const std::vector<Tool>& tools) {
    std::string names, packages;
    for (const Tool& tool : tools) {
        if (access(tool.path, X_OK) == 0) continue;
        names += (names.empty() ? "" : ", ") + std::string(tool.path);
        if (packages.find(tool.package) == packages.npos) packages += std::string(" ") + tool.package;
    }
    if (names.empty()) return;
    throw Error(Code::program, names + " cannot be run here", "apt-get install" + packages);
}

void require_kernel() {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/boot", ignored))
        if (entry.path().filename().string().starts_with("vmlinuz-")) return;
    throw Error(Code::program, "libguestfs needs a kernel of this host, and there is none in /boot",
                "apt-get install linux-image-amd64 (or linux-image-cloud-amd64 in a container)");
}

ProcessResult attempt(const Run& run, const Job& job) {
    return blockhost::run(bound(run, job));
}

Error failure_of(const Job& job, const ProcessResult& result) {
    const std::string program = std::filesystem::path(job.tool.path).filename().string();
    const std::string how = result.timed_out ? fmt::format("did not end within {} s", job.limit.count())
                                             : fmt::format("ended with status {}", result.exit_status);
    const std::string words =
        text::join(text::last_lines(result.err.empty() ? result.out : result.err, quoted_lines), " | ");
    const bool full = words.find("No space left on device") != words.npos;
    return Error(
        full ? Code::no_room : Code::program,
        fmt::format("cannot {}: {} {}{}{}", job.doing, program, how, words.empty() ? "" : ": ", words),
        full ? "free some space on the file systems of the cache and of the templates folder" : "");
}

std::string perform(const Run& run, const Job& job) {
    ProcessResult result = attempt(run, job);
    if (!result.ok()) throw failure_of(job, result);
    return std::move(result.out);
}

} // namespace blockhost::image
