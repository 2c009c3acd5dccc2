// SPDX-License-Identifier: MIT
#pragma once
/// One exchange with a hub, whatever leads to it: the report goes out, the answer is taken in, what moved is
/// fetched and handed to the host. What each step did is on disk before the next, so that a process that is
/// killed loses nothing and does nothing twice.

#include "hub/memory.hpp"
#include "hub/outbox.hpp"
#include "hub/transport.hpp"

namespace blockhost::hub {

/// The host, as its hub's documents meet it. An Error that is returned is a refusal that stays one; what is
/// thrown says that it could not be judged now: the same comes again at the next exchange.
class Host {
  public:
    virtual ~Host() = default;
    /// The generation of the desired state that the host follows, and has the text of; nothing: of none.
    virtual std::optional<std::int64_t> followed() = 0;
    /// The generation that it accepted last, with or without the text.
    virtual std::optional<std::int64_t> accepted() = 0;

    struct Verdict {
        std::string about; ///< the operation, where it can be read; of a desired state, nothing
        std::optional<Error> refused;
    };
    /// A desired state, of which that generation was announced: it is followed when this returns no refusal.
    virtual Verdict take_desired(const std::string& text, std::int64_t generation) = 0;
    /// A signed operation. It may have been taken before.
    virtual Verdict take_signed(const std::string& text) = 0;
};

/// What an exchange brought.
struct Exchanged {
    Answer answer;
    bool more = false;   ///< events wait that the report had no room for
    bool is_new = false; ///< something is followed, or was handed in, that was not before
    std::string older;   ///< why this host's database is an older copy of itself; empty: nothing says so
    std::optional<Error> later = {}; ///< why a part could not be done; the next exchange tries again
};

/// For one thread; all that it is given outlives it.
class Courier {
  public:
    Courier(store::Database& database, Transport& transport, OutboxBounds bounds = {});
    /// From now on this one leads to the hub.
    void go_by(Transport& transport) { transport_ = &transport; }

    /// `snapshot`: the report without its number and events (data/schemas/hub-report.schema.json). Throws
    /// what Transport::exchange throws; then nothing was acknowledged, and nothing taken in. Throws
    /// store::StoreError where what came could not be noted; the next exchange brings it again.
    Exchanged exchange(const boost::json::object& snapshot, Host& host, Instant now);

    /// A report without events, and its answer; nothing is acknowledged, remembered or fetched. Throws as
    /// exchange.
    Answer try_out(boost::json::object snapshot);

    Outbox& outbox() { return outbox_; }
    Memory& memory() { return memory_; }

  private:
    Outgoing report(const boost::json::object& snapshot, bool& more);
    Outgoing numbered(boost::json::object snapshot, Outbox::Batch batch);
    Answer answer_to(const Outgoing& report, Instant now);
    void note(Exchanged& exchanged);
    void take_desired(Exchanged& exchanged, Host& host, Instant now);
    void fetch_desired(const Announced& announced, Exchanged& exchanged, Host& host, Instant now);
    void take_signed(Exchanged& exchanged, Host& host, Instant now);
    bool hand_in(const std::string& document, const std::string& digest, Host& host, Instant now);

    store::Database& database_;
    Transport* transport_;
    Outbox outbox_;
    Memory memory_;
    std::int64_t next_number_ = 0, numbers_end_ = 0;
};

} // namespace blockhost::hub
