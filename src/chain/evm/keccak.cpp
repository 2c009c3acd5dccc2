// SPDX-License-Identifier: MIT
// Keccak-f[1600] and its sponge (The Keccak reference, version 3.0).
#include "chain/evm/keccak.hpp"

#include <bit>

namespace blockhost::chain {

namespace {

constexpr std::size_t lanes = 25, rounds = 24;
constexpr std::size_t rate = 136; ///< bytes absorbed at a time: 1600 bits less twice 256
using State = std::array<std::uint64_t, lanes>;

constexpr std::array<std::uint64_t, rounds> round_constants{
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};
/// Rho's turns along the path that pi takes through the lanes, from lane 1 on.
constexpr std::array<int, lanes - 1> turns{1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                                           27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};
constexpr std::array<std::size_t, lanes - 1> path{10, 7,  11, 17, 18, 3, 5,  16, 8,  21, 24, 4,
                                                  15, 23, 19, 13, 12, 2, 20, 14, 22, 9,  6,  1};

void theta(State& a) {
    std::array<std::uint64_t, 5> column{};
    for (std::size_t i = 0; i < lanes; ++i) column[i % 5] ^= a[i];
    for (std::size_t i = 0; i < lanes; ++i) a[i] ^= column[(i + 4) % 5] ^ std::rotl(column[(i + 1) % 5], 1);
}

void rho_and_pi(State& a) {
    std::uint64_t carried = a[1];
    for (std::size_t i = 0; i < path.size(); ++i) {
        const std::uint64_t next = a[path[i]];
        a[path[i]] = std::rotl(carried, turns[i]);
        carried = next;
    }
}

void chi(State& a) {
    for (std::size_t row = 0; row < lanes; row += 5) {
        const std::array<std::uint64_t, 5> b{a[row], a[row + 1], a[row + 2], a[row + 3], a[row + 4]};
        for (std::size_t i = 0; i < 5; ++i) a[row + i] = b[i] ^ (~b[(i + 1) % 5] & b[(i + 2) % 5]);
    }
}

void permute(State& a) {
    for (std::uint64_t constant : round_constants) {
        theta(a);
        rho_and_pi(a);
        chi(a);
        a[0] ^= constant;
    }
}

/// Lanes are little endian, whatever the machine.
void add(State& a, std::size_t at, std::uint8_t byte) {
    a[at / 8] ^= static_cast<std::uint64_t>(byte) << (at % 8 * 8);
}

} // namespace

Hash keccak256(View bytes) {
    State state{};
    std::size_t at = 0;
    for (std::uint8_t byte : bytes) {
        add(state, at, byte);
        if (++at < rate) continue;
        permute(state);
        at = 0;
    }
    add(state, at, 0x01);
    add(state, rate - 1, 0x80);
    permute(state);
    Hash hash{};
    for (std::size_t i = 0; i < hash.size(); ++i)
        hash[i] = static_cast<std::uint8_t>(state[i / 8] >> (i % 8 * 8));
    return hash;
}

Hash keccak256(std::string_view text) {
    return keccak256(View(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

} // namespace blockhost::chain
