// SPDX-License-Identifier: MIT
#pragma once
/// The programs of the host that make an image. None outlives the build: each runs in a PID namespace of its
/// own, whose first process is killed with this one, even when nobody can clean up. A program that is just
/// being started may be missed.

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/progress.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace blockhost::image {

/// A program of the host, and the Debian package that contains it.
struct Tool {
    const char* path;
    const char* package;
};
inline constexpr Tool qemu_img{"/usr/bin/qemu-img", "qemu-utils"};
inline constexpr Tool virt_customize{"/usr/bin/virt-customize", "guestfs-tools"};
inline constexpr Tool mmdebstrap{"/usr/bin/mmdebstrap", "mmdebstrap"};
inline constexpr Tool make_ext4{"/usr/sbin/mke2fs", "e2fsprogs"};
inline constexpr Tool sfdisk{"/usr/sbin/sfdisk", "fdisk"};
inline constexpr Tool dpkg_deb{"/usr/bin/dpkg-deb", "dpkg"};
inline constexpr Tool apt_get{"/usr/bin/apt-get", "apt"};

/// Throws Error{program} that names everything that is missing and how to install it.
void require(const std::vector<Tool>& tools);

/// Throws Error{program} where the host has no kernel (in a container): libguestfs boots one.
void require_kernel();

/// What a build's programs have in common.
struct Run {
    Progress& progress;
    std::function<void()> check; ///< throws when the build has to end
};

/// One call of a program.
struct Job {
    Tool tool;
    std::vector<std::string> arguments;
    std::chrono::seconds limit;
    std::string doing;                         ///< completes "cannot …" when it fails: "convert the image"
    std::vector<std::string> environment = {}; ///< "NAME=value"
    std::string input = {};
    std::filesystem::path folder = {};
    std::filesystem::path own_tmp = {}; ///< the program sees this folder as its /tmp; empty: the host's
    /// Whether its output is shown live.
    enum class Shown { no, yes } shown = Shown::no;
};

/// Runs the program and returns its stdout. When it fails, throws Error{program} with its last words on
/// stderr, or Error{no_room} with a hint when they say that no space is left.
std::string perform(const Run& run, const Job& job);
/// The same, but the caller judges the failure. Throws what run.check throws, and Error{io} when nothing can
/// be started.
ProcessResult attempt(const Run& run, const Job& job);
/// The Error that perform throws.
Error failure_of(const Job& job, const ProcessResult& result);

} // namespace blockhost::image
