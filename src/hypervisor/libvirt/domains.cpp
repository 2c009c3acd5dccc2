/// See domains.hpp.

#include "hypervisor/libvirt/domains.hpp"

#include "hypervisor/domain_xml.hpp"

#include "hypervisor/libvirt/errors.hpp"
#include "hypervisor/libvirt/handles.hpp"

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

} // namespace

Domain must_find(virConnectPtr connection, const std::string& name) {
    auto domain = look_up(connection, name);
    if (!domain) throw Failed{no_such_domain(name)};
    return domain;
}

std::optional<PowerState> state(virConnectPtr connection, const std::string& name) {
    auto domain = look_up(connection, name);
    if (!domain) return std::nullopt;
    auto raw = raw_state(connection, name, domain.get());
    if (!raw) return std::nullopt;
    return raw->power();
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
    if (persistent >= 0)
        xml.reset(virDomainGetXMLDesc(domain.get(), persistent ? VIR_DOMAIN_XML_INACTIVE : 0));
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
        virTypedParamsGetInt(records[i]->params, records[i]->nparams, "state.state", &state);
        all.push_back({virDomainGetName(records[i]->dom), power_state(state)});
    }
    return all;
}

std::vector<DomainUse> uses(virConnectPtr connection) {
    virDomainPtr* domains = nullptr;
    int count = virConnectListAllDomains(connection, &domains, 0);
    if (count < 0) throw last_failure(connection, "list the domains");
    std::vector<Domain> owned;
    for (int i = 0; i < count; ++i) owned.emplace_back(domains[i]);
    std::free(domains);
    std::vector<DomainUse> all;
    for (const Domain& domain : owned) {
        virDomainInfo info;
        if (virDomainGetInfo(domain.get(), &info) < 0) {
            if (last_code() == VIR_ERR_NO_DOMAIN) continue;
            throw last_failure(connection, std::string("describe domain ") + virDomainGetName(domain.get()));
        }
        Text mark(virDomainGetMetadata(domain.get(), VIR_DOMAIN_METADATA_ELEMENT, metadata_namespace, 0));
        if (!mark && !means_none(last_code()))
            throw last_failure(connection,
                               std::string("read the mark of domain ") + virDomainGetName(domain.get()));
        all.push_back({virDomainGetName(domain.get()), info.maxMem / 1024, mark ? mark.get() : ""});
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

void start(virConnectPtr connection, const std::string& name) {
    auto domain = must_find(connection, name);
    if (virDomainCreate(domain.get()) == 0) return;
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

void set_metadata(virConnectPtr connection, const std::string& name, const std::string& xml) {
    auto domain = must_find(connection, name);
    unsigned scope = virDomainIsActive(domain.get()) == 1 ? VIR_DOMAIN_AFFECT_LIVE : 0;
    if (virDomainIsPersistent(domain.get()) == 1) scope |= VIR_DOMAIN_AFFECT_CONFIG;
    if (virDomainSetMetadata(domain.get(), VIR_DOMAIN_METADATA_ELEMENT, xml.empty() ? nullptr : xml.c_str(),
                             metadata_prefix, metadata_namespace, scope) < 0)
        throw last_failure(connection, "write our mark into " + name);
}

void ensure_filter(virConnectPtr connection, const std::string& name, const std::string& xml) {
    if (Filter(virNWFilterDefineXML(connection, xml.c_str()))) return;
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
