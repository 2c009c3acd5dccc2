// SPDX-License-Identifier: MIT
#pragma once
/// A server as a hub. docs/hub.md says what it answers.

#include "hub/settings.hpp"
#include "hub/transport.hpp"

namespace blockhost::hub {

class HttpsHub : public Transport {
  public:
    /// `settings` are those of such a hub; `check` as http::Session has it. Throws Error{config} for a host
    /// whose name cannot stand in a URL.
    HttpsHub(Settings settings, std::string host, std::function<void()> check);

    std::string name() const override;
    /// The token is read anew each time, so that one that was replaced counts at once.
    Answer exchange(const Outgoing& report) override;
    std::string desired() override;
    std::vector<std::string> signed_operations() override;

  private:
    std::string ask(const char* what, std::size_t largest, const std::string* body = nullptr);

    Settings settings_;
    std::string host_, authorization_;
    http::Session session_;
};

/// Retry-After (RFC 9110, section 10.2.3): seconds, or a moment, of which `now` is told; nothing for anything
/// else. Never negative.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view text,
                                                      std::chrono::system_clock::time_point now);

} // namespace blockhost::hub
