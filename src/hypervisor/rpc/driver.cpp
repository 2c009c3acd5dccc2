// SPDX-License-Identifier: MIT
/// See driver.hpp.

#include "hypervisor/rpc/driver.hpp"

#include "hypervisor/common/states.hpp"
#include "hypervisor/forwarding.hpp"
#include "hypervisor/rpc/agents.hpp"

#include <algorithm>
#include <cerrno>
#include <mutex>

namespace blockhost {
namespace rpc {
namespace {

using namespace std::chrono_literals;

using libvirt::look_span;

constexpr auto restore_span = 2s;

/// Of all drivers of this process: threads have one each.
class Counter {
  public:
    void add(const std::string& reason) {
        const std::lock_guard lock(mutex_);
        ++fallbacks_.count;
        fallbacks_.last_reason = reason;
    }
    Fallbacks read() {
        const std::lock_guard lock(mutex_);
        return fallbacks_;
    }

  private:
    std::mutex mutex_;
    Fallbacks fallbacks_;
};

Counter& counter() {
    static Counter all;
    return all;
}

Error error_of(const Failure& failure) {
    return Error(failure.code, failure.message, failure.hint);
}

std::string in_seconds(std::chrono::milliseconds span) {
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(span).count()) + " s";
}

/// One session, and the module's connection from its first need on. After a call that nobody answered neither
/// is asked anything more: libvirt may still carry it out, so that what a later look showed would not be the
/// last word.
class Driver final : public Forwarding {
  public:
    Driver(std::string uri, Access access, std::chrono::seconds longest, Unexpected unexpected)
        : uri_(std::move(uri)), access_(access), longest_(longest), unexpected_(unexpected) {
        try {
            open();
        } catch (const Silence&) {
            throw error_of(libvirt::unanswered(uri_, "no connection within " + in_seconds(waited())));
        } catch (const Refusal& why) {
            if (libvirt::is_refusal(why.code()))
                throw error_of(libvirt::not_opened(uri_, why.code(), false, why.words()));
            leave(why, strange(why));
        } catch (const Ended& why) {
            const Failure told = libvirt::not_opened(uri_, 0, is_shut(why), why.words());
            if (why.error_number() != 0) throw error_of(told);
            leave(why, told);
        } catch (const Surprise& why) {
            leave(why, strange(why));
        }
        if (!session_) module(longest_);
    }

    ~Driver() override {
        if (session_ && !given_up_) agents_.restore(*session_, Deadline::in(restore_span));
    }

    void answer_by(const Deadline& end) override {
        Forwarding::answer_by(end);
        if (module_) module_->answer_by(end);
    }

    std::optional<Power> power(const std::string& name) override {
        return seen(rpc::power, &Observer::power, name);
    }
    std::vector<std::string> undefined() override { return seen(rpc::undefined, &Observer::undefined); }
    std::optional<DomainView> find(const std::string& name) override {
        return seen(rpc::find, &Observer::find, name);
    }
    std::vector<std::string> other_definitions(const std::string& name) override {
        return seen(rpc::other_definitions, &Observer::other_definitions, name);
    }
    std::vector<DomainState> states() override { return seen(rpc::states, &Observer::states); }
    void expect_states() override {
        if (!session_ || given_up_) return;
        try {
            rpc::expect_states(*session_, Deadline::in(look_span));
        } catch (const Silence&) {
            given_up_ = true;
        } catch (const std::exception&) { // a session that ended says so again
        }
    }
    std::vector<DomainUse> uses() override { return seen(rpc::uses, &Observer::uses); }
    HostView host() override { return seen(rpc::host, &Observer::host); }
    std::vector<DomainStats> stats(const std::vector<std::string>& names,
                                   std::chrono::milliseconds limit) override {
        return seen(
            limit, [&](Session& s, const Deadline& end) { return rpc::stats(s, names, end); },
            [&](Hypervisor& m, auto left) { return m.stats(names, left); });
    }

    /// A command is never sent twice: its first receiver may have carried it out.
    std::string agent(const std::string& name, const std::string& command, int seconds,
                      std::optional<std::chrono::milliseconds> limit) override {
        const auto span =
            limit.value_or(std::chrono::milliseconds(std::chrono::seconds(seconds) + libvirt::agent_extra));
        return seen(
            span,
            [&](Session& s, const Deadline& end) {
                const std::string asking = libvirt::asking_agent(name);
                try {
                    return agents_.ask(s, name, command, seconds, end);
                } catch (const Refusal& why) {
                    const auto words = libvirt::trimmed(why.words());
                    throw error_of(libvirt::agent_failure(libvirt::refused(why.code(), asking, words),
                                                          why.code(), name, words));
                } catch (const Silence&) {
                    throw;
                } catch (const Trouble& why) {
                    if (why.doing() != asking) throw;
                    const auto words = why.words();
                    leave(why);
                    throw error_of(libvirt::connection_ended(asking, words));
                }
            },
            [&](Hypervisor& m, auto left) { return m.agent(name, command, seconds, left); });
    }

  private:
    // connections

    static bool is_shut(const Ended& why) {
        return why.error_number() == EACCES || why.error_number() == EPERM;
    }

    /// The read-write socket where we may use it; the other where we only want to look.
    void open() {
        const auto sockets = libvirt::local_sockets(uri_);
        if (!sockets) throw Surprise("it is not on a socket of this host");
        try {
            session_ = std::make_unique<Session>(sockets->writing, true, began_, longest_);
            return;
        } catch (const Ended& why) {
            if (!is_shut(why) || access_ == Access::write) throw;
        } catch (const Refusal& why) {
            if (!libvirt::is_refusal(why.code()) || access_ == Access::write) throw;
        }
        session_ = std::make_unique<Session>(sockets->reading, false, began_, longest_);
    }

    std::chrono::milliseconds waited() const {
        return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                     began_);
    }

    /// The module's connection, made at first need and within `longest`. One that could not be made is not
    /// tried again.
    Hypervisor& module(std::chrono::milliseconds longest) {
        if (no_module_) throw *no_module_;
        if (!module_) {
            const AskingTime::Pause ours; // it is loading that takes long
            try {
                const auto seconds = std::min(std::chrono::ceil<std::chrono::seconds>(longest), longest_);
                module_ = open_libvirt(uri_, access_, std::max<std::chrono::seconds>(seconds, 1s));
                if (end()) module_->answer_by(*end());
            } catch (const Error& why) {
                no_module_ = why;
                throw;
            }
        }
        return *module_;
    }

    Failure strange(const Trouble& why) const {
        return libvirt::failure_of(Code::hypervisor,
                                   "libvirt at " + uri_ + " answers as we do not expect: " + why.words(),
                                   "unset BLOCKHOST_DRIVER to have its own library asked then");
    }

    /// Ends the session; the module has the rest, or each look is `told` why there is none.
    void leave(const Trouble& why, const Failure& told) {
        session_.reset();
        if (unexpected_ == Unexpected::told) {
            told_ = told;
            told.raise();
        }
        counter().add(why.words());
    }
    void leave(const Trouble& why) {
        const bool ended = dynamic_cast<const Ended*>(&why) != nullptr;
        leave(why, ended ? libvirt::connection_ended(why.doing(), why.words()) : strange(why));
    }

    // asking

    template<class Call>
    auto answered(Call call) -> decltype(call()) {
        const AskingTime counted;
        if (given_up_) throw error_of(libvirt::unanswered(uri_, "an earlier call was given up"));
        try {
            return call();
        } catch (const Error& why) {
            given_up_ = why.code() == Code::no_answer;
            throw;
        }
    }

    /// Changes, and looks that are rare enough for it, are the module's.
    void pass_on(const std::function<void(Hypervisor&)>& call) override {
        answered([&] { call(module(within(longest_))); });
    }

    /// What `look` says of the session, within `longest`; where that cannot be, what `instead` says of the
    /// module, given what is left of it.
    template<class Look, class Instead>
    auto seen(std::chrono::milliseconds longest, Look look, Instead instead)
        -> std::invoke_result_t<Look, Session&, const Deadline&> {
        return answered([&]() -> std::invoke_result_t<Look, Session&, const Deadline&> {
            const auto span = within(longest);
            const auto end = Deadline::in(span);
            if (session_) {
                try {
                    return look(*session_, end);
                } catch (const Silence&) {
                    throw error_of(libvirt::unanswered(uri_, "nothing within " + in_seconds(span)));
                } catch (const Refusal& why) {
                    if (why.code() != libvirt::number::rpc)
                        throw error_of(
                            libvirt::refused(why.code(), why.doing(), libvirt::trimmed(why.words())));
                    leave(why);
                } catch (const Trouble& why) {
                    leave(why);
                }
            }
            if (told_) told_->raise();
            Hypervisor& other = module(end.left());
            return instead(other, end.left());
        });
    }
    /// A look that takes nothing but `arguments`, and is the same of both.
    template<class Look, class Result, class... Parameters, class... Arguments>
    Result seen(Look look, Result (Observer::*instead)(Parameters...), const Arguments&... arguments) {
        return seen(
            look_span, [&](Session& s, const Deadline& end) { return look(s, arguments..., end); },
            [&](Hypervisor& m, auto) { return (m.*instead)(arguments...); });
    }

    const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
    const std::string uri_;
    const Access access_;
    const std::chrono::seconds longest_;
    const Unexpected unexpected_;
    std::unique_ptr<Session> session_; ///< null: it was left
    Agents agents_;
    std::unique_ptr<Hypervisor> module_;
    std::optional<Error> no_module_; ///< why there is none
    std::optional<Failure> told_;    ///< why there are no looks, where the module may not be asked
    bool given_up_ = false;
};

} // namespace
} // namespace rpc

std::unique_ptr<Hypervisor> open_rpc(const std::string& uri, Access access, std::chrono::seconds longest,
                                     Unexpected unexpected) {
    return std::make_unique<rpc::Driver>(uri, access, longest, unexpected);
}

Fallbacks rpc_fallbacks() {
    return rpc::counter().read();
}

} // namespace blockhost
