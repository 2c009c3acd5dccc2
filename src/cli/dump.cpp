// SPDX-License-Identifier: MIT
// The command line as data.
#include "cli/help.hpp"

#include "base/error.hpp"
#include "base/text/json.hpp"
#include "cli/describe.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#ifndef BLOCKHOST_VERSION
#error "the build defines BLOCKHOST_VERSION"
#endif

namespace blockhost::cli {

namespace {

std::string_view name_of(Operand::Count count) {
    switch (count) {
    case Operand::Count::one:
        return "one";
    case Operand::Count::optional:
        return "optional";
    case Operand::Count::several:
        return "several";
    case Operand::Count::rest:
        return "rest";
    }
    return {};
}

std::string_view name_of(Operand::Meaning meaning) {
    switch (meaning) {
    case Operand::Meaning::text:
        return "text";
    case Operand::Meaning::existing_vm:
        return "existing_vm";
    case Operand::Meaning::verb:
        return "verb";
    }
    return {};
}

std::string_view name_of(Option::Kind kind) {
    switch (kind) {
    case Option::Kind::flag:
        return "flag";
    case Option::Kind::integer:
        return "integer";
    case Option::Kind::text:
        return "text";
    case Option::Kind::file:
        return "file";
    case Option::Kind::choice:
        return "choice";
    }
    return {};
}

std::string_view name_of(Needs needs) {
    switch (needs) {
    case Needs::nothing:
        return "nothing";
    case Needs::config:
        return "config";
    case Needs::registry:
        return "registry";
    case Needs::observer:
        return "observer";
    case Needs::hypervisor:
        return "hypervisor";
    }
    return {};
}

std::string_view name_of(Effect effect) {
    switch (effect) {
    case Effect::reads:
        return "reads";
    case Effect::changes:
        return "changes";
    case Effect::destroys:
        return "destroys";
    }
    return {};
}

boost::json::value or_null(std::string_view text) {
    return text.empty() ? boost::json::value(nullptr) : boost::json::value(text);
}

boost::json::array array_of(const std::vector<std::string_view>& words) {
    return boost::json::array(words.begin(), words.end());
}

boost::json::object object_of(const Operand& operand) {
    return {
        {"name", operand.name},
        {"help", operand.help},
        {"count", name_of(operand.count)},
        {"meaning", name_of(operand.meaning)},
        {"fits", operand.meaning == Operand::Meaning::existing_vm ? or_null(name_of(operand.fits)) : nullptr},
        {"choices", array_of(operand.choices)}};
}

boost::json::object object_of(const Option& option) {
    boost::json::object object{{"name", option.name},
                               {"letter", or_null(std::string_view(&option.letter, option.letter ? 1 : 0))},
                               {"kind", name_of(option.kind)},
                               {"value", or_null(option.value)},
                               {"default", or_null(option.default_text)}};
    bool bounded = !bounds_text(option).empty();
    object["min"] = bounded ? boost::json::value(option.min) : nullptr;
    object["max"] = bounded ? boost::json::value(option.max) : nullptr;
    object["choices"] = array_of(option.choices);
    object["offers"] = array_of(option.offers);
    object["implicit"] = or_null(option.implicit);
    object["required"] = option.presence == Option::Presence::required;
    object["ignored"] = option.standing == Option::Standing::ignored;
    object["help"] = option.help;
    return object;
}

boost::json::object object_of(const Row& row) {
    boost::json::array operands, options, examples;
    for (const Example& each : row.examples)
        examples.push_back(boost::json::object{{"words", each.words}, {"meaning", each.meaning}});
    for (const Operand& operand : row.operands) operands.push_back(object_of(operand));
    for (const Option* option : accepted_options(row)) options.push_back(object_of(*option));
    return {{"verb", row.verb},
            {"contract_name", or_null(row.contract_name)},
            {"foreign_name", or_null(row.foreign_name)},
            {"summary", row.summary},
            {"details", row.details},
            {"operands", std::move(operands)},
            {"options", std::move(options)},
            {"needs", name_of(row.needs)},
            {"effect", name_of(row.effect)},
            {"usage_status", row.usage_status},
            {"exit", row.exit == Row::Exit::contract ? "contract" : "table"},
            {"output", boost::json::object{{"text", row.output.text},
                                           {"json_call", row.output.json_call},
                                           {"json_keys", array_of(row.output.json_keys)},
                                           {"unheard", row.output.unheard}}},
            {"examples", std::move(examples)},
            {"talk_prefix", row.talk_prefix},
            {"always_answers", row.on_usage_error != nullptr},
            {"hidden", row.visibility == Row::Visibility::hidden},
            {"man_page",
             row.visibility == Row::Visibility::hidden ? nullptr : boost::json::value(man_page_name(row))}};
}

boost::json::object object_of(const CodeRow& row) {
    return {{"name", row.name}, {"exit_status", row.exit_status}, {"retry", row.retry}, {"help", row.help}};
}

} // namespace

std::string_view version() {
    return BLOCKHOST_VERSION;
}

std::string dump_json() {
    boost::json::array verbs, links, errors;
    for (const Row& row : rows()) {
        verbs.push_back(object_of(row));
        if (!row.contract_name.empty()) links.emplace_back(row.contract_name);
    }
    for (const CodeRow& row : error_table()) errors.push_back(object_of(row));
    return json::python_line(boost::json::object{{"program", program_name},
                                                 {"version", version()},
                                                 {"verbs", std::move(verbs)},
                                                 {"links", std::move(links)},
                                                 {"errors", std::move(errors)}});
}

} // namespace blockhost::cli
