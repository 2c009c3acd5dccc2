// SPDX-License-Identifier: MIT
/// See settings_json.hpp.

#include "hypervisor/settings_json.hpp"

#include <boost/json/array.hpp>
#include <string_view>

namespace blockhost {

namespace {

namespace bj = boost::json;

Error unreadable(std::string_view key) {
    return Error(Code::invalid, std::string(key) + " cannot be read");
}

std::optional<std::int64_t> number_in(const bj::object& from, std::string_view key) {
    const bj::value* value = from.if_contains(key);
    if (value == nullptr) return std::nullopt;
    boost::system::error_code error;
    const auto number = value->to_number<std::int64_t>(error);
    if (error || number < 1) throw unreadable(key);
    return number;
}

std::string text_in(const bj::value& value, std::string_view key) {
    if (!value.is_string()) throw unreadable(key);
    return std::string(value.get_string());
}

} // namespace

bj::object to_json(const DomainSettings& settings) {
    bj::object all;
    if (settings.cpus) all["cpus"] = *settings.cpus;
    if (settings.memory_mib) all["memory_mib"] = *settings.memory_mib;
    if (settings.description) all["description"] = *settings.description;
    if (settings.tags) all["tags"] = bj::array(settings.tags->begin(), settings.tags->end());
    return all;
}

DomainSettings settings_from(const bj::object& from) {
    DomainSettings settings{.cpus = number_in(from, "cpus"), .memory_mib = number_in(from, "memory_mib")};
    if (const bj::value* text = from.if_contains("description"))
        settings.description = text_in(*text, "description");
    if (const bj::value* tags = from.if_contains("tags")) {
        if (!tags->is_array()) throw unreadable("tags");
        settings.tags.emplace();
        for (const bj::value& tag : tags->get_array()) settings.tags->insert(text_in(tag, "tags"));
    }
    if (const auto refused = refusal_of(settings)) throw Error(*refused);
    return settings;
}

} // namespace blockhost
