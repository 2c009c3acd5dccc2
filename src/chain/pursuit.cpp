// Looking, waiting, sending again.
#include "chain/pursuit.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <thread>

namespace blockhost::chain {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_pause(100), longest_pause(2000), look_far_every(1000);
constexpr milliseconds check_every(100);
constexpr int looks_to_be_sure = 3;

/// Both amounts; without them where the node does not tell.
std::string funds_words(Node& node, const MintEntry& entry) {
    try {
        return fmt::format("{} has {}, and the mint may cost up to {}", entry.account.str(),
                           ether(node.balance(entry.account)), ether(entry.most));
    } catch (const Error&) {
        return fmt::format("{} has too little for a mint that may cost up to {}", entry.account.str(),
                           ether(entry.most));
    }
}

SendRefused refused(Node& node, const MintEntry& entry, const Refusal& refusal) {
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

} // namespace

void send(Node& node, const MintEntry& entry) {
    try {
        node.send(entry.raw);
    } catch (const Refusal& refusal) {
        const SendRefusal meaning = meaning_of(refusal);
        if (meaning == SendRefusal::known || meaning == SendRefusal::nonce_used) return;
        throw refused(node, entry, refusal);
    }
}

std::optional<Pursuit::Mined> Pursuit::run() {
    for (milliseconds pause = first_pause;; pause = std::min(pause * 2, longest_pause)) {
        try {
            if (auto end = look()) return end->mined;
            trouble_.clear();
        } catch (const SendRefused&) {
            throw;
        } catch (const Error& error) {
            note_trouble(error);
        }
        if (patience_.deadline.passed()) give_up();
        for (auto over = Deadline::in(std::min(pause, patience_.deadline.left())); !over.passed();
             std::this_thread::sleep_for(std::min(check_every, over.left())))
            interruption_.check();
    }
}

std::optional<Pursuit::End> Pursuit::look() {
    if (const auto receipt = node_.receipt(entry_.hash)) return judge(*receipt);
    note_absence();
    if (far_again_ && !far_again_->passed()) return std::nullopt;
    far_again_ = Deadline::in(look_far_every);
    if (node_.knows(entry_.hash)) {
        displaced_looks_ = 0;
        return std::nullopt;
    }
    if (is_displaced()) return End{};
    if (displaced_looks_ == 0) send(node_, entry_);
    return std::nullopt;
}

std::optional<Pursuit::End> Pursuit::judge(const Receipt& receipt) {
    if (seen_ && seen_->block_hash != receipt.block_hash) note_absence();
    seen_ = receipt;
    const std::uint64_t head = node_.block_number();
    const std::uint64_t depth = head < receipt.block ? 0 : head - receipt.block + 1;
    if (depth >= patience_.confirmations) return End{Mined{receipt, depth}};
    talk_.detail(
        fmt::format("in block {}, {} of {} confirmations", receipt.block, depth, patience_.confirmations));
    return std::nullopt;
}

void Pursuit::note_absence() {
    if (!seen_) return;
    talk_.warn(fmt::format("the chain has taken back block {}, which had the mint in it; waiting again",
                           seen_->block));
    seen_.reset();
    far_again_.reset();
}

/// Asked several times, since the nodes behind one name may be of different ages.
bool Pursuit::is_displaced() {
    const std::uint64_t head = node_.block_number();
    const bool passed =
        head >= settled_depth && node_.nonce(entry_.account, at_block(head - settled_depth)) > entry_.nonce;
    displaced_looks_ = passed ? displaced_looks_ + 1 : 0;
    return displaced_looks_ >= looks_to_be_sure;
}

void Pursuit::note_trouble(const Error& error) {
    if (error.code() == Code::interrupted) throw error;
    if (trouble_.empty()) talk_.warn(fmt::format("{}; asking again", error.message()));
    trouble_ = error.message();
}

void Pursuit::give_up() {
    throw Error(Code::no_answer,
                fmt::format("transaction {} (nonce {}) is not confirmed{}", hex(entry_.hash), entry_.nonce,
                            why_not()),
                "call again: the same transaction is looked for and sent again, never a second one");
}

/// ": " and why it is not confirmed; empty when nothing speaks against it.
std::string Pursuit::why_not() {
    if (seen_) return ": its block has too few confirmations";
    if (!trouble_.empty()) return ": " + trouble_;
    try {
        const std::uint64_t next = node_.nonce(entry_.account, "latest");
        if (next < entry_.nonce)
            return fmt::format(": it waits for the account's transaction {}, which is not mined", next);
        return next == entry_.nonce ? ""
                                    : ": another transaction took its nonce, not long enough ago to be sure";
    } catch (const Error& error) {
        if (error.code() == Code::interrupted) throw;
        return ": " + error.message();
    }
}

} // namespace blockhost::chain
