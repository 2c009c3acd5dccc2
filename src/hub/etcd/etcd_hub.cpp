// SPDX-License-Identifier: MIT
#include "hub/etcd/etcd_hub.hpp"

#include "base/text/base64.hpp"
#include "base/text/digest.hpp"
#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <system_error>

namespace blockhost::hub::etcd {

namespace bj = boost::json;

namespace {

constexpr std::int64_t most_number = (std::int64_t(1) << 53) - 1;
constexpr std::int64_t most_reports = 200; ///< with events, which stay
constexpr int most_tries = 3;
constexpr std::chrono::seconds slack(60);

/// Of an answer with that much content, which comes as base64.
constexpr std::size_t wrapped(std::size_t bytes) {
    return bytes / 3 * 4 + (256u << 10);
}

bj::object request_of(const char* kind, bj::object request) {
    return {{kind, std::move(request)}};
}

/// The report without the events that are kept already: its host did not hear that they are.
std::string without_events_to(const std::string& report, std::int64_t acknowledged) {
    bj::value document = json::parse(report, "the report");
    bj::array others;
    for (const bj::value& each : document.at("events").as_array())
        if (json::integer_in(each, "sequence").value_or(0) > acknowledged) others.push_back(each);
    document.as_object()["events"] = std::move(others);
    return json::python_line(document) + "\n";
}

/// The answer to the request of that place in a transaction.
const bj::object& response_in(const bj::object& answer, std::size_t place) {
    const auto* all = json::member(answer, "responses");
    if (all == nullptr || !all->is_array() || all->get_array().size() <= place)
        throw Error(Code::invalid, "etcd answers a transaction otherwise than expected");
    return json::object_in(all->get_array()[place], "response_range");
}

} // namespace

EtcdHub::EtcdHub(const Settings& settings, const std::string& host, std::function<void()> check)
    : access_{settings.urls, settings.user.empty() ? host : settings.user, settings.password_file,
              settings.trust},
      gateway_(access_, std::move(check)), places_(settings.prefix, host),
      lifetime_(2 * settings.poll + slack) {
    if (host.empty() || host.find('/') != host.npos)
        throw Error(Code::config, "this host's name, " + text::printable(host) + ", cannot stand in a key",
                    "give it a name without slashes");
}

std::string EtcdHub::name() const {
    return "etcd at " + gateway_.name();
}

EtcdHub::Kept EtcdHub::parse_kept(const bj::object& range) const {
    const auto items = items_in(range);
    if (items.empty()) return {};
    const bj::value document = json::parse_strictly(items.front().value, places_.kept);
    json::Fields fields(document, places_.kept);
    fields.integer("version", 1, 1);
    Kept kept{.acknowledged = fields.integer("acknowledged", 0, most_number),
              .reports = fields.integer("reports", 0, most_number),
              .audit = fields.maybe_text("audit").value_or(""),
              .modified = items.front().modified};
    if (!kept.audit.empty() && !line_of_head(kept.audit))
        throw fields.refusal("audit", "is no head of an audit, LINE:HASH");
    return kept;
}

std::string EtcdHub::text_of(const Kept& kept) const {
    bj::object document{{"version", 1}, {"acknowledged", kept.acknowledged}, {"reports", kept.reports}};
    if (!kept.audit.empty()) document["audit"] = kept.audit;
    return json::python_line(document);
}

std::int64_t EtcdHub::lease() {
    if (lease_ != 0) {
        const auto told = gateway_.call("lease/keepalive", {{"ID", std::to_string(lease_)}});
        if (told.contains("error")) throw Refused(refusal_in(gateway_.name(), told));
        // One that ended has no time left.
        if (number_in(json::object_in(told, "result"), "TTL") > 0) return lease_;
    }
    lease_ = number_in(gateway_.call("lease/grant", {{"TTL", std::to_string(lifetime_.count())}}), "ID");
    if (lease_ == 0) throw Error(Code::invalid, name() + " gives a lease without a number");
    return lease_;
}

/// Whether nobody else changed what is kept meanwhile: an older copy of this host, or a call that was thought
/// lost.
bool EtcdHub::try_to_keep(const Outgoing& report, const Kept& before) {
    Kept kept = before;
    bj::array success;
    if (report.last_event > before.acknowledged) {
        kept.acknowledged = report.last_event;
        ++kept.reports;
        success.push_back(
            request_of("request_put", put(report_key(places_, kept.reports),
                                          without_events_to(report.text, before.acknowledged))));
        success.push_back(request_of(
            "request_delete_range",
            {{"key", base64::encode(places_.reports)},
             {"range_end", base64::encode(report_key(
                               places_, std::max<std::int64_t>(kept.reports - most_reports + 1, 0)))}}));
    }
    if (line_of_head(report.audit).value_or(0) > line_of_head(before.audit).value_or(0))
        kept.audit = report.audit;
    if (success.empty() && kept.audit == before.audit) return true;
    success.push_back(request_of("request_put", put(places_.kept, text_of(kept))));
    const auto answer =
        gateway_.call("kv/txn", {{"compare", bj::array{was_modified_at(places_.kept, before.modified)}},
                                 {"success", std::move(success)}});
    if (!json::is_true(answer, "succeeded")) return false;
    kept.modified = revision_of(answer);
    kept_ = kept;
    return true;
}

void EtcdHub::keep(const Outgoing& report) {
    for (int left = most_tries; left > 0; --left) {
        if (!kept_) kept_ = parse_kept(gateway_.call("kv/range", get(places_.kept)));
        const Kept before = *kept_;
        kept_.reset(); // until it is known
        if (try_to_keep(report, before)) {
            if (!kept_) kept_ = before;
            return;
        }
    }
    throw Error(Code::no_answer, name() + ": somebody else writes what this host tells",
                "see that no other host has this one's name and password");
}

bj::object EtcdHub::publish(const Outgoing& report) {
    const auto request = [&] {
        return bj::object{
            {"success", bj::array{request_of("request_put", put(places_.report, report.text, lease())),
                                  request_of("request_range", get_below(places_.wanted, true)),
                                  request_of("request_range", get(places_.kept))}}};
    };
    try {
        return gateway_.call("kv/txn", request());
    } catch (const Refused& error) {
        if (error.words().find("lease not found") == std::string::npos) throw;
        lease_ = 0; // it ended just now
        return gateway_.call("kv/txn", request());
    }
}

Answer EtcdHub::exchange(const Outgoing& report) {
    if (watcher_) watcher_->forget_news();
    keep(report);
    const auto told = publish(report);
    const Kept kept = parse_kept(response_in(told, 2));
    kept_ = kept;
    Answer answer;
    answer.acknowledged = kept.acknowledged;
    answer.audit = kept.audit;
    announce(items_in(response_in(told, 1)), answer);
    seen_ = revision_of(told);
    return answer;
}

void EtcdHub::announce(const std::vector<Item>& wanted, Answer& answer) {
    std::string waiting;
    std::int64_t desired_at = 0;
    for (const Item& each : wanted) {
        if (each.key == places_.desired) desired_at = each.modified;
        if (each.key == places_.blocked) answer.is_blocked = true;
        if (each.key.starts_with(places_.signed_operations))
            waiting += fmt::format("{} {}\n", each.modified, sha256(each.key));
    }
    answer.signed_mark = waiting.empty() ? "" : sha256(waiting);
    if (desired_at == 0) {
        announced_.reset();
        announced_at_ = 0;
        return;
    }
    if (desired_at != announced_at_) {
        announced_.reset();
        announced_at_ = 0;
        try {
            desired_ = fetch_desired(desired_at);
            announced_ = announced_by(*desired_, places_.desired);
            announced_at_ = desired_at;
        } catch (const Refused& error) {
            throw;
        } catch (const http::NoResponse& error) {
            throw;
        } catch (const Error& error) {
            answer.unclear = error.message();
        }
    }
    answer.desired = announced_;
}

std::string EtcdHub::fetch_desired(std::int64_t& modified) {
    auto found = items_in(gateway_.call("kv/range", get(places_.desired), wrapped(largest_desired)));
    if (found.empty())
        throw Error(Code::no_answer, name() + ": " + places_.desired + " went away while it was looked at");
    modified = found.front().modified;
    return std::move(found.front().value);
}

std::string EtcdHub::desired() {
    if (desired_) return *std::exchange(desired_, std::nullopt);
    std::int64_t modified = 0;
    return fetch_desired(modified);
}

std::vector<std::string> EtcdHub::signed_operations() {
    bj::object request = get_below(places_.signed_operations, false);
    request["limit"] = std::to_string(most_signed + 1);
    std::vector<std::string> documents;
    for (Item& each : items_in(gateway_.call("kv/range", request, wrapped(largest_signed_set))))
        documents.push_back(std::move(each.value));
    if (documents.size() > most_signed)
        throw Error(Code::io, name() + " holds more signed operations than are looked at",
                    "take away those that were taken");
    return documents;
}

bool EtcdHub::has_news() {
    if (!watcher_ && seen_ > 0) {
        try {
            watcher_.emplace(access_, places_.wanted, seen_ + 1);
        } catch (const std::system_error&) {
            return false; // there is no thread to be had: the polls go on
        }
    }
    return watcher_ && watcher_->has_news();
}

} // namespace blockhost::hub::etcd
