// SPDX-License-Identifier: MIT
#pragma once
/// How a backup is being taken, in words: what an operation says of itself while it runs, and in the end.

#include "platform/backups.hpp"

namespace blockhost::platform {

/// How words_for begins once the guest may run on.
inline constexpr std::string_view may_run_on = "the guest may run on";

/// Where it is, in one clause; behind a semicolon how much is read, in tens of percents.
std::string words_for(const BackupCourse& course);
/// How it was taken, in one clause: "mode snapshot, frozen, held for 2 s". Empty where nothing tells.
std::string summary_of(const BackupCourse& course);
/// What such a clause says; nothing for another text.
std::optional<BackupCourse> course_in(std::string_view summary);

} // namespace blockhost::platform
