// SPDX-License-Identifier: MIT
#pragma once
/// The border between the executable and the libvirt module.
///
/// The module has its own copy of the C++ runtime, and neither Boost nor pugixml: no exception crosses here,
/// only plain structs, XML as text, and failures as values. module_driver.hpp has the executable's side,
/// libvirt/driver.cpp the module's.

#include "base/error.hpp"
#include "hypervisor/views.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace blockhost {

/// How a call went, as a value. `failed` false: it went well.
struct Failure {
    bool failed = false;
    Code code = Code::internal;
    std::string message, hint;
    void raise() const {
        if (failed) throw Error(code, message, hint);
    }
};

struct ModuleCalls;

/// One connection to libvirt; closes it.
class ModuleConnection {
  public:
    explicit ModuleConnection(const ModuleCalls& offered) : calls(offered) {}
    ModuleConnection(const ModuleConnection&) = delete;
    ModuleConnection& operator=(const ModuleConnection&) = delete;
    virtual ~ModuleConnection() = default;

    const ModuleCalls& calls;
};

/// A pool as the module knows it: the folder stands in its definition.
struct PoolText {
    PoolView view;
    std::string xml;
};

/// DomainSettings, with the tags' element as the module writes it; empty: without tags.
struct SettingsText {
    std::optional<std::int64_t> cpus, memory_mib;
    std::optional<std::string> description, tags;
};

/// A function of the module's that ends within `span`; what it returns is of use when `failure` says that it
/// went well.
template<class Result, class... Parameters>
using ModuleCall = Result (*)(ModuleConnection& on, std::chrono::milliseconds span, Failure& failure,
                              Parameters...) noexcept;

/// All that the module does, as Observer, Hypervisor and Surroundings say it, with XML for what those have
/// types of.
struct ModuleCalls {
    using Name = const std::string&;
    using Xml = const std::string&;

    ModuleCall<std::optional<Power>, Name> power;
    ModuleCall<std::string, Name> disk_trouble;
    ModuleCall<std::vector<std::string>> undefined;
    ModuleCall<std::optional<DomainView>, Name> find;
    ModuleCall<std::vector<std::string>, Name> other_definitions;
    ModuleCall<std::vector<DomainState>> states;
    ModuleCall<std::vector<DomainUse>> uses;
    ModuleCall<std::optional<PoolText>, Name> find_pool;
    ModuleCall<std::optional<VolumeView>, const std::string& /*path*/> find_volume;
    ModuleCall<HostView> host;
    ModuleCall<std::string, Name, const std::string& /*command*/, int /*seconds*/> agent;
    ModuleCall<std::vector<DomainStats>, const std::vector<std::string>& /*names*/> stats;
    ModuleCall<std::optional<BlockJob>, Name, const std::string& /*target*/> block_job;
    ModuleCall<Tuning, Name, const TunedDevices&, TuningOf> tuning;
    ModuleCall<std::optional<std::string>, Name> backup_under_way; ///< its XML
    ModuleCall<std::vector<CheckpointView>, Name> checkpoints;
    ModuleCall<void, Name> watch;
    ModuleCall<Wake> wait;

    ModuleCall<void, Name, Xml> ensure_pool; ///< by this definition where there is none of that name yet
    ModuleCall<void, Name, Xml> ensure_filter;
    ModuleCall<VolumeView, Name /*pool*/, Xml> create_volume;
    ModuleCall<void, const std::string& /*path*/> delete_volume;
    ModuleCall<void, Xml> define;
    ModuleCall<void, Name> redefine;
    ModuleCall<void, Name> start;
    ModuleCall<void, Xml> start_transient;
    ModuleCall<void, Name> unpause;
    ModuleCall<void, Name> shutdown;
    ModuleCall<void, Name> power_off;
    ModuleCall<void, Name> undefine;
    ModuleCall<void, Name, const TunedDevices&, Subsystem, const Tuning&, TuningOf> tune;
    ModuleCall<void, Name, Xml, TuningOf> set_interface;
    ModuleCall<void, Name, const std::string& /*tap*/, Xml> bind_filter;
    ModuleCall<void, Name, Xml> set_metadata; ///< empty: removes it
    ModuleCall<void, Name, const SettingsText&> configure;
    ModuleCall<void, Name, const std::string& /*path*/, std::uint64_t /*bytes*/> grow_disk;
    ModuleCall<void, Name, Xml /*backup*/, Xml /*checkpoint*/> begin_backup;
    ModuleCall<void, Name> end_backup;
    ModuleCall<void, Name, const std::string& /*checkpoint*/, bool /*knowledge alone*/> delete_checkpoint;
    ModuleCall<void, Name, Xml> restore_checkpoint;
    ModuleCall<void, Name, Xml> set_disk;  ///< a whole <disk> element
    ModuleCall<void, Name, Xml> add_layer; ///< a <domainsnapshot>
    ModuleCall<void, Name, const std::string& /*target*/, const std::string& /*into*/> commit_layer;
    ModuleCall<void, Name, const std::string& /*target*/, JobEnd> end_block_job;
    ModuleCall<void, Name> remove_pool;
    ModuleCall<void, Name> remove_filter;

    ModuleCall<std::vector<LibvirtNetwork>> networks;
    ModuleCall<void, Name> retire_network;
    ModuleCall<bool, Name> pool_is_settled;
};

/// The module's only symbol besides what the loader needs. `failure` is set when nothing is returned.
extern "C" {
using ModuleOpener = ModuleConnection* (*)(const char* uri, bool write, int longest_seconds,
                                           Failure* failure);
}
inline constexpr const char* module_opener_symbol = "blockhost_open_libvirt";

} // namespace blockhost
