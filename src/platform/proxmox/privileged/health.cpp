// SPDX-License-Identifier: MIT
#include "platform/proxmox/privileged/health.hpp"

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <boost/json/array.hpp>

namespace blockhost::platform::proxmox::privileged {

namespace {

namespace bj = boost::json;

/// smartctl(8), EXIT STATUS: a bit each. The lowest two mean that the disk was not asked.
constexpr std::int64_t not_asked = 0b11;
constexpr std::string_view findings[] = {
    "",
    "",
    "some of its answers failed, or a checksum was wrong",
    "it says that it is failing",
    "some of its attributes are at the threshold of failure",
    "some of its attributes were at the threshold in the past",
    "its log holds errors",
    "a test of itself failed",
};

bj::object document_of(const char* program, const ProcessResult& result) {
    try {
        bj::value document = json::parse(result.out, program);
        if (document.is_object()) return std::move(document.get_object());
    } catch (const Error&) {
        // Said below: what the program told on stderr is worth more than the place of the mistake.
    }
    const std::string words = text::join(text::last_lines(result.err, 2), " | ");
    throw Error(Code::program, std::string(program) + " ended with status " +
                                   std::to_string(result.exit_status) + ", and its answer is no JSON" +
                                   (words.empty() ? "" : ": " + words));
}

/// The messages in smartctl's own document.
std::string messages_in(const bj::object& told) {
    const bj::value* messages = json::member(told, "messages");
    std::vector<std::string> texts;
    if (messages != nullptr && messages->is_array())
        for (const bj::value& message : messages->get_array())
            texts.push_back(text::printable(json::string_or(message, "string", "")));
    return text::join(texts, " | ");
}

/// "temp" of "temp1_input"; empty for what is no measured value.
std::string kind_of(std::string_view name) {
    if (!name.ends_with("_input")) return {};
    name.remove_suffix(6);
    const std::size_t digits = name.find_last_not_of("0123456789");
    return digits == name.npos || digits + 1 == name.size() ? "" : std::string(name.substr(0, digits + 1));
}

void read_sensor(std::vector<Reading>& readings, std::string_view chip, std::string_view sensor,
                 const bj::object& values) {
    for (const auto& [name, value] : values)
        if (const std::string kind = kind_of(name); !kind.empty() && value.is_number())
            readings.push_back(
                {text::printable(chip), text::printable(sensor), kind, value.to_number<double>()});
}

} // namespace

Smart Health::smart(const Device& device) const {
    fence_.require("reading a disk's health", {smartctl});
    const ProcessResult result = fence_.run(smartctl, {"--json", "-a", device.str()});
    const bj::object told = document_of("smartctl", result);
    const bj::object& about = json::object_in(told, "smartctl");
    const auto status = json::integer_in(about, "exit_status");
    if (!status || (*status & not_asked) != 0)
        throw Error(Code::program, "smartctl could not read " + device.str() + ": " + messages_in(about));
    Smart smart;
    smart.model = text::printable(json::string_or(told, "model_name", ""));
    smart.serial = text::printable(json::string_or(told, "serial_number", ""));
    if (const bj::value* passed = json::member(json::object_in(told, "smart_status"), "passed");
        passed != nullptr && passed->is_bool())
        smart.passed = passed->get_bool();
    if (const auto celsius = json::integer_in(json::object_in(told, "temperature"), "current");
        celsius && *celsius > -100 && *celsius < 1000)
        smart.temperature_c = static_cast<int>(*celsius);
    smart.power_on_hours = json::integer_in(json::object_in(told, "power_on_time"), "hours");
    for (std::size_t bit = 2; bit < std::size(findings); ++bit)
        if ((*status >> bit & 1) != 0) smart.warnings.emplace_back(findings[bit]);
    return smart;
}

std::vector<Reading> Health::sensors() const {
    fence_.require("reading the node's sensors", {sensors_program});
    const ProcessResult result = fence_.run(sensors_program, {"-j"});
    std::vector<Reading> readings;
    for (const auto& [chip, told] : document_of("sensors", result))
        if (told.is_object())
            for (const auto& [sensor, values] : told.get_object())
                if (values.is_object()) read_sensor(readings, chip, sensor, values.get_object());
    return readings;
}

} // namespace blockhost::platform::proxmox::privileged
