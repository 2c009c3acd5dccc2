// SPDX-License-Identifier: MIT
#include "base/text/json_members.hpp"

#include "base/text/text.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>

namespace blockhost::json {

namespace {

constexpr std::size_t most_refusals = 10, most_warnings = 100, longest_quote = 80;

std::string found_in(const Located& value) {
    switch (value.kind) {
    case Located::Kind::object:
        return "an object";
    case Located::Kind::list:
        return "a list";
    case Located::Kind::null:
        return "null";
    case Located::Kind::text:
        return "\"" + text::printable(std::string_view(value.scalar.get_string()), longest_quote) + "\"";
    default:
        return text::printable(boost::json::serialize(value.scalar), longest_quote);
    }
}

} // namespace

std::string Findings::sentence(std::size_t at, const std::string& field, std::string_view what) const {
    const std::string subject = field.empty() ? "the document" : text::printable(field);
    return document_.place(at) + ": " + subject + " " + std::string(what);
}

void Findings::refuse(std::size_t at, const std::string& field, std::string_view what, std::string hint) {
    if (++refusals_ > most_refusals) return;
    refused_.push_back({text::printable(field), sentence(at, field, what), std::move(hint)});
}

void Findings::warn(std::size_t at, const std::string& field, std::string_view what) {
    ++warned_;
    if (warned_ <= most_warnings) warnings_.push_back(sentence(at, field, what));
    if (warned_ == most_warnings + 1) warnings_.push_back(document_.name() + ": more than that is not told");
}

void Findings::throw_if_refused() const {
    if (refused_.empty()) return;
    std::vector<BadField> told = refused_;
    if (refusals_ > most_refusals)
        told.back().message += " (and " + std::to_string(refusals_ - most_refusals) + " more)";
    throw FieldError(Code::config, std::move(told));
}

Members::Members(Findings& findings, const Located& value, std::string path)
    : findings_(findings), value_(value), path_(std::move(path)) {
    if (value.kind != Located::Kind::object) refuse_found(value, path_, "an object");
}

std::string Members::way_to(std::string_view key) const {
    return path_ + (path_.empty() || key.empty() ? "" : ".") + std::string(key);
}

void Members::refuse_found(const Located& found, const std::string& field, std::string_view expected) const {
    findings_.refuse(found.at, field,
                     "is " + found_in(found) + ", where " + std::string(expected) + " is expected",
                     found.kind == Located::Kind::null ? "leave out what is not to be said"
                                                       : "write " + std::string(expected) + " there");
}

const Located* Members::read(std::string_view key) {
    read_.push_back(key);
    const LocatedMember* found = value_.member(key);
    return found != nullptr ? &found->value : nullptr;
}

const Located* Members::read(std::string_view key, Located::Kind kind, std::string_view expected) {
    const Located* found = read(key);
    if (found == nullptr || found->kind == kind) return found;
    refuse_found(*found, way_to(key), expected);
    return nullptr;
}

std::optional<std::string> Members::text(std::string_view key, std::size_t longest) {
    const Located* found = read(key, Located::Kind::text, "a text");
    if (found == nullptr) return std::nullopt;
    std::string value(found->scalar.get_string());
    if (value.size() <= longest) return value;
    refuse(key, "has " + std::to_string(value.size()) + " bytes",
           "at most " + std::to_string(longest) + " are allowed");
    return std::nullopt;
}

std::optional<std::int64_t> Members::integer(std::string_view key, std::int64_t least, std::int64_t most) {
    const Located* found = read(key);
    if (found == nullptr) return std::nullopt;
    const std::string expected =
        "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
    const bool fits =
        found->scalar.is_int64() && found->scalar.get_int64() >= least && found->scalar.get_int64() <= most;
    if (fits) return found->scalar.get_int64();
    refuse_found(*found, way_to(key), expected);
    return std::nullopt;
}

std::optional<bool> Members::boolean(std::string_view key) {
    const Located* found = read(key, Located::Kind::boolean, "true or false");
    return found != nullptr ? std::optional(found->scalar.get_bool()) : std::nullopt;
}

std::optional<std::size_t> Members::choice(std::string_view key, std::span<const std::string_view> allowed) {
    const std::string expected = "one of " + text::join({allowed.begin(), allowed.end()}, ", ");
    const Located* found = read(key, Located::Kind::text, expected);
    if (found == nullptr) return std::nullopt;
    const auto place = std::ranges::find(allowed, std::string_view(found->scalar.get_string()));
    if (place != allowed.end()) return static_cast<std::size_t>(place - allowed.begin());
    refuse_found(*found, way_to(key), expected);
    return std::nullopt;
}

std::optional<std::vector<std::string>> Members::texts(std::string_view key, std::size_t longest) {
    const Located* found = read(key, Located::Kind::list, "a list of texts");
    if (found == nullptr) return std::nullopt;
    std::vector<std::string> all;
    for (const Located& each : found->items) {
        if (each.kind != Located::Kind::text || each.scalar.get_string().size() > longest) {
            refuse_found(each, way_to(key), "a text of at most " + std::to_string(longest) + " bytes");
            return std::nullopt;
        }
        all.emplace_back(each.scalar.get_string());
    }
    return all;
}

std::optional<Members> Members::object(std::string_view key) {
    const Located* found = read(key, Located::Kind::object, "an object");
    if (found == nullptr) return std::nullopt;
    return Members(findings_, *found, way_to(key));
}

const std::vector<LocatedMember>& Members::all() {
    all_read_ = true;
    return value_.members;
}

void Members::refuse(std::string_view key, std::string_view what, std::string hint) const {
    const LocatedMember* found = key.empty() ? nullptr : value_.member(key);
    findings_.refuse(found != nullptr ? found->value.at : value_.at, way_to(key), what, std::move(hint));
}

void Members::require(std::string_view key, std::string hint) const {
    if (value_.kind == Located::Kind::object && !has(key)) refuse(key, "is missing", std::move(hint));
}

void Members::warn_of_unread() const {
    if (all_read_) return;
    for (const LocatedMember& each : value_.members) {
        if (std::ranges::find(read_, each.key) != read_.end()) continue;
        const auto near = text::nearest(each.key, read_);
        findings_.warn(each.at, way_to(each.key),
                       "is not known, and ignored" +
                           (near ? "; did you mean " + std::string(*near) + "?" : std::string()));
    }
}

} // namespace blockhost::json
