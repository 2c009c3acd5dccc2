// SPDX-License-Identifier: MIT
/// Starts a trial of an image.

#include "image/trial.hpp"

#include "base/error.hpp"
#include "host/capability.hpp"
#include "vm/trial.hpp"

#include <fcntl.h>

namespace blockhost::image {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view domain_prefix = "blockhost-template-trial-";
bool wants_kvm(DomainType type) {
    return type == DomainType::kvm || (type == DomainType::automatic && host::kvm_works());
}

} // namespace

void end_lost_trials(Hypervisor& hypervisor, const Folder& bench, Progress& progress) {
    blockhost::end_lost_trials(hypervisor, domain_prefix, bench, progress);
}

void boot_once(const Run& run, Hypervisor& hypervisor, const Folder& bench,
               const std::filesystem::path& image, const TrialSettings& settings) {
    const bool kvm = wants_kvm(settings.domain_type);
    run.progress.stage("booting the image once");
    end_lost_trials(hypervisor, bench, run.progress);
    for (const char* name : {trial_disk, trial_console}) bench.remove(name);
    perform(run,
            {.tool = qemu_img,
             .arguments = {"create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image.string(), trial_disk},
             .limit = 60s,
             .doing = "make the trial's disk",
             .folder = bench.path()});
    bench.open_file(trial_console, O_WRONLY | O_CREAT, 0640);
    const TrialSpec spec{.name = std::string(domain_prefix) + random_hex(8),
                         .uuid = Uuid::random(),
                         .kvm = kvm,
                         .disk_path = (bench.path() / trial_disk).string(),
                         .console_path = (bench.path() / trial_console).string(),
                         .kernel = settings.boot_kernel,
                         .initrd = settings.boot_initrd,
                         .kernel_arguments = settings.boot_arguments};
    try {
        Trial trial(hypervisor, spec, bench, run.progress, run.check);
        trial.await_agent(kvm ? 180s : 600s);
    } catch (const Error& error) {
        if (error.code() != Code::guest) throw;
        throw Error(Code::guest, "the image does not boot: " + error.message(),
                    "the current template stays; mend the image, or build without --verify-boot");
    }
    for (const char* name : {trial_disk, trial_console}) bench.remove(name);
}

} // namespace blockhost::image
