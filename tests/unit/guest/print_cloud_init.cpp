// SPDX-License-Identifier: MIT
// Prints the network-config or the fallback user-data that we write, for tests that show it to cloud-init's
// own code:
//   network MAC IP/LENGTH GATEWAY [IPV6 GATEWAY6]
//   user-data SHARE-FOLDER NAME [SSH-KEY]
#include "base/error.hpp"
#include "guest/cloud_init.hpp"

#include <cstdio>
#include <span>
#include <string>

using namespace blockhost;

namespace {

std::string network(std::span<char*> words) {
    std::string cidr = words[1];
    auto slash = cidr.find('/');
    guest::NetworkInput input{.mac = Mac::try_parse(words[0]).value(),
                              .ip = Ipv4::try_parse(cidr.substr(0, slash)).value(),
                              .prefix_length = std::stoi(cidr.substr(slash + 1)),
                              .gateway = Ipv4::try_parse(words[2]).value(),
                              .resolvers = {},
                              .ipv6 = {},
                              .gateway6 = {}};
    if (words.size() > 3) {
        input.ipv6 = Ipv6::try_parse(words[3]).value();
        input.gateway6 = Ipv6::try_parse(words[4]).value();
    }
    return guest::render_network_config(input);
}

std::string user_data(std::span<char*> words) {
    VmRequest request{.name = VmName(words[1]),
                      .wallet = Wallet("0xabc", ""),
                      .username = Username("admin"),
                      .nft_token_id = {}};
    guest::UserDataInput input{.request = request,
                               .ip = Ipv4(0x0a000002),
                               .ipv6 = {},
                               .dns_zone = "",
                               .web3 = {},
                               .engine_installed = false,
                               .verbatim = {},
                               .ssh_key = words.size() > 2 ? words[2] : "",
                               .secret_key = ""};
    Paths paths;
    paths.share = words[0];
    return guest::render_user_data(input, paths);
}

} // namespace

int main(int argc, char** argv) {
    std::span<char*> words(argv + 1, argv + argc);
    if (words.size() < 3) return 2;
    try {
        std::string what = words[0];
        std::string text = what == "network" ? network(words.subspan(1)) : user_data(words.subspan(1));
        std::fwrite(text.data(), 1, text.size(), stdout);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
