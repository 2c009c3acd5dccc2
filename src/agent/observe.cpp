// SPDX-License-Identifier: MIT
#include "agent/observe.hpp"

namespace blockhost::agent {

namespace {

using platform::Guest;
using platform::GuestId;

/// Reads guests one by one. A platform that ceased to answer is not waited for at each of them.
class Reader {
  public:
    explicit Reader(platform::Reading& reading) : reading_(reading) {}

    /// Nothing: there is no guest of that id.
    std::optional<Guest> read(const GuestId& id) {
        if (silent_ == most_silent) return unreadable(id, "it was not asked for: " + silence_);
        try {
            auto guest = reading_.guest(id);
            silent_ = 0;
            return guest;
        } catch (const Error& error) {
            if (error.code() == Code::interrupted || error.code() == Code::hypervisor_down) throw;
            silent_ = error.code() == Code::no_answer ? silent_ + 1 : 0;
            silence_ = error.message();
            return unreadable(id, error.message());
        }
    }

    static Guest unreadable(const GuestId& id, std::string why) {
        Guest guest;
        guest.id = id;
        guest.unreadable = std::move(why);
        return guest;
    }

  private:
    static constexpr int most_silent = 3;
    platform::Reading& reading_;
    int silent_ = 0;
    std::string silence_;
};

Observed listed(platform::Reading& reading, platform::Host host) {
    Observed observed;
    observed.host = std::move(host);
    platform::Guests guests = reading.list();
    observed.doubt = std::move(guests.doubt);
    for (Guest& guest : guests.seen) {
        const GuestId id = guest.id;
        observed.guests.emplace(id, std::move(guest));
    }
    return observed;
}

void read_in_full(platform::Reading& reading, Observed& observed, const std::vector<GuestId>& ids,
                  const std::function<void(std::size_t, std::size_t)>& each) {
    Reader reader(reading);
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (each) each(i, ids.size());
        const auto place = observed.guests.find(ids[i]);
        const bool is_listed = place != observed.guests.end();
        if (is_listed && (!place->second.unreadable.empty() || !place->second.is_partial)) continue;
        auto guest = reader.read(ids[i]);
        if (guest)
            observed.guests.insert_or_assign(ids[i], std::move(*guest));
        else if (is_listed)
            place->second = Reader::unreadable(ids[i], "it went away while it was looked at");
    }
}

} // namespace

Observed observe(platform::Platform& platform, const platform::Host& host, const Desired& desired,
                 const std::function<void(std::size_t, std::size_t)>& each) {
    const auto reading = platform.read();
    Observed observed = listed(*reading, host);
    std::vector<GuestId> named;
    for (const WantedGuest& guest : desired.guests) named.push_back(guest.id);
    read_in_full(*reading, observed, named, each);
    for (const auto& [name, wanted] : desired.storage) {
        SeenStorage& seen = observed.storage[name];
        try {
            seen.is_mounted = platform.is_mounted(platform::storage_target(name, wanted.uuid), wanted.mount);
        } catch (const Error& error) {
            if (error.code() == Code::interrupted) throw;
            seen.unreadable = error.message();
        }
    }
    return observed;
}

Observed observe_all(platform::Platform& platform,
                     const std::function<void(std::size_t, std::size_t)>& each) {
    platform::Host host = platform.host();
    const auto reading = platform.read();
    Observed observed = listed(*reading, std::move(host));
    std::vector<GuestId> all;
    for (const auto& [id, guest] : observed.guests) all.push_back(id);
    read_in_full(*reading, observed, all, each);
    return observed;
}

} // namespace blockhost::agent
