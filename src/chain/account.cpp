// SPDX-License-Identifier: MIT
// Chooses nonces, adds up reserved funds, hands transactions in again.
#include "chain/account.hpp"

#include "chain/confirm.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::chain {

Account::Account(Node& node, const Ledger* ledger, std::uint64_t chain_id, const Address& address)
    : node_(node), ledger_(ledger), address_(address) {
    if (ledger) signed_ = ledger->signed_by(chain_id, address);
    if (!signed_.empty()) next_ = node.nonce(address, "latest");
}

std::uint64_t Account::free_nonce() const {
    std::uint64_t nonce = node_.nonce(address_, "pending");
    for (const KeptMint& mint : signed_)
        if (mint.state == KeptMint::State::closed) nonce = std::max(nonce, mint.entry.nonce + 1);
    for (const KeptMint& mint : signed_)
        if (mint.entry.nonce == nonce) ++nonce;
    return nonce;
}

U256 Account::reserved() const {
    U256 sum = 0;
    for (const KeptMint& mint : signed_)
        if (is_unmined(mint)) sum = bounded_sum(sum, mint.entry.most);
    return sum;
}

void Account::fill_gaps(std::uint64_t below, const MintIdentity& own) const {
    for (const KeptMint& mint : signed_) {
        if (!is_unmined(mint) || mint.entry.nonce >= below) continue;
        if (mint.state == KeptMint::State::closed) {
            fill_gap(mint);
            continue;
        }
        if (mint.entry.identity == own) continue;
        if (const auto held = ledger_->try_identity(mint.entry.identity.name())) fill_gap(mint);
    }
}

void Account::fill_gap(const KeptMint& mint) const {
    const MintEntry& entry = mint.entry;
    try {
        if (!node_.knows(entry.hash)) send(node_, entry);
    } catch (const Obstacle& obstacle) {
        throw Obstacle(
            Code::chain,
            fmt::format("an earlier mint of {} is in the way (transaction {}, nonce {}): {}", address_.str(),
                        hex(entry.hash), entry.nonce, obstacle.message()),
            fmt::format("{}; or, if no block explorer knows that transaction, remove {} and call again",
                        obstacle.hint(), mint.path));
    }
}

void Account::forget_settled() const {
    const auto is_closed = [](const KeptMint& mint) { return mint.state == KeptMint::State::closed; };
    if (std::ranges::none_of(signed_, is_closed)) return;
    try {
        const std::uint64_t head = node_.block_number();
        if (head < settled_depth) return;
        const std::uint64_t settled = node_.nonce(address_, at_block(head - settled_depth));
        for (const KeptMint& mint : signed_)
            if (is_closed(mint) && mint.entry.nonce < settled) ledger_->forget(mint.entry);
    } catch (const Refusal&) {
        // The node does not tell of blocks before its latest. Entries that are kept do no harm.
    }
}

} // namespace blockhost::chain
