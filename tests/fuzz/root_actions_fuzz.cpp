// SPDX-License-Identifier: MIT
/// What the root agent asks our binary to do as root: the action, and behind --- its parameters, and a
/// definition that lies in a file. @STATE@ stands for the state folder. In a simulated world with a VM of
/// ours ("web"), a create under way ("new") and somebody else's domain ("foreign"), which stays as it is.

#include "base/text/json.hpp"
#include "hypervisor/open.hpp"
#include "hypervisor/xml/domain.hpp"
#include "rootside/actions.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace blockhost;

namespace {

const std::string own_id = "0123456789abcdef0123456789abcdef", other_id = "ffffffffffffffffffffffffffffffff";
const std::string own_operation = "0123456700000001";

class Host {
  public:
    Host() {
        std::filesystem::create_directories(paths_.journal.string());
        std::filesystem::create_directories(paths_.etc);
        folder_.set("etc/db.yaml", "bridge: br0\n");
        folder_.set("mock-world/instance-id", own_id + "\n");
        folder_.set(
            "mock-db.json",
            R"({"vms": {"web": {"vm_name": "web", "status": "active", "ip_address": "192.168.122.200"}},
                        "allocated_ips": ["192.168.122.200"]})");
        world_.emplace(paths_, Reality::simulated, Intent::change, silence_);
        world_->hypervisor().define(definition("foreign", other_id));
    }

    std::filesystem::path state() const { return paths_.state.string(); }

    void carry_out(const std::string& action, const boost::json::object& parameters, const std::string& xml) {
        // What earlier runs have changed comes back.
        if (!world_->hypervisor().find("web")) world_->hypervisor().define(definition("web", own_id));
        folder_.set(
            "mock-world/journal/new.journal",
            "give-up 0\n{\"operation\":\"" + own_operation +
                "\",\"verb\":\"create\",\"name\":\"new\",\"pid\":1,\"since\":\"2030-01-01T00:00:00Z\"}\n"
                "{\"note\":{\"ip\":\"192.168.122.201\",\"ipv6\":\"\"}}\n");
        folder_.set("mock-world/new.xml", xml.empty() ? render_domain(definition("new", own_id)) : xml);
        const auto before = world_->hypervisor().find("foreign");
        fuzz::answered([&] { (void)blockhost::root::carry_out(*world_, action, parameters); });
        const auto after = world_->hypervisor().find("foreign");
        fuzz::check(before && after && before->xml == after->xml && before->state == after->state,
                    "what is not ours stays as it is");
        fuzz::check(world_->hypervisor().states().size() <= 3, "no domain comes that nobody asked for");
    }

  private:
    DomainSpec definition(const std::string& name, const std::string& instance) const {
        const auto operation = *OperationId::try_parse(instance.substr(0, 8) + own_operation.substr(8));
        const auto own = *InstanceId::try_parse(instance);
        const VmName vm(name);
        return {.name = vm,
                .uuid = Uuid::random(),
                .disk_path = paths_.disks.string(volume_name(vm, operation)),
                .seed_path = paths_.cloud_init.string(name + "/cidata.iso"),
                .console_path = paths_.consoles.string(name + ".log"),
                .bridge = "br0",
                .mac = *Mac::try_parse("52:54:00:12:34:56"),
                .filter = filter_name(FilterKind::ipv4, false, own),
                .kernel = {},
                .initrd = {},
                .kernel_arguments = {},
                .instance = own,
                .operation = operation,
                .state_folder = paths_.state.string(),
                .ip = *Ipv4::try_parse("192.168.122.201"),
                .ipv6 = {},
                .wallet = "0xab",
                .username = "admin",
                .network_mode = "none",
                .expires_at = {},
                .created_at = {}};
    }

    static Paths paths_in(const std::filesystem::path& folder) {
        Paths paths;
        paths.root = folder;
        paths.etc = folder / "etc";
        paths.share = folder / "share";
        paths.is_default_root = false;
        return mock_paths(paths, folder);
    }

    fuzz::MemoryFolder folder_;
    Paths paths_ = paths_in(folder_.path());
    Silence silence_;
    std::optional<World> world_;
};

std::string filled_in(std::string text, const std::string& state) {
    constexpr std::string_view placeholder = "@STATE@";
    for (std::size_t at = 0; (at = text.find(placeholder, at)) != text.npos; at += state.size())
        text.replace(at, placeholder.size(), state);
    return text;
}

void root_actions(std::string_view input) {
    static Host host;
    const auto parts = fuzz::parts_of(input);
    if (parts.size() < 2 || parts[1].find("ask-agent") != std::string::npos) return;
    if (parts[0] == "virsh-guest-exec" || parts[0] == "virsh-shutdown")
        return; // these wait; guest_agent has them
    boost::json::value parameters;
    const auto state = host.state().string();
    const bool read = fuzz::answered([&] { parameters = json::parse(filled_in(parts[1], state), "stdin"); });
    if (!read || !parameters.is_object()) return;
    host.carry_out(parts[0], parameters.get_object(), parts.size() > 2 ? filled_in(parts[2], state) : "");
}

} // namespace

FUZZ_TARGET(root_actions)
