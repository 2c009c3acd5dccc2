// SPDX-License-Identifier: MIT
#include "agent/service/worker.hpp"

namespace blockhost::agent {

using namespace std::chrono_literals;
using execution::Operation;
using execution::State;

namespace {

constexpr auto look_anyway = 30s, after_failure = 5s;
constexpr auto between = 200ms;

} // namespace

Worker::Worker(std::function<Engine()> engine, std::function<bool()> is_asked_to_end, Troubles& troubles)
    : engine_(std::move(engine)), is_asked_to_end_(std::move(is_asked_to_end)), troubles_(troubles) {
    show_life();
    thread_ = std::thread([this] { go_on(); });
}

Worker::~Worker() {
    stopped_ = true;
    changed_.notify_all();
    thread_.join();
}

void Worker::kick() {
    kicked_ = true;
    changed_.notify_all();
}

void Worker::renew() {
    renewed_ = true;
    kick();
}

void Worker::show_life() {
    last_life_ = std::chrono::steady_clock::now().time_since_epoch().count();
}

bool Worker::is_alive(std::chrono::steady_clock::duration within) const {
    return std::chrono::steady_clock::now().time_since_epoch().count() - last_life_ < within.count();
}

void Worker::go_on() {
    auto next = Deadline::in({});
    while (!is_over()) {
        show_life();
        {
            std::unique_lock lock(mutex_);
            // Blocked, it keeps what it was kicked for, and waits on.
            changed_.wait_for(lock, between, [this] { return stopped_ || (kicked_ && !blocked_); });
        }
        if (is_over() || blocked_ || (!kicked_ && !next.passed())) continue;
        kicked_ = false;
        next = Deadline::in(look_anyway);
        try {
            work();
            troubles_.end("work");
        } catch (const Error& error) {
            next = Deadline::in(after_failure);
            // Another process is at it, and tells by itself.
            if (error.code() != Code::busy) troubles_.begin("work", error.message(), now());
        } catch (const std::exception& error) {
            next = Deadline::in(after_failure);
            troubles_.begin("work", error.what(), now());
        }
    }
}

void Worker::work() {
    renewed_ = false;
    Engine engine = engine_();
    engine.work(
        [this] {
            show_life();
            return is_over() || blocked_ || renewed_;
        },
        [this](const Operation& operation) {
            if (is_end(operation.state) || operation.state == State::waiting) news_ = true;
        });
}

} // namespace blockhost::agent
