#pragma once
/// A signed transaction on its way into the chain.

#include "base/interrupt.hpp"
#include "base/talk.hpp"
#include "chain/ledger.hpp"
#include "chain/node.hpp"

namespace blockhost::chain {

/// Hands the entry's bytes to the node. That it has them, or that the nonce is used up, is no error: the
/// chain tells more. Throws SendRefused for every other refusal, with amounts where funds lack.
void send(Node& node, const MintEntry& entry);
class SendRefused : public Error {
  public:
    using Error::Error;
};

/// So deep a block is final for all that counts here, and every node knows it.
inline constexpr std::uint64_t settled_depth = 12;

/// How patiently a transaction is followed.
struct Patience {
    std::uint64_t confirmations = 1; ///< blocks from its own on, that one included
    Deadline deadline;
};

/// Follows one transaction to its end: sends the same bytes again when the node has forgotten them, waits
/// again when its block is taken back. While it waits, an unreachable node is waited for too.
class Pursuit {
  public:
    Pursuit(Node& node, const MintEntry& entry, const Patience& patience, Talk& talk,
            const Interruption& interruption)
        : node_(node), entry_(entry), patience_(patience), talk_(talk), interruption_(interruption) {}

    struct Mined {
        Receipt receipt;
        std::uint64_t depth = 0; ///< blocks from its own on, that one included
    };
    /// Nothing when it can never be mined, since another transaction took its nonce in a block of
    /// settled_depth. Throws SendRefused, Error{no_answer} at the deadline, Error{interrupted}.
    std::optional<Mined> run();

  private:
    struct End {
        std::optional<Mined> mined;
    };
    std::optional<End> look();
    std::optional<End> judge(const Receipt& receipt);
    bool is_displaced();
    void note_absence();
    void note_trouble(const Error& error);
    [[noreturn]] void give_up();
    std::string why_not();

    Node& node_;
    const MintEntry& entry_;
    const Patience& patience_;
    Talk& talk_;
    const Interruption& interruption_;
    std::optional<Receipt> seen_;       ///< the last receipt
    std::optional<Deadline> far_again_; ///< when to look further than for a receipt
    std::string trouble_;               ///< why the last look failed
    int displaced_looks_ = 0;
};

} // namespace blockhost::chain
