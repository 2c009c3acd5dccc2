// SPDX-License-Identifier: MIT
#pragma once
/// Follows a signed transaction into the chain.

#include "base/interrupt.hpp"
#include "base/progress.hpp"
#include "chain/evm/node.hpp"
#include "chain/ledger.hpp"

namespace blockhost::chain {

/// Something that a person must mend before the mint goes on; the hint says how.
class Obstacle : public Error {
  public:
    using Error::Error;
};

/// Hands the entry's bytes to the node. It is no error that the node has them already, or that the nonce is
/// used: the chain tells more. Throws Obstacle when the node refuses for another reason and does not know the
/// transaction; it names the amounts where funds lack.
void send(Node& node, const MintEntry& entry);

/// How patiently a transaction is followed.
struct Patience {
    std::uint64_t confirmations = 1; ///< blocks from its own on, that one included
    Deadline deadline;
};

/// Follows one transaction to its end: sends the same bytes again when the node has forgotten them, and waits
/// again when the chain takes the block back. An unreachable node, or one that refuses to take the bytes
/// again, is reported and waited out: the transaction may be on its way.
class Confirmation {
  public:
    /// `path`: where the entry lies, for messages.
    Confirmation(Node& node, const MintEntry& entry, std::string path, const Patience& patience,
                 Progress& progress, const Interruption& interruption)
        : node_(node), entry_(entry), path_(std::move(path)), patience_(patience), talk_(progress),
          interruption_(interruption) {}

    struct Outcome {
        enum class How {
            succeeded,
            reverted,
            displaced ///< a block settled_depth deep has used its nonce for another
        } how = How::succeeded;
        Receipt receipt = {};    ///< empty when displaced
        std::uint64_t depth = 0; ///< blocks from its own on, that one included
    };
    /// Returns once the transaction has as many confirmations as asked for, in the block that the chain has
    /// at that height. Any outcome but success is believed only when looks in a row agree, since the nodes
    /// behind one name may lag differently. Throws Error{no_answer} at the deadline, Error{interrupted}.
    Outcome run();

  private:
    std::optional<Outcome> look();
    std::optional<Outcome> judge(const Receipt& receipt);
    bool is_displaced();
    bool is_sure(const std::optional<Outcome>& seen);
    void note_absence();
    void note_trouble(const Error& error, const std::string& advice);
    [[noreturn]] void give_up();
    std::string why_not();

    Node& node_;
    const MintEntry& entry_;
    std::string path_;
    const Patience& patience_;
    Progress& talk_;
    const Interruption& interruption_;
    std::optional<Receipt> seen_;    ///< the last receipt
    std::optional<Outcome> outcome_; ///< of the last look
    int alike_ = 0;                  ///< how many looks in a row had it
    std::string trouble_;            ///< why the last look failed
    std::string advice_;             ///< what to do about it
};

} // namespace blockhost::chain
