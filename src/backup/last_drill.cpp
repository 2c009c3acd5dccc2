// SPDX-License-Identifier: MIT
#include "backup/last_drill.hpp"

#include "base/text/strict_json.hpp"
#include "store/private_folder.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace blockhost::backup {

namespace {

namespace bj = boost::json;
using json::Fields;

constexpr std::int64_t format = 1, any = std::int64_t(1) << 62;
constexpr const char* outer = "backup";
constexpr const char* inner = "drills";

std::string file_name(const VmName& vm) {
    return vm.str() + ".json";
}

Instant instant_in(Fields& fields, std::string_view key) {
    const auto at = parse_instant(fields.text(key));
    if (!at) throw fields.refusal(key, "is no time");
    return *at;
}

LastDrill drill_in(const std::string& text, const std::string& name) {
    const bj::value document = json::parse_strictly(text, name, {.bytes = 64u << 10, .depth = 2});
    Fields fields(document, name);
    if (fields.integer("format", 0, any) != format) throw fields.refusal("format", "is another version's");
    LastDrill drill{.snapshot = fields.text("snapshot"),
                    .taken_at = instant_in(fields, "taken_at"),
                    .at = instant_in(fields, "at"),
                    .passed = fields.flag("passed"),
                    .reason = fields.text("reason"),
                    .restore_s = fields.integer("restore_s", 0, any),
                    .boot_s = fields.integer("boot_s", 0, any),
                    .check_s = fields.integer("check_s", 0, any)};
    fields.finish();
    return drill;
}

} // namespace

std::optional<LastDrill> read_last_drill(const Paths& paths, const VmName& vm) {
    const auto state = paths.state.open();
    const auto backups = state ? store::private_folder(*state, outer) : std::nullopt;
    const auto drills = backups ? store::private_folder(*backups, inner) : std::nullopt;
    const auto text = drills ? drills->read(file_name(vm)) : std::nullopt;
    if (!text) return std::nullopt;
    return drill_in(*text, "the last drill of " + vm.str());
}

void write_last_drill(const Paths& paths, const VmName& vm, const LastDrill& drill) {
    const bj::object document{{"format", format},
                              {"snapshot", drill.snapshot},
                              {"taken_at", format_instant(drill.taken_at)},
                              {"at", format_instant(drill.at)},
                              {"passed", drill.passed},
                              {"reason", drill.reason},
                              {"restore_s", drill.restore_s},
                              {"boot_s", drill.boot_s},
                              {"check_s", drill.check_s}};
    const Folder drills =
        store::make_private_folder(store::make_private_folder(paths.state.make(), outer), inner);
    drills.replace(file_name(vm), bj::serialize(document) + "\n", {.mode = 0600, .uid = {}, .gid = {}});
}

} // namespace blockhost::backup
