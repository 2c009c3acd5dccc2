// SPDX-License-Identifier: MIT
#include "agent/selftest_task.hpp"

#include "base/text/text.hpp"
#include "base/time.hpp"

namespace blockhost::agent {

namespace {

using execution::Operation;
using execution::State;
using platform::Guest;
using Verdict = Check::Verdict;

/// The guest's whole configuration. Throws as selftest_task does.
Guest require_marked(platform::Platform& platform, const platform::GuestId& id) {
    const std::string shown = text::printable(id);
    const auto guest = platform.guest(id);
    if (!guest)
        throw Error(Code::not_found, "there is no guest " + shown, "'blockhost-libvirt guests' lists them");
    if (!guest->unreadable.empty() || !guest->config)
        throw Error(Code::no_answer, "the guest " + shown + " cannot be read: " + guest->unreadable,
                    "nothing is tried on it");
    if (!guest->config->tags.contains(std::string(selftest_tag)))
        throw Error(Code::denied, "the guest " + shown + " is not marked for trials",
                    "give the tag " + std::string(selftest_tag) +
                        " to one that may be changed and rolled back");
    if (!guest->lock.empty())
        throw Error(Code::busy, "the guest " + shown + " is locked for " + text::printable(guest->lock),
                    "wait until that is over");
    return *guest;
}

class Trial {
  public:
    Trial(Engine& engine, Guest guest, const std::function<void(std::string_view)>& stage,
          const std::function<void()>& check)
        : engine_(engine), guest_(std::move(guest)), stage_(stage), check_(check) {}

    std::vector<Check> run() {
        const platform::GuestConfig& config = guest_.config.value();
        auto tags = config.tags;
        tags.insert(snapshot_);
        if (change("set-config", "selftest " + snapshot_, tags)) {
            if (does("snapshot", platform::TakeSnapshot{snapshot_, "of a selftest"})) {
                if (does("rollback", platform::RollBack{snapshot_})) follow();
                does("delete-snapshot", platform::DeleteSnapshot{snapshot_});
            }
            change("set-config back", config.description, config.tags);
        }
        if (guest_.power == platform::Power::running && is_off()) does("start", platform::Start{});
        return std::move(checks_);
    }

  private:
    bool does(const std::string& name, platform::Action action) {
        stage_(name);
        const auto submitted = engine_.journal().submit({.source = {execution::Source::Kind::selftest, ""},
                                                         .target = {guest_.id, incarnation_},
                                                         .action = std::move(action)});
        const Operation ended = engine_.finish(submitted.operation.id, check_);
        Check made{
            .name = name, .verdict = Verdict::good, .told = "done, operation " + ended.id, .remedy = ""};
        if (ended.state == State::waiting) {
            engine_.journal().cancel(ended.id, "a selftest does not wait");
            made.verdict = Verdict::doubtful;
            made.told = ended.detail;
            made.remedy = "agent.json requires signatures of everybody: it is tried without that only";
        } else if (ended.state != State::done) {
            made.verdict = Verdict::bad;
            made.told = ended.error ? ended.error->message() : ended.detail;
            made.remedy = ended.error && !ended.error->hint().empty()
                              ? ended.error->hint()
                              : "look with 'blockhost-libvirt operations " + ended.id + "'";
        } else if (!ended.warnings.empty()) {
            made.verdict = Verdict::doubtful;
            made.told = "warned: " + ended.warnings.front();
            made.remedy = "look with 'blockhost-libvirt operations " + ended.id + "'";
        }
        checks_.push_back(std::move(made));
        return ended.state == State::done;
    }

    /// A rollback makes another incarnation of a guest on some platforms: the one with the tag that we gave.
    void follow() {
        const auto now = engine_.platform().guest(guest_.id);
        if (now && now->config && now->config->tags.contains(snapshot_)) incarnation_ = now->incarnation;
    }

    bool change(const std::string& name, const std::string& description, const std::set<std::string>& tags) {
        const auto now = engine_.platform().guest(guest_.id);
        platform::SetConfig change;
        change.digest = now ? now->digest : "";
        change.description = description;
        change.tags = tags;
        return does(name, std::move(change));
    }

    bool is_off() {
        const auto now = engine_.platform().guest(guest_.id);
        return now && now->power == platform::Power::stopped;
    }

    Engine& engine_;
    const Guest guest_; ///< as it was
    platform::Incarnation incarnation_ = guest_.incarnation;
    const std::function<void(std::string_view)>& stage_;
    const std::function<void()>& check_;
    const std::string snapshot_ = "selftest-" + random_hex(8);
    std::vector<Check> checks_;
};

} // namespace

std::vector<Check> selftest_task(Engine& engine, const platform::GuestId& id,
                                 const std::function<void(std::string_view)>& stage,
                                 const std::function<void()>& check) {
    return Trial(engine, require_marked(engine.platform(), id), stage, check).run();
}

} // namespace blockhost::agent
