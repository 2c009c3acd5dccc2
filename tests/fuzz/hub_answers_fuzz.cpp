// SPDX-License-Identifier: MIT
/// What a hub says to a host: answers, sets of signed operations, heads of an audit; and which hub the
/// configuration names.

#include "base/text/json.hpp"
#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"
#include "hub/answer.hpp"
#include "hub/settings.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>

using namespace blockhost;
using namespace blockhost::hub;

namespace {

void answers(std::string_view text) {
    fuzz::answered([&] {
        const Answer read = parse_answer(text, "host-a");
        fuzz::check(text.find("host-a") != text.npos || text.find("\\u") != text.npos,
                    "an answer names its host");
        fuzz::check(!read.poll || (*read.poll >= least_poll && *read.poll <= most_poll),
                    "a poll is within its bounds");
        fuzz::check(!read.desired || read.desired->generation >= 0, "a generation only grows");
        fuzz::check(read.acknowledged >= 0 && read.signed_mark && read.unclear.empty(),
                    "nothing is half read");
        fuzz::check(read.audit.empty() || line_of_head(read.audit), "a head is one");
        fuzz::check(std::ranges::all_of(*read.signed_mark, [](char c) { return c > ' ' && c < 0x7f; }),
                    "a mark is a word");
    });
}

std::string envelope_in(const std::string& document) {
    return json::string_or(json::parse(document, "it"), "envelope", "");
}

void signed_sets(std::string_view text) {
    fuzz::answered([&] {
        const auto read = parse_signed_set(text, "host-a");
        fuzz::check(read.size() <= most_signed, "signed operations are few");
        std::string again;
        for (const std::string& each : read) {
            fuzz::check(each.size() <= largest_signed, "a signed operation is small");
            again += (again.empty() ? "" : ", ") + each;
        }
        const auto twice =
            parse_signed_set(R"({"version": 1, "host": "host-a", "operations": [)" + again + "]}", "host-a");
        fuzz::check(twice.size() == read.size(), "none is lost on the way");
        for (std::size_t at = 0; at < read.size(); ++at)
            fuzz::check(envelope_in(twice[at]) == envelope_in(read[at]), "what was signed stays what it is");
    });
}

void heads(std::string_view text) {
    if (const auto line = line_of_head(text))
        fuzz::check(*line > 0 && text.starts_with(std::to_string(*line) + ":"),
                    "a head begins with its line");
}

void settings(std::string_view text) {
    fuzz::answered([&] {
        const auto section = json::parse_strictly(text, "it");
        const Settings read =
            read_settings(&section, "it", "file", [](std::string_view) -> const char* { return nullptr; });
        fuzz::check(read.kind != Settings::Kind::folder || read.folder.is_absolute(), "a folder is a place");
        fuzz::check(read.kind != Settings::Kind::https ||
                        (text::lower(read.url).starts_with("https://") && read.token_file.is_absolute()),
                    "a server is asked by HTTPS alone");
        fuzz::check(read.poll >= least_poll && read.poll <= most_poll, "a poll is within its bounds");
    });
}

void target(std::string_view input) {
    switch (fuzz::take_selector(input)) {
    case 's':
        return signed_sets(input);
    case 'h':
        return heads(input);
    case 'c':
        return settings(input);
    default:
        return answers(input);
    }
}

} // namespace

FUZZ_TARGET(target)
