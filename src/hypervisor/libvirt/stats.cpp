// SPDX-License-Identifier: MIT
/// See stats.hpp.

#include "hypervisor/libvirt/stats.hpp"

#include "hypervisor/libvirt/errors.hpp"
#include "hypervisor/libvirt/handles.hpp"

#include <algorithm>

namespace blockhost::libvirt::figures {
namespace {

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
class Record final : public Fields {
  public:
    explicit Record(virDomainStatsRecordPtr record) : record_(record) {}

    std::optional<std::uint64_t> find(std::string_view name) const override {
        const virTypedParameter* field =
            virTypedParamsGet(record_->params, record_->nparams, std::string(name).c_str());
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

  private:
    virDomainStatsRecordPtr record_;
};

DomainStats read(virDomainStatsRecordPtr record) {
    char uuid[VIR_UUID_STRING_BUFLEN] = {};
    if (virDomainGetUUIDString(record->dom, uuid) != 0) uuid[0] = 0;
    const auto id = virDomainGetID(record->dom);
    return figures_of(virDomainGetName(record->dom), uuid,
                      id == static_cast<unsigned>(-1) ? -1 : static_cast<int>(id), Record(record));
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
    for (unsigned flags : {stats_nowait, 0u}) {
        records.count = domains
                            ? virDomainListGetStats(domains, figure_groups, &records.list, flags)
                            : virConnectGetAllDomainStats(connection, figure_groups, &records.list, flags);
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
