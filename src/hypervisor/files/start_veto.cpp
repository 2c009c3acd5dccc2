// SPDX-License-Identifier: MIT
/// See start_veto.hpp.

#include "hypervisor/files/start_veto.hpp"

#include "base/error.hpp"
#include "base/files/state_folder.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "hypervisor/xml/domain.hpp"

#include <boost/json/object.hpp>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>

namespace blockhost {
namespace {

constexpr std::size_t largest_file = 4096;

/// Best effort. A file of several names may be somebody else's, given one in our folder.
void note_asked(const Folder& state) noexcept {
    try {
        const Fd file = state.open_file(veto_asked_file, O_WRONLY | O_CREAT, 0644);
        struct stat found {};
        if (::fstat(file.get(), &found) == 0 && found.st_nlink == 1) (void)!::futimens(file.get(), nullptr);
    } catch (...) { // a full or read-only disk changes nothing about the answer
    }
}

/// A file that was left behind says nothing about another machine of the same name.
bool is_about(const StartVeto& veto, const DomainMark& mark, const DomainFacts& domain) {
    return veto.instance.str() == mark.instance &&
           (veto.uuid.empty() || domain.uuid.empty() || text::lower(domain.uuid) == text::lower(veto.uuid));
}

std::optional<std::string> reason(std::string_view called, const std::string& definition) {
    const DomainFacts domain = read_domain(definition);
    const DomainMark* mark = domain.claim.made(); // a new name pays nothing
    const auto name = mark ? VmName::try_parse(mark->name) : std::nullopt;
    if (!name || domain.name != called) return std::nullopt;
    const std::filesystem::path state_path = mark->state_folder;
    if (!state_path.is_absolute()) return std::nullopt;
    const auto state = StateFolder(state_path).open();
    if (!state) return std::nullopt;
    note_asked(*state);
    const auto suspended = state->sub(suspended_folder);
    const auto veto = suspended ? read_start_veto(*suspended, *name) : std::nullopt;
    if (!veto || !is_about(*veto, *mark, domain)) return std::nullopt;
    return name->str() + " is suspended since " + format_instant(veto->since) +
           ", unpaid: extend and resume it with BlockHost";
}

} // namespace

std::string render_start_veto(const StartVeto& veto) {
    return json::python_line(boost::json::object{{"instance", veto.instance.str()},
                                                 {"uuid", veto.uuid},
                                                 {"since", format_instant(veto.since)}}) +
           "\n";
}

std::optional<StartVeto> parse_start_veto(std::string_view text) {
    try {
        const auto document = json::parse(text, "start veto");
        const auto instance = InstanceId::try_parse(json::string_or(document, "instance", ""));
        const auto since = parse_instant(json::string_or(document, "since", ""));
        if (!instance || !since) return std::nullopt;
        return StartVeto{*instance, json::string_or(document, "uuid", ""), *since};
    } catch (const Error&) {
        return std::nullopt;
    }
}

std::optional<StartVeto> read_start_veto(const Folder& suspended, const VmName& name) {
    const auto content = suspended.read(name.str(), largest_file);
    return content ? parse_start_veto(*content) : std::nullopt;
}

bool precedes_start(std::string_view operation) {
    return operation == "prepare";
}

std::optional<std::string> reason_to_stay_off(std::string_view called,
                                              const std::string& definition) noexcept {
    try {
        return reason(called, definition);
    } catch (...) { // whoever cannot be asked forbids nothing
        return std::nullopt;
    }
}

} // namespace blockhost
