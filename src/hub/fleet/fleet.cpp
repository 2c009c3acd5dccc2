// SPDX-License-Identifier: MIT
#include "hub/fleet/fleet.hpp"

#include "base/files/files.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "hub/answer.hpp"
#include "hub/etcd/gateway.hpp"
#include "hub/etcd/places.hpp"
#include "hub/folder.hpp"

#include <algorithm>
#include <set>

namespace blockhost::hub {

namespace {

constexpr std::size_t largest_report = 4u << 20;

Error no_host(const std::string& hub, const std::string& host) {
    return Error(Code::not_found, hub + " knows no host " + text::printable(host, 80),
                 "'blockhost-libvirt fleet hosts' shows them");
}

Error wanted_otherwise(const std::string& host) {
    return Error(Code::busy, "something else is wanted of " + host + " by now",
                 "look at it, and decide again");
}

class FolderFleet final : public Fleet {
  public:
    explicit FolderFleet(std::filesystem::path around) : around_(std::move(around)) {}
    std::string name() const override { return around_.string(); }

    std::vector<std::string> hosts() override {
        const auto around = open();
        auto names = around.names();
        std::erase_if(names, [&](const std::string& name) {
            return name.starts_with('.') || around.kind(name) != Folder::Kind::folder;
        });
        std::ranges::sort(names);
        return names;
    }
    std::optional<std::string> report(const std::string& host) override {
        return own(host).read(folder::report, largest_report);
    }
    std::optional<std::string> desired(const std::string& host) override {
        return own(host).read(folder::desired, largest_desired);
    }
    void want(const std::string& host, const std::string& document,
              const std::optional<std::string>& before) override {
        const Folder place = own(host);
        if (place.read(folder::desired, largest_desired) != before) throw wanted_otherwise(host);
        place.replace(folder::desired, document, {.mode = 0644, .uid = {}, .gid = {}});
    }
    std::optional<std::string> signed_operation(const std::string& host, const std::string& name) override {
        const auto all = own(host).sub(folder::signed_operations);
        return all ? all->read(name + ".json", largest_signed) : std::nullopt;
    }
    void sign(const std::string& host, const std::string& name, const std::string& document) override {
        own(host)
            .make_sub(folder::signed_operations, 0755)
            .replace(name + ".json", document, {.mode = 0644, .uid = {}, .gid = {}});
    }

  private:
    Folder open() const {
        auto around = Folder::open(around_);
        if (!around)
            throw Error(Code::no_answer, "there is no folder " + around_.string(), "mount what holds it");
        return std::move(*around);
    }
    Folder own(const std::string& host) const {
        const bool is_name = !host.empty() && host[0] != '.' && host.find('/') == host.npos;
        auto place = is_name ? open().sub(host) : std::nullopt;
        if (!place) throw no_host(name(), host);
        return std::move(*place);
    }
    std::filesystem::path around_;
};

namespace bj = boost::json;

class EtcdFleet final : public Fleet {
  public:
    EtcdFleet(const Settings& settings, std::function<void()> check)
        : gateway_({settings.urls, settings.user, settings.password_file, settings.trust}, std::move(check)),
          prefix_(settings.prefix) {}
    std::string name() const override { return "etcd at " + gateway_.name(); }

    std::vector<std::string> hosts() override {
        const std::string all = etcd::Places(prefix_, "").hosts;
        std::set<std::string> names;
        for (const etcd::Item& each :
             etcd::items_in(gateway_.call("kv/range", etcd::get_below(all, true), std::size_t{64} << 20))) {
            const auto end = each.key.find('/', all.size());
            if (end != each.key.npos) names.insert(each.key.substr(all.size(), end - all.size()));
        }
        return {names.begin(), names.end()};
    }
    std::optional<std::string> report(const std::string& host) override {
        return value(places_of(host).report);
    }
    std::optional<std::string> desired(const std::string& host) override {
        return value(places_of(host).desired);
    }
    void want(const std::string& host, const std::string& document,
              const std::optional<std::string>& before) override {
        const std::string key = places_of(host).desired;
        const auto items = etcd::items_in(gateway_.call("kv/range", etcd::get(key), largest));
        const std::int64_t modified = items.empty() ? 0 : items.front().modified;
        if (before != (items.empty() ? std::nullopt : std::optional(items.front().value)))
            throw wanted_otherwise(host);
        const bj::object request{{"request_put", etcd::put(key, document)}};
        const auto answer =
            gateway_.call("kv/txn", {{"compare", bj::array{etcd::was_modified_at(key, modified)}},
                                     {"success", bj::array{request}}});
        // A call whose answer was lost was made again, and finds its own work.
        if (!json::is_true(answer, "succeeded") && value(key) != document) throw wanted_otherwise(host);
    }
    std::optional<std::string> signed_operation(const std::string& host, const std::string& name) override {
        return value(places_of(host).signed_operations + name);
    }
    void sign(const std::string& host, const std::string& name, const std::string& document) override {
        gateway_.call("kv/put", etcd::put(places_of(host).signed_operations + name, document));
    }

  private:
    static constexpr std::size_t largest = 2 * largest_report;
    etcd::Places places_of(const std::string& host) const {
        if (host.empty() || host.find('/') != host.npos) throw no_host(name(), host);
        return {prefix_, host};
    }
    std::optional<std::string> value(const std::string& key) {
        auto items = etcd::items_in(gateway_.call("kv/range", etcd::get(key), largest));
        return items.empty() ? std::nullopt : std::optional(std::move(items.front().value));
    }
    etcd::Gateway gateway_;
    std::string prefix_;
};

} // namespace

std::unique_ptr<Fleet> open_fleet(const Settings& settings, std::function<void()> check) {
    switch (settings.kind) {
    case Settings::Kind::folder:
        return std::make_unique<FolderFleet>(settings.folder);
    case Settings::Kind::etcd:
        if (settings.user.empty())
            throw Error(Code::config, "no \"user\" is named: an operator's, not a host's",
                        "'blockhost-libvirt hub init-etcd --operator NAME' makes one");
        return std::make_unique<EtcdFleet>(settings, std::move(check));
    case Settings::Kind::https:
        throw Error(Code::config, "a server that is a hub shows its hosts by its own means",
                    "ask whoever runs it; a folder and an etcd cluster can be looked into from here");
    case Settings::Kind::none:
        break;
    }
    throw Error(Code::config, "no hub is named", R"({"kind": "folder", "folder": "/srv/fleet"} names one)");
}

} // namespace blockhost::hub
