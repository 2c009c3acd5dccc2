// SPDX-License-Identifier: MIT
#include "platform/backup_words.hpp"

#include "base/text/text.hpp"

#include <array>
#include <fmt/format.h>

namespace blockhost::platform {

namespace {

constexpr std::string_view mode_is = "mode ", held_for = "held for ", seconds = " s";

}

std::string words_for(const BackupCourse& course) {
    if (course.mode.empty()) return "the node prepares it";
    std::string words;
    if (course.guest_may_run_on)
        words = may_run_on;
    else if (course.mode == "snapshot")
        words = "the guest is about to be held for a moment";
    else
        words = "the guest cannot run yet";
    words += fmt::format(" ({} mode)", course.mode);
    if (course.percent && *course.percent >= 10)
        words += fmt::format("; {} % read", *course.percent / 10 * 10);
    return words;
}

std::string summary_of(const BackupCourse& course) {
    if (course.mode.empty()) return "";
    std::string words = std::string(mode_is) + course.mode;
    if (course.consistency != Consistency::unknown)
        words += ", " + std::string(to_string(course.consistency));
    if (!course.held_s.empty()) words += ", " + std::string(held_for) + course.held_s + std::string(seconds);
    return words;
}

std::optional<BackupCourse> course_in(std::string_view summary) {
    if (!summary.starts_with(mode_is)) return std::nullopt;
    BackupCourse course;
    for (const std::string& each : text::split(summary, ',')) {
        const std::string_view part = text::trim(each);
        if (part.starts_with(mode_is))
            course.mode = part.substr(mode_is.size());
        else if (part.starts_with(held_for) && part.ends_with(seconds))
            course.held_s = part.substr(held_for.size(), part.size() - held_for.size() - seconds.size());
        for (const Consistency known : {Consistency::frozen, Consistency::crash, Consistency::off})
            if (part == to_string(known)) course.consistency = known;
    }
    return course;
}

} // namespace blockhost::platform
