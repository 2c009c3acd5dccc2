// SPDX-License-Identifier: MIT
/// Domain, volume and pool XML, written and read with pugixml (filters: filter_xml.cpp).

#include "hypervisor/xml/domain.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"
#include "hypervisor/xml/interface.hpp"
#include "hypervisor/xml/metadata.hpp"
#include "hypervisor/xml/print.hpp"

#include <array>
#include <string_view>
#include <utility>

namespace blockhost {
namespace {

using Attributes = std::initializer_list<std::pair<const char*, std::string>>;

/// A new last child with attributes, in the order given.
pugi::xml_node add(pugi::xml_node parent, const char* name, Attributes attributes = {}) {
    auto node = parent.append_child(name);
    for (const auto& [key, value] : attributes) node.append_attribute(key) = value.c_str();
    return node;
}

pugi::xml_node add_text(pugi::xml_node parent, const char* name, const std::string& text,
                        Attributes attributes = {}) {
    auto node = add(parent, name, attributes);
    node.text() = text.c_str();
    return node;
}

/// `prefix`: of the elements' names; empty: the namespace is the default one.
void add_mark(pugi::xml_node parent, const DomainMark& mark, const std::string& prefix) {
    const std::string colon = prefix.empty() ? "" : ":";
    const auto named = [&](const char* element) { return prefix + colon + element; };
    auto vm = add(parent, named("vm").c_str(),
                  {{("xmlns" + colon + prefix).c_str(), metadata_namespace},
                   {"instance", mark.instance},
                   {"operation", mark.operation},
                   {"state", mark.state_folder}});
    if (!mark.uuid.empty()) vm.append_attribute("uuid") = mark.uuid.c_str();
    add_text(vm, named("name").c_str(), mark.name);
    if (mark.ip) add_text(vm, named("ip").c_str(), mark.ip->str());
    if (mark.ipv6) add_text(vm, named("ipv6").c_str(), mark.ipv6->str());
    add_text(vm, named("owner").c_str(), mark.wallet);
    add_text(vm, named("username").c_str(), mark.username);
    add_text(vm, named("network-mode").c_str(), mark.network_mode);
    add_text(vm, named("expires-at").c_str(), mark.expires_at);
    add_text(vm, named("created-at").c_str(), mark.created_at);
}

/// `Spec`: DomainSpec or TrialSpec.
template<class Spec>
void add_machine(pugi::xml_node domain, const Spec& spec) {
    auto os = add(domain, "os");
    add_text(os, "type", "hvm", {{"arch", "x86_64"}, {"machine", "q35"}});
    if (!spec.kernel.empty()) {
        add_text(os, "kernel", spec.kernel);
        if (!spec.initrd.empty()) add_text(os, "initrd", spec.initrd);
        if (!spec.kernel_arguments.empty()) add_text(os, "cmdline", spec.kernel_arguments);
    }
    add(os, "boot", {{"dev", "hd"}});

    auto features = add(domain, "features");
    add(features, "acpi");
    add(features, "apic");
    if (spec.kvm)
        add(domain, "cpu", {{"mode", "host-model"}, {"check", "partial"}});
    else
        add(domain, "cpu", {{"mode", "maximum"}});

    auto clock = add(domain, "clock", {{"offset", "utc"}});
    add(clock, "timer", {{"name", "rtc"}, {"tickpolicy", "catchup"}});
    add(clock, "timer", {{"name", "pit"}, {"tickpolicy", "delay"}});
    add(clock, "timer", {{"name", "hpet"}, {"present", "no"}});
    add_text(domain, "on_poweroff", "destroy");
    add_text(domain, "on_reboot", "restart");
    add_text(domain, "on_crash", "destroy");
}

/// Named by path, not as a pool's volume: AppArmor's helper gives type='volume' no rule.
void add_disk(pugi::xml_node devices, const std::string& path) {
    auto disk = add(devices, "disk", {{"type", "file"}, {"device", "disk"}});
    add(disk, "driver",
        {{"name", "qemu"}, {"type", "qcow2"}, {"cache", "none"}, {"io", "native"}, {"discard", "unmap"}});
    add(disk, "source", {{"file", path}});
    add(disk, "target", {{"dev", "vda"}, {"bus", "virtio"}});
}

void add_seed(pugi::xml_node devices, const DomainSpec& spec) {
    // On virtio-scsi, not SATA: cloud kernels have no AHCI and would find no seed.
    auto seed = add(devices, "disk", {{"type", "file"}, {"device", "cdrom"}});
    add(seed, "driver", {{"name", "qemu"}, {"type", "raw"}});
    add(seed, "source", {{"file", spec.seed_path}});
    add(seed, "target", {{"dev", "sda"}, {"bus", "scsi"}});
    add(seed, "readonly");
    add(devices, "controller", {{"type", "scsi"}, {"index", "0"}, {"model", "virtio-scsi"}});
}

void add_interface(pugi::xml_node devices, const DomainSpec& spec) {
    auto interface = add(devices, "interface", {{"type", "bridge"}});
    add(interface, "mac", {{"address", spec.mac.str()}});
    add(interface, "source", {{"bridge", spec.bridge}});
    add(interface, "model", {{"type", "virtio"}});
    add(interface, "port", {{"isolated", "yes"}});
    if (spec.link == Link::down) add(interface, "link", {{"state", "down"}});
    if (spec.mtu) add(interface, "mtu", {{"size", std::to_string(*spec.mtu)}});
    if (spec.filter.empty()) return;
    add_filterref(interface, {spec.filter, spec.mac, spec.ip, spec.ipv6});
}

/// How often the guest's balloon driver tells what memory is in use; without a period it never does.
constexpr int memory_report_seconds = 10;

void add_lines(pugi::xml_node devices, const std::string& console_path) {
    auto serial = add(devices, "serial", {{"type", "pty"}});
    add(serial, "log", {{"file", console_path}, {"append", "on"}});
    add(serial, "target", {{"port", "0"}});
    auto console = add(devices, "console", {{"type", "pty"}});
    add(console, "log", {{"file", console_path}, {"append", "on"}});
    add(console, "target", {{"type", "serial"}, {"port", "0"}});
    auto agent = add(devices, "channel", {{"type", "unix"}});
    add(agent, "target", {{"type", "virtio"}, {"name", "org.qemu.guest_agent.0"}});
    auto rng = add(devices, "rng", {{"model", "virtio"}});
    add_text(rng, "backend", "/dev/urandom", {{"model", "random"}});
    auto balloon = add(devices, "memballoon", {{"model", "virtio"}});
    add(balloon, "stats", {{"period", std::to_string(memory_report_seconds)}});
}

void parse(pugi::xml_document& document, const std::string& xml, const char* root) {
    auto result = document.load_string(xml.c_str());
    if (!result)
        throw Error(Code::hypervisor, std::string("libvirt's ") + root +
                                          " definition cannot be parsed: " + result.description());
    if (!document.child(root))
        throw Error(Code::hypervisor, std::string("a ") + root +
                                          " definition was expected, but its root is " +
                                          text::printable(document.document_element().name()));
}

/// "vm" of "blockhost:vm".
std::string_view local_name(pugi::xml_node node) {
    std::string_view name = node.name();
    auto colon = name.find(':');
    return colon == name.npos ? name : name.substr(colon + 1);
}

/// The namespace an element is in, by the nearest declaration of its prefix; pugixml itself knows none.
std::string_view namespace_of(pugi::xml_node node) {
    std::string_view name = node.name();
    auto colon = name.find(':');
    std::string key = colon == name.npos ? "xmlns" : "xmlns:" + std::string(name.substr(0, colon));
    for (auto scope = node; scope; scope = scope.parent())
        if (auto declaration = scope.attribute(key.c_str())) return declaration.value();
    return {};
}

DomainMark mark_in(pugi::xml_node vm) {
    DomainMark mark;
    mark.instance = vm.attribute("instance").value();
    mark.operation = vm.attribute("operation").value();
    mark.state_folder = vm.attribute("state").value();
    mark.uuid = vm.attribute("uuid").value();
    for (auto child : vm.children()) {
        auto key = local_name(child);
        std::string value = child.text().get();
        if (key == "name")
            mark.name = value;
        else if (key == "ip")
            mark.ip = Ipv4::try_parse(value);
        else if (key == "ipv6")
            mark.ipv6 = Ipv6::try_parse(value);
        else if (key == "owner")
            mark.wallet = value;
        else if (key == "username")
            mark.username = value;
        else if (key == "network-mode")
            mark.network_mode = value;
        else if (key == "expires-at")
            mark.expires_at = value;
        else if (key == "created-at")
            mark.created_at = value;
    }
    return mark;
}

/// `<memory unit=…>` in MiB, rounded down (libvirt, "Memory Allocation": the default unit is KiB).
std::uint64_t memory_mib(pugi::xml_node memory) {
    constexpr std::uint64_t k = 1000, ki = 1024;
    static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 15> units{
        {{"b", 1},
         {"bytes", 1},
         {"", ki},
         {"k", ki},
         {"KiB", ki},
         {"KB", k},
         {"M", ki * ki},
         {"MiB", ki * ki},
         {"MB", k * k},
         {"G", ki * ki * ki},
         {"GiB", ki * ki * ki},
         {"GB", k * k * k},
         {"T", ki * ki * ki * ki},
         {"TiB", ki * ki * ki * ki},
         {"TB", k * k * k * k}}};
    auto number = memory.text().as_ullong();
    std::string_view unit = memory.attribute("unit").value();
    for (const auto& [name, bytes] : units)
        if (name == unit) return number * bytes / (ki * ki);
    return number / ki;
}

void read_disk(pugi::xml_node disk, DomainFacts& facts) {
    auto source = disk.child("source");
    std::string path =
        source.attribute("file") ? source.attribute("file").value() : source.attribute("dev").value();
    if (path.empty()) return;
    std::string_view device = disk.attribute("device").as_string("disk");
    if (device == "cdrom")
        facts.seeds.push_back(path);
    else if (device == "disk" && !disk.child("readonly"))
        facts.disks.push_back(path);
}

} // namespace

DomainMark mark_of(const DomainSpec& spec) {
    return {.instance = spec.instance.str(),
            .operation = spec.operation.str(),
            .state_folder = spec.state_folder,
            .name = spec.name.str(),
            .uuid = spec.uuid.str(),
            .ip = spec.ip,
            .ipv6 = spec.ipv6,
            .wallet = spec.wallet,
            .username = spec.username,
            .network_mode = spec.network_mode,
            .expires_at = spec.expires_at,
            .created_at = spec.created_at};
}

std::string render_domain(const DomainSpec& spec) {
    pugi::xml_document document;
    auto domain = add(document, "domain", {{"type", spec.kvm ? "kvm" : "qemu"}});
    add_text(domain, "name", spec.name.str());
    add_text(domain, "uuid", spec.uuid.str());
    add_mark(add(domain, "metadata"), mark_of(spec), metadata_prefix);
    add_text(domain, "memory", std::to_string(spec.memory_mib), {{"unit", "MiB"}});
    add_text(domain, "vcpu", std::to_string(spec.cpus), {{"placement", "static"}});
    add_machine(domain, spec);
    auto devices = add(domain, "devices");
    add_disk(devices, spec.disk_path);
    add_seed(devices, spec);
    add_interface(devices, spec);
    add_lines(devices, spec.console_path);
    return print_xml(document);
}

std::string render_trial(const TrialSpec& spec) {
    pugi::xml_document document;
    auto domain = add(document, "domain", {{"type", spec.kvm ? "kvm" : "qemu"}});
    add_text(domain, "name", spec.name);
    add_text(domain, "uuid", spec.uuid.str());
    add_text(domain, "memory", std::to_string(spec.memory_mib), {{"unit", "MiB"}});
    add_text(domain, "vcpu", "1", {{"placement", "static"}});
    add_machine(domain, spec);
    auto devices = add(domain, "devices");
    add_disk(devices, spec.disk_path);
    add_lines(devices, spec.console_path);
    return print_xml(document);
}

std::optional<DomainMark> read_mark(const std::string& xml) {
    pugi::xml_document document;
    if (!document.load_buffer(xml.data(), xml.size())) return std::nullopt;
    const auto is_mark = [](pugi::xml_node node) {
        return local_name(node) == "vm" && namespace_of(node) == metadata_namespace;
    };
    const auto root = document.document_element();
    // libvirt hands out a metadata element without the namespace it was asked by.
    const bool bare = local_name(root) == "vm" && namespace_of(root).empty();
    if (bare || is_mark(root)) return mark_in(root);

    for (auto element : document.child("domain").child("metadata").children())
        if (is_mark(element)) return mark_in(element);
    return std::nullopt;
}

/// With the default namespace: libvirt gives the element its prefix, and refuses one that has that already.
std::string render_mark(const DomainMark& mark) {
    pugi::xml_document document;
    add_mark(document, mark, "");
    return print_xml(document);
}

std::string with_metadata(const std::string& xml, const std::string& mark) {
    pugi::xml_document document;
    parse(document, xml, "domain");
    auto domain = document.child("domain");
    auto metadata = domain.child("metadata");
    if (!metadata) metadata = domain.insert_child_after("metadata", domain.child("uuid"));
    for (auto element = metadata.first_child(); element;) {
        const auto next = element.next_sibling();
        if (namespace_of(element) == metadata_namespace) metadata.remove_child(element);
        element = next;
    }
    if (!mark.empty()) metadata.append_buffer(mark.data(), mark.size());
    return print_xml(document);
}

DomainFacts read_domain(const std::string& xml) {
    pugi::xml_document document;
    parse(document, xml, "domain");
    auto domain = document.child("domain");
    DomainFacts facts;
    facts.name = domain.child("name").text().get();
    facts.uuid = domain.child("uuid").text().get();
    std::optional<DomainMark> mark;
    for (auto element : domain.child("metadata").children()) {
        if (element.type() != pugi::node_element) continue;
        const std::string_view space = namespace_of(element);
        if (space != metadata_namespace)
            facts.other_metadata |= space != tags_namespace;
        else if (local_name(element) == "vm")
            mark = mark_in(element);
    }
    facts.claim = {facts.name, facts.uuid, std::move(mark)};
    facts.memory_mib = memory_mib(domain.child("memory"));
    facts.cpus = domain.child("vcpu").text().as_uint(1);
    auto devices = domain.child("devices");
    for (auto disk : devices.children("disk")) read_disk(disk, facts);
    for (auto interface : devices.children("interface")) {
        std::string mac = interface.child("mac").attribute("address").value();
        if (!mac.empty()) facts.macs.push_back(text::lower(mac));
        if (facts.bridge.empty()) facts.bridge = interface.child("source").attribute("bridge").value();
    }
    for (const char* line : {"serial", "console"})
        for (auto device : devices.children(line))
            if (facts.console_log.empty()) facts.console_log = device.child("log").attribute("file").value();
    return facts;
}

namespace {

/// A disk, or one layer below it, or the copy that is being made of it.
void note_source(pugi::xml_node layer, std::string_view format, bool removable, DiskSources& found) {
    const auto source = layer.child("source");
    const std::string path =
        source.attribute("file") ? source.attribute("file").value() : source.attribute("dev").value();
    if (source.attribute("volume"))
        found.volumes.push_back({source.attribute("pool").value(), source.attribute("volume").value()});
    if (path.empty()) return;
    if (format == "raw")
        found.raw.push_back(path);
    else
        (removable ? found.removable : found.files).push_back(path);
}

} // namespace

DiskSources disk_sources(const std::string& xml) {
    pugi::xml_document document;
    parse(document, xml, "domain");
    DiskSources found;
    for (auto disk : document.child("domain").child("devices").children("disk")) {
        const std::string_view device = disk.attribute("device").as_string("disk");
        const bool removable = device == "cdrom" || device == "floppy";
        note_source(disk, disk.child("driver").attribute("type").value(), removable, found);
        note_source(disk.child("mirror"), disk.child("mirror").child("format").attribute("type").value(),
                    removable, found);
        for (auto layer = disk.child("backingStore"); layer; layer = layer.child("backingStore"))
            note_source(layer, layer.child("format").attribute("type").value(), removable, found);
    }
    return found;
}

std::vector<std::string> boot_files(const std::string& xml) {
    pugi::xml_document document;
    parse(document, xml, "domain");
    std::vector<std::string> found;
    for (const char* name : {"kernel", "initrd", "dtb", "loader", "nvram"}) {
        const auto element = document.child("domain").child("os").child(name);
        std::string path = element.child("source").attribute("file").as_string(element.text().get());
        if (!path.empty()) found.push_back(std::move(path));
    }
    return found;
}

TunedDevices tuned_devices(const std::string& xml) {
    pugi::xml_document document;
    parse(document, xml, "domain");
    auto devices = document.child("domain").child("devices");
    TunedDevices found;
    for (auto interface : devices.children("interface"))
        if (found.mac.empty()) found.mac = interface.child("mac").attribute("address").value();
    for (auto disk : devices.children("disk")) {
        std::string_view device = disk.attribute("device").value(); // left out: a disk
        if (found.disk.empty() && (device.empty() || device == "disk"))
            found.disk = disk.child("target").attribute("dev").value();
    }
    return found;
}

std::string render_volume(const VolumeSpec& spec) {
    pugi::xml_document document;
    auto volume = add(document, "volume");
    add_text(volume, "name", spec.name);
    add_text(volume, "capacity", std::to_string(spec.capacity_bytes), {{"unit", "bytes"}});
    auto target = add(volume, "target");
    add(target, "format", {{"type", "qcow2"}});
    add_text(target, "compat", "1.1"); // libvirt's default, 0.10, holds no dirty bitmaps
    if (spec.backing.empty()) return print_xml(document);
    auto backing_store = add(volume, "backingStore");
    add_text(backing_store, "path", spec.backing);
    add(backing_store, "format", {{"type", "qcow2"}});
    return print_xml(document);
}

std::string render_pool(const std::string& name, const std::string& path) {
    pugi::xml_document document;
    auto pool = add(document, "pool", {{"type", "dir"}});
    add_text(pool, "name", name);
    add_text(add(pool, "target"), "path", path);
    return print_xml(document);
}

std::string pool_target(const std::string& xml) {
    pugi::xml_document document;
    parse(document, xml, "pool");
    std::string path = document.child("pool").child("target").child("path").text().get();
    if (path.empty()) throw Error(Code::hypervisor, "the storage pool has no target folder");
    return path;
}

} // namespace blockhost
