// SPDX-License-Identifier: MIT
#pragma once
/// An etcd cluster as a hub: what is wanted of a host and what it tells are keys. docs/hub.md, "etcd", says
/// which.

#include "hub/etcd/places.hpp"
#include "hub/etcd/watcher.hpp"
#include "hub/settings.hpp"
#include "hub/transport.hpp"

namespace blockhost::hub::etcd {

class EtcdHub : public Transport {
  public:
    /// `settings` are those of such a hub; `check` as http::Session has it.
    EtcdHub(const Settings& settings, const std::string& host, std::function<void()> check);

    std::string name() const override;
    /// The newest report is under a lease, which ends after two polls: then the host is not heard of any
    /// more.
    Answer exchange(const Outgoing& report) override;
    std::string desired() override;
    std::vector<std::string> signed_operations() override;
    bool has_news() override;

  private:
    /// What the cluster keeps of this host, and the revision at which it was so.
    struct Kept {
        std::int64_t acknowledged = 0, reports = 0;
        std::string audit = {};
        std::int64_t modified = 0;
    };
    Kept parse_kept(const boost::json::object& range) const;
    std::string text_of(const Kept& kept) const;
    std::int64_t lease();
    void keep(const Outgoing& report);
    bool try_to_keep(const Outgoing& report, const Kept& before);
    boost::json::object publish(const Outgoing& report);
    void announce(const std::vector<Item>& wanted, Answer& answer);
    std::string fetch_desired(std::int64_t& modified);

    Access access_;
    Gateway gateway_;
    Places places_;
    std::chrono::seconds lifetime_; ///< of a report
    std::int64_t lease_ = 0;
    std::optional<Kept> kept_; ///< as it was seen last
    std::optional<Announced> announced_;
    std::int64_t announced_at_ = 0;      ///< the desired state's last change that was looked at
    std::optional<std::string> desired_; ///< its text, until it was asked for
    std::int64_t seen_ = 0;              ///< the revision of the last exchange
    std::optional<Watcher> watcher_;     ///< begins when has_news() is called first
};

} // namespace blockhost::hub::etcd
