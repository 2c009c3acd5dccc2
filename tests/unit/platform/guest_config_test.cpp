// SPDX-License-Identifier: MIT
// Configurations of guests in normal form, from what nodes of version 9.2 tell.
#include "platform/proxmox/guest_config.hpp"

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

using namespace blockhost::platform;
using namespace blockhost::platform::proxmox;

namespace {

boost::json::object object(std::string_view text) {
    return boost::json::parse(text).as_object();
}

const char* const vm = R"({"cores":1,"meta":"creation-qemu=10.0.13,ctime=1795881905","memory":"64","kvm":0,
    "digest":"a49ae8bd3c80c2c317ab7367719fd1567ca3e003","vmgenid":"v","name":"cfg","boot":" ",
    "smbios1":"uuid=00000000-0000-4000-8000-487319e719e7","scsi0":"local:140/vm-140-disk-0.qcow2,size=2560M"})";
const char* const container =
    R"({"hostname":"other","swap":512,"tags":"a;b","memory":160,"cores":2,"onboot":1,
    "net0":"name=eth0,bridge=vmbr0,hwaddr=BC:24:11:EA:CC:17,ip=dhcp,type=veth","features":"nesting=1,keyctl=1",
    "rootfs":"local:151/subvol-151-disk-0.subvol,size=4G","description":"one\ntwo\n\n#c:d 100% ü\n","unprivileged":1})";

} // namespace

TEST_CASE("a VM's configuration is read into its normal form") {
    const GuestConfig config = config_of(object(vm), Kind::vm);
    CHECK(config.name == "cfg");
    CHECK(config.cpus == 1);
    CHECK(config.memory_mib == 64);
    CHECK(config.disk_mib == 2560);
    CHECK_FALSE(config.start_on_boot);
    CHECK(config.details.at("kvm") == "0");
    CHECK_FALSE(config.details.contains("digest"));
    auto told = object(vm);
    for (const char* none : {"0", ""}) {
        told["vmgenid"] = none;
        CHECK(incarnation_of(told, Kind::vm) == "smbios:00000000-0000-4000-8000-487319e719e7/1795881905");
    }
    told["vmgenid"] = "00000000-0000-4000-8000-79d23b40bdaf";
    CHECK(incarnation_of(told, Kind::vm) == "vmgenid:00000000-0000-4000-8000-79d23b40bdaf");
}

TEST_CASE("a container's configuration is read into its normal form") {
    const GuestConfig config = config_of(object(container), Kind::container);
    CHECK(config.name == "other");
    CHECK(config.cpus == 2);
    CHECK(config.memory_mib == 160);
    CHECK(config.disk_mib == 4096);
    CHECK(config.start_on_boot);
    CHECK(config.description == "one\ntwo\n\n#c:d 100% ü");
    CHECK(config.tags == std::set<std::string>{"a", "b"});
    CHECK(config.details.at("features") == "keyctl=1,nesting=1");
    CHECK(incarnation_of(object(container), Kind::container) ==
          "device:BC:24:11:EA:CC:17/local:151/subvol-151-disk-0.subvol");
}

TEST_CASE("types that wander mean the same") {
    const auto same = [](const char* one, const char* other) {
        return config_of(object(one), Kind::vm) == config_of(object(other), Kind::vm);
    };
    CHECK(same(R"({"memory":"64","cores":"2"})", R"({"memory":64,"cores":2})"));
    CHECK(same(R"({"onboot":true,"tags":"B, a"})", R"({"onboot":"1","tags":"a;b"})"));
    CHECK(same(R"({"onboot":0,"protection":false,"kvm":1,"numa":0})", R"({})"));
    CHECK(same(R"({"description":"a\n"})", R"({"description":"a"})"));
    CHECK(same(R"({"description":"a\u000b \f"})", R"({"description":"a"})"));
    CHECK(same(R"({"description":""})", R"({})"));
    CHECK(same(R"({"tags":"a\tb\nc"})", R"({"tags":"a;b;c"})"));
    CHECK(same(R"({"net0":"virtio=BC:24:11:00:00:01,bridge=vmbr0"})",
               R"({"net0":"bridge=vmbr0,virtio=BC:24:11:00:00:01"})"));
    CHECK(same(R"({"memory":"current=64"})", R"({"memory":64})"));
    CHECK(same(R"({"memory":"64","cores":2})", R"({"memory":64.0,"cores":2e0})"));
    CHECK(same(R"({"cpulimit":"1.5"})", R"({"cpulimit":1.5})"));
    CHECK(same(R"({"cpulimit":"0.01"})", R"({"cpulimit":1e-2})"));
    CHECK_FALSE(same(R"({"memory":64})", R"({"memory":65})"));
    CHECK_FALSE(same(R"({"numa":1})", R"({})"));
}

TEST_CASE("a VM's processors are its cores in all sockets") {
    CHECK(config_of(object(R"({"cores":2,"sockets":3})"), Kind::vm).cpus == 6);
    CHECK(config_of(object("{}"), Kind::vm).cpus == 1);
    CHECK(config_of(object("{}"), Kind::container).cpus == std::nullopt);
    CHECK(config_of(object(R"({"cores":99999999999})"), Kind::vm).cpus == std::nullopt);
}

TEST_CASE("sizes are read in MiB") {
    CHECK(size_mib("8G") == 8192);
    CHECK(size_mib("2560M") == 2560);
    CHECK(size_mib("1.5T") == 1572864);
    CHECK(size_mib("0T") == 0);
    CHECK(size_mib("1048576") == 1);
    for (auto text :
         {"", "G", "-1G", "1GG", "1e3M", "nan", "inf", "1 G", ".5G", "5.G", "-0G", "99999999999T"})
        CHECK_FALSE(size_mib(text));
}

TEST_CASE("what is no configuration leaves its field empty") {
    const GuestConfig config = config_of(
        object(R"({"memory":"much","cores":null,"scsi0":"a,b","net0":"x,y","tags":[1],"lxc":[["a","b"]]})"),
        Kind::vm);
    CHECK(config.memory_mib == std::nullopt);
    CHECK(config_of(object(R"({"memory":-5})"), Kind::vm).memory_mib == std::nullopt);
    CHECK(config.disk_mib == std::nullopt);
    CHECK(config.details.at("net0") == "x,y");
    CHECK(config.tags.empty());
    CHECK(incarnation_of(object("{}"), Kind::vm) == "");
}

TEST_CASE("flags are read as nodes read them") {
    const auto told = object(R"({"a":1,"b":"on","c":"YES","d":true,"e":0,"f":"no","g":null})");
    for (auto key : {"a", "b", "c", "d"}) CHECK(flag(told, key));
    for (auto key : {"e", "f", "g", "h"}) CHECK_FALSE(flag(told, key));
    CHECK(flag(told, "h", true));
}

TEST_CASE("a network device without its address keeps all else") {
    CHECK(without_address("bridge=vmbr0,virtio=BC:24:11:00:00:01") == "bridge=vmbr0,model=virtio");
    CHECK(without_address("virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1") ==
          "model=virtio,bridge=vmbr0,firewall=1");
    CHECK(without_address("model=e1000,macaddr=bc:24:11:00:00:01") == "model=e1000");
    CHECK(without_address("bridge=vmbr0,hwaddr=BC:24:11:56:5C:22,name=eth0,type=veth") ==
          "bridge=vmbr0,name=eth0,type=veth");
    CHECK(without_address("virtio,bridge=vmbr0") == "virtio,bridge=vmbr0");
    CHECK(is_network_device("net0"));
    CHECK(is_network_device("net31"));
    for (const char* other : {"net", "nets", "netx", "net0x", "nameserver", "xnet0", ""})
        CHECK_FALSE(is_network_device(other));
}
