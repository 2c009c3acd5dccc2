// SPDX-License-Identifier: MIT
#include "platform/proxmox/task.hpp"

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "platform/backup_words.hpp"

#include <algorithm>

namespace blockhost::platform::proxmox {

namespace {

using Phase = TaskState::Phase;

constexpr std::size_t most_lines = 10, longest_line = 400;
/// Of a log that is longer, the last ones; of one that has more pages than these, the last of them.
constexpr std::size_t lines_read = 500, most_pages = 20;

std::vector<std::string> lines_from(Client& client, const Upid& upid, std::size_t start, std::size_t most) {
    Parameters query{{"limit", std::to_string(most)}};
    if (start > 0) query.emplace_back("start", std::to_string(start));
    try {
        return log_in(client.get(path_of(upid) + "/log", query));
    } catch (const Refused&) { // it only adds to what is known
        return {};
    } catch (const http::NoResponse& error) {
        if (error.failed().why != http::Why::oversized) throw;
        return {};
    }
}

/// The log of a task that ended, in pages.
std::vector<std::string> log_of(Client& client, const Upid& upid) {
    std::vector<std::string> lines;
    for (std::size_t page = 0; page < most_pages; ++page) {
        auto more = lines_from(client, upid, page * lines_read, lines_read);
        const bool is_last = more.size() < lines_read;
        std::ranges::move(more, std::back_inserter(lines));
        if (lines.size() > lines_read) lines.erase(lines.begin(), lines.end() - std::ptrdiff_t{lines_read});
        if (is_last) break;
    }
    return lines;
}

bool is_warning(const std::string& line) {
    return line.starts_with("WARN") || line.find("WARN:") != line.npos || line.starts_with("warning");
}

/// "WARNINGS: n": only the log has their text.
bool has_warnings(const TaskState& state) {
    return state.phase == Phase::good && !state.warnings.empty();
}

constexpr std::string_view backup = "vzdump";

void read_log(TaskState& state, Client& client, const Upid& upid) {
    const bool is_backup = upid.type == backup;
    if (!is_backup && !has_warnings(state) && state.phase != Phase::failed) return;
    auto lines = log_of(client, upid);
    if (is_backup) state.dump = read_dump_log(lines);
    if (state.dump) state.queued = state.phase == Phase::running && state.dump->is_queued;
    add_log(state, std::move(lines));
}

bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

/// "no such task": the only 400 that a well-formed handle gets.
bool is_vanished(const Refusal& refusal) {
    const auto told = refusal.parameters.find("upid");
    return refusal.kind == RefusalKind::invalid && told != refusal.parameters.end() &&
           told->second.find("no such task") != std::string::npos;
}

} // namespace

TaskState end_of(std::string_view exit_status) {
    constexpr std::string_view warnings = "WARNINGS: ";
    TaskState state;
    const std::string words = text::printable(text::trim(exit_status), longest_line);
    if (words == "OK") {
        state.phase = Phase::good;
    } else if (words.starts_with(warnings) && is_number(words.substr(warnings.size()))) {
        state.phase = Phase::good;
        state.warnings = {words};
    } else if (words == "unexpected status" || words.empty()) {
        state.phase = Phase::lost;
    } else if (words.find("received interrupt") != words.npos || words == "interrupted by signal") {
        state.phase = Phase::interrupted;
    } else {
        state.phase = Phase::failed;
        state.refusal = refusal_in(words);
    }
    return state;
}

std::vector<std::string> log_in(const boost::json::value& told) {
    std::vector<std::string> lines;
    if (!told.is_array()) return lines;
    for (const boost::json::value& row : told.as_array())
        if (row.is_object()) lines.push_back(text::printable(json::string_or(row, "t", ""), longest_line));
    if (lines.size() > lines_read) lines.erase(lines.begin(), lines.end() - std::ptrdiff_t{lines_read});
    return lines;
}

void add_log(TaskState& state, std::vector<std::string> lines) {
    if (has_warnings(state)) {
        std::erase_if(lines,
                      [](const std::string& line) { return !is_warning(line) || line.starts_with("TASK "); });
        if (!lines.empty()) state.warnings = std::move(lines);
    } else if (state.phase == Phase::failed) {
        // That is all that a backup's end tells.
        if (state.refusal.words == "job errors")
            state.refusal = refusal_of_dump(lines).value_or(state.refusal);
        if (lines.size() > most_lines) lines.erase(lines.begin(), lines.end() - std::ptrdiff_t{most_lines});
        state.log = std::move(lines);
    }
}

std::vector<std::string> first_lines(Client& client, const Upid& upid, std::size_t most) {
    return lines_from(client, upid, 0, most);
}

TaskState look(Client& client, const Upid& upid) {
    boost::json::value told;
    try {
        told = client.get(path_of(upid) + "/status");
    } catch (const Refused& refused) {
        if (!is_vanished(refused.refusal())) throw;
        TaskState state;
        state.phase = Phase::vanished;
        return state;
    }
    const std::string status = json::string_or(told, "status", "");
    if (status != "stopped" && status != "running")
        throw Error(Code::hypervisor,
                    path_of(upid) + ": the node's answer makes no sense: it tells no status",
                    "is this version of Proxmox VE supported?");
    if (status == "running") {
        TaskState state;
        if (upid.type == backup) read_log(state, client, upid);
        return state;
    }
    TaskState state = end_of(json::string_or(told, "exitstatus", ""));
    read_log(state, client, upid);
    return state;
}

void interrupt(Client& client, const Upid& upid) {
    try {
        client.stop(upid);
    } catch (const Refused& refused) {
        if (!is_vanished(refused.refusal())) throw;
    }
}

ActionState action_state_of(TaskState task) {
    ActionState state;
    state.warnings = std::move(task.warnings);
    switch (task.phase) {
    case TaskState::Phase::running:
        state.phase = task.queued ? ActionState::Phase::waiting : ActionState::Phase::running;
        if (task.queued)
            state.detail = "another backup runs on this node";
        else if (task.dump)
            state.detail = words_for(task.dump->course);
        break;
    case TaskState::Phase::good:
        state.phase = ActionState::Phase::done;
        if (!task.dump) break;
        state.detail = summary_of(task.dump->course);
        if (const auto& course = task.dump->course; !course.fallback.empty())
            state.warnings.push_back("it was taken in mode " + course.mode + ": " + course.fallback);
        break;
    case TaskState::Phase::failed:
        state.phase = ActionState::Phase::failed;
        state.error = error_of(task.refusal, "the task");
        state.detail = text::join(task.log, " | ");
        break;
    case TaskState::Phase::interrupted:
        state.phase = ActionState::Phase::failed;
        state.error = Error(Code::interrupted, "the task was stopped on the node");
        break;
    case TaskState::Phase::lost:
    case TaskState::Phase::vanished:
        state.phase = ActionState::Phase::unknown;
        state.detail = task.phase == TaskState::Phase::lost ? "its worker was killed, or the node went down"
                                                            : "the node does not know the task any more";
        break;
    }
    return state;
}

} // namespace blockhost::platform::proxmox
