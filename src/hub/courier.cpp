// SPDX-License-Identifier: MIT
#include "hub/courier.hpp"

#include "base/text/digest.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"

#include <fmt/format.h>

namespace blockhost::hub {

namespace {

constexpr std::size_t longest_why = 1000;

boost::json::object event(std::string_view kind) {
    return {{"kind", kind}};
}

std::string why_of(const Error& error) {
    return text::printable(error.hint().empty() ? error.message() : error.message() + "; " + error.hint(),
                           longest_why);
}

} // namespace

Courier::Courier(store::Database& database, Transport& transport, OutboxBounds bounds)
    : database_(database), transport_(&transport), outbox_(database, bounds), memory_(database) {}

Outgoing Courier::numbered(boost::json::object snapshot, Outbox::Batch batch) {
    constexpr std::int64_t at_once = 1000;
    if (next_number_ == numbers_end_) {
        next_number_ = memory_.reserve_numbers(at_once);
        numbers_end_ = next_number_ + at_once;
    }
    const Dropped dropped = outbox_.dropped();
    const std::int64_t number = next_number_++;
    snapshot["number"] = number;
    snapshot["events"] = std::move(batch.events);
    snapshot["more"] = batch.more;
    snapshot["dropped"] = boost::json::object{{"details", dropped.details}, {"ends", dropped.ends}};
    return {.number = number,
            .text = json::python_line(snapshot) + "\n",
            .last_event = batch.last,
            .audit = json::string_or(snapshot, "audit", "")};
}

Outgoing Courier::report(const boost::json::object& snapshot, bool& more) {
    Outbox::Batch batch = outbox_.next();
    more = batch.more;
    return numbered(snapshot, std::move(batch));
}

Answer Courier::try_out(boost::json::object snapshot) {
    return transport_->exchange(numbered(std::move(snapshot), {}));
}

Answer Courier::answer_to(const Outgoing& report, Instant now) {
    try {
        Answer answer = transport_->exchange(report);
        memory_.note_told("answer", "");
        return answer;
    } catch (const store::StoreError&) {
        throw;
    } catch (const Error& error) {
        if (error.code() != Code::invalid) throw;
        const std::string why = why_of(error);
        if (!memory_.is_told("answer", why)) {
            store::Transaction all(database_);
            auto refused = event("answer-refused");
            refused["why"] = why;
            outbox_.add(Rank::detail, refused, now);
            memory_.note_told("answer", why);
            all.commit();
        }
        throw;
    }
}

Exchanged Courier::exchange(const boost::json::object& snapshot, Host& host, Instant now) {
    Exchanged exchanged;
    const Outgoing outgoing = report(snapshot, exchanged.more);
    exchanged.answer = answer_to(outgoing, now);
    note(exchanged);
    const auto try_to = [&](auto&& act) {
        try {
            act();
        } catch (const store::StoreError&) {
            throw;
        } catch (const Error& error) {
            if (error.code() == Code::interrupted) throw;
            if (!exchanged.later) exchanged.later = error;
        }
    };
    try_to([&] { take_desired(exchanged, host, now); });
    try_to([&] { take_signed(exchanged, host, now); });
    return exchanged;
}

void Courier::note(Exchanged& exchanged) {
    const Answer& answer = exchanged.answer;
    const std::int64_t last = outbox_.last_sequence();
    store::Transaction all(database_);
    if (answer.acknowledged > last) {
        exchanged.older =
            fmt::format("the hub has its events up to {}, and it remembers {}", answer.acknowledged, last);
        // What waits here is not what the hub has under these numbers.
        outbox_.go_on_behind(answer.acknowledged);
    } else {
        outbox_.acknowledge(answer.acknowledged);
    }
    memory_.set_blocked(answer.is_blocked);
    memory_.note_audit(answer.audit);
    all.commit();
}

void Courier::take_desired(Exchanged& exchanged, Host& host, Instant now) {
    const auto& announced = exchanged.answer.desired;
    if (!announced) return;
    const auto accepted = host.accepted();
    if (accepted && announced->generation < *accepted) {
        const std::string lower = std::to_string(announced->generation);
        if (memory_.is_told("lower", lower)) return;
        store::Transaction all(database_);
        auto refused = event("desired-refused");
        refused["generation"] = announced->generation;
        refused["why"] = fmt::format("its generation is lower than {}, which is followed", *accepted);
        outbox_.add(Rank::detail, refused, now);
        memory_.note_told("lower", lower);
        all.commit();
        return;
    }
    memory_.note_told("lower", "");
    if (host.followed() == announced->generation || memory_.was_refused(*announced)) return;
    fetch_desired(*announced, exchanged, host, now);
}

void Courier::fetch_desired(const Announced& announced, Exchanged& exchanged, Host& host, Instant now) {
    const std::string text = transport_->desired();
    if (!announced.digest.empty() && sha256(text) != announced.digest)
        throw Error(Code::no_answer,
                    transport_->name() + " has another desired state than it announced: the digest differs",
                    "it is asked for again");
    const Host::Verdict verdict = host.take_desired(text, announced.generation);
    store::Transaction all(database_);
    auto told = event(verdict.refused ? "desired-refused" : "desired-accepted");
    told["generation"] = announced.generation;
    if (verdict.refused) {
        told["why"] = why_of(*verdict.refused);
        memory_.note_refused(announced);
    } else {
        memory_.forget_refused();
        exchanged.is_new = true;
    }
    outbox_.add(Rank::detail, told, now);
    all.commit();
}

void Courier::take_signed(Exchanged& exchanged, Host& host, Instant now) {
    if (!exchanged.answer.signed_mark || *exchanged.answer.signed_mark == memory_.signed_mark()) return;
    const std::string& mark = *exchanged.answer.signed_mark;
    std::set<std::string> digests;
    std::optional<Error> later;
    if (!mark.empty()) {
        for (const std::string& document : transport_->signed_operations()) {
            const std::string digest = sha256(document);
            digests.insert(digest);
            if (memory_.is_dealt_with(digest)) continue;
            try {
                if (hand_in(document, digest, host, now)) exchanged.is_new = true;
            } catch (const store::StoreError&) {
                throw;
            } catch (const Error& error) {
                if (error.code() == Code::interrupted) throw;
                if (!later) later = error;
            }
        }
    }
    if (later) throw Error(*later);
    store::Transaction all(database_);
    memory_.note_signed_set(mark, digests);
    all.commit();
}

bool Courier::hand_in(const std::string& document, const std::string& digest, Host& host, Instant now) {
    const Host::Verdict verdict = host.take_signed(document);
    store::Transaction all(database_);
    auto told = event(verdict.refused ? "signed-refused" : "signed-taken");
    told["operation"] = text::printable(verdict.about, 64);
    told["digest"] = digest;
    if (verdict.refused) told["why"] = why_of(*verdict.refused);
    outbox_.add(Rank::detail, told, now);
    memory_.note_dealt_with(digest);
    all.commit();
    return !verdict.refused;
}

} // namespace blockhost::hub
