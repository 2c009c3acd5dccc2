/// See figures.hpp.

#include "hypervisor/libvirt/figures.hpp"

#include "hypervisor/libvirt/domains.hpp"
#include "hypervisor/libvirt/errors.hpp"
#include "hypervisor/libvirt/handles.hpp"
#include "hypervisor/libvirt/processes.hpp"

#include <algorithm>

namespace blockhost::libvirt::figures {
namespace {

constexpr unsigned groups = VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_CPU_TOTAL | VIR_DOMAIN_STATS_BALLOON |
                            VIR_DOMAIN_STATS_VCPU | VIR_DOMAIN_STATS_INTERFACE | VIR_DOMAIN_STATS_BLOCK;
/// Up to here looking names up one by one is cheaper than listing every domain of the host.
constexpr std::size_t few_names = 4;
/// More disks or interfaces than this no domain has; a count from elsewhere must not keep us busy.
constexpr unsigned most_devices = 1024;

/// The records of one bulk call.
class Records {
  public:
    Records() = default;
    Records(const Records&) = delete;
    Records& operator=(const Records&) = delete;
    ~Records() { virDomainStatsRecordListFree(list); }
    virDomainStatsRecordPtr* list = nullptr;
    int count = 0;
};

/// One domain's fields by name.
class Fields {
  public:
    explicit Fields(virDomainStatsRecordPtr record) : record_(record) {}

    std::optional<std::uint64_t> find(const std::string& name) const {
        const virTypedParameter* field = virTypedParamsGet(record_->params, record_->nparams, name.c_str());
        if (!field) return std::nullopt;
        switch (field->type) {
        case VIR_TYPED_PARAM_INT:
            return field->value.i < 0 ? 0 : static_cast<std::uint64_t>(field->value.i);
        case VIR_TYPED_PARAM_UINT:
            return field->value.ui;
        case VIR_TYPED_PARAM_LLONG:
            return field->value.l < 0 ? 0 : static_cast<std::uint64_t>(field->value.l);
        case VIR_TYPED_PARAM_ULLONG:
            return field->value.ul;
        default:
            return std::nullopt;
        }
    }
    std::uint64_t get(const std::string& name) const { return find(name).value_or(0); }
    /// The sum of "<group>.<n>.<what>" over all n.
    std::uint64_t sum(const std::string& group, const std::string& what) const {
        const auto count = std::min<std::uint64_t>(get(group + ".count"), most_devices);
        std::uint64_t total = 0;
        for (std::uint64_t n = 0; n < count; ++n) total += get(group + "." + std::to_string(n) + "." + what);
        return total;
    }

  private:
    virDomainStatsRecordPtr record_;
};

/// From the process whose number the QEMU driver leaves in /run/libvirt/qemu/NAME.pid, for all to read.
std::optional<std::int64_t> seconds_running(const std::string& name) {
    const std::string pid = first_line("/run/libvirt/qemu/" + name + ".pid");
    if (pid.empty() || pid.find_first_not_of("0123456789") != pid.npos) return std::nullopt;
    const auto age = age_of("/proc/" + pid);
    if (!age || *age < 0) return std::nullopt;
    return static_cast<std::int64_t>(*age);
}

DomainStats read(virDomainStatsRecordPtr record) {
    const Fields fields(record);
    DomainStats s;
    s.name = virDomainGetName(record->dom);
    char uuid[VIR_UUID_STRING_BUFLEN] = {};
    if (virDomainGetUUIDString(record->dom, uuid) == 0) s.uuid = uuid;
    const auto id = virDomainGetID(record->dom);
    s.id = id == static_cast<unsigned>(-1) ? -1 : static_cast<int>(id);
    s.state = domains::power_state(static_cast<int>(fields.get("state.state")));
    if (s.id >= 0) s.running_s = seconds_running(s.name);
    s.cpu_time_ns = fields.get("cpu.time");
    s.cpus = static_cast<unsigned>(fields.find("vcpu.current").value_or(fields.get("vcpu.maximum")));
    s.cpus = std::max(s.cpus, 1u);
    s.memory_max_kib = fields.get("balloon.maximum");
    s.memory_available_kib = fields.find("balloon.available");
    s.memory_unused_kib = fields.find("balloon.unused");
    s.memory_usable_kib = fields.find("balloon.usable");
    s.memory_told_s = fields.find("balloon.last-update");
    s.rss_kib = fields.find("balloon.rss");
    s.disk_capacity_bytes = fields.get("block.0.capacity");
    s.read_requests = fields.sum("block", "rd.reqs");
    s.write_requests = fields.sum("block", "wr.reqs");
    s.read_bytes = fields.sum("block", "rd.bytes");
    s.write_bytes = fields.sum("block", "wr.bytes");
    s.received_bytes = fields.sum("net", "rx.bytes");
    s.sent_bytes = fields.sum("net", "tx.bytes");
    // What QEMU is asked for is missing when its monitor was busy: of a running domain's memory then its
    // process's size, which every complete answer has.
    s.complete = s.state == PowerState::off || s.rss_kib || !fields.find("block.count");
    return s;
}

/// Domains of those names; names without a domain are left out.
std::vector<Domain> looked_up(virConnectPtr connection, const std::vector<std::string>& names) {
    std::vector<Domain> found;
    for (const std::string& name : names) {
        Domain domain(virDomainLookupByName(connection, name.c_str()));
        if (!domain && last_code() != VIR_ERR_NO_DOMAIN)
            throw last_failure(connection, "look up domain " + name);
        if (domain) found.push_back(std::move(domain));
    }
    return found;
}

std::vector<Domain> listed(virConnectPtr connection, const std::vector<std::string>& names) {
    virDomainPtr* domains = nullptr;
    const int count = virConnectListAllDomains(connection, &domains, 0);
    if (count < 0) throw last_failure(connection, "list the domains");
    std::vector<Domain> found;
    for (int i = 0; i < count; ++i) {
        Domain domain(domains[i]);
        const std::string name = virDomainGetName(domain.get());
        if (std::find(names.begin(), names.end(), name) != names.end()) found.push_back(std::move(domain));
    }
    std::free(domains);
    return found;
}

/// The bulk call of `domains`, or of all when `domains` is null. Drivers that never wait know no NOWAIT.
void fetch(virConnectPtr connection, virDomainPtr* domains, Records& records) {
    for (unsigned flags : {unsigned{VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT}, 0u}) {
        records.count = domains ? virDomainListGetStats(domains, groups, &records.list, flags)
                                : virConnectGetAllDomainStats(connection, groups, &records.list, flags);
        if (records.count >= 0) return;
        if (last_code() != VIR_ERR_INVALID_ARG && last_code() != VIR_ERR_NO_SUPPORT) break;
    }
    throw last_failure(connection, "read the figures of the domains");
}

} // namespace

std::vector<DomainStats> stats(virConnectPtr connection, const std::vector<std::string>& names) {
    std::vector<Domain> owned;
    std::vector<virDomainPtr> asked;
    if (!names.empty()) {
        owned = names.size() <= few_names ? looked_up(connection, names) : listed(connection, names);
        if (owned.empty()) return {};
        for (const Domain& domain : owned) asked.push_back(domain.get());
        asked.push_back(nullptr);
    }
    Records records;
    fetch(connection, names.empty() ? nullptr : asked.data(), records);
    std::vector<DomainStats> all;
    for (int i = 0; i < records.count; ++i) all.push_back(read(records.list[i]));
    return all;
}

} // namespace blockhost::libvirt::figures
