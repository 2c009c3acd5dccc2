#pragma once
/// A signed transaction on its way into the chain.

#include "base/interrupt.hpp"
#include "base/talk.hpp"
#include "chain/ledger.hpp"
#include "chain/node.hpp"

namespace blockhost::chain {

/// What somebody else must mend before it goes on; the hint says how.
class Obstacle : public Error {
  public:
    using Error::Error;
};

/// Hands the entry's bytes to the node. That it has them, or that the nonce is used up, is no error: the
/// chain tells more. Throws Obstacle when the node refuses for another reason and does not know the
/// transaction, with amounts where funds lack.
void send(Node& node, const MintEntry& entry);

/// How patiently a transaction is followed.
struct Patience {
    std::uint64_t confirmations = 1; ///< blocks from its own on, that one included
    Deadline deadline;
};

/// Follows one transaction to its end: sends the same bytes again when the node has forgotten them, waits
/// again when its block is taken back. Whatever speaks against it meanwhile, an unreachable node, a refusal
/// to take it again, is told and waited out: it may be on its way.
class Pursuit {
  public:
    /// `path`: where the entry lies, for messages.
    Pursuit(Node& node, const MintEntry& entry, std::string path, const Patience& patience, Talk& talk,
            const Interruption& interruption)
        : node_(node), entry_(entry), path_(std::move(path)), patience_(patience), talk_(talk),
          interruption_(interruption) {}

    struct Outcome {
        enum class How {
            succeeded,
            reverted,
            displaced ///< a block of settled_depth has another transaction of its nonce
        } how = How::succeeded;
        Receipt receipt = {};    ///< but of displaced
        std::uint64_t depth = 0; ///< blocks from its own on, that one included
    };
    /// What has as many confirmations as asked for, in the block that the chain has at that height. All but
    /// success is believed only when looks in a row agree, since the nodes behind one name may be of
    /// different ages. Throws Error{no_answer} at the deadline, Error{interrupted}.
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
    Talk& talk_;
    const Interruption& interruption_;
    std::optional<Receipt> seen_;    ///< the last receipt
    std::optional<Outcome> outcome_; ///< of the last look
    int alike_ = 0;                  ///< how many looks in a row had it
    std::string trouble_;            ///< why the last look failed
    std::string advice_;             ///< what to do about it
};

} // namespace blockhost::chain
