// SPDX-License-Identifier: MIT
#pragma once
/// A platform whose guests a test gives, and that counts how often it is asked.

#include "platform/platform.hpp"

#include <map>

namespace blockhost::platform {

struct FakePlatform final : Platform {
    std::vector<Guest> listed;             ///< what the list tells
    std::map<GuestId, Guest> guests_by_id; ///< what a look at one tells
    std::map<GuestId, Error> errors;       ///< what a look at one throws
    std::string doubt;
    int lists = 0, looks = 0;

    /// A guest in both, partly told by the list.
    Guest& add(const GuestId& id, Power power = Power::running) {
        Guest& guest = guests_by_id[id];
        guest.id = guest.name = id;
        guest.power = power;
        guest.incarnation = "made:" + id;
        guest.digest = "digest:" + id;
        guest.config.emplace();
        guest.config->name = id;
        guest.config->cpus = 2;
        guest.config->memory_mib = 2048;
        guest.config->disk_mib = 20 * 1024;
        Guest partial = guest;
        partial.is_partial = true;
        partial.digest.clear();
        listed.push_back(partial);
        return guest;
    }

    Host host() override {
        Host host;
        host.platform = "fake";
        host.name = "host-a";
        return host;
    }
    std::vector<Lack> preflight() override { return {}; }
    Guests guests() override {
        ++lists;
        return {listed, doubt};
    }
    std::optional<Guest> guest(const GuestId& id) override {
        ++looks;
        if (const auto error = errors.find(id); error != errors.end()) throw Error(error->second);
        const auto found = guests_by_id.find(id);
        return found != guests_by_id.end() ? std::optional(found->second) : std::nullopt;
    }
    std::optional<Error> misfit(const GuestId& id, Kind kind) const override {
        if (kind == Kind::container) return Error(Code::invalid, id + " is no VM");
        return std::nullopt;
    }
    std::optional<bool> mounted;         ///< of any storage
    std::optional<Error> unseen_storage; ///< instead
    std::optional<bool> is_mounted(const Target&, const std::string&) override {
        if (unseen_storage) throw Error(*unseen_storage);
        return mounted;
    }
    Note note(const Target&, const Action&) override { return ""; }
    void begin_permitted(const Permit&, const Note&, const std::function<void(const Handle&)>&) override {
        throw Error(Code::internal, "a plan begins nothing");
    }
    Trace trace(const Target&, const Action&, const Note&) override { return {}; }
    ActionState look(const Handle&) override { return {}; }
    void interrupt(const Handle&) override {}
};

} // namespace blockhost::platform
