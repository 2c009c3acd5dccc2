// SPDX-License-Identifier: MIT
/// See boot_jobs.hpp.

#include "guest/boot_jobs.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"
#include "guest/message.hpp"

namespace blockhost::guest {

namespace {

using namespace std::chrono_literals;

constexpr auto longest_ask = 10s;
constexpr std::size_t longest_unit = 100;

/// cloud-init's units and targets are named "cloud-…".
bool is_cloud_init(std::string_view unit) {
    return unit.starts_with("cloud-") && (unit.ends_with(".service") || unit.ends_with(".target"));
}

} // namespace

BootJobs read_boot_jobs(std::string_view list) {
    BootJobs jobs;
    for (const std::string& line : text::split(list, '\n')) {
        std::vector<std::string> words; // JOB UNIT TYPE STATE, separated by blanks
        for (std::string& word : text::split(line, ' '))
            if (!word.empty()) words.push_back(std::move(word));
        if (words.size() < 4 || !text::parse_int(words[0])) continue;
        if (is_cloud_init(words[1]))
            jobs.of_cloud_init = true;
        else if (words[3] == "running")
            jobs.at_work.push_back(text::printable(words[1], longest_unit));
    }
    return jobs;
}

std::optional<BootJobs> boot_jobs(const AgentCall& call, const Waiting& waiting) {
    const Program systemctl{"/bin/systemctl", {"list-jobs", "--no-legend", "--no-pager"}};
    try {
        const Outcome outcome = exec(call, systemctl, longest_ask, waiting);
        if (outcome.status() == 0) return read_boot_jobs(outcome.out);
        return std::nullopt;
    } catch (const Error& error) {
        const bool late = error.message().find("in time") != std::string::npos;
        if (error.code() != Code::guest || late || is_silence(error)) throw;
        return std::nullopt; // refused
    }
}

} // namespace blockhost::guest
