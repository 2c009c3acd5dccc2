// SPDX-License-Identifier: MIT
// Who switched a guest off: by the node's own list of tasks.
#include "base/text/text.hpp"
#include "platform/proxmox/proxmox.hpp"

#include <algorithm>

namespace blockhost::platform::proxmox {

namespace {

/// What a task that was begun for a guest says of its power, by the node's own names (pve-manager, Utils.js).
enum class Says {
    wants_on,  ///< also when it failed: somebody wanted it on
    wants_off, ///< also when it failed: a guest may go down after its shutdown was waited for
    makes,     ///< what was before is about another guest of that id
};

struct TaskRow {
    std::string_view type;
    Says says;
};
constexpr TaskRow table[]{
    {"qmstart", Says::wants_on},     {"vzstart", Says::wants_on},     {"hastart", Says::wants_on},
    {"qmresume", Says::wants_on},    {"vzresume", Says::wants_on},    {"qmreboot", Says::wants_on},
    {"vzreboot", Says::wants_on},    {"qmreset", Says::wants_on},     {"qmstop", Says::wants_off},
    {"vzstop", Says::wants_off},     {"qmshutdown", Says::wants_off}, {"vzshutdown", Says::wants_off},
    {"hastop", Says::wants_off},     {"qmsuspend", Says::wants_off},  {"vzsuspend", Says::wants_off},
    {"qmrollback", Says::wants_off}, {"vzrollback", Says::wants_off}, {"qmcreate", Says::makes},
    {"vzcreate", Says::makes},       {"qmrestore", Says::makes},      {"vzrestore", Says::makes},
    {"qmdestroy", Says::makes},      {"vzdestroy", Says::makes},
};

const TaskRow* row_of(const Upid& task) {
    const auto row = std::ranges::find(table, std::string_view(task.type), &TaskRow::type);
    return row == std::end(table) ? nullptr : row;
}

} // namespace

Outage Proxmox::outage(const Guest& guest, bool seen_running) {
    using Cause = Outage::Cause;
    const std::string here = "/nodes/" + node_.name();
    if (!node_.privileges(here).contains("Sys.Audit"))
        return {Cause::unknown,
                "the API token may not see who switched it off: it needs Sys.Audit on " + here};
    const auto tasks = node_.tasks({guest.kind, guest_number(guest.id)});
    const auto task = std::ranges::find_if(tasks, [](const Upid& each) { return row_of(each) != nullptr; });
    if (task != tasks.end()) {
        const Says says = row_of(*task)->says;
        if (says == Says::wants_off)
            return {Cause::on_purpose, "task " + text::printable(task->type) + " of " +
                                           text::printable(task->user) + " switched it off, or was to"};
        if (says == Says::makes && !seen_running)
            return {Cause::unknown, "it was not started since it was made"};
    } else if (!seen_running) {
        return {Cause::unknown, "the node has no task that started it or switched it off"};
    }
    return {Cause::crash, "no task switched it off: it crashed, or was shut down from inside"};
}

} // namespace blockhost::platform::proxmox
