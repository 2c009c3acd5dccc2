// SPDX-License-Identifier: MIT
// Makes PROJECT.yaml from the tables.
#include "subcommands/generated.hpp"

#include "base/error.hpp"
#include "base/text/json.hpp"
#include "cli/describe.hpp"
#include "cli/help.hpp"
#include "config/db_yaml_keys.hpp"
#include "config/path_table.hpp"
#include "config/yaml_merge.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <yaml-cpp/emitter.h>

namespace blockhost::subcommands {

namespace {

namespace bj = boost::json;

bool is_empty(const bj::value& value) {
    return value.is_null() || (value.is_array() && value.get_array().empty()) ||
           (value.is_string() && value.get_string().empty()) || (value.is_bool() && !value.get_bool());
}

/// Quotes what other readers take for a number, a boolean or null, so that it stays text.
void emit_text(YAML::Emitter& out, const std::string& text) {
    const bool letters = std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == ' ';
    });
    const bool bare = letters && !text.empty() && text[0] != '-' && text[0] != ' ' && text.back() != ' ' &&
                      !is_yaml_word(text);
    if (!bare) out << YAML::DoubleQuoted;
    out << text;
}

/// Leaves out members of an object that are null, false or empty.
void emit(YAML::Emitter& out, const bj::value& value) {
    if (value.is_object()) {
        out << YAML::BeginMap;
        for (const auto& [key, member] : value.get_object()) {
            if (is_empty(member)) continue;
            out << YAML::Key;
            emit_text(out, std::string(key));
            out << YAML::Value;
            emit(out, member);
        }
        out << YAML::EndMap;
    } else if (value.is_array()) {
        const bj::array& all = value.get_array();
        const bool words = std::ranges::all_of(all, [](const bj::value& each) { return each.is_string(); });
        if (words) out << YAML::Flow;
        out << YAML::BeginSeq;
        for (const bj::value& each : all) emit(out, each);
        out << YAML::EndSeq;
    } else if (value.is_string()) {
        emit_text(out, std::string(value.get_string()));
    } else if (value.is_bool()) {
        out << value.get_bool();
    } else {
        out << value.as_int64();
    }
}

bj::array strings(const std::vector<std::string_view>& words) {
    return bj::array(words.begin(), words.end());
}

bj::object statuses_of(const cli::Row& row) {
    bj::object statuses;
    for (const auto& [status, meaning] : cli::exit_statuses(row)) statuses[status] = meaning;
    return statuses;
}

bj::array examples_of(const cli::Row& row) {
    bj::array examples;
    for (const cli::Example& each : row.examples)
        examples.push_back(bj::object{{"words", each.words}, {"meaning", each.meaning}});
    return examples;
}

/// The verb as __dump has it, without what every verb has, and with what only PROJECT.yaml says.
bj::object command_of(bj::object verb, const cli::Row& row) {
    for (const char* other : {"hidden", "exit", "usage_status", "output", "examples"}) verb.erase(other);
    bj::array options;
    for (bj::value& option : verb["options"].as_array())
        if (option.at("name") != "help" && option.at("name") != "mock") options.push_back(std::move(option));
    verb["options"] = std::move(options);
    verb["output"] = bj::object{{"text", row.output.text},
                                {"json_call", row.output.json_call},
                                {"json_keys", strings(row.output.json_keys)}};
    if (!row.output.unheard.empty()) verb["output"].as_object()["unheard"] = row.output.unheard;
    verb["examples"] = examples_of(row);
    verb["exit_statuses"] = statuses_of(row);
    return verb;
}

bj::object named(std::span<const Named> table) {
    bj::object all;
    for (const Named& each : table) all[each.name] = each.meaning;
    return all;
}

bj::object config_keys() {
    bj::object keys;
    for (const ConfigKey& key : db_yaml_keys())
        keys[key.name] =
            bj::object{{"type", key.type}, {"default", key.default_text}, {"meaning", key.meaning}};
    return keys;
}

bj::object paths() {
    bj::object all;
    for (const PathRow& row : path_table()) all[row.path] = row.meaning;
    return all;
}

} // namespace

std::string project_yaml() {
    bj::value dump = json::parse(cli::dump_json(), "the dump");
    bj::array commands, common;
    for (bj::value& verb : dump.at("verbs").as_array())
        if (const cli::Row* row = cli::row_of_verb(verb.at("verb").as_string());
            row->visibility == cli::Row::Visibility::shown)
            commands.push_back(command_of(std::move(verb.as_object()), *row));
    for (const cli::Option& option : cli::common_options())
        common.push_back(bj::object{{"name", option.name}, {"help", option.help}});
    bj::array codes = dump.at("errors").as_array();

    const bj::object project{
        {"name", cli::program_name},
        {"summary", "provisions and runs KVM virtual machines through libvirt and cloud-init for BlockHost"},
        {"version", cli::version()},
        {"license", "MIT"},
        {"language", "C++20"},
        {"platform", "Debian 12 (amd64)"},
        {"tasks", bj::object{{"quickstart", "packaging/quickstart.sh"},
                             {"test", "tests/run.sh"},
                             {"bench", "tests/bench/run.sh"},
                             {"package", "./build-deb.sh"}}},
        {"binary", cli::program_name},
        {"common_options", std::move(common)},
        {"commands", std::move(commands)},
        {"config_file", "/etc/blockhost/db.yaml"},
        {"config_keys", config_keys()},
        {"environment", named(environment_variables())},
        {"error_codes", std::move(codes)},
        {"root_agent_actions",
         bj::object{{"shipped", named(shipped_agent_actions())}, {"called", named(called_agent_actions())}}},
        {"hooks", named(hook_programs())},
        {"units", named(systemd_units())},
        {"paths", paths()},
    };
    YAML::Emitter out;
    out << YAML::Comment("Generated: blockhost-libvirt __dump project >PROJECT.yaml") << YAML::Newline;
    emit(out, project);
    return std::string(out.c_str()) + "\n";
}

} // namespace blockhost::subcommands
