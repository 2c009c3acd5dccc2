// SPDX-License-Identifier: MIT
/// A Proxmox node's answers, by the input's first character: r a whole one, head and body; else a body alone:
/// v a VM's configuration, c a container's, g the list of VMs, l that of containers, s snapshots, b backups,
/// k storages, a an archive's configuration, d the certificates on its disk, p permissions and, behind ---, a
/// path; t a task's log and, behind ---, its exit status.

#include "base/text/text.hpp"
#include "http/response.hpp"
#include "platform/backup_words.hpp"
#include "platform/proxmox/node.hpp"
#include "platform/proxmox/task.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>

using namespace blockhost;
using namespace blockhost::platform;
using namespace blockhost::platform::proxmox;
namespace bj = boost::json;

namespace {

constexpr std::size_t longest_message = 4000;
constexpr std::string_view blanks = " \t\r\n\v\f";

bool is_line(const std::string& text, std::size_t longest = longest_message) {
    return text.size() <= longest && text::printable(text, longest) == text;
}

void check_error(const Error& error) {
    fuzz::check(!error.message().empty(), "an error says what is wrong");
    fuzz::check(is_line(error.message()) && is_line(error.hint()), "in a line");
}

void check_refusal(const Refusal& refusal) {
    fuzz::check(is_line(refusal.words) && is_line(refusal.path) && is_line(refusal.privileges) &&
                    is_line(refusal.lock),
                "a refusal's words are one line each");
    for (const auto& [name, what] : refusal.parameters)
        fuzz::check(is_line(name) && is_line(what), "a parameter's words are one line");
    fuzz::check(refusal.path.empty() || refusal.path.starts_with("/"), "a path is one");
    check_error(error_of(refusal, "GET /nodes/pve1/qemu"));
}

/// The data of a body that came with 200.
std::optional<bj::value> data_in(const std::string& body) {
    return data_of({200, "OK", "application/json;charset=UTF-8", body});
}

/// How many elements of a list `counts`.
template<class Counts>
std::size_t count_in(const std::string& body, Counts counts) {
    const auto data = data_in(body);
    if (!data || !data->is_array()) return 0;
    return static_cast<std::size_t>(std::ranges::count_if(data->as_array(), counts));
}

/// What `read` makes of the data. It may refuse it by an Error, in a line.
template<class Read>
auto made_of(const std::string& body, Read read) -> std::optional<decltype(read(bj::value()))> {
    const auto data = data_in(body);
    if (!data) return std::nullopt;
    try {
        return read(*data);
    } catch (const Error& error) {
        check_error(error);
        return std::nullopt;
    }
}

void answer(std::string_view input) {
    http::HeadReader reader;
    while (!input.empty() && !reader.is_whole()) {
        const std::size_t end = input.find('\n');
        if (reader.take(input.substr(0, end)) == http::HeadReader::State::nonsense) return;
        input.remove_prefix(end == input.npos ? input.size() : end + 1);
    }
    if (!reader.is_whole()) return;
    const http::Head& head = reader.head();
    const RawAnswer answer{head.status, head.reason, head.content_type, std::string(input)};
    const auto data = data_of(answer);
    fuzz::check(!data || text::trim(answer.body).starts_with("{"), "data stand in an object");
    if (answer.status >= 200 && answer.status < 300) return;
    const Refusal refusal = refusal_of(answer);
    check_refusal(refusal);
    const bool may_be_done =
        (answer.status >= 502 && answer.status <= 504) || (answer.status >= 596 && answer.status <= 599);
    fuzz::check((refusal.kind == RefusalKind::unknown) == may_be_done, "a lost answer is no refusal");
    fuzz::check((refusal.kind == RefusalKind::unauthenticated) == (answer.status == 401),
                "401 alone is about the token");
}

/// The same as another release would tell it: numbers as texts, texts as numbers, booleans as numbers, and
/// the keys in another order.
bj::object retold(const bj::object& told) {
    bj::object other;
    for (auto each = told.end(); each != told.begin();) {
        --each;
        const bj::value& value = each->value();
        bj::value& changed = other[each->key()] = value;
        if (value.is_int64() || value.is_uint64()) changed = *scalar(value);
        if (value.is_bool()) changed = value.as_bool() ? 1 : 0;
        if (const auto* text = value.if_string())
            if (const auto number = text::parse_int(*text); number && std::to_string(*number) == *text)
                changed = *number;
    }
    return other;
}

/// A configuration as a node would tell it.
bj::object told_by(const GuestConfig& config, Kind kind) {
    bj::object told;
    for (const auto& [key, value] : config.details) told[key] = value;
    told[kind == Kind::vm ? "name" : "hostname"] = config.name;
    if (config.cpus || kind == Kind::vm) told["cores"] = config.cpus.value_or(0);
    told["memory"] = config.memory_mib ? std::to_string(*config.memory_mib) : "much";
    told["description"] = config.description + "\n";
    told["tags"] = text::join({config.tags.begin(), config.tags.end()}, ";");
    told["onboot"] = config.start_on_boot;
    told["protection"] = config.is_protected ? "1" : "0";
    return told;
}

void check_config(const GuestConfig& config) {
    fuzz::check(config.description.empty() || blanks.find(config.description.back()) == blanks.npos,
                "a description has no blanks at its end");
    fuzz::check(config.cpus.value_or(1) >= 1, "a guest has processors");
    fuzz::check(config.memory_mib.value_or(0) >= 0 && config.disk_mib.value_or(0) >= 0,
                "memory and disk have sizes");
    for (const std::string& tag : config.tags)
        fuzz::check(!tag.empty() && text::lower(tag) == tag && tag.find_first_of(blanks) == tag.npos, "tags");
}

void configuration(std::string_view input, Kind kind) {
    const auto data = data_in(std::string(input));
    if (!data || !data->is_object()) return;
    const bj::object& told = data->as_object();
    const GuestConfig config = config_of(told, kind);
    check_config(config);
    const bj::object other = retold(told), normal = told_by(config, kind);
    fuzz::check(config_of(other, kind) == config, "types and order mean nothing");
    fuzz::check(config_of(normal, kind) == config, "a normal form is its own normal form");
    const Incarnation incarnation = incarnation_of(told, kind);
    fuzz::check(incarnation_of(other, kind) == incarnation, "types and order are no other guest");
    fuzz::check(incarnation_of(normal, kind) == incarnation, "a normal form is no other guest");
}

void guests(const std::string& body, Kind kind) {
    const auto found =
        made_of(body, [&](const bj::value& told) { return guests_in(told, kind, "/nodes/pve1/qemu"); });
    if (!found) return;
    for (const Guest& guest : *found) {
        const auto number = text::parse_int(guest.id);
        fuzz::check(number && *number >= 100 && *number <= 999'999'999 && std::to_string(*number) == guest.id,
                    "a guest has a number");
        fuzz::check(guest.kind == kind && guest.config && guest.config->name == guest.name, "and a name");
        check_config(*guest.config);
    }
    const auto is_wanted = [](const bj::value& row) {
        return !row.is_object() || !flag(row.as_object(), "template");
    };
    fuzz::check(found->size() == count_in(body, is_wanted), "no guest is left out");
}

void snapshots(const std::string& body) {
    const auto found = made_of(
        body, [](const bj::value& told) { return snapshots_in(told, "/nodes/pve1/qemu/100/snapshot"); });
    if (!found) return;
    for (const Snapshot& snapshot : *found)
        fuzz::check(!snapshot.name.empty() && snapshot.name != "current", "a snapshot has a name");
}

void backups(const std::string& body) {
    const auto found = made_of(
        body, [](const bj::value& told) { return backups_in(told, "/nodes/pve1/storage/local/content"); });
    if (!found) return;
    for (const BackupVolume& backup : *found) {
        fuzz::check(!backup.id.empty(), "a backup can be named");
        fuzz::check(backup.size >= 0 && backup.guest >= 0 && backup.guest <= 999'999'999,
                    "a backup has a size and a guest");
    }
    fuzz::check(found->size() == count_in(body, [](const bj::value&) { return true; }),
                "no backup is left out");
}

void storages(const std::string& body) {
    const auto found =
        made_of(body, [](const bj::value& told) { return storages_in(told, "/nodes/pve1/storage"); });
    if (!found) return;
    for (const StorageRow& storage : *found) {
        fuzz::check(!storage.name.empty(), "a storage can be named");
        fuzz::check(storage.size.value_or(0) >= 0 && storage.free.value_or(0) >= 0, "a storage has a size");
    }
    fuzz::check(found->size() == count_in(body, [](const bj::value&) { return true; }),
                "no storage is left out");
}

void archived(const std::string& body) {
    const auto found = made_of(body, [](const bj::value& told) {
        return archived_config_in(told, "/nodes/pve1/vzdump/extractconfig");
    });
    if (!found) return;
    fuzz::check(!found->empty(), "an archive has a configuration");
    for (const auto& [key, value] : *found)
        fuzz::check(!key.empty() && key.find('\n') == key.npos && value.is_string(), "line by line");
}

void certificates(const std::string& body) {
    const auto pem = made_of(body, [](const bj::value& told) {
        return front_certificate_in(told, "/nodes/pve1/certificates/info");
    });
    if (pem) fuzz::check(!pem->empty(), "a node has a certificate");
}

void privileges(std::string_view input) {
    const auto parts = fuzz::parts_of(input);
    const Permissions held = made_of(parts[0], [](const bj::value& told) {
                                 return permissions_in(told, "/access/permissions");
                             }).value_or(Permissions());
    const std::string asked = parts.size() > 1 ? parts[1] : "/vms/100";
    if (!permits(held, asked, "VM.Audit|VM.Backup")) return;
    bool is_held = false;
    for (const auto& [path, privileges] : held) {
        const bool is_above = path == asked || path == "/" || asked.starts_with(path + "/");
        for (const auto& [privilege, passed_on] : privileges)
            is_held |= is_above && (passed_on || path == asked) &&
                       (privilege == "VM.Audit" || privilege == "VM.Backup");
    }
    fuzz::check(is_held, "a privilege is held on the path, or above it");
}

void log(std::string_view input) {
    const auto parts = fuzz::parts_of(input);
    auto lines = made_of(parts[0], [](const bj::value& told) {
                     return log_in(told);
                 }).value_or(std::vector<std::string>());
    fuzz::check(lines.size() <= 500, "a log has an end");
    const BackupCourse course = read_dump_log(lines).course;
    fuzz::check(!course.percent || (*course.percent >= 0 && *course.percent <= 100), "a share is one");
    fuzz::check(is_line(words_for(course)) && is_line(summary_of(course)), "a backup's course is a line");
    if (const auto refused = refusal_of_dump(lines)) check_refusal(*refused);
    TaskState state = end_of(parts.size() > 1 ? parts[1] : "job errors");
    const bool has_warnings = !state.warnings.empty();
    add_log(state, std::move(lines));
    for (const auto* told : {&state.log, &state.warnings})
        for (const std::string& line : *told) fuzz::check(is_line(line, 500), "a log's line is one line");
    fuzz::check(has_warnings != state.warnings.empty(), "warnings stay warnings");
    fuzz::check(state.log.size() <= 10 && (state.log.empty() || state.phase == TaskState::Phase::failed),
                "a failure has the last lines");
    if (state.phase == TaskState::Phase::failed) check_refusal(state.refusal);
}

void pve_answers(std::string_view input) {
    const char selector = fuzz::take_selector(input);
    const std::string body(input);
    switch (selector) {
    case 'r':
        return answer(input);
    case 'v':
        return configuration(input, Kind::vm);
    case 'c':
        return configuration(input, Kind::container);
    case 'g':
        return guests(body, Kind::vm);
    case 'l':
        return guests(body, Kind::container);
    case 's':
        return snapshots(body);
    case 'b':
        return backups(body);
    case 'k':
        return storages(body);
    case 'a':
        return archived(body);
    case 'd':
        return certificates(body);
    case 'p':
        return privileges(input);
    case 't':
        return log(input);
    default:
        return;
    }
}

} // namespace

FUZZ_TARGET(pve_answers)
