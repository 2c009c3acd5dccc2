// SPDX-License-Identifier: MIT
/// Runs virt-customize, and judges by the script's report.

#include "image/customise.hpp"

#include "base/error.hpp"
#include "base/module.hpp"
#include "base/text/digest.hpp"
#include "base/text/text.hpp"
#include "host/capability.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::image {

namespace {

using namespace std::chrono_literals;

constexpr const char* script_name = "customise-template.sh";
constexpr const char* report_disk = "report.raw";
constexpr std::string_view report_mark = "BLOCKHOST-REPORT";
constexpr std::uint64_t report_bytes = 4 << 20;
constexpr std::size_t quoted_lines = 6;

/// libguestfs does without libvirt, and without a KVM that cannot run guests. Its scratch files are in
/// `scratch`.
std::vector<std::string> appliance_environment(const std::filesystem::path& scratch) {
    std::vector<std::string> environment{"LIBGUESTFS_BACKEND=direct", "LIBGUESTFS_TMPDIR=" + scratch.string(),
                                         "HOME=/root"};
    if (!host::kvm_works()) environment.emplace_back("LIBGUESTFS_BACKEND_SETTINGS=force_tcg");
    return environment;
}

void make_report_disk(const Folder& bench) {
    const std::string shown = (bench.path() / report_disk).string();
    const Fd file = bench.open_file(report_disk, O_RDWR | O_CREAT | O_TRUNC, 0600);
    files::write_all(file.get(), report_mark, shown);
    if (ftruncate(file.get(), static_cast<off_t>(report_bytes)) != 0)
        throw errno_error("cannot size", shown, errno);
}

std::string report_in(const Folder& bench) {
    std::string report = bench.read(report_disk, report_bytes).value_or("");
    report.resize(std::min(report.size(), report.find('\0')));
    return report;
}

std::vector<std::string> arguments_for(const std::string& disk, const std::vector<TemplatePackage>& packages,
                                       const std::vector<std::string>& more) {
    std::vector<std::string> words{"--no-logfile", "--format", "raw", "-a",       disk,
                                   "--format",     "raw",      "-a",  report_disk};
    if (!packages.empty())
        for (const char* word :
             {"--copy-in", "debs:/var/tmp", "--move", "/var/tmp/debs:/var/tmp/blockhost-template"})
            words.emplace_back(word);
    words.insert(words.end(), {"--run", data_file(script_name).string()});
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

/// What libguestfs sees as /tmp. Root's sockets are always made there, and one that is killed would leave
/// them on the host. A bench below /tmp would be hidden by that.
std::filesystem::path tmp_for(const Folder& bench, const std::filesystem::path& scratch) {
    return bench.path().string().starts_with("/tmp/") ? std::filesystem::path() : scratch;
}

/// The last lines behind the first that tell a reason, as apt marks them; where none does, the last lines.
std::string reasons_in(const std::vector<std::string>& lines) {
    const auto tells = [](const std::string& line) {
        return line.starts_with("E: ") || line.find(" : ") != line.npos || line.find("rror") != line.npos;
    };
    std::string log, told;
    for (std::size_t i = 1; i < lines.size(); ++i) {
        log += lines[i] + "\n";
        if (tells(lines[i])) told += lines[i] + "\n";
    }
    const auto words = text::last_lines(told.empty() ? log : told, quoted_lines);
    return words.empty() ? "" : ": " + text::join(words, " | ");
}

} // namespace

std::string recipe_digest() {
    const auto script = files::read(data_file(script_name));
    if (!script)
        throw Error(Code::config, data_file(script_name).string() + " is missing",
                    "reinstall the package blockhost-provisioner-libvirt");
    return sha256(*script);
}

Inside customise(const Run& run, const Folder& bench, const std::string& disk,
                 const std::vector<TemplatePackage>& packages, const std::vector<std::string>& more) {
    run.progress.stage("customising the image");
    make_report_disk(bench);
    const std::filesystem::path scratch = bench.make_sub("t", 0700).path();
    const Job job{.tool = virt_customize,
                  .arguments = arguments_for(disk, packages, more),
                  .limit = 1500s,
                  .doing = "customise the image",
                  .environment = appliance_environment(scratch),
                  .folder = bench.path(),
                  .own_tmp = tmp_for(bench, scratch),
                  .shown = Job::Shown::yes};
    const ProcessResult result = attempt(run, job);
    const std::string report = report_in(bench);
    if (!result.ok() && (report.starts_with(report_mark) || report.starts_with("package ")))
        throw failure_of(job, result);
    Inside inside = read_report(report);
    require_inside(packages, inside.packages);
    return inside;
}

Inside read_report(const std::string& report) {
    const auto lines = text::split(report, '\n');
    constexpr std::string_view failed = "failed ";
    if (!lines.empty() && lines[0].starts_with(failed)) {
        const std::string doing = lines[0].substr(failed.size());
        const bool packages = doing.find("template packages") != doing.npos;
        throw Error(packages ? Code::config : Code::program,
                    "inside the image, " + text::printable(doing) + " failed" + reasons_in(lines),
                    packages ? "mend what lies in the template-packages folder" : "");
    }
    Inside inside;
    for (const std::string& line : lines) {
        if (line == "done") return inside;
        const auto words = text::split(line, ' ');
        if (words.size() == 3 && words[0] == "package") inside.packages[words[1]] = words[2];
        if (words.size() == 2 && words[0] == "account") inside.accounts.insert(words[1]);
    }
    throw Error(Code::program, "the image was customised, but its report is missing or cut off",
                "try again; if it stays so, please report it");
}

void require_inside(const std::vector<TemplatePackage>& packages,
                    const std::map<std::string, std::string>& inside) {
    std::string missing;
    for (const TemplatePackage& each : packages) {
        const auto found = inside.find(each.package);
        if (found != inside.end() && found->second == each.version) continue;
        missing += (missing.empty() ? "" : ", ") + each.package + " " + each.version +
                   (found == inside.end() ? "" : " (but " + found->second + ")");
    }
    if (missing.empty()) return;
    throw Error(Code::config, "after all was installed, the image does not have " + missing,
                "installing another template package may have removed it; mend what lies in the "
                "template-packages folder");
}

} // namespace blockhost::image
