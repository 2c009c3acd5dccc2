#pragma once
/// The outside programs an image is made with. None outlives the build: each runs in a PID namespace of its
/// own, whose first process is killed with us, also when nobody could clean up (but for the moment in which
/// it is being started).

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/talk.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace blockhost::image {

/// A program of the host, and the Debian package that brings it.
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

/// Throws Error{program} naming everything that is missing and how to install it.
void require(const std::vector<Tool>& tools);

/// libguestfs boots a kernel of the host's. Throws Error{program} where there is none (in a container).
void require_kernel();

/// What a build's programs have in common.
struct Run {
    Talk& talk;
    std::function<void()> check; ///< throws when the build is to end
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
    /// Whether what it writes is shown, live, as it comes.
    enum class Shown { no, yes } shown = Shown::no;
};

/// Runs it to its good end and returns its stdout. Throws Error{program} with the last of what it said on
/// stderr; with a hint of where room is missing when it says so.
std::string perform(const Run& run, const Job& job);
/// The same, for one whose failure is the caller's to judge. Throws what run.check throws, and Error{io} when
/// nothing can be started.
ProcessResult attempt(const Run& run, const Job& job);
/// The Error that perform throws.
Error failure_of(const Job& job, const ProcessResult& result);

} // namespace blockhost::image
