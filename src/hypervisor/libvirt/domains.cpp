// SPDX-License-Identifier: MIT
/// See domains.hpp.

#include "hypervisor/libvirt/domains.hpp"

#include "base/patience.hpp"
#include "hypervisor/libvirt/errors.hpp"
#include "hypervisor/libvirt/handles.hpp"
#include "hypervisor/xml/domain.hpp"
#include "hypervisor/xml/metadata.hpp"
#include "hypervisor/xml/settings.hpp"

#include <algorithm>
#include <array>
#include <libvirt/virterror.h>

namespace blockhost::libvirt::domains {

namespace {

/// Empty when there is no such domain.
Domain look_up(virConnectPtr connection, const std::string& name) {
    Domain domain(virDomainLookupByName(connection, name.c_str()));
    if (!domain && last_code() != VIR_ERR_NO_DOMAIN) throw last_failure(connection, "look up domain " + name);
    return domain;
}

struct RawState {
    int state = VIR_DOMAIN_NOSTATE, reason = 0;
    PowerState power() const { return power_state(state); }
};

/// Nothing when it vanished since it was looked up.
std::optional<RawState> raw_state(virConnectPtr connection, const std::string& name, virDomainPtr domain) {
    RawState raw;
    if (virDomainGetState(domain, &raw.state, &raw.reason, 0) == 0) return raw;
    if (last_code() == VIR_ERR_NO_DOMAIN) return std::nullopt;
    throw last_failure(connection, "tell the state of domain " + name);
}

/// Throws `why`, unless the domain is in state `wished` already. Drivers differ in what they call a call that
/// does not fit the state; it is wrong_state when the domain isn't in the state `needed`.
void settle(PowerState wished, PowerState needed, virConnectPtr connection, const std::string& name,
            virDomainPtr domain, Failed why) {
    if (why.failure.code != Code::wrong_state && why.failure.code != Code::hypervisor) throw why;
    auto raw = raw_state(connection, name, domain);
    if (raw && raw->power() == wished) return;
    if (raw && raw->power() != needed) why.failure.code = Code::wrong_state;
    throw why;
}

/// Some failures have no code of their own: "already exists with uuid …".
[[noreturn]] void throw_as_exists_if_refused(Failed why) {
    if (why.libvirt_code == VIR_ERR_OPERATION_FAILED && why.failure.code == Code::hypervisor)
        why.failure.code = Code::exists;
    throw why;
}

/// Makes a libvirt call that writes a VM's filter rules, again while that fails; the last error is the last
/// call's. ebtables over nftables (1.8.9) cannot append to a chain with a policy while another program
/// changes any rule of the host, and libvirt takes back what it wrote. `call` tells whether it went well.
template<class Call>
bool write_rules(const Call& call) {
    constexpr int most = 5;
    constexpr std::chrono::milliseconds pause(200);
    for (int calls = 1; !call(); ++calls) {
        if (last_domain() != VIR_FROM_FIREWALL || calls == most) return false;
        pause_for(pause);
    }
    return true;
}

/// Of all domains, those that the flags ask for.
std::vector<Domain> list(virConnectPtr connection, unsigned flags) {
    virDomainPtr* domains = nullptr;
    const int count = virConnectListAllDomains(connection, &domains, flags);
    if (count < 0) throw last_failure(connection, "list the domains");
    std::vector<Domain> owned;
    for (int i = 0; i < count; ++i) owned.emplace_back(domains[i]);
    std::free(domains);
    return owned;
}

} // namespace

Domain must_find(virConnectPtr connection, const std::string& name) {
    auto domain = look_up(connection, name);
    if (!domain) throw Failed{no_such_domain(name)};
    return domain;
}

void require_side(virDomainPtr domain, const std::string& name, TuningOf which) {
    if (which == TuningOf::running && virDomainIsActive(domain) == 0)
        throw failed(Code::wrong_state, name + " is not running");
    if (which == TuningOf::definition && virDomainIsPersistent(domain) == 0)
        throw failed(Code::wrong_state, name + " has no definition: it was undefined while it runs");
}

std::optional<Power> power(virConnectPtr connection, const std::string& name) {
    auto domain = look_up(connection, name);
    const auto raw = domain ? raw_state(connection, name, domain.get()) : std::nullopt;
    return raw ? std::optional(power_of(raw->state, raw->reason)) : std::nullopt;
}

std::string disk_trouble(virConnectPtr connection, const std::string& name) {
    auto domain = look_up(connection, name);
    if (!domain) return {};
    const int most = virDomainGetDiskErrors(domain.get(), nullptr, 0, 0);
    std::vector<virDomainDiskError> errors(static_cast<std::size_t>(std::max(most, 0)));
    const int count =
        most > 0 ? virDomainGetDiskErrors(domain.get(), errors.data(), static_cast<unsigned>(most), 0) : most;
    if (count < 0) {
        const int code = last_code();
        if (means_none(code) || code == VIR_ERR_OPERATION_INVALID) return {}; // off
        throw last_failure(connection, "tell the disk errors of domain " + name);
    }
    std::vector<DiskError> found;
    for (int i = 0; i < count; ++i) {
        const Text disk(errors[static_cast<std::size_t>(i)].disk);
        found.push_back({disk.get(), errors[static_cast<std::size_t>(i)].error});
    }
    return disk_words(found);
}

std::vector<std::string> undefined(virConnectPtr connection) {
    std::vector<std::string> names;
    for (const Domain& domain : list(connection, VIR_CONNECT_LIST_DOMAINS_TRANSIENT))
        names.emplace_back(virDomainGetName(domain.get()));
    return names;
}

std::optional<DomainView> find(virConnectPtr connection, const std::string& name) {
    auto domain = look_up(connection, name);
    if (!domain) return std::nullopt;
    auto raw = raw_state(connection, name, domain.get());
    if (!raw) return std::nullopt;
    DomainView view;
    view.name = name;
    view.state = raw->power();
    view.reason = reason_words(raw->state, raw->reason);
    char uuid[VIR_UUID_STRING_BUFLEN] = {};
    if (virDomainGetUUIDString(domain.get(), uuid) == 0) view.uuid = uuid;
    int persistent = virDomainIsPersistent(domain.get());
    view.persistent = persistent > 0;
    Text xml;
    if (persistent >= 0) xml.reset(virDomainGetXMLDesc(domain.get(), VIR_DOMAIN_XML_INACTIVE));
    if (!xml) {
        if (last_code() == VIR_ERR_NO_DOMAIN) return std::nullopt;
        throw last_failure(connection, "show the definition of domain " + name);
    }
    view.xml = xml.get();
    return view;
}

std::vector<std::string> other_definitions(virConnectPtr connection, const std::string& name) {
    std::vector<std::string> found;
    auto domain = look_up(connection, name);
    if (!domain) return found;
    const auto take = [&](Text xml) {
        if (xml)
            found.emplace_back(xml.get());
        else if (last_code() != VIR_ERR_NO_DOMAIN)
            throw last_failure(connection, "show what domain " + name + " runs with");
    };
    const auto is = [&](int answer) {
        if (answer < 0 && !means_none(last_code())) throw last_failure(connection, "describe domain " + name);
        return answer == 1;
    };
    if (is(virDomainIsPersistent(domain.get())) && is(virDomainIsActive(domain.get())))
        take(Text(virDomainGetXMLDesc(domain.get(), 0)));
    if (is(virDomainHasManagedSaveImage(domain.get(), 0)))
        take(Text(virDomainManagedSaveGetXMLDesc(domain.get(), 0)));
    return found;
}

std::vector<DomainState> states(virConnectPtr connection) {
    virDomainStatsRecordPtr* records = nullptr;
    int count = virConnectGetAllDomainStats(connection, VIR_DOMAIN_STATS_STATE, &records, 0);
    if (count < 0) throw last_failure(connection, "list the domains");
    std::unique_ptr<virDomainStatsRecordPtr, void (*)(virDomainStatsRecordPtr*)> owner(
        records, virDomainStatsRecordListFree);
    std::vector<DomainState> all;
    for (int i = 0; i < count; ++i) {
        int state = VIR_DOMAIN_NOSTATE;
        int why = 0;
        virTypedParamsGetInt(records[i]->params, records[i]->nparams, "state.state", &state);
        virTypedParamsGetInt(records[i]->params, records[i]->nparams, "state.reason", &why);
        auto power = power_of(state, why);
        all.push_back({virDomainGetName(records[i]->dom), power.state, std::move(power.reason)});
    }
    return all;
}

std::vector<DomainUse> uses(virConnectPtr connection) {
    std::vector<DomainUse> all;
    for (const Domain& domain : list(connection, 0)) {
        virDomainInfo info;
        if (virDomainGetInfo(domain.get(), &info) < 0) {
            if (last_code() == VIR_ERR_NO_DOMAIN) continue;
            throw last_failure(connection, std::string("describe domain ") + virDomainGetName(domain.get()));
        }
        Text mark(virDomainGetMetadata(domain.get(), VIR_DOMAIN_METADATA_ELEMENT, metadata_namespace, 0));
        if (!mark && !means_none(last_code()))
            throw last_failure(connection,
                               std::string("read the mark of domain ") + virDomainGetName(domain.get()));
        std::array<char, VIR_UUID_STRING_BUFLEN> uuid{};
        if (virDomainGetUUIDString(domain.get(), uuid.data()) < 0)
            throw last_failure(connection,
                               std::string("read the uuid of domain ") + virDomainGetName(domain.get()));
        all.push_back(
            {virDomainGetName(domain.get()), uuid.data(), info.maxMem / 1024, mark ? mark.get() : ""});
    }
    return all;
}

HostView host(virConnectPtr connection) {
    virNodeInfo info;
    if (virNodeGetInfo(connection, &info) < 0) throw last_failure(connection, "describe the host");
    return {info.memory / 1024, info.cpus};
}

void define(virConnectPtr connection, const std::string& xml) {
    if (Domain(virDomainDefineXML(connection, xml.c_str()))) return;
    throw_as_exists_if_refused(last_failure(connection, "define the domain"));
}

void redefine(virConnectPtr connection, const std::string& name) {
    auto domain = must_find(connection, name);
    const std::string doing = "define " + name + " again";
    const int persistent = virDomainIsPersistent(domain.get());
    if (persistent == 1) return;
    Text xml;
    if (persistent == 0)
        xml.reset(virDomainGetXMLDesc(domain.get(), VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE));
    if (!xml || !Domain(virDomainDefineXML(connection, xml.get()))) throw last_failure(connection, doing);
}

void start(virConnectPtr connection, const std::string& name) {
    auto domain = must_find(connection, name);
    if (write_rules([&] { return virDomainCreate(domain.get()) == 0; })) return;
    settle(PowerState::running, PowerState::off, connection, name, domain.get(),
           last_failure(connection, "start " + name));
}

void start_transient(virConnectPtr connection, const std::string& xml) {
    if (Domain(virDomainCreateXML(connection, xml.c_str(), VIR_DOMAIN_START_AUTODESTROY))) return;
    throw_as_exists_if_refused(last_failure(connection, "start the domain"));
}

void unpause(virConnectPtr connection, const std::string& name) {
    auto domain = must_find(connection, name);
    auto raw = raw_state(connection, name, domain.get());
    bool asleep = raw && raw->state == VIR_DOMAIN_PMSUSPENDED;
    if ((asleep ? virDomainPMWakeup(domain.get(), 0) : virDomainResume(domain.get())) == 0) return;
    settle(PowerState::running, PowerState::paused, connection, name, domain.get(),
           last_failure(connection, "resume " + name));
}

void shutdown(virConnectPtr connection, const std::string& name) {
    auto domain = must_find(connection, name);
    // Through the agent, libvirt's default, the call lasts until the guest is off, for up to a minute. Not
    // every driver knows a choice.
    if (virDomainShutdownFlags(domain.get(), VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) == 0) return;
    if (last_code() == VIR_ERR_INVALID_ARG && virDomainShutdown(domain.get()) == 0) return;
    settle(PowerState::off, PowerState::running, connection, name, domain.get(),
           last_failure(connection, "shut " + name + " down"));
}

void power_off(virConnectPtr connection, const std::string& name) {
    auto domain = look_up(connection, name);
    if (!domain) return;
    auto why = failed(Code::hypervisor, "libvirt says that it ended " + name + ", but it is not off");
    if (virDomainDestroy(domain.get()) < 0) {
        if (last_code() == VIR_ERR_NO_DOMAIN) return;
        why = last_failure(connection, "force " + name + " off");
    }
    auto raw = raw_state(connection, name, domain.get());
    if (raw && raw->power() != PowerState::off) throw why;
}

void undefine(virConnectPtr connection, const std::string& name) {
    auto domain = look_up(connection, name);
    if (!domain) return;
    // Not every driver knows every flag; one that doesn't has nothing to keep of that kind either.
    constexpr unsigned all[] = {VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                                    VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_NVRAM,
                                VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                                    VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA,
                                VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA,
                                VIR_DOMAIN_UNDEFINE_MANAGED_SAVE, 0};
    for (unsigned flags : all) {
        if (virDomainUndefineFlags(domain.get(), flags) == 0 || last_code() == VIR_ERR_NO_DOMAIN) return;
        if (last_code() != VIR_ERR_INVALID_ARG && last_code() != VIR_ERR_NO_SUPPORT) break;
    }
    throw last_failure(connection, "undefine " + name);
}

void set_interface(virConnectPtr connection, const std::string& name, const std::string& xml,
                   TuningOf which) {
    auto domain = must_find(connection, name);
    require_side(domain.get(), name, which);
    const unsigned scope =
        which == TuningOf::running ? VIR_DOMAIN_DEVICE_MODIFY_LIVE : VIR_DOMAIN_DEVICE_MODIFY_CONFIG;
    if (!write_rules([&] { return virDomainUpdateDeviceFlags(domain.get(), xml.c_str(), scope) == 0; }))
        throw last_failure(connection, "change the network interface of " + name);
}

void bind_filter(virConnectPtr connection, const std::string& name, const std::string& tap,
                 const std::string& xml) {
    const Binding there(virNWFilterBindingLookupByPortDev(connection, tap.c_str()));
    if (there && virNWFilterBindingDelete(there.get()) < 0)
        throw last_failure(connection, "take the old network filter from " + name);
    if (!write_rules([&] { return !!Binding(virNWFilterBindingCreateXML(connection, xml.c_str(), 0)); }))
        throw last_failure(connection, "bind the network filter of " + name);
}

void set_metadata(virConnectPtr connection, const std::string& name, const std::string& xml) {
    auto domain = must_find(connection, name);
    unsigned scope = virDomainIsActive(domain.get()) == 1 ? VIR_DOMAIN_AFFECT_LIVE : 0;
    if (virDomainIsPersistent(domain.get()) == 1) scope |= VIR_DOMAIN_AFFECT_CONFIG;
    if (virDomainSetMetadata(domain.get(), VIR_DOMAIN_METADATA_ELEMENT, xml.empty() ? nullptr : xml.c_str(),
                             metadata_prefix, metadata_namespace, scope) < 0)
        throw last_failure(connection, "write our mark into " + name);
}

namespace {

/// The most first: what a domain has is never more.
bool set_cpus(virDomainPtr domain, unsigned number) {
    return virDomainSetVcpusFlags(domain, number,
                                  unsigned(VIR_DOMAIN_AFFECT_CONFIG) | VIR_DOMAIN_VCPU_MAXIMUM) == 0 &&
           virDomainSetVcpusFlags(domain, number, VIR_DOMAIN_AFFECT_CONFIG) == 0;
}

bool set_memory(virDomainPtr domain, unsigned long kib) {
    return virDomainSetMemoryFlags(domain, kib,
                                   unsigned(VIR_DOMAIN_AFFECT_CONFIG) | VIR_DOMAIN_MEM_MAXIMUM) == 0 &&
           virDomainSetMemoryFlags(domain, kib, VIR_DOMAIN_AFFECT_CONFIG) == 0;
}

} // namespace

void configure(virConnectPtr connection, const std::string& name, const SettingsText& settings) {
    constexpr unsigned long kib_in_mib = 1024;
    auto domain = must_find(connection, name);
    require_side(domain.get(), name, TuningOf::definition);
    unsigned scope = VIR_DOMAIN_AFFECT_CONFIG;
    if (virDomainIsActive(domain.get()) == 1) scope |= VIR_DOMAIN_AFFECT_LIVE;
    if (settings.cpus && !set_cpus(domain.get(), static_cast<unsigned>(*settings.cpus)))
        throw last_failure(connection, "change the processors of " + name);
    if (settings.memory_mib &&
        !set_memory(domain.get(), static_cast<unsigned long>(*settings.memory_mib) * kib_in_mib))
        throw last_failure(connection, "change the memory of " + name);
    if (settings.description &&
        virDomainSetMetadata(domain.get(), VIR_DOMAIN_METADATA_DESCRIPTION,
                             settings.description->empty() ? nullptr : settings.description->c_str(), nullptr,
                             nullptr, scope) < 0)
        throw last_failure(connection, "change the description of " + name);
    if (settings.tags && virDomainSetMetadata(domain.get(), VIR_DOMAIN_METADATA_ELEMENT,
                                              settings.tags->empty() ? nullptr : settings.tags->c_str(),
                                              tags_prefix, tags_namespace, scope) < 0)
        throw last_failure(connection, "change the tags of " + name);
}

void ensure_filter(virConnectPtr connection, const std::string& name, const std::string& xml) {
    if (write_rules([&] { return !!Filter(virNWFilterDefineXML(connection, xml.c_str())); })) return;
    throw_as_exists_if_refused(last_failure(connection, "define network filter " + name));
}

void remove_filter(virConnectPtr connection, const std::string& name) {
    Filter filter(virNWFilterLookupByName(connection, name.c_str()));
    if (filter && virNWFilterUndefine(filter.get()) == 0) return;
    if (last_code() == VIR_ERR_NO_NWFILTER) return;
    auto why = last_failure(connection, "remove network filter " + name);
    if (why.failure.code == Code::wrong_state) why.failure.code = Code::busy; // a domain uses it
    throw why;
}

} // namespace blockhost::libvirt::domains
