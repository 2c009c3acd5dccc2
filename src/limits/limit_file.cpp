// SPDX-License-Identifier: MIT
/// See limit_file.hpp.

#include "limits/limit_file.hpp"

#include "base/error.hpp"
#include "base/patience.hpp"
#include "base/text/json.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <limits>

namespace blockhost::limits {

namespace bj = boost::json;

namespace {

constexpr std::string_view suffix = ".limits", lock_suffix = ".limits-lock";
constexpr std::size_t file_max = 64 << 10;
/// Larger than any limit and, in milliseconds, any time; sums of such numbers stay far from overflow.
constexpr std::int64_t largest_number = 1'000'000'000'000'000;
constexpr auto poll_period = std::chrono::milliseconds(20);

std::string file_of(const VmName& name) {
    return name.str() + std::string(suffix);
}
std::string lock_of(const VmName& name) {
    return name.str() + std::string(lock_suffix);
}

std::string_view to_string(TuningOf which) {
    return which == TuningOf::running ? "running" : "definition";
}

bj::array to_json(const Setting& setting) {
    bj::array numbers{setting[0], setting[1], setting[2]};
    if (setting[3] != 0) numbers.emplace_back(setting[3]);
    return numbers;
}

bj::object to_json(Limit limit, TuningOf which, const LimitPart& part) {
    bj::array ours;
    for (const Setting& setting : part.ours) ours.push_back(to_json(setting));
    bj::object object{{"limit", row_of(limit).key},
                      {"of", to_string(which)},
                      {"before", to_json(part.before)},
                      {"ours", std::move(ours)}};
    if (part.lasting) object["lasting"] = to_json(*part.lasting);
    if (part.until)
        object["until"] = bj::object{{"wall", format_instant(part.until->wall)},
                                     {"boot", part.until->boot},
                                     {"since_boot_ms", part.until->since_boot.count()},
                                     {"span_ms", part.until->span.count()}};
    return object;
}

/// Refuses outside text that is not as throttle writes it.
[[noreturn]] void refuse(const std::string& name) {
    throw Error(
        Code::config, name + " is not a list of limits as throttle writes it",
        "remove it; limits of that VM that should have ended by themselves then stay: 'throttle --reset' "
        "ends them");
}

std::int64_t number(const bj::value& value, const std::string& name) {
    if (!value.is_int64()) refuse(name);
    return value.get_int64();
}

const bj::value& member(const bj::object& object, std::string_view key, const std::string& name) {
    const bj::value* found = object.if_contains(key);
    if (!found) refuse(name);
    return *found;
}

/// Whether libvirt can take the numbers: a bandwidth has 32 bits, and only a quota may be -1.
bool fits(Limit limit, const Setting& setting) {
    const bool bandwidth = limit == Limit::bandwidth_in || limit == Limit::bandwidth_out;
    const std::int64_t most = bandwidth ? std::numeric_limits<std::uint32_t>::max() : largest_number;
    for (std::size_t i = 0; i < setting.size(); ++i) {
        const std::int64_t least = limit == Limit::cpu_quota && i == 0 ? -1 : 0;
        if (setting[i] < least || setting[i] > most) return false;
    }
    return true;
}

Setting setting(const bj::value& value, Limit limit, const std::string& name) {
    const std::size_t size = value.is_array() ? value.get_array().size() : 0;
    if (size != 3 && size != 4) refuse(name); // an earlier version wrote three
    Setting read{};
    for (std::size_t i = 0; i < size; ++i) read[i] = number(value.get_array()[i], name);
    if (!fits(limit, read)) refuse(name);
    return read;
}

LateMoment late_moment(const bj::value& value, const std::string& name) {
    if (!value.is_object()) refuse(name);
    const auto& object = value.get_object();
    const auto wall = parse_instant(json::string_or(value, "wall", ""));
    LateMoment read{wall.value_or(Instant{}), json::string_or(value, "boot", ""),
                    std::chrono::milliseconds(number(member(object, "since_boot_ms", name), name)),
                    std::chrono::milliseconds(number(member(object, "span_ms", name), name))};
    for (const auto part : {read.since_boot.count(), read.span.count()})
        if (!wall || part < 0 || part > largest_number) refuse(name);
    return read;
}

void take_part(const bj::value& value, const std::string& name, LimitNotes& into) {
    if (!value.is_object()) refuse(name);
    const auto& object = value.get_object();
    const auto key = json::string_or(value, "limit", ""), of = json::string_or(value, "of", "");
    const auto row = std::ranges::find(limit_table(), std::string_view(key), &LimitRow::key);
    const bj::value& ours = member(object, "ours", name);
    if (row == limit_table().end() || (of != "running" && of != "definition") || !ours.is_array())
        refuse(name);
    LimitPart part;
    part.before = setting(member(object, "before", name), row->limit, name);
    for (const bj::value& one : ours.get_array()) part.ours.push_back(setting(one, row->limit, name));
    if (const bj::value* lasting = object.if_contains("lasting"))
        part.lasting = setting(*lasting, row->limit, name);
    if (const bj::value* until = object.if_contains("until")) part.until = late_moment(*until, name);
    into.parts[{of == "running" ? TuningOf::running : TuningOf::definition, row->limit}] = std::move(part);
}

} // namespace

bool LimitPart::covers(const Setting& current) const {
    return std::ranges::find(ours, current) != ours.end();
}

const LimitPart* LimitNotes::find(TuningOf which, Limit limit) const {
    const auto found = parts.find({which, limit});
    return found == parts.end() ? nullptr : &found->second;
}

bool LimitNotes::due(const Moment& now) const {
    return std::ranges::any_of(parts, [&](const auto& part) {
        return part.second.until && left(*part.second.until, now).count() == 0;
    });
}

bool LimitNotes::of_earlier_boot(const Moment& now) const {
    return std::ranges::any_of(
        parts, [&](const auto& part) { return part.second.until && part.second.until->boot != now.boot; });
}

std::string to_text(const LimitNotes& notes) {
    bj::array parts;
    for (const auto& [key, part] : notes.parts) parts.push_back(to_json(key.second, key.first, part));
    return bj::serialize(bj::object{{"uuid", notes.uuid}, {"parts", std::move(parts)}}) + "\n";
}

LimitNotes limit_notes(const std::string& text, const std::string& name) {
    const bj::value value = json::parse(text, name);
    if (!value.is_object()) refuse(name);
    LimitNotes notes{json::string_or(value, "uuid", ""), {}};
    const bj::value& parts = member(value.get_object(), "parts", name);
    if (!parts.is_array()) refuse(name);
    for (const bj::value& part : parts.get_array()) take_part(part, name, notes);
    return notes;
}

LimitFile::LimitFile(Folder folder, VmName name, FileLock lock)
    : folder_(std::move(folder)), name_(std::move(name)), lock_(std::make_unique<FileLock>(std::move(lock))) {
}

LimitFile::~LimitFile() {
    if (!lock_) return;
    try {
        folder_.remove(lock_of(name_));
    } catch (const std::exception&) {
        // A lock file that nobody holds says nothing; the next holder removes it.
    }
}

std::optional<LimitFile> LimitFile::take(const StatePlace& journal, const VmName& name,
                                         const Deadline& deadline) {
    while (true) {
        Folder folder = journal.make(0750);
        if (auto lock = FileLock::take_named(folder, lock_of(name), 0640))
            return LimitFile(std::move(folder), name, std::move(*lock));
        if (deadline.passed()) return std::nullopt;
        pause_for(poll_period);
    }
}

LimitNotes LimitFile::read() const {
    const auto text = folder_.read(file_of(name_), file_max);
    return text ? limit_notes(*text, (folder_.path() / file_of(name_)).string()) : LimitNotes{};
}

void LimitFile::write(const LimitNotes& notes) const {
    folder_.remove_temporaries(file_of(name_));
    if (notes.parts.empty())
        folder_.remove(file_of(name_));
    else
        folder_.replace(file_of(name_), to_text(notes), {0640, {}, {}});
}

bool LimitFile::exists(const StatePlace& journal, const VmName& name) {
    const auto folder = journal.open();
    return folder && (folder->kind(file_of(name)) != Folder::Kind::absent ||
                      folder->kind(lock_of(name)) != Folder::Kind::absent);
}

std::optional<LimitNotes> LimitFile::peek(const StatePlace& journal, const VmName& name) {
    const auto folder = journal.open();
    const auto text = folder ? folder->read(file_of(name), file_max) : std::nullopt;
    if (!text) return std::nullopt;
    return limit_notes(*text, journal.string(file_of(name)));
}

std::vector<VmName> LimitFile::names(const StatePlace& journal) {
    std::vector<VmName> found;
    const auto folder = journal.open();
    if (!folder) return found;
    for (const std::string& file : folder->names()) {
        if (!std::string_view(file).ends_with(suffix)) continue;
        if (auto name = VmName::try_parse(file.substr(0, file.size() - suffix.size())))
            found.push_back(*name);
    }
    return found;
}

} // namespace blockhost::limits
