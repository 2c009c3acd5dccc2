// SPDX-License-Identifier: MIT
/// Takes the template packages.

#include "image/packages.hpp"

#include "base/error.hpp"
#include "base/text/digest.hpp"
#include "base/text/text.hpp"

#include <boost/json/object.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace blockhost::image {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t package_max = 1u << 30;
constexpr const char* arriving = "arriving.deb";

/// Names as in Debian policy 5.6.1 that are also safe as the name of a file.
bool is_package_name(std::string_view name) {
    return name.size() >= 2 && name.size() <= 200 && name[0] != '.' && name[0] != '-' && name[0] != '+' &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+-.") == name.npos;
}

void copy(const Folder& from, const std::string& name, const Folder& to) {
    const auto content = from.read(name, package_max);
    if (!content) throw Error(Code::config, name + " went away while it was read");
    const Fd file = to.open_file(arriving, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    files::write_all(file.get(), *content, (to.path() / arriving).string());
}

TemplatePackage read_package(const Run& run, const Folder& debs, const std::string& name,
                             const std::filesystem::path& path) {
    const Job ask{.tool = dpkg_deb,
                  .arguments = {"--showformat=${Package}\n${Version}\n${Architecture}\n", "--show", arriving},
                  .limit = 30s,
                  .doing = "read " + path.string(),
                  .folder = debs.path()};
    const ProcessResult told = attempt(run, ask);
    const auto lines = text::split(told.out, '\n');
    if (!told.ok() || lines.size() < 3 || !is_package_name(lines[0]) || lines[1].empty())
        throw Error(Code::config,
                    fmt::format("{} is not a Debian package: {}", path.string(),
                                text::printable(text::trim(told.err), 300)),
                    "remove it or put a good one in its place");
    if (lines[2] != "amd64" && lines[2] != "all")
        throw Error(Code::config, fmt::format("{} is for {}, not for amd64", path.string(), lines[2]),
                    "put the one for amd64 in its place");
    const Fd file = debs.open_file(arriving, O_RDONLY);
    return {name, lines[0], lines[1], digest_of(file.get(), Sha2::sha256, path.string())};
}

void refuse_second(const std::vector<TemplatePackage>& taken, const TemplatePackage& fresh,
                   const std::filesystem::path& folder) {
    for (const TemplatePackage& each : taken)
        if (each.package == fresh.package)
            throw Error(Code::config,
                        fmt::format("{} and {} in {} are both of package {}", each.file, fresh.file,
                                    folder.string(), fresh.package),
                        "remove one of them");
}

} // namespace

std::vector<TemplatePackage> take_packages(const Run& run, const StatePlace& folder, const Folder& bench) {
    std::vector<TemplatePackage> taken;
    const Folder debs = bench.make_sub("debs", 0700);
    if (const auto source = folder.open()) {
        for (const std::string& name : source->names()) {
            if (!name.ends_with(".deb")) continue;
            run.check();
            copy(*source, name, debs);
            TemplatePackage fresh = read_package(run, debs, name, folder.string(text::printable(name)));
            refuse_second(taken, fresh, folder.string());
            files::move_at(debs.fd(), arriving, debs.fd(), fresh.package + ".deb", name);
            taken.push_back(std::move(fresh));
        }
    }
    if (taken.empty())
        throw Error(Code::config, "No template packages found in " + folder.string(),
                    "the engine's installation puts them there; --no-packages makes a template without");
    return taken;
}

boost::json::array as_inputs(const std::vector<TemplatePackage>& packages) {
    boost::json::array all;
    for (const TemplatePackage& each : packages)
        all.push_back(boost::json::object{
            {"package", each.package}, {"version", each.version}, {"sha256", each.sha256}});
    return all;
}

} // namespace blockhost::image
