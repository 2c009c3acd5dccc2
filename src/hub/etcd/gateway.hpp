// SPDX-License-Identifier: MIT
#pragma once
/// An etcd cluster (3.4 or later) by its JSON gateway: one call at a time, at whichever member answers. Paths
/// and fields are those of etcd's rpc.proto; its integers come and go as texts, its bytes as base64.

#include "http/session.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace blockhost::hub::etcd {

/// Which cluster, and as whom.
struct Access {
    std::vector<std::string> urls; ///< of its members, "https://HOST:PORT"
    std::string user;
    std::filesystem::path password_file; ///< of one line
    http::Trust trust;
};

/// What a member refused, with etcd's own code (gRPC's) and words.
class Refused : public Error {
  public:
    Refused(const Error& error, int code, std::string words)
        : Error(error), code_(code), words_(std::move(words)) {}
    int code() const noexcept { return code_; }
    const std::string& words() const noexcept { return words_; } ///< outside text

  private:
    int code_;
    std::string words_;
};

/// What an answer with an error in it says. `name`: the member's.
Refused refusal_in(const std::string& name, const boost::json::object& told);

/// For one thread.
class Gateway {
  public:
    /// `check` as http::Session has it.
    Gateway(Access access, std::function<void()> check);

    /// The member that answered last, for messages.
    std::string name() const;

    /// Calls "/v3/" + `path`, and logs in before where that is needed. A member that is away, or has lost the
    /// others, is passed over for the next: a call may so be carried out twice, and has to bear that. Throws
    /// http::NoResponse when no member answers, Refused, Error{denied} where user or password are wrong,
    /// Error{invalid} for an answer that makes no sense.
    boost::json::object call(const std::string& path, const boost::json::object& request,
                             std::size_t largest = usual_answer);
    /// The same of a call whose answers come one by one, each a line, of one member alone. `take` returns
    /// whether more are wanted; returns after `patience` at the latest.
    void listen(const std::string& path, const boost::json::object& request, std::chrono::seconds patience,
                const std::function<bool(const boost::json::object&)>& take);

    /// The next call goes to the next member, and logs in anew.
    void move_on();

    static constexpr std::size_t usual_answer = 1u << 20;

  private:
    struct Asked;
    http::Response ask(const Asked& asked);
    http::Response ask_member(const Asked& asked);
    void log_in();
    void next_member();

    Access access_;
    http::Session session_;
    std::size_t member_ = 0;
    std::string token_;
};

/// A key as a member tells it.
struct Item {
    std::string key, value;
    std::int64_t modified = 0; ///< the revision of its last change
};

/// All that begins with `prefix` is below range_end of it.
std::string range_end(std::string prefix);

/// A request of one key, or of all that begin with it.
boost::json::object get(std::string_view key);
boost::json::object get_below(std::string_view prefix, bool keys_only);
/// A put; `lease` 0: it stays.
boost::json::object put(std::string_view key, std::string_view value, std::int64_t lease = 0);
/// Whether a key's last change was at that revision; 0: there is none.
boost::json::object was_modified_at(std::string_view key, std::int64_t revision);

/// What a range found, in the order of keys. Throws Error{invalid}.
std::vector<Item> items_in(const boost::json::object& range);
/// The revision at which an answer was true. Throws Error{invalid}.
std::int64_t revision_of(const boost::json::object& answer);
/// An integer as the gateway tells it, as a text; absent: 0. Throws Error{invalid}.
std::int64_t number_in(const boost::json::object& object, std::string_view key);

} // namespace blockhost::hub::etcd
