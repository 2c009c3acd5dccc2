// How long a node may take, and how often it is asked.
#include "chain/line.hpp"

#include "base/time.hpp"
#include "http/client.hpp"
#include "http/rules.hpp"

#include <algorithm>
#include <thread>

namespace blockhost::chain {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t longest_answer = 4u << 20;

http::Manner manner() {
    return {.ca_file = {},
            .connect = seconds(10),
            .stall = seconds(20),
            .deadline = seconds(60),
            .attempts = 4,
            .pause = milliseconds(500)};
}

} // namespace

Node::Line line_to(const std::string& url, const Interruption& interruption) {
    const auto check = [&interruption] { interruption.check(); };
    return {.name = http::shown_origin(url),
            .post = [url, check](const std::string& body) -> std::string {
                try {
                    return http::post_json(url, body, manner(), longest_answer, check);
                } catch (const http::Refused& refused) {
                    if (!is_refusal(refused.body())) throw;
                    return refused.body();
                }
            },
            .pause =
                [check](milliseconds span) {
                    for (auto end = Deadline::in(span); !end.passed();
                         std::this_thread::sleep_for(std::min(milliseconds(100), end.left())))
                        check();
                }};
}

} // namespace blockhost::chain
