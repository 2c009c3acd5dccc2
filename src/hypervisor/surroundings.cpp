/// The caller's side: XML of networks, loading the module, and the simulated world's networks.

#include "hypervisor/surroundings.hpp"

#include "hypervisor/guarded.hpp"

#include "base/files.hpp"
#include "base/json.hpp"
#include "base/module.hpp"
#include "hypervisor/simulated/store.hpp"

#include <boost/json/object.hpp>
#include <pugixml.hpp>

namespace blockhost {

namespace {

template<class Call>
auto raised(Call call) {
    Failure failure;
    auto result = call(failure);
    failure.raise();
    return result;
}

pugi::xml_node network_element(pugi::xml_document& document, const std::string& xml) {
    document.load_buffer(xml.data(), xml.size());
    return document.child("network");
}

} // namespace

std::vector<LibvirtNetwork> Surroundings::networks() {
    return raised([&](Failure& f) { return do_networks(f); });
}

void Surroundings::retire_network(const std::string& name) {
    Failure failure;
    do_retire_network(name, failure);
    failure.raise();
}

bool Surroundings::pool_is_settled(const std::string& name) {
    return raised([&](Failure& f) { return do_pool_is_settled(name, f); });
}

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

std::unique_ptr<Surroundings> open_libvirt_surroundings(const std::string& uri, Access access) {
    const auto make =
        reinterpret_cast<SurroundingsMaker>(load_symbol("hypervisor-libvirt.so", surroundings_maker_symbol));
    Failure failure;
    std::unique_ptr<Surroundings> made(make(uri.c_str(), access == Access::write, &failure));
    failure.raise();
    return made;
}

namespace {

class SimulatedSurroundings final : public Surroundings {
  public:
    explicit SimulatedSurroundings(const std::filesystem::path& world)
        : store_(world), folder_(Folder::open_or_make(world, 0755).make_sub("networks", 0755)) {}

  private:
    std::vector<LibvirtNetwork> do_networks(Failure& f) noexcept override {
        return guarded(f, [&] {
            const auto entered = store_.enter();
            std::vector<LibvirtNetwork> all;
            for (const std::string& file : folder_.names())
                if (file.ends_with(".json")) all.push_back(read(file));
            return all;
        });
    }

    void do_retire_network(const std::string& name, Failure& f) noexcept override {
        guarded(f, [&] {
            const auto entered = store_.enter();
            const std::string file = name + ".json";
            if (folder_.kind(file) != Folder::Kind::absent) {
                boost::json::object changed{{"xml", read(file).xml}, {"active", false}, {"autostart", false}};
                folder_.replace(file, json::python_line(changed) + "\n",
                                {.mode = 0644, .uid = {}, .gid = {}});
            }
            return true;
        });
    }

    /// Pools of the simulated world always run.
    bool do_pool_is_settled(const std::string& name, Failure& f) noexcept override {
        return guarded(f, [&] {
            const auto entered = store_.enter();
            return store_.pool_xml(name).has_value();
        });
    }

    LibvirtNetwork read(const std::string& file) const {
        const std::string path = (folder_.path() / file).string();
        const auto value = json::parse(folder_.read(file).value_or("{}"), path);
        const auto flag = [&](const char* key) {
            const auto* found = value.is_object() ? value.get_object().if_contains(key) : nullptr;
            return found && found->is_bool() && found->get_bool();
        };
        return {file.substr(0, file.size() - 5), json::string_or(value, "xml", ""), flag("active"),
                flag("autostart")};
    }

    simulated::Store store_;
    Folder folder_;
};

} // namespace

std::unique_ptr<Surroundings> open_simulated_surroundings(const std::filesystem::path& world) {
    return std::make_unique<SimulatedSurroundings>(world);
}

} // namespace blockhost
