// SPDX-License-Identifier: MIT
/// See tuning.hpp.

#include "hypervisor/libvirt/tuning.hpp"

#include "hypervisor/libvirt/domains.hpp"
#include "hypervisor/libvirt/errors.hpp"

#include <libvirt/virterror.h>
#include <type_traits>
#include <vector>

namespace blockhost::libvirt::tuning {
namespace {

/// libvirt's typed parameters; owned.
class Parameters {
  public:
    Parameters() = default;
    Parameters(const Parameters&) = delete;
    Parameters& operator=(const Parameters&) = delete;
    ~Parameters() { virTypedParamsFree(list_, size_); }

    /// Fills it through a call that tells the number first: call(list, &number), list null at first.
    template<class Call>
    bool fill(Call call) {
        int number = 0;
        if (call(nullptr, &number) < 0) return false;
        list_ =
            static_cast<virTypedParameterPtr>(std::calloc(static_cast<std::size_t>(number), sizeof *list_));
        if (number > 0 && call(list_, &number) < 0) return false;
        size_ = number;
        return true;
    }
    template<class Number>
    std::optional<Number> get(const char* name) const {
        Number value = 0;
        int found = 0;
        if constexpr (std::is_same_v<Number, std::uint32_t>)
            found = virTypedParamsGetUInt(list_, size_, name, &value);
        else if constexpr (std::is_signed_v<Number>)
            found = take(value, virTypedParamsGetLLong, name);
        else
            found = take(value, virTypedParamsGetULLong, name);
        return found == 1 ? std::optional(value) : std::nullopt;
    }
    void add(const char* name, std::uint64_t value) {
        virTypedParamsAddULLong(&list_, &size_, &room_, name, value);
    }
    void add_signed(const char* name, std::int64_t value) {
        virTypedParamsAddLLong(&list_, &size_, &room_, name, value);
    }
    void add_small(const char* name, std::uint32_t value) {
        virTypedParamsAddUInt(&list_, &size_, &room_, name, value);
    }
    virTypedParameterPtr list() const { return list_; }
    int size() const { return size_; }

  private:
    /// libvirt's number types are `long long`, ours of the same size.
    template<class Number, class Wide>
    int take(Number& value, int (*getter)(virTypedParameterPtr, int, const char*, Wide*),
             const char* name) const {
        Wide wide = 0;
        int found = getter(list_, size_, name, &wide);
        value = static_cast<Number>(wide);
        return found;
    }
    virTypedParameterPtr list_ = nullptr;
    int size_ = 0, room_ = 0;
};

/// libvirt's names of what it keeps together: a call that leaves some of it out takes that away.
constexpr std::pair<const char*, std::uint64_t Tuning::Iops::*> iops_parameters[] = {
    {VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC, &Tuning::Iops::read},
    {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC, &Tuning::Iops::write},
    {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC, &Tuning::Iops::total},
    {VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC_MAX, &Tuning::Iops::read_max},
    {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC_MAX, &Tuning::Iops::write_max},
    {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC_MAX, &Tuning::Iops::total_max},
    {VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC_MAX_LENGTH, &Tuning::Iops::read_length},
    {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC_MAX_LENGTH, &Tuning::Iops::write_length},
    {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC_MAX_LENGTH, &Tuning::Iops::total_length},
};
constexpr std::pair<std::uint64_t Tuning::Iops::*, std::uint64_t Tuning::Iops::*> iops_lengths[] = {
    {&Tuning::Iops::read_length, &Tuning::Iops::read_max},
    {&Tuning::Iops::write_length, &Tuning::Iops::write_max},
    {&Tuning::Iops::total_length, &Tuning::Iops::total_max},
};

unsigned scope(TuningOf which) {
    return which == TuningOf::running ? VIR_DOMAIN_AFFECT_LIVE : VIR_DOMAIN_AFFECT_CONFIG;
}

/// The domain, when it has settings of that kind.
Domain tunable(virConnectPtr connection, const std::string& name, TuningOf which) {
    auto domain = domains::must_find(connection, name);
    domains::require_side(domain.get(), name, which);
    return domain;
}

/// A look that libvirt refuses leaves its fields empty; one that it did not answer is no look.
void pass_over_refusal(virConnectPtr connection, const std::string& what) {
    auto why = last_failure(connection, "tell the " + what);
    if (why.failure.code == Code::no_answer || why.failure.code == Code::not_found) throw why;
}

void read_cpu(virConnectPtr connection, virDomainPtr domain, unsigned flags, Tuning& found) {
    Parameters parameters;
    int total = 0;
    Text scheduler(virDomainGetSchedulerType(domain, &total)); // tells the number
    bool told = scheduler && parameters.fill([&](virTypedParameterPtr list, int* number) {
        if (list) return virDomainGetSchedulerParametersFlags(domain, list, number, flags);
        *number = total;
        return 0;
    });
    if (!told) return pass_over_refusal(connection, "CPU limits");
    found.cpu_shares = parameters.get<std::uint64_t>(VIR_DOMAIN_SCHEDULER_CPU_SHARES);
    found.cpu_period = parameters.get<std::uint64_t>(VIR_DOMAIN_SCHEDULER_VCPU_PERIOD);
    found.cpu_quota = parameters.get<std::int64_t>(VIR_DOMAIN_SCHEDULER_VCPU_QUOTA);
}

void read_network(virConnectPtr connection, virDomainPtr domain, const std::string& mac, unsigned flags,
                  Tuning& found) {
    Parameters parameters;
    bool told = parameters.fill([&](virTypedParameterPtr list, int* number) {
        return virDomainGetInterfaceParameters(domain, mac.c_str(), list, number, flags);
    });
    if (!told) return pass_over_refusal(connection, "network limits");
    auto number = [&](const char* name) { return parameters.get<std::uint32_t>(name).value_or(0); };
    found.inbound = {number(VIR_DOMAIN_BANDWIDTH_IN_AVERAGE), number(VIR_DOMAIN_BANDWIDTH_IN_PEAK),
                     number(VIR_DOMAIN_BANDWIDTH_IN_BURST), number(VIR_DOMAIN_BANDWIDTH_IN_FLOOR)};
    found.outbound = {number(VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE), number(VIR_DOMAIN_BANDWIDTH_OUT_PEAK),
                      number(VIR_DOMAIN_BANDWIDTH_OUT_BURST), 0};
}

void read_disk(virConnectPtr connection, virDomainPtr domain, const std::string& disk, unsigned flags,
               Tuning& found) {
    Parameters parameters;
    bool told = parameters.fill([&](virTypedParameterPtr list, int* number) {
        return virDomainGetBlockIoTune(domain, disk.c_str(), list, number, flags);
    });
    if (!told) return pass_over_refusal(connection, "disk limits");
    if (!parameters.get<std::uint64_t>(VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC)) return;
    Tuning::Iops iops{};
    for (const auto& [name, member] : iops_parameters)
        iops.*member = parameters.get<std::uint64_t>(name).value_or(0);
    for (const auto& [length, max] : iops_lengths) // libvirt shows one where there is no burst, too
        if (iops.*max == 0) iops.*length = 0;
    found.iops = iops;
}

bool set_cpu(virDomainPtr domain, const Tuning& wanted, unsigned flags) {
    Parameters parameters;
    if (wanted.cpu_shares) parameters.add(VIR_DOMAIN_SCHEDULER_CPU_SHARES, *wanted.cpu_shares);
    if (wanted.cpu_period) parameters.add(VIR_DOMAIN_SCHEDULER_VCPU_PERIOD, *wanted.cpu_period);
    if (wanted.cpu_quota) parameters.add_signed(VIR_DOMAIN_SCHEDULER_VCPU_QUOTA, *wanted.cpu_quota);
    return parameters.size() == 0 ||
           virDomainSetSchedulerParametersFlags(domain, parameters.list(), parameters.size(), flags) == 0;
}

bool set_network(virDomainPtr domain, const std::string& mac, const Tuning& wanted, unsigned flags) {
    Parameters parameters;
    if (wanted.inbound) {
        parameters.add_small(VIR_DOMAIN_BANDWIDTH_IN_AVERAGE, wanted.inbound->average);
        parameters.add_small(VIR_DOMAIN_BANDWIDTH_IN_PEAK, wanted.inbound->peak);
        parameters.add_small(VIR_DOMAIN_BANDWIDTH_IN_BURST, wanted.inbound->burst);
        if (wanted.inbound->floor != 0)
            parameters.add_small(VIR_DOMAIN_BANDWIDTH_IN_FLOOR, wanted.inbound->floor);
    }
    if (wanted.outbound) {
        parameters.add_small(VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE, wanted.outbound->average);
        parameters.add_small(VIR_DOMAIN_BANDWIDTH_OUT_PEAK, wanted.outbound->peak);
        parameters.add_small(VIR_DOMAIN_BANDWIDTH_OUT_BURST, wanted.outbound->burst);
    }
    return parameters.size() == 0 || virDomainSetInterfaceParameters(domain, mac.c_str(), parameters.list(),
                                                                     parameters.size(), flags) == 0;
}

bool set_disk(virDomainPtr domain, const std::string& disk, const Tuning& wanted, unsigned flags) {
    if (!wanted.iops) return true;
    Parameters parameters;
    for (const auto& [name, member] : iops_parameters) parameters.add(name, (*wanted.iops).*member);
    return virDomainSetBlockIoTune(domain, disk.c_str(), parameters.list(), parameters.size(), flags) == 0;
}

} // namespace

Tuning read(virConnectPtr connection, const std::string& name, const TunedDevices& devices, TuningOf which) {
    auto domain = tunable(connection, name, which);
    Tuning found;
    read_cpu(connection, domain.get(), scope(which), found);
    if (!devices.mac.empty()) read_network(connection, domain.get(), devices.mac, scope(which), found);
    if (!devices.disk.empty()) read_disk(connection, domain.get(), devices.disk, scope(which), found);
    return found;
}

void set(virConnectPtr connection, const std::string& name, const TunedDevices& devices, Subsystem subsystem,
         const Tuning& wanted, TuningOf which) {
    auto domain = tunable(connection, name, which);
    bool done = false;
    const char* what = "CPU";
    switch (subsystem) {
    case Subsystem::cpu:
        done = set_cpu(domain.get(), wanted, scope(which));
        break;
    case Subsystem::network:
        what = "network";
        done = set_network(domain.get(), devices.mac, wanted, scope(which));
        break;
    case Subsystem::disk:
        what = "disk";
        done = set_disk(domain.get(), devices.disk, wanted, scope(which));
        break;
    }
    if (!done) throw last_failure(connection, std::string("set the ") + what + " limits of " + name);
}

} // namespace blockhost::libvirt::tuning
