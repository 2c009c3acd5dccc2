// SPDX-License-Identifier: MIT
#pragma once
/// This host, as its hub's documents meet it.

#include "agent/engine.hpp"
#include "hub/courier.hpp"

namespace blockhost::agent {

/// For one thread. A document is refused for what it says; what this host cannot do just now is thrown. The
/// engine outlives it.
class Recipient : public hub::Host {
  public:
    explicit Recipient(Engine& engine) : engine_(engine) {}

    std::optional<std::int64_t> followed() override;
    std::optional<std::int64_t> accepted() override;
    Verdict take_desired(const std::string& text, std::int64_t generation) override;
    /// The signatures are handed to the operation that waits for them. One that has them already is taken.
    Verdict take_signed(const std::string& text) override;

  private:
    void hand_in(const execution::Id& id, const authority::SignedOperation& document);
    Engine& engine_;
};

} // namespace blockhost::agent
