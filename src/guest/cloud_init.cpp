// Rendering of user-data, meta-data and network-config, and the folder a VM's seed lives in.
#include "guest/cloud_init.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/module.hpp"
#include "base/text.hpp"
#include "guest/seed_image.hpp"

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <fcntl.h>
#include <grp.h>
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

/// What follows a '$': the identifier, and how much of the text spells it; nothing when it spells none.
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

/// The login template's text; nothing where none is installed.
std::optional<std::string> read_login_template(const Paths& paths) {
    if (auto text = files::read(paths.share / "cloud-init/templates" / login_template)) return text;
    const char* development = std::getenv("BLOCKHOST_DEV");
    if (development == nullptr || std::string_view(development) != "1" || geteuid() == 0) return std::nullopt;
    return files::read(std::filesystem::path("cloud-init/templates") / login_template);
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
        {"NFT_TOKEN_ID", request.nft_token_id ? std::to_string(*request.nft_token_id) : ""},
        {"WALLET_ADDRESS", request.wallet.str()},
        {"OTP_LENGTH", input.web3.otp_length},
        {"OTP_TTL", input.web3.otp_ttl},
        {"SECRET_KEY", input.secret_key},
        {"SSH_KEYS", ""},
    };
}

/// One line of an authorized_keys file without options (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"), trimmed.
std::string checked_ssh_key(std::string_view given) {
    constexpr std::array<std::string_view, 9> types{"ssh-ed25519",
                                                    "ssh-rsa",
                                                    "ecdsa-sha2-nistp256",
                                                    "ecdsa-sha2-nistp384",
                                                    "ecdsa-sha2-nistp521",
                                                    "sk-ssh-ed25519@openssh.com",
                                                    "ssh-dss",
                                                    "sk-ecdsa-sha2-nistp256@openssh.com",
                                                    "ssh-xmss@openssh.com"};
    auto refuse = [](const char* what) {
        return Error(Code::invalid, std::string("the SSH key ") + what,
                     "give one public key, such as the content of ~/.ssh/id_ed25519.pub");
    };
    std::string_view key = text::trim(given);
    if (key.find("PRIVATE KEY") != key.npos) throw refuse("is a private key");
    if (key.find_first_of("\r\n") != key.npos) throw refuse("is more than one line");
    if (!std::all_of(key.begin(), key.end(), [](char c) { return c >= ' ' && c <= '~'; }))
        throw refuse("holds characters beyond printable ASCII");
    auto words = text::split(key, ' ');
    if (std::find(types.begin(), types.end(), words.front()) == types.end())
        throw refuse("does not begin with a known key type");
    auto is_base64 = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
               c == '/' || c == '=';
    };
    bool has_body = words.size() > 1 && words[1].starts_with("AAAA") &&
                    std::all_of(words[1].begin(), words[1].end(), is_base64);
    if (!has_body) throw refuse("has no base64 text after its type");
    return std::string(key);
}

/// The fallback's ${LOGIN}: JSON, which is YAML's flow style.
std::string login_mapping(const std::string& ssh_key) {
    boost::json::object login;
    if (!ssh_key.empty()) login["ssh_authorized_keys"] = boost::json::array{checked_ssh_key(ssh_key)};
    return boost::json::serialize(login);
}

std::string render_fallback(const UserDataInput& input) {
    auto path = data_file("fallback-user-data.yaml");
    auto text = files::read(path);
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

/// What every renderer of cloud-init makes a working default route of:
/// - gateway4 and gateway6: eni makes `gateway` lines of them, which need no net-tools in the guest and are
/// on-link;
/// - 0.0.0.0/0, not the word "default", which the renderers other than netplan refuse; never ::/0, which they
/// turn
///   into ::/64;
/// - the IPv6 gateway lies outside of our /128: a route to it through "::" is on-link for netplan and
/// networkd, and
///   does no harm in eni, which cannot render a route without `via`.
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

/// The group QEMU's user is in, from the system's user database.
std::optional<gid_t> qemu_group() {
    struct group entry {};
    struct group* found = nullptr;
    std::array<char, 16384> strings{};
    getgrnam_r("libvirt-qemu", &entry, strings.data(), strings.size(), &found);
    return found == nullptr ? std::nullopt : std::optional(found->gr_gid);
}

/// QEMU passes through the folder: by its group where we may give it that, else like everyone.
void open_to_qemu(const Folder& folder) {
    auto group = qemu_group();
    bool given = group && fchown(folder.fd(), static_cast<uid_t>(-1), *group) == 0;
    if (fchmod(folder.fd(), given ? 0710 : 0711) != 0)
        throw errno_error("cannot set the mode of", folder.path().native(), errno);
}

/// Removes whatever bears that name, never following a link.
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

std::filesystem::path seed_path(const std::filesystem::path& cloud_init_folder, const VmName& name) {
    return cloud_init_folder / name.str() / seed_file;
}

std::filesystem::path write_seed(const std::filesystem::path& cloud_init_folder, const VmName& name,
                                 const Seed& seed, SeedImage image) {
    auto all = Folder::open_or_make(cloud_init_folder, 0711);
    clear_away(all, name.str());
    auto own = all.make_sub(name.str(), 0700);
    // for people; the image, which is synced, has them too
    own.replace_unsynced("user-data", seed.user_data, {.mode = secret, .uid = {}, .gid = {}});
    own.replace_unsynced("network-config", seed.network_config, {.mode = 0640, .uid = {}, .gid = {}});
    (image == SeedImage::iso ? write_iso_image : write_stand_in)(own, seed, seed_file);
    open_to_qemu(own);
    return own.path() / seed_file;
}

bool remove_seed(const std::filesystem::path& cloud_init_folder, const VmName& name) {
    auto all = Folder::open(cloud_init_folder);
    if (!all) return false;
    bool removed = clear_away(*all, name.str());
    std::string old_image = name.str() + ".img";
    if (all->kind(old_image) == Folder::Kind::file) removed |= all->remove(old_image);
    return removed;
}

} // namespace blockhost::guest
