// SPDX-License-Identifier: MIT
#pragma once
/// Where one conformance test plays: a hypervisor, names of its own, a folder, and the certainty that all of
/// it is gone afterwards.

#include "hypervisor/module_driver.hpp"
#include "hypervisor/xml/domain.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace conformance {

/// Chosen by BLOCKHOST_CONFORMANCE: "simulated" (also when unset), a libvirt URI for the module, or "rpc" for
/// the driver that looks at qemu:///system through libvirt's protocol, and never leaves a look to the module.
enum class Driver { simulated, test, qemu };
Driver driver();

/// Prints "SKIP: …" for what this driver cannot show.
void skip(const std::string& reason);

class Stage {
  public:
    Stage();
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;
    ~Stage();

    blockhost::Hypervisor& hypervisor() { return *hypervisor_; }
    /// A second connection to the same hypervisor (not for test:///default, whose state is the connection's).
    std::unique_ptr<blockhost::Hypervisor> another() const;
    const std::filesystem::path& folder() const { return folder_.path; }

    /// A name nobody else uses; the domain or filter of that name is removed at the end.
    std::string name(const std::string& what);
    /// A pool of ours on folder()/<what>, made; with its volumes it is removed at the end.
    std::string pool(const std::string& what);
    std::filesystem::path pool_folder(const std::string& what) const { return folder() / what; }
    /// A bridge of ours (a real one for QEMU).
    std::string bridge();

    /// A domain without disks that starts here in no time. `devices`: XML within <devices>.
    std::string tiny_domain(const std::string& name, const std::string& uuid,
                            const std::string& devices = "") const;
    /// A domain to be started without a definition, with its disk.
    blockhost::TrialSpec passing_domain(const std::string& name) const;

    /// Defines what no spec of ours says, as others do: on a connection beside hypervisor().
    void define(const std::string& xml);
    void make_filter(const std::string& name, const std::string& xml);

  private:
    blockhost::Module& module();

    std::string tag_;
    TemporaryFolder folder_;
    std::vector<std::string> names_, pools_;
    std::string bridge_;
    std::unique_ptr<blockhost::Hypervisor> hypervisor_;
    std::unique_ptr<blockhost::Module> module_; ///< made at first need
};

/// The code of the Error that `call` throws; fails the test when it throws none.
template<class Call>
blockhost::Code code_of(Call call);

} // namespace conformance

#include <catch2/catch.hpp>

template<class Call>
blockhost::Code conformance::code_of(Call call) {
    try {
        call();
    } catch (const blockhost::Error& error) {
        INFO(error.what());
        CHECK(!error.message().empty());
        return error.code();
    }
    FAIL("no error was thrown");
    return blockhost::Code::internal;
}
