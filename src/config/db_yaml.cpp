// SPDX-License-Identifier: MIT
// db.yaml and web3-defaults.yaml.
#include "config/db_yaml.hpp"

#include "base/error.hpp"
#include "base/files/spelling.hpp"
#include "config/config_file.hpp"
#include "config/yaml_section.hpp"
#include "model/assignable.hpp"
#include "model/vm.hpp"

#include <algorithm>
#include <limits>
#include <set>

namespace blockhost {

namespace {

bool is_https_url(const std::string& text) {
    const std::size_t path = text.find('/', std::string_view("https://").size());
    return text.starts_with("https://") && text.size() < 2048 && path != text.npos && text.back() != '/' &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

bool is_one_line(const std::string& text) {
    return text.size() < 4096 &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

/// 1 to `most` printable ASCII characters that are neither a path nor look like an option.
bool is_plain_name(const std::string& text, std::size_t most) {
    auto good = [](char c) { return c > ' ' && c <= '~' && c != '/'; };
    return !text.empty() && text.size() <= most && text[0] != '-' && text != "." && text != ".." &&
           std::all_of(text.begin(), text.end(), good);
}

/// One end of the IPv4 pool: a last octet, added to the network's first three, or a whole address.
Ipv4 pool_end(const YamlSection& pool, const std::string& key, int fallback, const Ipv4Network& network) {
    auto good = [](const std::string& text) {
        auto octet = plain_number(text);
        return octet ? *octet <= 255 : Ipv4::try_parse(text).has_value();
    };
    auto written = pool.text(key, "a last octet (0 to 255) or an address in " + network.str(), good);
    auto whole = written ? Ipv4::try_parse(*written) : std::nullopt;
    auto octet = static_cast<std::uint32_t>(written && !whole ? *plain_number(*written) : fallback);
    Ipv4 address = whole ? *whole : Ipv4((network.network().value() & 0xffffff00) | octet);
    if (!network.contains(address))
        pool.refuse(key, address.str() + (written ? "" : " (the default)") + " is not in " + network.str());
    return address;
}

Ipv4Pool read_ipv4_pool(const YamlSection& file) {
    const std::string default_network = "192.168.122.0/24";
    YamlSection pool = file.section("ip_pool");
    auto is_network = [](const std::string& text) { return Ipv4Network::try_parse(text).has_value(); };
    auto is_address = [](const std::string& text) { return Ipv4::try_parse(text).has_value(); };
    auto network =
        *Ipv4Network::try_parse(pool.text("network", "an IPv4 network such as " + default_network, is_network)
                                    .value_or(default_network));
    if (const auto why = why_not_for_machines(network))
        pool.refuse("network", network.str() + " " + std::string(*why) + ", and cannot be given to VMs");

    Ipv4 first = pool_end(pool, "start", 200, network), last = pool_end(pool, "end", 250, network);
    if (first > last) pool.refuse("start", first.str() + " lies behind the end, " + last.str());
    Ipv4Pool result{network, first, last, std::nullopt};
    if (auto gateway = pool.text("gateway", "an IPv4 address", is_address)) {
        result.gateway = Ipv4::try_parse(*gateway);
        if (!network.contains(*result.gateway))
            pool.refuse("gateway", *gateway + " is not in " + network.str());
    }
    if (!file.given("ip_pool")) result.gateway = Ipv4(network.network().value() + 1);
    return result;
}

void read_ipv6_pool(const YamlSection& file, DbConfig& config) {
    constexpr std::int64_t most = 0xffff'ffff;
    YamlSection pool = file.section("ipv6_pool");
    config.ipv6_first = static_cast<std::uint64_t>(pool.integer("start", 1, most).value_or(2));
    config.ipv6_last = static_cast<std::uint64_t>(pool.integer("end", 1, most).value_or(254));
    if (config.ipv6_first > config.ipv6_last) {
        pool.refuse("start", std::to_string(config.ipv6_first) + " lies behind the end, " +
                                 std::to_string(config.ipv6_last));
    }
}

DomainType read_domain_type(const YamlSection& file) {
    auto known = [](const std::string& text) { return text == "auto" || text == "kvm" || text == "qemu"; };
    std::string type = file.text("domain_type", "auto, kvm or qemu", known).value_or("auto");
    if (type == "auto") return DomainType::automatic;
    return type == "kvm" ? DomainType::kvm : DomainType::qemu;
}

} // namespace

/// Refuses control characters and a blank at the end: they are slips.
bool is_absolute_path(const std::string& text) {
    auto control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
    return text.starts_with('/') && text.size() < 4096 && text.back() != ' ' &&
           std::none_of(text.begin(), text.end(), control);
}

bool is_storage_path(const std::string& text) {
    if (!is_absolute_path(text)) return false;
    static const std::set<std::string> alone{"/",    "/home",      "/root",    "/opt",     "/tmp",
                                             "/var", "/var/cache", "/var/lib", "/var/log", "/var/tmp"};
    static const std::set<std::string> with_all_below{
        "bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys", "usr"};
    const auto normal = (std::filesystem::path(text) / "").lexically_normal().parent_path();
    const auto top = normal.has_relative_path() ? normal.relative_path().begin()->string() : std::string();
    return !alone.contains(normal.string()) && !with_all_below.contains(top);
}

namespace {

/// As a plain spelling, because paths made from it are compared with what libvirt says.
std::optional<std::filesystem::path> path_of(const YamlSection& file, const std::string& key,
                                             bool (*good)(const std::string&) = is_absolute_path,
                                             std::string_view expected = "an absolute path") {
    const auto text = file.text(key, expected, good);
    return text ? std::optional(files::plain(*text)) : std::nullopt;
}

} // namespace

bool is_bridge_name(const std::string& text) {
    return is_plain_name(text, 15);
}

bool is_pool_name(const std::string& text) {
    return is_plain_name(text, 64);
}

bool db_yaml_gives(const std::string& text, const Paths& paths, const std::string& key) {
    const YamlSection file = YamlSection::parse(text, paths.db_yaml().native());
    const auto dot = key.find('.');
    if (dot == std::string::npos) return file.given(key);
    return file.section(key.substr(0, dot)).given(key.substr(dot + 1));
}

DbConfig read_db_config(const Paths& paths) {
    std::filesystem::path path = paths.db_yaml();
    auto text = read_config_file(path);
    if (!text) throw Error(Code::config, "Config not found: " + path.native() + " (run wizard first)");
    return parse_db_config(*text, paths);
}

DbConfig parse_db_config(const std::string& text, const Paths& paths) {
    YamlSection file = YamlSection::parse(text, paths.db_yaml().native(), db_yaml_keys());

    auto is_address = [](const std::string& s) { return Ipv4::try_parse(s) || Ipv6::try_parse(s); };
    DbConfig config{.db_file = path_of(file, "db_file").value_or(paths.state.string("vms.json")),
                    .storage_path = path_of(file, "storage_path", is_storage_path,
                                            "the absolute path of a folder of its own")
                                        .value_or(paths.disks.string()),
                    .ipv4 = read_ipv4_pool(file),
                    .resolvers = file.texts("resolvers", "IP addresses", is_address)};
    config.bridge =
        file.text("bridge", "the name of a network interface", is_bridge_name).value_or(config.bridge);
    config.storage_pool =
        file.text("storage_pool", "the name of a pool", is_pool_name).value_or(config.storage_pool);
    config.gc_grace_days =
        file.integer("gc_grace_days", 0, limits::expiry_days_max).value_or(config.gc_grace_days);
    config.default_expiry_days =
        file.integer("default_expiry_days", limits::expiry_days_min, limits::expiry_days_max)
            .value_or(config.default_expiry_days);
    config.boot_kernel = path_of(file, "boot_kernel").value_or("").string();
    config.boot_initrd = path_of(file, "boot_initrd").value_or("").string();
    config.boot_arguments =
        file.text("boot_arguments", "kernel arguments on one line", is_one_line).value_or("");
    config.template_url = file.text("template_url", "an https:// URL of a file", is_https_url).value_or("");
    read_ipv6_pool(file, config);
    config.domain_type = read_domain_type(file);
    config.memory_overcommit = file.number("memory_overcommit", 0.1, 100).value_or(config.memory_overcommit);
    config.disk_overcommit = file.number("disk_overcommit", 0.1, 1000).value_or(config.disk_overcommit);
    return config;
}

Web3Defaults read_web3_defaults(const Paths& paths) {
    Web3Defaults defaults;
    std::filesystem::path path = paths.web3_defaults();
    auto text = read_config_file(path);
    if (!text) return defaults;
    defaults.found = true;
    YamlSection auth = YamlSection::parse(*text, path.native()).section("auth");
    if (auto length = auth.integer("otp_length", 1, 64)) defaults.otp_length = std::to_string(*length);
    if (auto ttl = auth.integer("otp_ttl_seconds", 1, 1'000'000)) defaults.otp_ttl = std::to_string(*ttl);
    return defaults;
}

ChainConfig read_chain_config(const Paths& paths) {
    constexpr std::int64_t largest_id = std::numeric_limits<std::int64_t>::max(), most_gwei = 1'000'000;
    const std::filesystem::path path = paths.web3_defaults();
    const auto text = read_config_file(path);
    if (!text)
        throw Error(Code::config, path.native() + " is missing",
                    "it names the chain's node, the NFT's contract and the file of the key");
    const YamlSection file = YamlSection::parse(*text, path.native());
    const YamlSection chain = file.section("blockchain"), deployer = file.section("deployer");
    const auto needed = [](const YamlSection& section, const std::string& key, std::string_view expected,
                           const std::function<bool(const std::string&)>& good) {
        auto value = section.text(key, expected, good);
        if (!value || value->empty()) section.refuse(key, "is missing");
        return *value;
    };
    ChainConfig config;
    const auto anything = [](const std::string&) { return true; }; // a complaint would show it
    config.rpc_url = needed(chain, "rpc_url", "a URL", anything);
    config.nft_contract = needed(chain, "nft_contract", "an address", is_one_line);
    // The same holds for the path: somebody may have put the key itself there.
    config.key_file = needed(deployer, "private_key_file", "a path", anything);
    if (!config.key_file.is_absolute()) deployer.refuse("private_key_file", "is no absolute path");
    config.key_file = files::plain(config.key_file);
    if (const auto id = chain.integer("chain_id", 1, largest_id))
        config.chain_id = static_cast<std::uint64_t>(*id);
    if (const auto fee = chain.integer("max_fee_gwei", 1, most_gwei))
        config.max_fee_gwei = static_cast<std::uint64_t>(*fee);
    return config;
}

} // namespace blockhost
