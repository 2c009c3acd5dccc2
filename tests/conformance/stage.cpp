// SPDX-License-Identifier: MIT
// See stage.hpp.

#include "stage.hpp"

#include "base/process.hpp"
#include "base/time.hpp"
#include "hypervisor/open.hpp"
#include "hypervisor/rpc/driver.hpp"
#include "hypervisor/simulated/image.hpp"
#include "tests/unit/defined_by_others.hpp"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <sys/stat.h>

namespace conformance {
namespace {

using namespace blockhost;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// QEMU through libvirt's protocol.
constexpr const char* spoken = "rpc";

std::string chosen() {
    const char* set = std::getenv("BLOCKHOST_CONFORMANCE");
    return set && *set ? set : "simulated";
}

std::string uri() {
    return chosen() == spoken ? "qemu:///system" : chosen();
}

void ip_link(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "link");
    auto result =
        run({.program = "/usr/sbin/ip", .arguments = std::move(arguments), .environment = {}, .input = {}});
    if (!result.ok()) throw std::runtime_error("ip link: " + result.err);
}

/// The end must come whatever fails in between.
template<class Call>
void regardless(Call call) {
    try {
        call();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "left behind: %s\n", error.what());
    }
}

} // namespace

Driver driver() {
    if (chosen() == "simulated") return Driver::simulated;
    return uri().starts_with("test:") ? Driver::test : Driver::qemu;
}

void skip(const std::string& reason) {
    std::printf("SKIP: %s: %s\n", Catch::getResultCapture().getCurrentTestName().c_str(), reason.c_str());
    std::fflush(stdout);
}

Stage::Stage() : tag_("bhconf-" + random_hex(6)), folder_("/var/tmp", tag_) {
    ::chmod(folder().c_str(), 0711); // QEMU runs as another user
    hypervisor_ = another();
}

std::unique_ptr<Hypervisor> Stage::another() const {
    if (driver() == Driver::simulated) return open_simulated(folder());
    if (chosen() == spoken) return open_rpc(uri(), Access::write, 30s, Unexpected::told);
    return open_libvirt(uri(), Access::write);
}

Stage::~Stage() {
    for (const auto& name : names_) {
        regardless([&] { hypervisor_->power_off(name); });
        regardless([&] { hypervisor_->undefine(name); });
        if (driver() != Driver::test) regardless([&] { hypervisor_->remove_filter(name); });
    }
    for (const auto& pool : pools_) regardless([&] { hypervisor_->remove_pool(pool); });
    if (!bridge_.empty() && driver() == Driver::qemu) regardless([&] { ip_link({"del", bridge_}); });
}

std::string Stage::name(const std::string& what) {
    names_.push_back(tag_ + "-" + what);
    return names_.back();
}

std::string Stage::pool(const std::string& what) {
    pools_.push_back(tag_ + "-" + what);
    hypervisor_->ensure_pool(pools_.back(), pool_folder(what).string());
    return pools_.back();
}

std::string Stage::bridge() {
    if (!bridge_.empty()) return bridge_;
    bridge_ = "bhc" + tag_.substr(7);
    if (driver() == Driver::qemu) {
        ip_link({"add", "name", bridge_, "type", "bridge"});
        ip_link({"set", bridge_, "up"});
    }
    return bridge_;
}

std::string Stage::tiny_domain(const std::string& name, const std::string& uuid,
                               const std::string& devices) const {
    const char* type = driver() == Driver::test ? "test" : "qemu";
    return std::string("<domain type='") + type + "'><name>" + name + "</name><uuid>" + uuid +
           "</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type>hvm</type></os><devices>" + devices +
           "<memballoon model='none'/></devices></domain>";
}

TrialSpec Stage::passing_domain(const std::string& name) const {
    const auto disk = folder() / (name + ".qcow2");
    simulated::make_qcow2(disk, 1 << 20, "");
    fs::permissions(disk, fs::perms::all, fs::perm_options::add);
    return {.name = name,
            .uuid = Uuid::random(),
            .kvm = false,
            .memory_mib = 32,
            .disk_path = disk.string(),
            .console_path = (folder() / (name + ".log")).string()};
}

Module& Stage::module() {
    if (!module_) module_ = std::make_unique<Module>(uri(), Access::write, 30s);
    return *module_;
}

void Stage::define(const std::string& xml) {
    if (driver() != Driver::simulated) return module().ask(module().calls().define, 120s, xml);
    define_as_others(folder(), xml);
}

void Stage::make_filter(const std::string& name, const std::string& xml) {
    if (driver() != Driver::simulated) return module().ask(module().calls().ensure_filter, 120s, name, xml);
    const simulated::Store store(folder());
    const auto entered = store.enter();
    store.put_filter(name, xml);
}

} // namespace conformance
