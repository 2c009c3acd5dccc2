// SPDX-License-Identifier: MIT
// The attempts of a call, with redirects within each and pauses between them.
#include "http/client.hpp"

#include "http/exchange.hpp"

namespace blockhost::http {

namespace {

void check_url(const std::string& url) {
    if (auto objection = objection_to(url); !objection.empty())
        throw Error(Code::invalid, shown(url) + " " + objection, "only plain https URLs are fetched");
}

/// Why `location` is not followed; nothing when it is.
std::optional<Failed> refused_redirect(const std::string& location, int redirects) {
    if (redirects > most_redirects)
        return Failed{Why::redirect, 0,
                      "redirects more than " + std::to_string(most_redirects) + " times, last to " +
                          shown(location)};
    if (location.empty()) return Failed{Why::redirect, 0, "redirects to nowhere"};
    auto objection = objection_to(location);
    if (objection.empty()) return std::nullopt;
    return Failed{Why::redirect, 0, "redirects to " + shown(location) + ", which " + objection};
}

std::optional<Failed> try_once(Errand& errand) {
    std::string url = errand.url;
    for (int redirects = 0;;) {
        Turn turn = ask(errand, url);
        switch (turn.kind) {
        case Turn::Kind::done:
            return std::nullopt;
        case Turn::Kind::failed:
            return turn.failed;
        case Turn::Kind::ask_anew:
            errand.trusts_ranges = false;
            break;
        case Turn::Kind::redirect:
            if (errand.body) return Failed{Why::redirect, 0, "redirects to " + shown_origin(turn.location)};
            if (auto refused = refused_redirect(turn.location, ++redirects)) return refused;
            url = turn.location;
        }
    }
}

[[noreturn]] void give_up(const Errand& errand, const Failed& failed) {
    if (!errand.body) throw error_of(errand.name, failed, errand.attempts);
    const Error error = error_of(errand.name, failed, errand.attempts, Act::post);
    if (failed.why == Why::status) throw Refused(error, failed.body);
    throw error;
}

void run(Errand& errand) {
    for (;;) {
        ++errand.attempts;
        auto failed = try_once(errand);
        if (!failed) return;
        if (!worth_retrying(*failed) || errand.attempts >= errand.manner.attempts ||
            !errand.pause(pause_after(errand.attempts, errand.manner.pause)))
            give_up(errand, *failed);
    }
}

} // namespace

std::string get(const std::string& url, const Manner& manner, std::size_t max,
                const std::function<void()>& check) {
    check_url(url);
    Text text(shown(url), max);
    Watch watch{.on_size = {}, .on_progress = {}, .check = check};
    Errand errand(url, manner, watch, text);
    run(errand);
    return text.take();
}

std::string post_json(const std::string& url, const std::string& body, const Manner& manner, std::size_t max,
                      const std::function<void()>& check) {
    if (auto objection = objection_to(url, Schemes::http_too); !objection.empty())
        throw Error(Code::invalid, shown_origin(url) + " " + objection,
                    "name an https:// or http:// URL without user and password");
    Text text(shown_origin(url), max);
    Watch watch{.on_size = {}, .on_progress = {}, .check = check};
    Errand errand(url, manner, watch, text, body);
    run(errand);
    return text.take();
}

std::uint64_t download(const std::string& url, const Folder& folder, const std::string& name,
                       const Manner& manner, const Watch& watch) {
    check_url(url);
    PartialFile partial(folder, name, url);
    Errand errand(url, manner, watch, partial);
    run(errand);
    errand.tell_end();
    partial.finish();
    return partial.size();
}

} // namespace blockhost::http
