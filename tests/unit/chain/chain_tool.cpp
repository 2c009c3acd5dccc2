// SPDX-License-Identifier: MIT
// What tests/mint compares with other programs, and a process that holds a key.
//   chain-tool keccak HEX | checksum ADDRESS | account KEYFILE
//   chain-tool current TO DATA | legacy TO DATA SECRET            the data of a call
//   chain-tool sign KEYFILE CHAIN NONCE PRIORITY MAX GAS TO DATA  the signed transaction and its hash
//   chain-tool hold KEYFILE vault|heap                            dumps core while the key is in use; heap:
//   leaks it
#include "base/error.hpp"
#include "chain/evm/keccak.hpp"
#include "chain/evm/key.hpp"
#include "chain/mint_call.hpp"

#include <csignal>
#include <cstdio>
#include <sys/prctl.h>

using namespace blockhost;
using namespace blockhost::chain;

Bytes leaked; // for everybody to see, so that no compiler leaves it out

namespace {

using Words = std::vector<std::string>;

void say(const std::string& line) {
    std::puts(line.c_str());
}

KeyFile key_in(const std::string& path) {
    return {path, key_keepers(StateFolder("/"))};
}

Address address(const std::string& text) {
    return Address::parse(text, "the address");
}

void sign(const Words& words) {
    const KeyFile key = key_in(words.at(0));
    const auto number = [&](std::size_t at) { return std::stoull(words.at(at)); };
    const Transaction transaction{.chain_id = number(1),
                                  .nonce = number(2),
                                  .priority_fee = number(3),
                                  .max_fee = number(4),
                                  .gas = number(5),
                                  .to = address(words.at(6)),
                                  .data = parse_hex(words.at(7)).value()};
    const Bytes raw = transaction.signed_bytes(key.sign(transaction.signing_hash(), key.account()));
    say(hex(raw));
    say(hex(keccak256(raw)));
}

/// The key has been used for signing already, so that what that leaves behind would be in the core too.
void hold(const Words& words) {
    const KeyFile key = key_in(words.at(0));
    const Hash hash = keccak256("text");
    static_cast<void>(key.sign(hash, key.account()));
    key.with_key([&](const SecretBytes& secret) {
        if (words.at(1) == "heap") leaked.assign(secret.begin(), secret.end());
        prctl(PR_SET_DUMPABLE, 1); // else there is no core to look at
        std::raise(SIGABRT);
    });
}

void run(const std::string& what, const Words& words) {
    if (what == "keccak") say(hex(keccak256(parse_hex(words.at(0)).value())));
    if (what == "checksum") say(address(words.at(0)).str());
    if (what == "account") say(key_in(words.at(0)).account().str());
    if (what == "current")
        say(hex(MintCall::current(address(words.at(0)), parse_hex(words.at(1)).value()).data));
    if (what == "legacy")
        say(hex(MintCall::legacy(address(words.at(0)), parse_hex(words.at(1)).value(), words.at(2)).data));
    if (what == "sign") sign(words);
    if (what == "hold") hold(words);
}

} // namespace

int main(int argc, char** argv) {
    try {
        run(argc > 1 ? argv[1] : "", Words(argv + std::min(argc, 2), argv + argc));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
