// SPDX-License-Identifier: MIT
/// Cloud-init: a login template, and behind --- an SSH key, a DNS zone, an IPv6 address and resolvers.

#include "base/text/text.hpp"
#include "guest/cloud_init.hpp"
#include "guest/login.hpp"
#include "guest/public_keys.hpp"
#include "guest/user_data.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <yaml-cpp/yaml.h>

using namespace blockhost;

namespace {

const std::string secret = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2";

struct Root {
    fuzz::MemoryFolder folder;
    Paths without, with; ///< a login template
    fuzz::MemoryFile text;
    Root() {
        without.share = folder.path() / "none";
        with.share = folder.path();
        std::filesystem::create_directories(folder.path() / "cloud-init/templates");
        std::filesystem::create_symlink(text.path(), folder.path() / "cloud-init/templates/nft-auth.yaml");
    }
};

/// As the broker allocation's reader lets through.
std::string zone_in(const std::string& text) {
    const auto good = [](char c) {
        return std::string_view("abcdefghijklmnopqrstuvwxyz0123456789.-").find(c) != std::string_view::npos;
    };
    return std::ranges::all_of(text, good) ? text : "";
}

std::string part(const std::vector<std::string>& parts, std::size_t which) {
    return which < parts.size() ? parts[which] : "";
}

/// Renders; a refusal tells neither the secret nor the key.
std::optional<std::string> rendered(const guest::UserDataInput& input, const Paths& paths) {
    try {
        return guest::render_user_data(input, paths);
    } catch (const Error& error) {
        const std::string said = error.what();
        fuzz::check(said.find(secret) == said.npos, "no message repeats the secret");
        const std::size_t body = input.ssh_key.find("AAAA");
        const bool has_body = body != std::string::npos && input.ssh_key.size() - body > 16;
        fuzz::check(!has_body || said.find(input.ssh_key.substr(body)) == said.npos,
                    "no message repeats a key");
        return std::nullopt;
    }
}

void user_data(const Root& root, const std::vector<std::string>& parts) {
    const VmRequest request{.name = VmName("web"),
                            .wallet = Wallet("0xab", ""),
                            .username = Username("admin"),
                            .nft_token_id = TokenId("7")};
    guest::UserDataInput input{.request = request,
                               .ip = *Ipv4::try_parse("192.168.122.200"),
                               .ipv6 = Ipv6::try_parse(part(parts, 3)),
                               .dns_zone = zone_in(part(parts, 2)),
                               .web3 = {},
                               .verbatim = {},
                               .ssh_key = {},
                               .secret_key = secret};
    const std::string& text = parts[0];
    const auto filled = rendered(input, root.with);
    const bool blank = text::trim(text).empty();
    fuzz::check(filled.has_value() != blank, "every template but an empty one can be filled in");
    if (filled && text.find('$') == text.npos)
        fuzz::check(*filled == text, "a text without placeholders stays");
    fuzz::check(guest::substitute(text, {}).size() <= text.size(), "only $$ becomes shorter");
    input.verbatim = text;
    fuzz::check(rendered(input, root.with) == text, "a text of one's own stays");
    input.verbatim.reset();
    input.ssh_key = part(parts, 1);
    (void)rendered(input, root.with);
    if (const auto fallback = rendered(input, root.without)) {
        const YAML::Node user = YAML::Load(*fallback)["users"][0];
        fuzz::check(user["name"].Scalar() == "admin", "the fallback makes the user");
    }
    const auto login = guest::login_in(text, "admin");
    fuzz::check(!login.declared || guest::kind_of(text) == guest::UserDataKind::cloud_config,
                "only a cloud-config declares a login");
    (void)guest::malformed_in(text);
    fuzz::answered([&] {
        for (const std::string& key : guest::public_keys(part(parts, 1)))
            fuzz::check(key.find("AAAA") != key.npos && key.find('\n') == key.npos,
                        "a key is a line with a body");
    });
    input.engine_installed = true;
    fuzz::check(!rendered(input, root.without), "an engine without its template sells no VM");
}

void network(const std::vector<std::string>& parts) {
    const auto ipv6 = Ipv6::try_parse(part(parts, 3));
    guest::NetworkInput input{.mac = *Mac::try_parse("52:54:00:12:34:56"),
                              .ip = *Ipv4::try_parse("192.168.122.200"),
                              .prefix_length = 24,
                              .gateway = *Ipv4::try_parse("192.168.122.1"),
                              .resolvers = {},
                              .ipv6 = ipv6,
                              .gateway6 = ipv6};
    for (const std::string& line : text::split(part(parts, 4), '\n'))
        if (Ipv4::try_parse(line) || Ipv6::try_parse(line)) input.resolvers.push_back(line);
    const YAML::Node device = YAML::Load(guest::render_network_config(input))["ethernets"]["id0"];
    fuzz::check(device["match"]["macaddress"].Scalar() == input.mac.str(), "the MAC is there");
    fuzz::check(device["addresses"].size() == (ipv6 ? 2u : 1u), "each address is there");
    fuzz::check(device["nameservers"]["addresses"].size() == std::max<std::size_t>(1, input.resolvers.size()),
                "each resolver is there");
    const std::string name = guest::fqdn(VmName("web"), ipv6, part(parts, 2));
    fuzz::check(name.starts_with("web.") || (ipv6 && name.starts_with(ipv6->interface_hex() + ".")),
                "a full name");
}

void cloud_init(std::string_view input) {
    static Root root;
    const auto parts = fuzz::parts_of(input);
    root.text.set(parts[0]);
    user_data(root, parts);
    network(parts);
}

} // namespace

FUZZ_TARGET(cloud_init)
