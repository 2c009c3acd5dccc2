// SPDX-License-Identifier: MIT
#pragma once
/// Speaks to the API of one Proxmox VE node: https://HOST:8006/api2/json, with an API token. Paths and
/// parameters are those of the API viewer (https://pve.proxmox.com/pve-docs/api-viewer/).

#include "http/session.hpp"
#include "platform/permit.hpp"
#include "platform/proxmox/form.hpp"
#include "platform/proxmox/refusal.hpp"
#include "platform/proxmox/upid.hpp"

#include <functional>

namespace blockhost::platform::proxmox {

/// How a node is reached.
struct Access {
    std::string origin;               ///< "https://HOST:8006", without a path
    std::filesystem::path token_file; ///< one line "USER@REALM!TOKENID=SECRET", readable by its owner alone
    http::Trust trust;
    /// For one call. A node waits 30 s for its own daemon before it gives up with 596; a client that is less
    /// patient never learns of it.
    std::chrono::milliseconds patience{40'000};
};

/// The node refused a call. The message is a sentence for people, the hint says what to do.
class Refused : public Error {
  public:
    Refused(const Error& error, Refusal refusal) : Error(error), refusal_(std::move(refusal)) {}
    const Refusal& refusal() const noexcept { return refusal_; }

  private:
    Refusal refusal_;
};

/// The answer to a change got lost. It may have been carried out, or may be carried out yet: look, then
/// decide; never send it again.
class AnswerLost : public Error {
  public:
    explicit AnswerLost(const Error& error) : Error(error) {}
};

class Client {
  public:
    /// Reads the token. `check` as in http::Session. Throws Error{config} when the token's file is missing,
    /// readable by others, or holds no token.
    Client(Access access, std::function<void()> check);

    /// The answer's "data". Throws Refused; Error{no_answer} when no answer came, which says nothing about
    /// the node's guests.
    boost::json::value get(std::string_view path, const Parameters& query = {});

    /// Changes something: "POST", "PUT" or "DELETE", whose parameters are sent as a form, or as a query for
    /// DELETE. The permit is that of the action which this serves. Sent at most once. Throws Refused when it
    /// was not carried out, AnswerLost when nobody knows, and Error{no_answer} when it was certainly not
    /// sent.
    boost::json::value change(const Permit& permit, const char* method, std::string_view path,
                              const Parameters& parameters = {});
    /// Asks the node to stop a task: the one write without a permit, since it only ends what one began.
    /// Throws as change does.
    void stop(const Upid& task);

    /// The certificate that the node showed last.
    const std::optional<http::Certificate>& certificate() const { return session_.certificate(); }
    const Access& access() const { return access_; }
    /// "USER@REALM!TOKENID", as the node's tasks name who began them.
    const std::string& user() const { return user_; }

  private:
    boost::json::value send(const char* method, std::string_view path, const Parameters& parameters);
    http::Response call(const http::Call& call);
    RawAnswer ask(const http::Call& call, std::string_view what);

    Access access_;
    std::string authorization_, user_;
    http::Session session_;
};

/// The Error for a refusal of the call `what` ("GET /nodes/pve1/qemu"): says what is missing or in the way,
/// and what to do about it.
Error error_of(const Refusal& refusal, std::string_view what);

} // namespace blockhost::platform::proxmox
