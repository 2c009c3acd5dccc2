// SPDX-License-Identifier: MIT
// What a guest is told at its first boot.
#include "guest/cloud_init.hpp"

#include "base/error.hpp"
#include "base/process.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <yaml-cpp/yaml.h>

using namespace blockhost;
using namespace blockhost::guest;
namespace bj = boost::json;

namespace {

/// What Python's own string.Template makes of it.
std::string python_substitute(const std::string& text, const std::map<std::string, std::string>& variables) {
    bj::object values;
    for (const auto& [name, value] : variables) values[name] = value;
    bj::object input{{"text", text}, {"variables", values}};
    auto result = run({.program = "/usr/bin/python3",
                       .arguments = {"-c", "import json,string,sys\n"
                                           "i = json.load(sys.stdin)\n"
                                           "o = string.Template(i['text']).safe_substitute(i['variables'])\n"
                                           "print(json.dumps(o))"},
                       .environment = {},
                       .input = bj::serialize(input)});
    REQUIRE(result.ok());
    return std::string(bj::parse(result.out).as_string());
}

VmRequest request(const std::string& name = "blockhost-001") {
    return {.name = VmName(name),
            .wallet = Wallet("0xAbCdEf0123456789abcdef0123456789abcdef01", ""),
            .username = Username("admin"),
            .nft_token_id = TokenId("7")};
}

Paths paths_at(const std::filesystem::path& root) {
    Paths paths;
    paths.root = root;
    paths.share = root / "usr/share/blockhost";
    return paths;
}

void install_template(const Paths& paths, const std::string& text) {
    std::filesystem::create_directories(paths.share / "cloud-init/templates");
    std::ofstream(paths.share / "cloud-init/templates/nft-auth.yaml") << text;
}

const Ipv4 ip = *Ipv4::try_parse("192.168.122.5");
const Ipv6 ipv6 = *Ipv6::try_parse("2a11:6c7:f04:276::202");
const char* key =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlAhBlAhBlAhBlAhBlAhBlAhBlAhBlAhBlAhBlAhBlA me@home: \"#x\" ${IP}";

} // namespace

TEST_CASE("substitution agrees with Python's string.Template.safe_substitute") {
    const std::map<std::string, std::string> variables{
        {"NAME", "value"}, {"name", "lower"}, {"A1", "$NAME"}, {"_x", ""}, {"E", "a$$b ${NAME}"}};
    std::string text =
        GENERATE("", "$", "$$", "$$$", "$$$$", "plain", "$NAME", "${NAME}", "$NAMEX", "${NAMEX}", "$NAME-x",
                 "$NAME.x", "$NAMEé", "${NAMEé}", "$éNAME", "${NAME", "${NAME }", "${ NAME}", "${}", "$}",
                 "${${NAME}}", "${A$NAME}", "$A1", "$1A", "${1A}", "$_x|", "$name $NAME $Name", "$E",
                 "$$NAME", "$$$NAME", "$UPTIME and $(date) and $!", "a$\n$NAME\n$", "$NAME$NAME",
                 "${NAME}${NAME}", "$ſ $K", "awk '{print $1}' ${name}s", "x$", "${NAME\n}");
    CAPTURE(text);
    CHECK(substitute(text, variables) == python_substitute(text, variables));
}

TEST_CASE("a guest's full name is its host label in the broker's zone, else local") {
    VmName name("vm-1");
    CHECK(fqdn(name, ipv6, "vm.example.org") == "202.vm.example.org");
    CHECK(fqdn(name, ipv6, "") == "vm-1.local");
    CHECK(fqdn(name, std::nullopt, "vm.example.org") == "vm-1.local");
}

TEST_CASE("the login template gets every variable that engines' templates name") {
    TemporaryFolder folder;
    auto paths = paths_at(folder.path);
    install_template(
        paths, "${VM_NAME}|${VM_FQDN}|${VM_IP}|${VM_IPV6}|${SIGNING_DOMAIN}|${SIGNING_HOST}|${USERNAME}|"
               "${NFT_TOKEN_ID}|${WALLET_ADDRESS}|${OTP_LENGTH}|${OTP_TTL}|${SECRET_KEY}|<${SSH_KEYS}>|"
               "$UPTIME|$$HOME");
    auto wanted = request();
    UserDataInput input{.request = wanted,
                        .ip = ip,
                        .ipv6 = {},
                        .dns_zone = "",
                        .web3 = {},
                        .engine_installed = true,
                        .verbatim = {},
                        .ssh_key = "",
                        .secret_key = "5ec"};
    const std::string wallet = wanted.wallet.str();
    SECTION("with IPv6 and a zone") {
        input.ipv6 = ipv6;
        input.dns_zone = "z.org";
        CHECK(render_user_data(input, paths) ==
              "blockhost-001|202.z.org|192.168.122.5|2a11:6c7:f04:276::202|202.z.org|202.z.org|admin|7|" +
                  wallet + "|6|300|5ec|<>|$UPTIME|$HOME");
    }
    SECTION("with IPv6 alone") {
        input.ipv6 = ipv6;
        CHECK(render_user_data(input, paths) == "blockhost-001|blockhost-001.local|192.168.122.5|2a11:6c7:"
                                                "f04:276::202||[2a11:6c7:f04:276::202]|admin|7|" +
                                                    wallet + "|6|300|5ec|<>|$UPTIME|$HOME");
    }
    SECTION("with IPv4 alone, and no token yet") {
        wanted.nft_token_id.reset();
        input.dns_zone = "z.org";
        CHECK(render_user_data(input, paths) ==
              "blockhost-001|blockhost-001.local|192.168.122.5|||192.168.122.5|admin||" + wallet +
                  "|6|300|5ec|<>|$UPTIME|$HOME");
    }
}

TEST_CASE("given user-data goes in as it is") {
    TemporaryFolder folder;
    auto wanted = request();
    UserDataInput input{.request = wanted,
                        .ip = ip,
                        .ipv6 = {},
                        .dns_zone = "",
                        .web3 = {},
                        .engine_installed = true,
                        .verbatim = "$VM_NAME ${x}\n",
                        .ssh_key = "",
                        .secret_key = ""};
    CHECK(render_user_data(input, paths_at(folder.path)) == "$VM_NAME ${x}\n");
}

TEST_CASE("an engine without its login template is refused: the VM would have no login") {
    TemporaryFolder folder;
    auto wanted = request();
    UserDataInput input{.request = wanted,
                        .ip = ip,
                        .ipv6 = {},
                        .dns_zone = "",
                        .web3 = {},
                        .engine_installed = true,
                        .verbatim = {},
                        .ssh_key = "",
                        .secret_key = ""};
    CHECK_THROWS_WITH(render_user_data(input, paths_at(folder.path)),
                      Catch::Contains("nft-auth.yaml is missing"));
}

TEST_CASE("without an engine the fallback makes the user, with the SSH key when there is one") {
    TemporaryFolder folder;
    auto paths = paths_at(folder.path);
    auto wanted = request(GENERATE("blockhost-001", "0", "1.5", "null", "no"));
    wanted.username = Username(GENERATE("admin", "null", "yes"));
    std::string given = GENERATE(std::string(), std::string(key) + "\n");
    UserDataInput input{.request = wanted,
                        .ip = ip,
                        .ipv6 = {},
                        .dns_zone = "",
                        .web3 = {},
                        .engine_installed = false,
                        .verbatim = {},
                        .ssh_key = given,
                        .secret_key = "5ec2e7"};
    std::string text = render_user_data(input, paths);
    CHECK_THAT(text, Catch::StartsWith("#cloud-config\n") && !Catch::Contains("5ec2e7"));
    auto document = YAML::Load(text);
    CHECK(document["hostname"].Scalar() == wanted.name.str());
    CHECK(document["hostname"].Tag() == "!"); // quoted: a string, whatever it looks like
    CHECK(document["fqdn"].Scalar() == wanted.name.str() + ".local");
    CHECK(document["manage_etc_hosts"].as<bool>());
    CHECK_FALSE(document["ssh_pwauth"].as<bool>());
    REQUIRE(document["users"].size() == 1);
    auto user = document["users"][0];
    CHECK(user["name"].Scalar() == wanted.username.str());
    CHECK(user["gecos"].Scalar() == "wallet=" + wanted.wallet.str() + ",nft=7");
    CHECK(user["lock_passwd"].as<bool>());
    CHECK(user["shell"].Scalar() == "/bin/bash");
    auto login = user["<<"];
    REQUIRE(login.IsMap());
    CHECK(login.size() == (given.empty() ? 0 : 1));
    if (!given.empty()) CHECK(login["ssh_authorized_keys"][0].Scalar() == key);
}

TEST_CASE("several SSH keys all become the login's, comments and all") {
    TemporaryFolder folder;
    auto wanted = request();
    UserDataInput input{.request = wanted,
                        .ip = ip,
                        .ipv6 = {},
                        .dns_zone = "",
                        .web3 = {},
                        .engine_installed = false,
                        .verbatim = {},
                        .ssh_key = "# mine\n" + std::string(key) + "\n\n" + key + " m\xc3\xbcller\n",
                        .secret_key = ""};
    auto login = YAML::Load(render_user_data(input, paths_at(folder.path)))["users"][0]["<<"];
    CHECK(login["ssh_authorized_keys"].as<std::vector<std::string>>() ==
          std::vector<std::string>{key, std::string(key) + " m\xc3\xbcller"});
    input.ssh_key = "ssh-ed25519 AAAA=";
    try {
        render_user_data(input, paths_at(folder.path));
        FAIL("was taken");
    } catch (const Error& error) {
        CHECK(error.code() == Code::invalid);
    }
}

TEST_CASE("an SSH key is refused where something else decides about the login") {
    TemporaryFolder folder;
    auto paths = paths_at(folder.path);
    auto wanted = request();
    UserDataInput input{.request = wanted,
                        .ip = ip,
                        .ipv6 = {},
                        .dns_zone = "",
                        .web3 = {},
                        .engine_installed = false,
                        .verbatim = {},
                        .ssh_key = key,
                        .secret_key = ""};
    SECTION("the engine's template") {
        install_template(paths, "x");
    }
    SECTION("given user-data") {
        input.verbatim = "x";
    }
    CHECK_THROWS_WITH(render_user_data(input, paths), Catch::Contains("SSH key"));
}

TEST_CASE("network-config gives both addresses, their gateways and the gateway as resolver") {
    NetworkInput input{.mac = *Mac::try_parse("52:54:00:12:34:56"),
                       .ip = ip,
                       .prefix_length = 25,
                       .gateway = *Ipv4::try_parse("192.168.122.1"),
                       .resolvers = {},
                       .ipv6 = ipv6,
                       .gateway6 = Ipv6::try_parse("2a11:6c7:f04:276::1")};
    auto config = YAML::Load(render_network_config(input));
    CHECK(config["version"].as<int>() == 2);
    CHECK_FALSE(config["network"]);
    auto nic = config["ethernets"]["id0"];
    CHECK(nic["match"]["macaddress"].Scalar() == "52:54:00:12:34:56");
    CHECK(nic["match"]["macaddress"].Tag() == "!"); // YAML 1.1 reads a plain one as a number in base 60
    CHECK(nic["addresses"].as<std::vector<std::string>>() ==
          std::vector<std::string>{"192.168.122.5/25", "2a11:6c7:f04:276::202/128"});
    CHECK(nic["nameservers"]["addresses"].as<std::vector<std::string>>() ==
          std::vector<std::string>{"192.168.122.1"});
    CHECK(nic["gateway4"].Scalar() == "192.168.122.1");
    CHECK(nic["gateway6"].Scalar() == "2a11:6c7:f04:276::1");
    REQUIRE(nic["routes"].size() == 2);
    CHECK(nic["routes"][0]["to"].Scalar() == "0.0.0.0/0");
    CHECK(nic["routes"][0]["via"].Scalar() == "192.168.122.1");
    CHECK(nic["routes"][1]["to"].Scalar() == "2a11:6c7:f04:276::1/128");
    CHECK(nic["routes"][1]["via"].Scalar() == "::");
}

TEST_CASE("network-config without IPv6 names none, and with resolvers names those") {
    NetworkInput input{.mac = *Mac::try_parse("52:54:00:12:34:56"),
                       .ip = ip,
                       .prefix_length = 24,
                       .gateway = *Ipv4::try_parse("192.168.122.1"),
                       .resolvers = {"9.9.9.9", "2620:fe::fe"},
                       .ipv6 = {},
                       .gateway6 = {}};
    auto nic = YAML::Load(render_network_config(input))["ethernets"]["id0"];
    CHECK(nic["addresses"].size() == 1);
    CHECK_FALSE(nic["gateway6"]);
    CHECK(nic["routes"].size() == 1);
    CHECK(nic["nameservers"]["addresses"].as<std::vector<std::string>>() ==
          std::vector<std::string>{"9.9.9.9", "2620:fe::fe"});
}

TEST_CASE("every VM has an instance id of its own and its name as host name") {
    auto uuid = Uuid::random();
    auto data = YAML::Load(render_meta_data(VmName("007"), uuid));
    CHECK(data["instance-id"].Scalar() == "007-" + uuid.str());
    CHECK(data["local-hostname"].Scalar() == "007");
    CHECK(data["local-hostname"].Tag() == "!");
}

TEST_CASE("network-config names the bridge's MTU where it is unusual") {
    NetworkInput input{.mac = *Mac::try_parse("52:54:00:12:34:56"),
                       .ip = ip,
                       .prefix_length = 24,
                       .gateway = *Ipv4::try_parse("192.168.122.1"),
                       .resolvers = {},
                       .ipv6 = {},
                       .gateway6 = {}};
    CHECK_FALSE(YAML::Load(render_network_config(input))["ethernets"]["id0"]["mtu"]);
    input.mtu = 1400;
    CHECK(YAML::Load(render_network_config(input))["ethernets"]["id0"]["mtu"].as<int>() == 1400);
}
