// SPDX-License-Identifier: MIT
#include "hub/folder.hpp"

#include "base/text/digest.hpp"
#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace blockhost::hub {

namespace {

constexpr std::size_t most_reports = 1000, largest_kept = 4u << 10;
constexpr std::int64_t most_number = (std::int64_t(1) << 53) - 1;
const files::Ownership readable{.mode = 0644, .uid = {}, .gid = {}};

/// So that names sort as numbers do.
std::string file_of(std::int64_t number) {
    return fmt::format("{:016}.json", number);
}

std::optional<std::int64_t> number_of(std::string_view file) {
    return file.ends_with(".json") ? text::parse_int(file.substr(0, file.find('.'))) : std::nullopt;
}

/// The names of reports, in the order in which they arrived.
std::vector<std::string> reports_in(const Folder& place) {
    auto names = place.names();
    std::erase_if(
        names, [](const std::string& name) { return name.size() != file_of(0).size() || !number_of(name); });
    return names;
}

/// Behind all that are there, whatever number the report itself has: an older copy of a host repeats numbers.
void add_report(const Folder& place, const std::string& text) {
    const auto before = reports_in(place);
    const std::int64_t last = before.empty() ? 0 : *number_of(before.back());
    place.replace(file_of(last + 1), text, readable);
    for (std::size_t old = 0; old + most_reports <= before.size(); ++old) place.remove(before[old]);
}

} // namespace

FolderHub::FolderHub(std::filesystem::path around, std::string host)
    : around_(std::move(around)), place_(around_ / host), host_(std::move(host)) {}

Folder FolderHub::own() const {
    const auto around = Folder::open(around_);
    auto own = around ? around->sub(host_) : std::nullopt;
    if (!own)
        throw Error(Code::no_answer, "there is no folder " + text::printable(place_.string()),
                    "make it, or mount what holds it: that is where this host's desired state is looked for");
    return std::move(*own);
}

FolderHub::Kept FolderHub::kept_in(const Folder& place) const {
    const auto text = place.read(folder::kept, largest_kept);
    if (!text) return {};
    const std::string name = (place_ / folder::kept).string();
    const auto document = json::parse_strictly(*text, name);
    json::Fields fields(document, name);
    fields.integer("version", 1, 1);
    Kept kept{.acknowledged = fields.integer("acknowledged", 0, most_number),
              .audit = fields.maybe_text("audit").value_or("")};
    if (!kept.audit.empty() && !line_of_head(kept.audit))
        throw fields.refusal("audit", "is no head of an audit, LINE:HASH");
    return kept;
}

void FolderHub::write(const Folder& place, const Outgoing& report) const {
    if (report.last_event > 0) {
        add_report(place.make_sub(folder::reports, 0755), report.text);
    }
    place.replace(folder::report, report.text, readable);
}

Answer FolderHub::exchange(const Outgoing& report) {
    const Folder place = own();
    const Kept before = kept_in(place);
    write(place, report);
    Kept kept = before;
    kept.acknowledged = std::max(before.acknowledged, report.last_event);
    if (line_of_head(report.audit).value_or(0) > line_of_head(before.audit).value_or(0))
        kept.audit = report.audit;
    if (kept != before) {
        boost::json::object document{{"version", 1}, {"acknowledged", kept.acknowledged}};
        if (!kept.audit.empty()) document["audit"] = kept.audit;
        place.replace(folder::kept, json::python_line(document) + "\n", readable);
    }
    Answer answer;
    answer.is_blocked = place.kind(folder::blocked) != Folder::Kind::absent;
    answer.acknowledged = kept.acknowledged;
    answer.audit = kept.audit;
    announce(place, answer);
    mark(place, answer);
    return answer;
}

void FolderHub::mark(const Folder& place, Answer& answer) const {
    try {
        const auto waiting = signed_in(place);
        std::string all;
        for (const std::string& each : waiting) all += sha256(each) + "\n";
        answer.signed_mark = waiting.empty() ? "" : sha256(all);
    } catch (const Error& error) {
        answer.signed_mark.reset();
        answer.unclear = error.message();
    }
}

void FolderHub::announce(const Folder& place, Answer& answer) {
    const Fd file = place.open_file(folder::desired, O_RDONLY);
    if (!file) {
        stamp_ = {};
        announced_.reset();
        return;
    }
    struct stat status {};
    if (fstat(file.get(), &status) != 0)
        throw Error(Code::io, (place_ / folder::desired).string() + ": " + std::strerror(errno));
    const Stamp stamp{status.st_dev, status.st_ino, status.st_size, status.st_ctim.tv_sec,
                      status.st_ctim.tv_nsec};
    if (stamp != stamp_) {
        try {
            const std::string text =
                files::read_fd(file.get(), (place_ / folder::desired).string(), largest_desired);
            announced_ = announced_by(text, folder::desired);
            stamp_ = stamp;
        } catch (const Error& error) {
            stamp_ = {};
            announced_.reset();
            answer.unclear = error.message();
        }
    }
    answer.desired = announced_;
}

std::string FolderHub::desired() {
    const auto text = own().read(folder::desired, largest_desired);
    if (!text)
        throw Error(Code::no_answer,
                    (place_ / folder::desired).string() + " went away while it was looked at");
    return *text;
}

std::vector<std::string> FolderHub::signed_in(const Folder& place) const {
    const auto all = place.sub(folder::signed_operations);
    if (!all) return {};
    std::vector<std::string> documents;
    std::size_t bytes = 0;
    for (const std::string& name : all->names()) {
        if (!name.ends_with(".json") || name[0] == '.') continue;
        auto text = all->read(name, largest_signed);
        if (!text) continue; // it was taken away meanwhile
        bytes += text->size();
        if (documents.size() == most_signed || bytes > largest_signed_set)
            throw Error(Code::io,
                        (place_ / folder::signed_operations).string() +
                            " holds more signed operations than are looked at",
                        "take away those that were taken");
        documents.push_back(std::move(*text));
    }
    return documents;
}

std::vector<std::string> FolderHub::signed_operations() {
    return signed_in(own());
}

} // namespace blockhost::hub
