// SPDX-License-Identifier: MIT
#include "http/session.hpp"

#include <exception>

namespace blockhost::http {

namespace {

/// Collects one response within its deadline and size.
class Collector final : public Receiver {
  public:
    Collector(const Call& call, const std::function<void()>& check)
        : call_(call), check_(check), deadline_(Deadline::in(call.patience)) {}

    Wish on_header(std::string_view line) override {
        if (head_.take(line) != HeadReader::State::nonsense) return Wish::more;
        return refuse({Why::nonsense, 0, head_.complaint()});
    }

    Wish on_body(std::string_view bytes) override {
        if (call_.stream && head_.is_whole() && head_.head().status == 200) {
            has_enough_ = !call_.stream(bytes);
            return has_enough_ ? Wish::no_more : Wish::more;
        }
        if (bytes.size() > call_.largest - body_.size())
            return refuse({Why::oversized, 0, "more than " + std::to_string(call_.largest) + " bytes"});
        body_ += bytes;
        return Wish::more;
    }

    Wish on_tick(bool connected) override {
        try {
            if (check_) check_();
        } catch (...) {
            thrown_ = std::current_exception();
            return Wish::no_more;
        }
        if (!deadline_.passed()) return Wish::more;
        return refuse({connected ? Why::stalled : Why::unreachable, 0, "the call's time is over"});
    }

    const std::optional<Failed>& refused() const { return refused_; }
    /// What `check` threw.
    const std::exception_ptr& thrown() const { return thrown_; }
    bool is_whole() const { return head_.is_whole(); }
    bool has_enough() const { return has_enough_; }
    Response take() { return {head_.head(), std::move(body_)}; }

  private:
    Wish refuse(Failed why) {
        refused_ = std::move(why);
        return Wish::no_more;
    }

    const Call& call_;
    const std::function<void()>& check_;
    Deadline deadline_;
    HeadReader head_;
    std::string body_;
    std::optional<Failed> refused_;
    bool has_enough_ = false;
    std::exception_ptr thrown_;
};

/// Passes on what ended a call; who called must learn that the call may have arrived.
[[noreturn]] void pass_on(const std::exception_ptr& thrown, bool sent) {
    try {
        std::rethrow_exception(thrown);
    } catch (const Error& error) {
        if (!sent) throw;
        throw NoResponse(error, {Why::stalled, 0, error.message()}, true);
    }
}

} // namespace

Error Session::error_for(const std::string& name, const Failed& failed) const {
    const Error error = error_of(name, failed, 1, Act::post);
    if (failed.why != Why::untrusted) return error;
    if (trust_.pins.empty()) return Error(Code::denied, error.message(), error.hint());
    return Error(
        Code::denied, "the certificate that " + name + " shows fits none of the pins",
        "it was replaced, or another server answers: compare it with the server's own, then pin that");
}

Session::Session(Trust trust, std::function<void()> check)
    : trust_(std::move(trust)), check_(std::move(check)) {}

Response Session::call(const Call& call) {
    const std::string name = shown_origin(call.url);
    if (auto objection = objection_to(call.url); !objection.empty())
        throw Error(Code::invalid, name + " " + objection, "name an https:// URL without user and password");
    Request request{.url = call.url, .headers = call.headers, .body = call.body};
    request.method = call.method;
    request.kept = &connections_;
    if (trust_.pins.empty())
        request.sees = [this](const Certificate& shown) { certificate_ = shown; };
    else
        request.accepts = [this](const Certificate& shown) {
            certificate_ = shown;
            return fits(trust_.pins, shown);
        };
    Manner manner;
    manner.ca_file = trust_.ca_file;
    manner.certificate_file = trust_.certificate_file;
    manner.key_file = trust_.key_file;
    const auto whole = std::chrono::ceil<std::chrono::seconds>(call.patience);
    manner.connect = std::max(std::chrono::seconds(1), call.connect ? std::min(*call.connect, whole) : whole);

    Collector collector(call, check_);
    const Outcome outcome = attempt(request, manner, collector);
    if (collector.thrown()) pass_on(collector.thrown(), outcome.sent);
    if (collector.has_enough()) return collector.take();
    std::optional<Failed> failed = outcome.stopped ? collector.refused() : outcome.failed;
    if (!failed && !collector.is_whole()) failed = Failed{Why::broken, 0, "the answer has no head"};
    if (failed) throw NoResponse(error_for(name, *failed), *failed, outcome.sent);
    return collector.take();
}

} // namespace blockhost::http
