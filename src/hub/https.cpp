// SPDX-License-Identifier: MIT
#include "hub/https.hpp"

#include "base/text/text.hpp"
#include "config/secret_file.hpp"

#include <algorithm>
#include <ctime>
#include <fmt/format.h>

namespace blockhost::hub {

namespace {

constexpr int ok = 200, unauthenticated = 401, forbidden = 403, not_found = 404, too_large = 413,
              too_many = 429, first_of_servers = 500;
constexpr std::chrono::seconds patience(60);

bool is_plain(std::string_view host) {
    return !host.empty() && std::ranges::all_of(host, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '_' || c == '-';
    });
}

std::string authorization_in(const std::filesystem::path& file) {
    const std::string token = read_secret(file, "the hub's token");
    if (token.empty() || !std::ranges::all_of(token, [](char c) { return c > ' ' && c < 0x7f; }))
        throw Error(Code::config, file.string() + " holds no token",
                    "write one line of printable characters into it");
    return "Authorization: Bearer " + token;
}

/// What a status other than 200 means. `name`: the hub's.
Error error_of(const std::string& name, const http::Head& head) {
    const std::string said = fmt::format("{} answered {}", name, head.status) +
                             (head.reason.empty() ? "" : " " + text::printable(head.reason, 80));
    switch (head.status) {
    case unauthenticated:
    case forbidden:
        return Error(
            Code::denied, said + ": it does not accept this host's token",
            "see that the token is the one that the hub has for this host; it is read anew each time");
    case not_found:
        return Error(Code::io, said + ": it knows no such host, or the URL is another one",
                     "see that the hub knows this host, and look at hub.url in agent.json");
    case too_large:
        return Error(Code::io, said + ": the report is larger than it takes", "it has to take 4 MiB");
    default:
        return head.status >= first_of_servers || head.status == too_many
                   ? Error(Code::no_answer, said, "it is asked again")
                   : Error(Code::io, said, "is that a hub, and hub.url in agent.json right?");
    }
}

} // namespace

std::optional<std::chrono::seconds> parse_retry_after(std::string_view text,
                                                      std::chrono::system_clock::time_point now) {
    const std::string word(text::trim(text));
    if (const auto seconds = text::parse_int(word))
        return *seconds >= 0 ? std::optional(std::chrono::seconds(*seconds)) : std::nullopt;
    std::tm moment{};
    const char* end = ::strptime(word.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &moment);
    if (end == nullptr || *end != '\0') return std::nullopt;
    const auto then = std::chrono::system_clock::from_time_t(::timegm(&moment));
    return std::max(std::chrono::ceil<std::chrono::seconds>(then - now), std::chrono::seconds(0));
}

HttpsHub::HttpsHub(Settings settings, std::string host, std::function<void()> check)
    : settings_(std::move(settings)), host_(std::move(host)), session_(settings_.trust, std::move(check)) {
    if (!is_plain(host_))
        throw Error(Code::config, "this host's name, " + text::printable(host_) + ", cannot stand in a URL",
                    "give it a name of letters, digits, '.', '_' and '-'");
}

std::string HttpsHub::name() const {
    return http::shown_origin(settings_.url);
}

std::string HttpsHub::ask(const char* what, std::size_t largest, const std::string* body) {
    http::Call call{.method = body != nullptr ? "POST" : "GET",
                    .url = settings_.url + "/hosts/" + host_ + "/" + what,
                    .headers = {authorization_, "Accept: application/json"},
                    .largest = largest,
                    .patience = patience};
    if (body != nullptr) {
        call.body = *body;
        call.headers.emplace_back("Content-Type: application/json");
        call.headers.emplace_back("Expect:"); // libcurl would ask for leave first, which costs a second
    }
    http::Response response = session_.call(call);
    if (response.head.status == ok) return std::move(response.body);
    const Error error = error_of(name(), response.head);
    const auto wait = parse_retry_after(response.head.retry_after, std::chrono::system_clock::now());
    if (error.code() == Code::no_answer && wait) throw AskedToWait(error, *wait);
    throw Error(error);
}

Answer HttpsHub::exchange(const Outgoing& report) {
    authorization_ = authorization_in(settings_.token_file);
    return parse_answer(ask("report", largest_answer, &report.text), host_);
}

std::string HttpsHub::desired() {
    return ask("desired", largest_desired);
}

std::vector<std::string> HttpsHub::signed_operations() {
    return parse_signed_set(ask("signed", largest_signed_set), host_);
}

} // namespace blockhost::hub
