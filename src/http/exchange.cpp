// SPDX-License-Identifier: MIT
// One request: its headers, the handling of the answer as it arrives, and how it ended.
#include "http/exchange.hpp"

#include "base/patience.hpp"
#include "base/text/text.hpp"

namespace blockhost::http {

namespace {

constexpr auto look_every = std::chrono::milliseconds(100);
/// How long to wait for a server that keeps the connection open behind the last byte.
constexpr auto longest_linger = std::chrono::seconds(1);
constexpr std::size_t longest_refusal = 64 << 10;

class Exchange final : public Receiver {
  public:
    Exchange(Errand& errand, std::uint64_t asked_from)
        : errand_(errand), asked_from_(asked_from), stall_(errand.manner.stall) {}

    Wish on_header(std::string_view line) override;
    Wish on_body(std::string_view bytes) override;
    Wish on_tick(bool connected) override;
    Turn turn(const Outcome& outcome) const;

  private:
    Wish fail(Why why, std::string words);
    Wish begin();
    Wish take_refusal(std::string_view bytes);
    bool takes_body() const { return answer_ == Answer::append || answer_ == Answer::from_zero; }
    bool takes_refusal() const { return answer_ == Answer::refused && errand_.body.has_value(); }
    bool has_all() const { return takes_body() && expected_ && received_ == *expected_; }
    Turn end_of_body(const Outcome& outcome) const;

    Errand& errand_;
    std::uint64_t asked_from_;
    HeadReader reader_;
    std::optional<Answer> answer_;
    std::optional<std::uint64_t> expected_; ///< of the body
    std::uint64_t received_ = 0;
    std::string refusal_; ///< the body of a refused post
    std::optional<Failed> failed_;
    StallWatch stall_;
    Clock::time_point looked_{};
    std::optional<Clock::time_point> had_all_;
};

Turn failure(Why why, int status, std::string words) {
    return {Turn::Kind::failed, {why, status, std::move(words)}, {}};
}

Receiver::Wish Exchange::fail(Why why, std::string words) {
    failed_ = Failed{why, 0, std::move(words)};
    return Wish::no_more;
}

Receiver::Wish Exchange::on_header(std::string_view line) {
    switch (reader_.take(line)) {
    case HeadReader::State::more:
        return Wish::more;
    case HeadReader::State::nonsense:
        return fail(Why::nonsense, reader_.complaint());
    case HeadReader::State::whole:
        break;
    }
    return begin();
}

Receiver::Wish Exchange::begin() {
    const Head& head = reader_.head();
    answer_ = meaning_of(head, errand_.store.origin(), asked_from_);
    if (takes_refusal()) {
        expected_ = head.length;
        return expected_ == 0U ? Wish::no_more : Wish::more;
    }
    if (!takes_body()) return Wish::no_more;
    expected_ = body_size_of(head);
    bool appends = answer_ == Answer::append;
    Origin origin = appends ? errand_.store.origin() : Origin{errand_.url, head.etag, head.last_modified, {}};
    origin.total = total_of(head, origin.total);
    errand_.announce(origin.total);
    errand_.store.begin(origin, appends ? asked_from_ : 0);
    return Wish::more;
}

Receiver::Wish Exchange::take_refusal(std::string_view bytes) {
    refusal_.append(bytes.substr(0, longest_refusal - refusal_.size()));
    const bool is_whole = expected_ && refusal_.size() >= *expected_;
    return is_whole || refusal_.size() == longest_refusal ? Wish::no_more : Wish::more;
}

Receiver::Wish Exchange::on_body(std::string_view bytes) {
    if (takes_refusal()) return take_refusal(bytes);
    if (!takes_body()) return Wish::no_more;
    if (expected_ && bytes.size() > *expected_ - received_) {
        errand_.store.begin(errand_.store.origin(), 0); // it is unknown which bytes are the file's
        return fail(Why::oversized, std::to_string(*expected_) + " bytes were to come, and more came");
    }
    errand_.store.append(bytes);
    received_ += bytes.size();
    return Wish::more;
}

Receiver::Wish Exchange::on_tick(bool connected) {
    auto now = Clock::now();
    if (now - looked_ >= look_every / 2) {
        errand_.check();
        looked_ = now;
    }
    if (takes_body()) errand_.tell_progress();
    if (has_all()) {
        if (!had_all_) had_all_ = now;
        return now - *had_all_ < longest_linger ? Wish::more : Wish::no_more;
    }
    if (connected && stall_.is_stalled(now, received_))
        return fail(Why::stalled,
                    "less than 1 KiB/s arrived for " + std::to_string(errand_.manner.stall.count()) + " s");
    return Wish::more;
}

Turn Exchange::end_of_body(const Outcome& outcome) const {
    const auto& total = errand_.store.origin().total;
    const std::uint64_t size = errand_.store.size();
    if (has_all() && (!total || size == *total)) return {Turn::Kind::done, {}, {}};
    if (!expected_ && !outcome.failed) return {Turn::Kind::done, {}, {}};
    const std::string of_total = total ? " of " + std::to_string(*total) : "";
    return failure(Why::broken, 0,
                   "the connection ended after " + std::to_string(size) + of_total + " bytes");
}

Turn Exchange::turn(const Outcome& outcome) const {
    if (answer_ == Answer::refused)
        return {Turn::Kind::failed, {Why::status, reader_.head().status, {}, refusal_}, {}};
    if (failed_) return {Turn::Kind::failed, *failed_, {}};
    if (!answer_ && outcome.failed) return {Turn::Kind::failed, *outcome.failed, {}};
    if (!answer_) return failure(Why::nonsense, 0, "it ended before its header did");
    switch (*answer_) {
    case Answer::append:
    case Answer::from_zero:
        return end_of_body(outcome);
    case Answer::ask_anew:
        return {Turn::Kind::ask_anew, {}, {}};
    case Answer::redirect:
        return {Turn::Kind::redirect, {}, outcome.location};
    case Answer::unasked:
        return failure(Why::nonsense, 0, "it sent a range that nobody asked for");
    case Answer::open_ended:
    case Answer::refused:
        break;
    }
    return failure(Why::nonsense, 0, "it does not tell where the file ends");
}

std::vector<std::string> headers_for(const Origin& origin, std::uint64_t from) {
    std::vector<std::string> headers{"User-Agent: blockhost-libvirt/" BLOCKHOST_VERSION, "Connection: close"};
    if (from == 0) return headers;
    headers.push_back("Range: bytes=" + std::to_string(from) + "-");
    headers.push_back("If-Range: " + origin.validator());
    return headers;
}

} // namespace

void Errand::check() {
    if (watch_.check) watch_.check();
    if (!deadline_.passed()) return;
    throw Error(Code::no_answer,
                name + (body ? " did not answer within " : " did not arrive within ") +
                    std::to_string(manner.deadline.count()) + " s (attempt " + std::to_string(attempts) + ")",
                "check the network and try again later");
}

void Errand::announce(std::optional<std::uint64_t> total) {
    if (!total || total == announced_) return;
    announced_ = total;
    if (watch_.on_size) watch_.on_size(*total);
}

void Errand::tell_progress() {
    auto progress = meter_.look(Clock::now(), store.size(), store.origin().total);
    if (progress && watch_.on_progress) watch_.on_progress(*progress);
}

void Errand::tell_end() {
    if (watch_.on_progress) watch_.on_progress(meter_.tell(Clock::now(), store.size(), store.size()));
}

bool Errand::pause(std::chrono::milliseconds span) {
    if (deadline_.left() <= span) return false;
    pause_for(span, [this] { check(); });
    return true;
}

Turn ask(Errand& errand, const std::string& url) {
    const Origin& origin = errand.store.origin();
    const std::uint64_t from = errand.trusts_ranges ? resume_at(origin, errand.store.size()) : 0;
    errand.check();
    Exchange exchange(errand, from);
    Request request{url, headers_for(origin, from)};
    if (errand.body) {
        request.headers.insert(request.headers.end(),
                               {"Content-Type: application/json", "Accept: application/json", "Expect:"});
        request.body = errand.body;
        request.schemes = Schemes::http_too;
        request.direct = is_loopback(url);
    }
    Outcome outcome = attempt(request, errand.manner, exchange);
    return exchange.turn(outcome);
}

} // namespace blockhost::http
