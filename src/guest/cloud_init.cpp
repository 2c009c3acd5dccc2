// SPDX-License-Identifier: MIT
// Renders user-data, meta-data and network-config, and writes a VM's seed folder.
#include "guest/cloud_init.hpp"

#include "base/accounts.hpp"
#include "base/error.hpp"
#include "base/files/access.hpp"
#include "base/files/files.hpp"
#include "base/module.hpp"
#include "base/text/text.hpp"
#include "config/config_file.hpp"
#include "guest/public_keys.hpp"
#include "guest/seed_image.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

namespace blockhost::guest {

namespace {

constexpr const char* login_template = "nft-auth.yaml";

bool begins_identifier(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/// The identifier at the front of `text`; empty when there is none.
std::string_view leading_identifier(std::string_view text) {
    if (text.empty() || !begins_identifier(text.front())) return {};
    auto end = std::find_if_not(text.begin(), text.end(),
                                [](char c) { return begins_identifier(c) || (c >= '0' && c <= '9'); });
    return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

/// What follows a '$': the identifier, and the length of its spelling; nothing when it is not a placeholder.
struct Placeholder {
    std::string_view name;
    std::size_t length;
};
std::optional<Placeholder> placeholder(std::string_view after_dollar) {
    if (!after_dollar.starts_with('{')) {
        auto name = leading_identifier(after_dollar);
        return name.empty() ? std::nullopt : std::optional(Placeholder{name, name.size()});
    }
    auto name = leading_identifier(after_dollar.substr(1));
    bool closed = !name.empty() && after_dollar.substr(1 + name.size()).starts_with('}');
    return closed ? std::optional(Placeholder{name, name.size() + 2}) : std::nullopt;
}

} // namespace

std::string substitute(std::string_view text, const std::map<std::string, std::string>& variables) {
    std::string result;
    result.reserve(text.size());
    while (!text.empty()) {
        std::size_t dollar = std::min(text.find('$'), text.size());
        result += text.substr(0, dollar);
        text.remove_prefix(dollar);
        if (text.empty()) break;
        if (text.starts_with("$$")) {
            result += '$';
            text.remove_prefix(2);
            continue;
        }
        auto found = placeholder(text.substr(1));
        std::size_t length = found ? found->length + 1 : 1;
        auto value = found ? variables.find(std::string(found->name)) : variables.end();
        if (value != variables.end())
            result += value->second;
        else
            result += text.substr(0, length);
        text.remove_prefix(length);
    }
    return result;
}

std::string fqdn(const VmName& name, const std::optional<Ipv6>& ipv6, const std::string& dns_zone) {
    if (ipv6 && !dns_zone.empty()) return ipv6->interface_hex() + "." + dns_zone;
    return name.str() + ".local";
}

namespace {

/// The login template's text; nothing when none is installed.
std::optional<std::string> read_login_template(const Paths& paths) {
    if (auto text = read_config_file(paths.share / "cloud-init/templates" / login_template)) return text;
    const char* development = std::getenv("BLOCKHOST_DEV");
    if (development == nullptr || std::string_view(development) != "1" || geteuid() == 0) return std::nullopt;
    return read_config_file(std::filesystem::path("cloud-init/templates") / login_template);
}

/// The variables of the login template (docs/contract.md, "Cloud-init").
std::map<std::string, std::string> template_variables(const UserDataInput& input) {
    const VmRequest& request = input.request;
    std::string name = fqdn(request.name, input.ipv6, input.dns_zone);
    bool public_name = input.ipv6 && !input.dns_zone.empty();
    std::string address = input.ipv6 ? "[" + input.ipv6->str() + "]" : input.ip.str();
    return {
        {"VM_NAME", request.name.str()},
        {"VM_FQDN", name},
        {"VM_IP", input.ip.str()},
        {"VM_IPV6", input.ipv6 ? input.ipv6->str() : ""},
        {"SIGNING_DOMAIN", public_name ? name : ""},
        {"SIGNING_HOST", public_name ? name : address},
        {"USERNAME", request.username.str()},
        {"NFT_TOKEN_ID", request.nft_token_id ? request.nft_token_id->str() : ""},
        {"WALLET_ADDRESS", request.wallet.str()},
        {"OTP_LENGTH", input.web3.otp_length},
        {"OTP_TTL", input.web3.otp_ttl},
        {"SECRET_KEY", input.secret_key},
        {"SSH_KEYS", ""},
    };
}

/// The fallback's ${LOGIN} in JSON, which is valid YAML flow style.
std::string login_mapping(const std::string& ssh_key) {
    boost::json::object login;
    if (!ssh_key.empty()) {
        const auto keys = public_keys(ssh_key);
        login["ssh_authorized_keys"] = boost::json::array(keys.begin(), keys.end());
    }
    return boost::json::serialize(login);
}

std::string render_fallback(const UserDataInput& input) {
    auto path = data_file("fallback-user-data.yaml");
    auto text = read_config_file(path);
    if (!text)
        throw Error(Code::config, "the fallback template " + path.native() + " is missing",
                    "reinstall the package blockhost-provisioner-libvirt");
    auto variables = template_variables(input);
    variables["LOGIN"] = login_mapping(input.ssh_key);
    return substitute(*text, variables);
}

} // namespace

std::string render_user_data(const UserDataInput& input, const Paths& paths) {
    auto text = input.verbatim ? std::nullopt : read_login_template(paths);
    bool fallback = !input.verbatim && !text && !input.engine_installed;
    if (!input.ssh_key.empty() && !fallback)
        throw Error(
            Code::invalid, "an SSH key was given, but this VM's login comes from elsewhere",
            "leave the SSH key out: the engine's login template or the given cloud-init file decides");
    if (input.verbatim) return *input.verbatim;
    if (text) return substitute(*text, template_variables(input));
    if (fallback) return render_fallback(input);
    throw Error(Code::config,
                "the login template " + (paths.share / "cloud-init/templates" / login_template).native() +
                    " is missing, so a VM would have no login",
                "reinstall the package blockhost-common");
}

namespace {

/// Quoted, because YAML 1.1 reads a MAC as a number in base 60 and "::" as a mapping.
void put(YAML::Emitter& out, const char* key, const std::string& value) {
    out << YAML::Key << key << YAML::Value << YAML::DoubleQuoted << value;
}

void put_list(YAML::Emitter& out, const char* key, const std::vector<std::string>& values) {
    out << YAML::Key << key << YAML::Value << YAML::BeginSeq;
    for (const std::string& value : values) out << YAML::DoubleQuoted << value;
    out << YAML::EndSeq;
}

void put_route(YAML::Emitter& out, const std::string& to, const std::string& via) {
    out << YAML::BeginMap;
    put(out, "to", to);
    put(out, "via", via);
    out << YAML::EndMap;
}

/// Makes a working default route with every renderer of cloud-init:
/// - gateway4 and gateway6: eni turns them into `gateway` lines, which need no net-tools in the guest and are
///   on-link;
/// - 0.0.0.0/0, since only netplan accepts the word "default"; never ::/0, which the others turn into ::/64;
/// - a route to the IPv6 gateway through "::", since the gateway lies outside of the VM's /128: on-link for
///   netplan and networkd, harmless in eni, which cannot render a route without `via`.
void put_routes(YAML::Emitter& out, const NetworkInput& input) {
    bool ipv6 = input.ipv6 && input.gateway6;
    put(out, "gateway4", input.gateway.str());
    if (ipv6) put(out, "gateway6", input.gateway6->str());
    out << YAML::Key << "routes" << YAML::Value << YAML::BeginSeq;
    put_route(out, "0.0.0.0/0", input.gateway.str());
    if (ipv6) put_route(out, input.gateway6->str() + "/128", "::");
    out << YAML::EndSeq;
}

} // namespace

std::string render_network_config(const NetworkInput& input) {
    std::vector<std::string> addresses{input.ip.str() + "/" + std::to_string(input.prefix_length)};
    if (input.ipv6) addresses.push_back(input.ipv6->str() + "/128");
    auto resolvers = input.resolvers;
    if (resolvers.empty()) resolvers.push_back(input.gateway.str());

    YAML::Emitter out;
    out << YAML::BeginMap << YAML::Key << "version" << YAML::Value << 2;
    out << YAML::Key << "ethernets" << YAML::Value << YAML::BeginMap;
    out << YAML::Key << "id0" << YAML::Value << YAML::BeginMap;
    out << YAML::Key << "match" << YAML::Value << YAML::BeginMap;
    put(out, "macaddress", input.mac.str());
    out << YAML::EndMap;
    if (input.mtu) out << YAML::Key << "mtu" << YAML::Value << *input.mtu;
    put_list(out, "addresses", addresses);
    out << YAML::Key << "nameservers" << YAML::Value << YAML::BeginMap;
    put_list(out, "addresses", resolvers);
    out << YAML::EndMap;
    put_routes(out, input);
    out << YAML::EndMap << YAML::EndMap << YAML::EndMap;
    return std::string(out.c_str()) + "\n";
}

std::string render_meta_data(const VmName& name, const Uuid& uuid) {
    YAML::Emitter out;
    out << YAML::BeginMap;
    put(out, "instance-id", name.str() + "-" + uuid.str());
    put(out, "local-hostname", name.str());
    out << YAML::EndMap;
    return std::string(out.c_str()) + "\n";
}

namespace {

constexpr mode_t secret = 0600;
constexpr const char* seed_file = "cidata.iso";

/// Removes the file or folder of that name, never following a link.
bool clear_away(const Folder& folder, std::string_view name) {
    if (folder.kind(name) == Folder::Kind::folder) return folder.remove_tree(name);
    return folder.remove(name);
}

void write_stand_in(const Folder& folder, const Seed& seed, const std::string& name) {
    folder.replace(name, seed.user_data + seed.meta_data + seed.network_config,
                   {.mode = secret, .uid = {}, .gid = {}});
}

void write_iso_image(const Folder& folder, const Seed& seed, const std::string& name) {
    std::string full = (folder.path() / name).native();
    Fd image = folder.open_file(name, O_WRONLY | O_CREAT | O_EXCL, secret);
    if (!image) throw errno_error("cannot make", full, ENOENT);
    write_iso(image.get(), "cidata",
              {{"user-data", seed.user_data},
               {"meta-data", seed.meta_data},
               {"network-config", seed.network_config}});
    files::sync(image.get(), full);
    folder.sync();
}

} // namespace

std::filesystem::path seed_path(const StatePlace& cloud_init, const VmName& name) {
    return std::filesystem::path(cloud_init.string(name.str())) / seed_file;
}

std::filesystem::path write_seed(const StatePlace& cloud_init, const VmName& name, const Seed& seed,
                                 SeedImage image) {
    auto all = cloud_init.make(0711);
    clear_away(all, name.str());
    auto own = all.make_sub(name.str(), 0700);
    // For people. The image, which is synced, has both too.
    own.replace_unsynced("user-data", seed.user_data, {.mode = secret, .uid = {}, .gid = {}});
    own.replace_unsynced("network-config", seed.network_config, {.mode = 0640, .uid = {}, .gid = {}});
    (image == SeedImage::iso ? write_iso_image : write_stand_in)(own, seed, seed_file);
    let_pass(own, qemu_group());
    return own.path() / seed_file;
}

bool remove_seed(const StatePlace& cloud_init, const VmName& name) {
    auto all = cloud_init.open();
    if (!all) return false;
    bool removed = clear_away(*all, name.str());
    std::string old_image = name.str() + ".img";
    if (all->kind(old_image) == Folder::Kind::file) removed |= all->remove(old_image);
    return removed;
}

} // namespace blockhost::guest
