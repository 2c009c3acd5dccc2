// SPDX-License-Identifier: MIT
#pragma once
/// The programs of a simulated guest: a shell that knows a dozen commands, as many as tests need.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::simulated {

/// A guest's files: path to content.
using Files = std::map<std::string, std::string>;

/// What systemd still has to do; `systemctl list-jobs` prints it.
inline constexpr std::string_view boot_jobs_file = "/run/systemd/jobs";

/// How a program ended, and how long it took.
struct Ended {
    int code = 0, signal = 0;
    std::string out, err;
    std::int64_t milliseconds = 0;
};

/// Runs a program of the guest: /bin/sh, or one of the commands by its path. The shell reads commands that
/// end in a newline, ';', '&&' or '||', with quotes, backslashes, '$$' and '>&2', and nothing else of a
/// shell's language: exit, echo, printf (octal escapes), true, false, kill -NAME $$, sleep, cat, head -c N
/// /dev/zero, usermod -c, getent passwd, mktemp -d, rm -rf, umask, systemctl list-jobs; 127 for anything
/// else. Given operands behind its text, it takes that text for our own limits around a command
/// (guest/exec.cpp), which the operands are. While `locked`, usermod finds /etc/passwd locked.
Ended run_program(const std::string& path, const std::vector<std::string>& arguments, Files& files,
                  bool locked);

} // namespace blockhost::simulated
