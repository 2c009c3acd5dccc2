#pragma once
/// Crossing the border to the module http.so.

#include "http/client.hpp"
#include "http/rules.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace blockhost::http {

/// What an attempt is told. What a call throws ends the attempt and comes out of it.
class Receiver {
  public:
    enum class Wish { more, no_more };
    virtual Wish on_header(std::string_view line) = 0;
    virtual Wish on_body(std::string_view bytes) = 0;
    /// At least every 100 ms. `connected`: the request is on its way.
    virtual Wish on_tick(bool connected) = 0;

  protected:
    ~Receiver() = default;
};

struct Request {
    std::string url;
    std::vector<std::string> headers;     ///< "Name: value"
    std::optional<std::string> body = {}; ///< what is posted; nothing: a GET
    Schemes schemes = Schemes::https;
    bool direct = false; ///< past every proxy
};

struct Outcome {
    bool stopped = false;         ///< the receiver wanted no more
    std::optional<Failed> failed; ///< why the response did not come to its end
    std::string location;         ///< where Location leads, absolute; empty: nowhere
};

/// One attempt of one request; follows no redirect.
Outcome attempt(const Request& request, const Manner& manner, Receiver& receiver);

} // namespace blockhost::http
