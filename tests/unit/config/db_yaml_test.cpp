// SPDX-License-Identifier: MIT
// db.yaml and web3-defaults.yaml: defaults, every spelling in the field, and complaints that name the place.
#include "config/config.hpp"
#include "tests/unit/config/root.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::test;

namespace {

DbConfig read(const std::string& yaml) {
    Root root;
    put(root.paths.db_yaml(), yaml);
    return read_db_config(root.paths);
}

/// What is said of a wrong file, without the file's name in front.
std::string complaint(const std::string& yaml) {
    Root root;
    put(root.paths.db_yaml(), yaml);
    std::string message = config_error([&] { read_db_config(root.paths); });
    if (message.empty()) return "accepted";
    std::string name = root.paths.db_yaml().native() + ": ";
    CHECK(message.starts_with(name));
    return message.substr(name.size());
}

std::string range(const std::string& ip_pool) {
    Ipv4Pool pool = read("ip_pool: " + ip_pool).ipv4;
    return pool.first.str() + "-" + pool.last.str();
}

} // namespace

TEST_CASE("a missing db.yaml sends people to the wizard") {
    Root root;
    CHECK(config_error([&] { read_db_config(root.paths); }) ==
          "Config not found: " + root.paths.db_yaml().native() + " (run wizard first)");
}

TEST_CASE("a file without a single byte is a torn one") {
    Root root;
    put(root.paths.db_yaml(), "");
    CHECK_THROWS_AS(read_db_config(root.paths), Error);
}

TEST_CASE("every key is optional") {
    for (const char* yaml :
         {"# nothing\n", "{}", "~", "---\n", "other: 1\n", "ip_pool: ~\nbridge: null\nipv6_pool:\n"}) {
        CAPTURE(yaml);
        Root root;
        put(root.paths.db_yaml(), yaml);
        DbConfig config = read_db_config(root.paths);
        CHECK(config.db_file == root.paths.state.string("vms.json"));
        CHECK(config.bridge == "br0");
        CHECK(config.storage_pool == "blockhost");
        CHECK(config.storage_path == root.paths.disks.string());
        CHECK(config.gc_grace_days == 7);
        CHECK(config.default_expiry_days == 30);
        CHECK(config.ipv4.network.str() == "192.168.122.0/24");
        CHECK(config.ipv4.first.str() == "192.168.122.200");
        CHECK(config.ipv4.last.str() == "192.168.122.250");
        REQUIRE(config.ipv4.gateway);
        CHECK(config.ipv4.gateway->str() == "192.168.122.1");
        CHECK(config.ipv6_first == 2);
        CHECK(config.ipv6_last == 254);
        CHECK(config.domain_type == DomainType::automatic);
        CHECK(config.resolvers.empty());
        CHECK(config.memory_overcommit == 1.0);
        CHECK(config.disk_overcommit == 10.0);
    }
}

TEST_CASE("every key is read, whatever else the file holds") {
    DbConfig config = read("db_file: /srv/vm-db.json\n"
                           "bridge: virbr7\n"
                           "storage_pool: fast\n"
                           "storage_path: \"/srv/disks/\"\n"
                           "gc_grace_days: 0\n"
                           "default_expiry_days: '90'\n"
                           "terraform_dir: /x\n"
                           "fields: {vm_name: name}\n"
                           "vmid_range: [100, 999]\n"
                           "ip_pool: {network: 10.0.0.0/24, start: 2, end: 9, gateway: 10.0.0.1}\n"
                           "ipv6_pool: {prefix: 'fd00::/120', start: 10, end: 20}\n"
                           "domain_type: qemu\n"
                           "resolvers: [1.1.1.1, '2606:4700:4700::1111']\n"
                           "memory_overcommit: 1.5\n"
                           "disk_overcommit: 3\n");
    CHECK(config.db_file == "/srv/vm-db.json"); // as written: not below the root
    CHECK(config.bridge == "virbr7");
    CHECK(config.storage_pool == "fast");
    CHECK(config.storage_path.native() == "/srv/disks");
    CHECK(config.gc_grace_days == 0);
    CHECK(config.default_expiry_days == 90);
    CHECK(config.ipv4.network.str() == "10.0.0.0/24");
    CHECK(config.ipv4.gateway->str() == "10.0.0.1");
    CHECK(config.ipv6_first == 10);
    CHECK(config.ipv6_last == 20);
    CHECK(config.domain_type == DomainType::qemu);
    CHECK(config.resolvers == std::vector<std::string>{"1.1.1.1", "2606:4700:4700::1111"});
    CHECK(config.memory_overcommit == 1.5);
    CHECK(config.disk_overcommit == 3.0);
    CHECK(config.boot_kernel.empty());
    DbConfig direct = read("boot_kernel: /k\nboot_initrd: /i\nboot_arguments: console=ttyS0 quiet\n");
    CHECK(direct.boot_kernel == "/k");
    CHECK(direct.boot_initrd == "/i");
    CHECK(direct.boot_arguments == "console=ttyS0 quiet");
    CHECK(read("resolvers: 9.9.9.9").resolvers == std::vector<std::string>{"9.9.9.9"});
    CHECK(read("domain_type: kvm").domain_type == DomainType::kvm);
    CHECK(read("ipv6_pool: {prefix: 'fd00::/120'}").ipv6_last == 254);
}

TEST_CASE("of a repeated key the last counts") {
    CHECK(read("bridge: br1\nbridge: br2\n").bridge == "br2");
    CHECK(read("bridge: br1\nbridge: ~\n").bridge == "br0");
}

TEST_CASE("the ends of the IPv4 pool are last octets or whole addresses") {
    CHECK(range("{network: 192.168.122.0/24, start: 2, end: 254}") == "192.168.122.2-192.168.122.254");
    CHECK(range("{network: 192.168.122.0/24, start: '2', end: \"9\"}") == "192.168.122.2-192.168.122.9");
    CHECK(range("{network: 192.168.122.0/24, start: 192.168.122.2, end: 192.168.122.2}") ==
          "192.168.122.2-192.168.122.2");
    CHECK(range("{network: 192.168.122.77/24, start: 0, end: 255}") == "192.168.122.0-192.168.122.255");
    CHECK(range("{network: 10.9.8.0/24}") == "10.9.8.200-10.9.8.250");
    CHECK(range("{network: 10.9.8.128/25, start: 130, end: 140}") == "10.9.8.130-10.9.8.140");
    CHECK(range("{network: 10.9.0.0/16, start: 5, end: 9}") == "10.9.0.5-10.9.0.9");
    CHECK(range("{network: 10.9.0.0/16, start: 10.9.3.5, end: 10.9.4.1}") == "10.9.3.5-10.9.4.1");
    CHECK_FALSE(
        read("ip_pool: {network: 10.9.8.0/24}").ipv4.gateway); // only a missing pool has one by default
    CHECK_FALSE(read("ip_pool: {network: 10.9.8.0/24, gateway: ~}").ipv4.gateway);
}

TEST_CASE("a pool that does not fit its network is refused by name and place") {
    CHECK(complaint("ip_pool:\n  network: 10.0.0.0/24\n  start: 256\n") ==
          "line 3, column 10: ip_pool.start: expected a last octet (0 to 255) or an address in 10.0.0.0/24, "
          "found \"256\"");
    CHECK(complaint("ip_pool:\n  network: 10.0.0.0/24\n  end: 10.0.1.5\n") ==
          "line 3, column 8: ip_pool.end: 10.0.1.5 is not in 10.0.0.0/24");
    CHECK(complaint("ip_pool:\n  network: 10.0.0.0/24\n  start: 9\n  end: 8\n") ==
          "line 3, column 10: ip_pool.start: 10.0.0.9 lies behind the end, 10.0.0.8");
    CHECK(contains(complaint("ip_pool: {network: 10.0.0.0/25}"),
                   "ip_pool.start: 10.0.0.200 (the default) is not in 10.0.0.0/25"));
    CHECK(contains(complaint("ip_pool: {network: 10.0.0.0/24, start: 251}"),
                   "10.0.0.251 lies behind the end, 10.0.0.250"));
    CHECK(contains(complaint("ip_pool: {network: 10.0.0.128/25, start: 5, end: 200}"),
                   "ip_pool.start: 10.0.0.5 is not in"));
    CHECK(contains(complaint("ip_pool: {network: 10.0.0.0/24, gateway: 10.1.0.1}"),
                   "ip_pool.gateway: 10.1.0.1 is not in 10.0.0.0/24"));
    for (const char* bad : {"-1", "1.5", "02", "0x10", "10.0.0", "10.0.0.256", "fd00::1", "''", "' 2'", "[2]",
                            "{a: 2}", "two"}) {
        CAPTURE(bad);
        CHECK(contains(complaint(std::string("ip_pool: {network: 10.0.0.0/24, start: ") + bad + "}"),
                       "ip_pool.start: expected"));
    }
    for (const char* bad :
         {"10.0.0.0", "10.0.0.0/33", "10.0.0/24", "300.0.0.0/8", "'fd00::/64'", "[10.0.0.0/8]", "''"}) {
        CAPTURE(bad);
        CHECK(contains(complaint(std::string("ip_pool: {network: ") + bad + "}"),
                       "ip_pool.network: expected an IPv4 network"));
    }
}

TEST_CASE("values of the wrong kind are refused by name and place") {
    CHECK(complaint("bridge:\n- br0\n") ==
          "line 2, column 1: bridge: expected the name of a network interface, found a list");
    CHECK(complaint("a: 1\ngc_grace_days: many\n") ==
          "line 2, column 16: gc_grace_days: expected a whole number from 0 to 3650, found \"many\"");
    CHECK(complaint("ip_pool: 5\n") == "line 1, column 10: ip_pool: expected a mapping, found \"5\"");
    CHECK(complaint("- a\n- b\n") == "line 1, column 1: expected a mapping, found a list");
    CHECK(contains(complaint("just text"), "expected a mapping"));
    for (const char* bad : {"bridge: ''",
                            "bridge: a-name-too-long-for-linux",
                            "bridge: 'a b'",
                            "bridge: a/b",
                            "bridge: -d",
                            "bridge: ..",
                            "storage_pool: a/b",
                            "storage_pool: {}",
                            "db_file: vms.json",
                            "db_file: ''",
                            "storage_path: ../x",
                            "gc_grace_days: -1",
                            "gc_grace_days: 1.5",
                            "gc_grace_days: 3651",
                            "gc_grace_days: true",
                            "default_expiry_days: 0",
                            "default_expiry_days: 99999999999999999999",
                            "domain_type: xen",
                            "boot_kernel: vmlinuz",
                            "boot_initrd: [/i]",
                            "boot_arguments: \"a\\nb\"",
                            "domain_type: KVM",
                            "resolvers: dns.example",
                            "resolvers: [1.1.1.1, x]",
                            "resolvers: [[1.1.1.1]]",
                            "resolvers: {a: 1.1.1.1}",
                            "memory_overcommit: 0",
                            "memory_overcommit: -1",
                            "memory_overcommit: .inf",
                            "memory_overcommit: nan",
                            "memory_overcommit: 1,5",
                            "memory_overcommit: '1.5x'",
                            "disk_overcommit: 1001",
                            "ipv6_pool: {start: 0}",
                            "ipv6_pool: {start: 9, end: 8}",
                            "ipv6_pool: {start: 300}",
                            "ipv6_pool: {start: 4294967296}",
                            "ipv6_pool: [1]"}) {
        CAPTURE(bad);
        std::string said = complaint(bad), key = std::string(bad).substr(0, std::string(bad).find(':'));
        CHECK(said.starts_with("line 1, column "));
        CHECK(contains(said, key));
    }
}

TEST_CASE("what is not YAML is refused with line and column") {
    CHECK(complaint("bridge: br0\nip_pool: {network: 10.0.0.0/24\n").starts_with("line "));
    CHECK(complaint("a: 1\n b: [\n").starts_with("line 2, column "));
    CHECK(contains(complaint("bridge: \"br0"), "not YAML: "));
    CHECK(complaint("a: *nowhere\n").starts_with("line 1, column 4: not YAML: "));
    CHECK(contains(complaint(std::string(20'000, '[')), "not YAML"));
}

TEST_CASE("a file torn within a key or a text is refused, not read as defaults") {
    CHECK(complaint("bridge: br1\nip_po") == "line 2, column 1: not YAML: key \"ip_po\" has no colon");
    CHECK(complaint("ip_pool:\n  network: 10.0.0.0/24\n  sta").starts_with("line 3, column 3: not YAML: "));
    CHECK_FALSE(complaint("bridge: \"br0\n") == "accepted"); // cut before the closing quote
    CHECK_FALSE(complaint("db_file: \"/srv/vms.json\n") == "accepted");
    CHECK(complaint("bridge: br1\nip_pool:") == "accepted"); // whole: a key with no value
    CHECK(complaint("fields: {a, b: }\nset: {a}\nlist: [~, {}]\n'quoted' : ~\n") == "accepted");
    CHECK(complaint("fields: &f\n  again: *f\n") == "accepted"); // a mapping that holds itself
}

TEST_CASE("a db.yaml that cannot be read is an error that names it, not a missing one") {
    Root root;
    std::filesystem::create_directories(root.paths.db_yaml());
    CHECK(contains(config_error([&] { read_db_config(root.paths); }),
                   root.paths.db_yaml().native() + ": Is a directory"));
    if (geteuid() != 0) return;
    std::filesystem::remove(root.paths.db_yaml());
    put(root.paths.db_yaml(), "{}");
    chmod(root.paths.db_yaml().c_str(), 0640);
    int status = in_child([&] {
        if (setgid(65534) != 0 || setuid(65534) != 0) return 98;
        return contains(config_error([&] { read_db_config(root.paths); }),
                        root.paths.db_yaml().native() + ": Permission denied")
                   ? 0
                   : 1;
    });
    CHECK(ended_with(status, 0));
}

TEST_CASE("web3 defaults are two numbers, both optional, in a file that is optional too") {
    auto read_web3 = [](const std::string& yaml) {
        Root root;
        put(root.paths.web3_defaults(), yaml);
        return read_web3_defaults(root.paths);
    };
    Root nothing;
    CHECK_FALSE(read_web3_defaults(nothing.paths).found);
    CHECK(read_web3_defaults(nothing.paths).otp_length == "6");
    CHECK(contains(config_error([&] { read_web3(""); }), "web3-defaults.yaml is empty"));
    for (const char* yaml :
         {"# nothing of ours\n", "auth: null", "auth: {}", "auth:\n  otp_length: ~\n", "chain: 1"}) {
        CAPTURE(yaml);
        Web3Defaults defaults = read_web3(yaml);
        CHECK(defaults.found);
        CHECK(defaults.otp_length == "6");
        CHECK(defaults.otp_ttl == "300");
    }
    CHECK(read_web3("auth: {otp_length: 8, otp_ttl_seconds: '600'}").otp_length == "8");
    CHECK(read_web3("auth: {otp_length: 8, otp_ttl_seconds: '600'}").otp_ttl == "600");
    CHECK(contains(config_error([&] { read_web3("auth: {otp_length: '6\\n- rm'}"); }),
                   "auth.otp_length: expected"));
    CHECK(contains(config_error([&] { read_web3("auth: [1]"); }), "auth: expected a mapping"));
    CHECK(contains(config_error([&] { read_web3("auth: {"); }), "web3-defaults.yaml: line "));
}

TEST_CASE("node, contract and key of the chain are needed, its id and a cap on fees are not") {
    auto read_chain = [](const std::string& yaml) {
        Root root;
        put(root.paths.web3_defaults(), yaml);
        return read_chain_config(root.paths);
    };
    const auto complaint = [&](const std::string& yaml) { return config_error([&] { read_chain(yaml); }); };
    const std::string deployer = "deployer: {private_key_file: /etc/key}\n", url = "https://node/secret-path",
                      chain = "blockchain:\n  rpc_url: " + url + "\n  nft_contract: 0xab\n";
    const ChainConfig plain = read_chain(chain + deployer);
    CHECK(plain.rpc_url == url);
    CHECK(plain.nft_contract == "0xab");
    CHECK(plain.key_file == "/etc/key");
    CHECK_FALSE(plain.chain_id);
    CHECK(plain.max_fee_gwei == 500);
    const ChainConfig full = read_chain(chain + "  chain_id: 11155111\n  max_fee_gwei: '30'\n" + deployer);
    CHECK(full.chain_id == 11155111);
    CHECK(full.max_fee_gwei == 30);

    Root nothing;
    CHECK(contains(config_error([&] { read_chain_config(nothing.paths); }), "web3-defaults.yaml is missing"));
    CHECK(contains(complaint(deployer), "blockchain.rpc_url: is missing"));
    CHECK(contains(complaint("blockchain: {rpc_url: ''}\n" + deployer), "blockchain.rpc_url: is missing"));
    CHECK(
        contains(complaint("blockchain: {rpc_url: x}\n" + deployer), "blockchain.nft_contract: is missing"));
    CHECK(contains(complaint(chain), "deployer.private_key_file: is missing"));
    CHECK(contains(complaint(chain + "  chain_id: 0\n" + deployer), "blockchain.chain_id: expected"));
    CHECK(
        contains(complaint(chain + "  max_fee_gwei: -1\n" + deployer), "blockchain.max_fee_gwei: expected"));
}

TEST_CASE("a complaint about the key's file does not repeat what may be the key") {
    Root root;
    put(root.paths.web3_defaults(),
        "blockchain: {rpc_url: x, nft_contract: y}\ndeployer: {private_key_file: abcdef}\n");
    const std::string complaint = config_error([&] { read_chain_config(root.paths); });
    CHECK(contains(complaint, "deployer.private_key_file: is no absolute path"));
    CHECK_FALSE(contains(complaint, "abcdef"));
}

TEST_CASE("aliases that lead to one mapping in more ways than can be walked keep nobody waiting") {
    std::string yaml = "m0: &m0 {a: 1}\n";
    for (int i = 1; i <= 15; ++i) {
        const std::string below = "*m" + std::to_string(i - 1);
        std::string all = below;
        for (int n = 1; n < 10; ++n) all += ", " + below;
        yaml += "m" + std::to_string(i) + ": &m" + std::to_string(i) + " {<<: [" + all + "]}\n";
    }
    CHECK(read(yaml + "<<: *m15\n").bridge == "br0");
    CHECK(read("a: &a {<<: *a}\n<<: *a\n").bridge == "br0");
}
