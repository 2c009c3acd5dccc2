// SPDX-License-Identifier: MIT
#include "hub/etcd/watcher.hpp"

#include "base/patience.hpp"
#include "base/text/base64.hpp"
#include "base/text/json.hpp"

#include <algorithm>

namespace blockhost::hub::etcd {

namespace {

using namespace std::chrono_literals;
constexpr auto longest_listen = 60s; ///< a connection that died unnoticed is found out by then
constexpr auto first_pause = 1000ms, longest_pause = 60'000ms, slice = 100ms;

} // namespace

Watcher::Watcher(Access access, std::string prefix, std::int64_t revision)
    : access_(std::move(access)), prefix_(std::move(prefix)), revision_(revision),
      thread_([this] { run(); }) {}

Watcher::~Watcher() {
    is_ending_ = true;
    thread_.join();
}

void Watcher::run() {
    std::optional<Gateway> gateway;
    auto pause = first_pause;
    while (!is_ending_) {
        was_heard_ = false;
        try {
            if (!gateway)
                gateway.emplace(access_, [this] {
                    if (is_ending_) throw Error(Code::interrupted, "nobody listens any more");
                });
            listen(*gateway);
            pause = first_pause;
        } catch (const std::exception&) {
            if (gateway) gateway->move_on(); // that one is away, or its token ended
            if (was_heard_) pause = first_pause;
            for (auto left = pause; left > 0ms && !is_ending_; left -= slice) pause_for(slice);
            pause = std::min(pause * 2, longest_pause);
        }
    }
}

void Watcher::listen(Gateway& gateway) {
    const boost::json::object request{
        {"create_request", boost::json::object{{"key", base64::encode(prefix_)},
                                               {"range_end", base64::encode(range_end(prefix_))},
                                               {"start_revision", std::to_string(revision_)}}}};
    gateway.listen("watch", request, longest_listen,
                   [this](const boost::json::object& told) { return take(told); });
}

bool Watcher::take(const boost::json::object& told) {
    if (told.contains("error")) throw Error(Code::no_answer, "the watch ended");
    const auto& result = json::object_in(told, "result");
    // What came before this revision, nobody can tell any more: it may be news.
    const std::int64_t compacted = number_in(result, "compact_revision");
    const auto* events = json::member(result, "events");
    const bool is_event = events != nullptr && events->is_array() && !events->get_array().empty();
    if (compacted > 0) revision_ = std::max(revision_, compacted);
    if (is_event) revision_ = std::max(revision_, revision_of(result) + 1);
    if (compacted > 0 || is_event) is_news_ = true;
    if (compacted == 0 && json::is_true(result, "canceled")) throw Error(Code::no_answer, "the watch ended");
    was_heard_ = true;
    return compacted == 0;
}

} // namespace blockhost::hub::etcd
