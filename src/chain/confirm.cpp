// SPDX-License-Identifier: MIT
// Looks, waits, sends again.
#include "chain/confirm.hpp"

#include "base/patience.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::chain {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_pause(100), longest_pause(2000);
constexpr int looks_to_be_sure = 3;

/// Both amounts; only the cost where the node does not tell the balance.
std::string funds_words(Node& node, const MintEntry& entry) {
    try {
        return fmt::format("{} has {}, and the mint may cost up to {}", entry.account.str(),
                           ether(node.balance(entry.account)), ether(entry.most));
    } catch (const Error&) {
        return fmt::format("{} has too little for a mint that may cost up to {}", entry.account.str(),
                           ether(entry.most));
    }
}

Obstacle refused(Node& node, const MintEntry& entry, const Refusal& refusal) {
    switch (meaning_of(refusal)) {
    case SendRefusal::outbid:
        return {Code::chain,
                fmt::format("another transaction of {} with nonce {} is waiting, and the mint's does not "
                            "replace it",
                            entry.account.str(), entry.nonce),
                "call again once that one is mined; let nothing else use the key meanwhile"};
    case SendRefusal::underpriced:
        return {Code::chain, fmt::format("{} finds the fee too low by now: {}", node.name(), refusal.words()),
                "call again when fees are lower: the same transaction is sent again"};
    case SendRefusal::no_funds:
        return {Code::chain, funds_words(node, entry), "send it some, and call again"};
    default:
        return {Code::chain,
                fmt::format("{} does not take the transaction: {}", node.name(), refusal.words()),
                "call again when that is mended: the same transaction is sent again"};
    }
}

/// The first block after which the account's nonce is above `nonce`, as it is at block `top`. The search goes
/// from `top` backwards, since nodes that keep no old state still have the younger blocks.
std::uint64_t block_of_nonce(Node& node, const Address& account, std::uint64_t nonce, std::uint64_t top) {
    const auto has_passed = [&](std::uint64_t number) {
        return node.nonce(account, at_block(number)) > nonce;
    };
    std::uint64_t after = top, before = top;
    for (std::uint64_t step = 1; before > 0; step *= 2) {
        before = step < after ? after - step : 0;
        if (!has_passed(before)) break;
        after = before;
    }
    while (after - before > 1) {
        const std::uint64_t middle = before + (after - before) / 2;
        (has_passed(middle) ? after : before) = middle;
    }
    return after;
}

} // namespace

void send(Node& node, const MintEntry& entry) {
    try {
        node.send(entry.raw);
    } catch (const Refusal& refusal) {
        const SendRefusal meaning = meaning_of(refusal);
        if (meaning == SendRefusal::known || meaning == SendRefusal::nonce_used) return;
        if (!node.knows(entry.hash)) throw refused(node, entry, refusal);
    }
}

Confirmation::Outcome Confirmation::run() {
    for (milliseconds pause = first_pause;; pause = std::min(pause * 2, longest_pause)) {
        try {
            const auto seen = look();
            if (is_sure(seen)) return *seen;
            trouble_.clear();
        } catch (const Obstacle& obstacle) {
            note_trouble(obstacle, obstacle.hint());
        } catch (const Error& error) {
            note_trouble(error, {});
        }
        if (patience_.deadline.passed()) give_up();
        pause_for(std::min(pause, patience_.deadline.left()), [this] { interruption_.check(); });
    }
}

std::optional<Confirmation::Outcome> Confirmation::look() {
    if (const auto receipt = node_.receipt(entry_.hash)) return judge(*receipt);
    note_absence();
    if (node_.knows(entry_.hash)) return std::nullopt;
    if (is_displaced()) return Outcome{Outcome::How::displaced, {}, settled_depth};
    send(node_, entry_);
    return std::nullopt;
}

std::optional<Confirmation::Outcome> Confirmation::judge(const Receipt& receipt) {
    using How = Outcome::How;
    if (seen_ && seen_->block_hash != receipt.block_hash) note_absence();
    seen_ = receipt;
    const std::uint64_t head = node_.block_number();
    const std::uint64_t depth = head < receipt.block ? 0 : head - receipt.block + 1;
    if (depth < patience_.confirmations) {
        talk_.detail(fmt::format("in block {}, {} of {} confirmations", receipt.block, depth,
                                 patience_.confirmations));
        return std::nullopt;
    }
    const auto block = node_.block(at_block(receipt.block));
    if (block && block->hash == receipt.block_hash)
        return Outcome{receipt.succeeded ? How::succeeded : How::reverted, receipt, depth};
    if (block) note_absence();
    return std::nullopt;
}

/// A missing receipt proves nothing. The block in which the nonce was used does, if it lacks the transaction.
bool Confirmation::is_displaced() {
    if (node_.nonce(entry_.account, "latest") <= entry_.nonce) return false;
    std::string reason = "it does not have that block as a whole";
    try {
        const std::uint64_t head = node_.block_number();
        if (head < settled_depth) return false;
        const std::uint64_t top = head - settled_depth;
        if (node_.nonce(entry_.account, at_block(top)) <= entry_.nonce) return false;
        const std::uint64_t number = block_of_nonce(node_, entry_.account, entry_.nonce, top);
        const auto block = node_.block(at_block(number));
        const bool has_it =
            block && std::ranges::find(block->transactions, entry_.hash) != block->transactions.end();
        if (block && !block->transactions.empty() && !has_it) return true;
        if (has_it)
            throw Obstacle(
                Code::chain,
                fmt::format("it is in block {}, and {} gives no receipt of it", number, node_.name()),
                "call again when the node has caught up, or name another one");
    } catch (const Refusal& refusal) {
        reason = refusal.words();
    }
    throw Obstacle(
        Code::chain,
        fmt::format("its nonce is used, and {} does not tell by which transaction: {}", node_.name(), reason),
        fmt::format("name a node that keeps old blocks, or look in a block explorer: if that is another "
                    "transaction of {}, remove {}; then call again",
                    entry_.account.str(), path_));
}

bool Confirmation::is_sure(const std::optional<Outcome>& seen) {
    const bool is_same = seen && outcome_ && seen->how == outcome_->how &&
                         seen->receipt.block_hash == outcome_->receipt.block_hash;
    alike_ = is_same ? alike_ + 1 : 1;
    outcome_ = seen;
    return seen && (seen->how == Outcome::How::succeeded || alike_ >= looks_to_be_sure);
}

void Confirmation::note_absence() {
    if (!seen_) return;
    talk_.warn(fmt::format("the chain has taken back block {}, which had the mint in it; waiting again",
                           seen_->block));
    seen_.reset();
}

void Confirmation::note_trouble(const Error& error, const std::string& advice) {
    if (error.code() == Code::interrupted) throw error;
    outcome_.reset();
    if (trouble_.empty()) talk_.warn(fmt::format("{}; asking again", error.message()));
    trouble_ = error.message();
    advice_ = advice;
}

void Confirmation::give_up() {
    throw Error(Code::no_answer,
                fmt::format("transaction {} (nonce {}) is not confirmed{}", hex(entry_.hash), entry_.nonce,
                            why_not()),
                !trouble_.empty() && !advice_.empty()
                    ? advice_
                    : "call again: the same transaction is looked for and sent again, never a second one");
}

/// ": " and why the transaction is not confirmed; empty when nothing speaks against it.
std::string Confirmation::why_not() {
    if (!trouble_.empty()) return ": " + trouble_;
    if (seen_) return ": its block has too few confirmations";
    try {
        const std::uint64_t next = node_.nonce(entry_.account, "latest");
        if (next < entry_.nonce)
            return fmt::format(": it waits for the account's transaction {}, which is not mined", next);
        return next == entry_.nonce ? "" : ": its nonce is used, not long enough ago to be sure by what";
    } catch (const Error& error) {
        if (error.code() == Code::interrupted) throw;
        return ": " + error.message();
    }
}

} // namespace blockhost::chain
