// SPDX-License-Identifier: MIT
#include "agent/selftest.hpp"

#include "base/text/text.hpp"
#include "base/time.hpp"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>

namespace blockhost::agent {

namespace {

using platform::Guest;
using Verdict = Check::Verdict;

/// How far two clocks may be apart: a signature's window and a task's time are judged by both.
constexpr std::int64_t clock_doubtful_s = 5, clock_bad_s = 60;
/// Before a certificate ends, there must be time to renew it.
constexpr std::int64_t day_s = std::int64_t{24} * 3600, certificate_doubtful_s = 14 * day_s;

std::int64_t seconds_now() {
    return std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch()).count();
}

/// How far a clock is from this host's, that was read at some moment between two of this host's.
std::int64_t apart(std::int64_t shown, std::int64_t from, std::int64_t until) {
    return shown < from ? shown - from : std::max<std::int64_t>(shown - until, 0);
}

class Selftest {
  public:
    explicit Selftest(platform::Platform& platform) : platform_(platform) {}

    std::vector<Check> run() {
        looked("platform", [&] { host(); });
        looked("privileges", [&] { privileges(); });
        looked("guests", [&] { guests(); });
        return std::move(checks_);
    }

  private:
    template<class Look>
    void looked(const std::string& name, Look look) {
        try {
            look();
        } catch (const Error& error) {
            if (error.code() == Code::interrupted) throw;
            add(name, Verdict::bad, error.message(),
                error.hint().empty() ? "mend that, and look again" : error.hint());
        }
    }

    void add(std::string name, Verdict verdict, std::string told, std::string remedy = {}) {
        checks_.push_back({std::move(name), verdict, std::move(told), std::move(remedy)});
    }

    void host() {
        const std::int64_t asked = seconds_now();
        const platform::Host host = platform_.host();
        add("platform", Verdict::good,
            host.platform + (host.version.empty() ? "" : " " + host.version) +
                (host.name.empty() ? "" : " on " + host.name));
        if (host.clock) clock(apart(*host.clock, asked, seconds_now()));
        if (host.certificate_expiry) certificate(*host.certificate_expiry - asked);
        if (host.next_certificate) next_certificate(*host.next_certificate);
    }

    void clock(std::int64_t ahead) {
        const std::int64_t apart = std::abs(ahead);
        const Verdict verdict = apart > clock_bad_s        ? Verdict::bad
                                : apart > clock_doubtful_s ? Verdict::doubtful
                                                           : Verdict::good;
        if (verdict == Verdict::good) return add("clock", verdict, "agrees with this host's");
        add("clock", verdict,
            fmt::format("the platform's is {} s {} this host's", apart, ahead > 0 ? "ahead of" : "behind"),
            "synchronise both by NTP");
    }

    void certificate(std::int64_t left) {
        if (left <= 0) return add("certificate", Verdict::bad, "has ended", "renew it on the node");
        const std::string told = fmt::format("is valid for {} days more", left / day_s);
        if (left > certificate_doubtful_s) return add("certificate", Verdict::good, told);
        add("certificate", Verdict::doubtful, told, "renew it, and pin the next one before that");
    }

    void next_certificate(const platform::NextCertificate& next) {
        const std::string told = next.fingerprint + " follows";
        if (next.is_pinned != false) return add("next certificate", Verdict::good, told);
        add("next certificate", Verdict::doubtful, told + ", and no pin fits it",
            "add it to the pins in agent.json, before the node's pveproxy is started anew");
    }

    void privileges() {
        const auto lacks = platform::by_cause(platform_.preflight());
        if (lacks.empty()) add("privileges", Verdict::good, "nothing lacks");
        for (const auto& lack : lacks)
            add("privileges", Verdict::doubtful, "lacks " + lack.what + ", for " + lack.feature, lack.remedy);
    }

    void guests() {
        const platform::Guests guests = platform_.guests();
        if (!guests.doubt.empty())
            add("guests", Verdict::doubtful, guests.doubt, "nothing is concluded from a guest's absence");
        std::size_t read = 0;
        for (const Guest& guest : guests.seen)
            if (is_readable(guest)) ++read;
        add("guests", Verdict::good, fmt::format("{} of {} can be read", read, guests.seen.size()));
    }

    bool is_readable(const Guest& listed) {
        const std::size_t before = checks_.size();
        looked("guest " + listed.id, [&] {
            const auto guest = listed.unreadable.empty() ? platform_.guest(listed.id) : listed;
            if (guest && !guest->unreadable.empty())
                add("guest " + listed.id, Verdict::bad, "cannot be read: " + guest->unreadable,
                    "it is left alone until it can");
        });
        return checks_.size() == before;
    }

    platform::Platform& platform_;
    std::vector<Check> checks_;
};

} // namespace

std::string_view to_string(Check::Verdict verdict) {
    switch (verdict) {
    case Verdict::good:
        return "good";
    case Verdict::doubtful:
        return "doubtful";
    case Verdict::bad:
        break;
    }
    return "bad";
}

std::vector<Check> selftest_read(platform::Platform& platform) {
    return Selftest(platform).run();
}

} // namespace blockhost::agent
