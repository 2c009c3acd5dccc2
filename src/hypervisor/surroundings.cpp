// SPDX-License-Identifier: MIT
/// XML of networks, libvirt's networks through its module, and the simulated world's.

#include "hypervisor/surroundings.hpp"

#include "base/files/files.hpp"
#include "base/text/json.hpp"
#include "hypervisor/module_driver.hpp"
#include "hypervisor/simulated/store.hpp"

#include <boost/json/object.hpp>
#include <pugixml.hpp>

namespace blockhost {

namespace {

pugi::xml_node network_element(pugi::xml_document& document, const std::string& xml) {
    document.load_buffer(xml.data(), xml.size());
    return document.child("network");
}

} // namespace

std::string bridge_of(const LibvirtNetwork& network) {
    pugi::xml_document document;
    return network_element(document, network.xml).child("bridge").attribute("name").value();
}

bool makes_its_bridge(const LibvirtNetwork& network) {
    pugi::xml_document document;
    const std::string mode =
        network_element(document, network.xml).child("forward").attribute("mode").as_string("nat");
    return mode != "bridge";
}

std::vector<DhcpRange> dhcp_ranges(const std::vector<LibvirtNetwork>& networks) {
    std::vector<DhcpRange> ranges;
    for (const LibvirtNetwork& network : networks) {
        if (!network.active) continue;
        pugi::xml_document document;
        for (const auto& ip : network_element(document, network.xml).children("ip"))
            for (const auto& range : ip.child("dhcp").children("range")) {
                const auto first = Ipv4::try_parse(range.attribute("start").value());
                const auto last = Ipv4::try_parse(range.attribute("end").value());
                if (first && last) ranges.push_back({network.name, *first, *last});
            }
    }
    return ranges;
}

namespace {

using namespace std::chrono_literals;

class LibvirtSurroundings final : public Surroundings {
  public:
    LibvirtSurroundings(const std::string& uri, Access access) : module_(uri, access, 30s) {}

    std::vector<LibvirtNetwork> networks() override { return module_.ask(calls_.networks, look_span); }
    /// A network stops by ending its dnsmasq and taking its rules away.
    void retire_network(const std::string& name) override { module_.ask(calls_.retire_network, 60s, name); }
    bool pool_is_settled(const std::string& name) override {
        return module_.ask(calls_.pool_is_settled, look_span, name);
    }

  private:
    static constexpr auto look_span = 10s;

    Module module_;
    const ModuleCalls& calls_ = module_.calls();
};

class SimulatedSurroundings final : public Surroundings {
  public:
    explicit SimulatedSurroundings(const std::filesystem::path& world)
        : store_(world), folder_(Folder::open_or_make(world, 0755).make_sub("networks", 0755)) {}

    std::vector<LibvirtNetwork> networks() override {
        const auto entered = store_.enter();
        std::vector<LibvirtNetwork> all;
        for (const std::string& file : folder_.names())
            if (file.ends_with(".json")) all.push_back(read(file));
        return all;
    }

    void retire_network(const std::string& name) override {
        const auto entered = store_.enter();
        const std::string file = name + ".json";
        if (folder_.kind(file) == Folder::Kind::absent) return;
        boost::json::object changed{{"xml", read(file).xml}, {"active", false}, {"autostart", false}};
        folder_.replace(file, json::python_line(changed) + "\n", {.mode = 0644, .uid = {}, .gid = {}});
    }

    /// Pools of the simulated world always run.
    bool pool_is_settled(const std::string& name) override {
        const auto entered = store_.enter();
        return store_.pool_folder(name).has_value();
    }

  private:
    LibvirtNetwork read(const std::string& file) const {
        const std::string path = (folder_.path() / file).string();
        const auto value = json::parse(folder_.read(file).value_or("{}"), path);
        return {file.substr(0, file.size() - 5), json::string_or(value, "xml", ""),
                json::is_true(value, "active"), json::is_true(value, "autostart")};
    }

    simulated::Store store_;
    Folder folder_;
};

} // namespace

std::unique_ptr<Surroundings> open_libvirt_surroundings(const std::string& uri, Access access) {
    return std::make_unique<LibvirtSurroundings>(uri, access);
}

std::unique_ptr<Surroundings> open_simulated_surroundings(const std::filesystem::path& world) {
    return std::make_unique<SimulatedSurroundings>(world);
}

} // namespace blockhost
