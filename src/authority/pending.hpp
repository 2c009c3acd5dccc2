// SPDX-License-Identifier: MIT
#pragma once
/// Operations that wait for a signature, in the agent's database.

#include "authority/envelope.hpp"
#include "store/database.hpp"

namespace blockhost::authority {

struct Pending {
    std::string operation;
    std::string bytes;  ///< the envelope's text: what is to be signed
    Envelope envelope;  ///< the same, as values
    std::string source; ///< by to_string(Source)
    std::string requester;
    Instant asked_at;

    /// What is given to `sign`: a signed operation that nobody has signed yet.
    std::string document() const { return to_text(SignedOperation{bytes, {}}); }
};

/// More than these do not wait at a time.
inline constexpr std::int64_t most_pending = 256;

class Pendings {
  public:
    explicit Pendings(store::Database& database) : database_(database) {}

    /// Replaces one of the same operation. Throws Error{no_room} for one too many.
    void put(const Pending& pending);
    std::optional<Pending> find(const std::string& operation) const;
    /// In the order in which they were asked for.
    std::vector<Pending> all() const;
    bool remove(const std::string& operation);

  private:
    store::Database& database_;
};

} // namespace blockhost::authority
