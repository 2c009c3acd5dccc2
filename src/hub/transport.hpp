// SPDX-License-Identifier: MIT
#pragma once
/// How a host reaches its hub: a folder, HTTPS, etcd.

#include "base/error.hpp"
#include "hub/answer.hpp"

namespace blockhost::hub {

/// A report, ready to be sent.
struct Outgoing {
    std::int64_t number = 0;
    std::string text;
    std::int64_t last_event = 0; ///< the sequence of the last event in it; 0: it has none
    std::string audit;           ///< the head of this host's audit, "LINE:HASH"; empty: there is none yet
};

/// The hub asks to be left alone for a while.
class AskedToWait : public Error {
  public:
    AskedToWait(const Error& error, std::chrono::seconds wait) : Error(error), wait_(wait) {}
    std::chrono::seconds wait() const noexcept { return wait_; }

  private:
    std::chrono::seconds wait_;
};

/// One host's way to its hub. For one thread. Each call is one attempt; its caller repeats it. What it throws
/// says that nobody knows whether it arrived. Error{invalid}: what came makes no sense, or is for another
/// host.
class Transport {
  public:
    virtual ~Transport() = default;
    /// What it leads to, for messages: without a secret.
    virtual std::string name() const = 0;

    /// Delivers a report. Before this returns, the hub keeps the events that it acknowledges.
    virtual Answer exchange(const Outgoing& report) = 0;
    /// The desired state that is wanted now: at most largest_desired bytes. Called only when it moved.
    virtual std::string desired() = 0;
    /// The signed operations that wait, each a document of its own.
    virtual std::vector<std::string> signed_operations() = 0;
    /// Whether the hub told by itself that something may be new since the last exchange. Waits for nothing.
    virtual bool has_news() { return false; }
};

} // namespace blockhost::hub
