// SPDX-License-Identifier: MIT
/// configure: what of a VM is to be another.

#include "operations/configure.hpp"
#include "base/text/text.hpp"
#include "subcommands/verbs.hpp"

namespace blockhost::subcommands {

namespace {

using Kind = cli::Option::Kind;

constexpr std::int64_t memory_cap_mib = 1LL << 40;
constexpr std::int64_t mib_in_gib = 1024;

std::set<std::string> tags_of(const std::string& list) {
    std::set<std::string> tags;
    for (const std::string_view tag : text::split(list, ','))
        if (!tag.empty()) tags.insert(text::lower(tag));
    return tags;
}

operations::ConfigureRequest request_of(const cli::Call& call) {
    operations::ConfigureRequest request{.name = vm_name(call)};
    DomainSettings& settings = request.settings;
    settings.cpus = call.arguments.integer("cpu");
    settings.memory_mib = call.arguments.integer("memory");
    settings.description = call.arguments.text("description");
    if (const auto tags = call.arguments.text("tags")) settings.tags = tags_of(*tags);
    if (const auto disk = call.arguments.integer("disk")) request.disk_mib = *disk * mib_in_gib;
    if (settings == DomainSettings() && !request.disk_mib)
        throw Error(Code::usage, "nothing is said of what is to change",
                    "give one of --cpu, --memory, --disk, --description and --tags");
    return request;
}

int run(cli::Call& call) {
    const auto request = request_of(call);
    const std::string name = request.name.str();
    call.printer.stage("Configuring VM: " + name);
    World world = open_world(call, Intent::change);
    const operations::Configured end = operations::configure(world, request);
    call.printer.answer(!end.has_changed ? name + " is so already"
                        : end.waits_for_start
                            ? "VM configured: " + name + ", CPUs and memory from its next start on"
                            : "VM configured: " + name);
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "What is not given stays as it is. Description, tags and disk change at once; a VM that runs has new "
    "CPUs and memory from its next start on, and is not started anew for them. A disk only grows: the guest "
    "of a VM that runs sees that at once, and has to make its partition and file system larger itself, as "
    "most do at their next start. 'guests NAME' shows what a VM has.";

} // namespace

cli::Row configure_row() {
    return {
        .verb = "configure",
        .summary = "change a VM's CPUs, memory, disk size, description or tags",
        .details = details,
        .operands = {vm_operand()},
        .options = {{.name = "cpu",
                     .kind = Kind::integer,
                     .value = "N",
                     .min = limits::cpus_min,
                     .max = limits::cpus_max,
                     .help = "virtual CPUs, the host's at most"},
                    {.name = "memory",
                     .kind = Kind::integer,
                     .value = "MB",
                     .min = limits::memory_min_mib,
                     .max = memory_cap_mib,
                     .help = "memory in MiB, the host's at most"},
                    {.name = "disk",
                     .kind = Kind::integer,
                     .value = "GB",
                     .min = 1,
                     .max = limits::disk_max_gib,
                     .help = "disk in GiB, no less than it has"},
                    {.name = "description",
                     .kind = Kind::text,
                     .value = "TEXT",
                     .help = "what people read of it; empty: none"},
                    {.name = "tags",
                     .kind = Kind::text,
                     .value = "TAG,...",
                     .help = "all of its tags, in lower case; empty: none"}},
        .output = {.text = "one line: the VM was configured, or was so already",
                   .unheard = "the VM is configured all the same; a repeat finds nothing to do"},
        .examples = {{"web-001 --memory 4096", "more memory, from its next start on"},
                     {"web-001 --disk 40 --tags db,paid", "a larger disk, at once"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::changes,
        .run = run,
    };
}

} // namespace blockhost::subcommands
