// SPDX-License-Identifier: MIT
// How long a node may take, and how often a request is repeated.
#include "chain/evm/line.hpp"

#include "base/patience.hpp"
#include "http/client.hpp"
#include "http/rules.hpp"

#include <algorithm>

namespace blockhost::chain {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t longest_answer = 4u << 20;

http::Manner manner(const Deadline& end) {
    const seconds left = std::clamp(std::chrono::ceil<seconds>(end.left()), seconds(1), seconds(60));
    return {.ca_file = {},
            .connect = seconds(10),
            .stall = seconds(20),
            .deadline = left,
            .attempts = 4,
            .pause = milliseconds(500)};
}

} // namespace

Node::Line line_to(const std::string& url, const Interruption& interruption, const Deadline& end) {
    const auto check = [&interruption] { interruption.check(); };
    return {.name = http::shown_origin(url),
            .post = [url, check, end](const std::string& body) -> std::string {
                try {
                    return http::post_json(url, body, manner(end), longest_answer, check);
                } catch (const http::Refused& refused) {
                    if (!is_refusal(refused.body())) throw;
                    return refused.body();
                }
            },
            .pause = [check](milliseconds span) { pause_for(span, check); }};
}

} // namespace blockhost::chain
